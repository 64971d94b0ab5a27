"""The JavaScript libraries of the bundle's page, which npm fetches."""

from __future__ import annotations

from pathlib import Path

from uml_tf.export.npm import NpmFiles, NpmPackage

_LITERT = "2.5.3"
# Two of its builds: for browsers with relaxed SIMD instructions, and for those without.
_BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal")

LITERT_JS = NpmFiles(
    "litert",
    _LITERT,
    (
        NpmPackage(
            "@litertjs/core",
            _LITERT,
            "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
            {"package/dist/index.js": "index.js"}
            | {
                f"package/wasm/{build}.{end}": f"{build}.{end}" for build in _BUILDS for end in ("js", "wasm")
            },
        ),
        NpmPackage(
            "@litertjs/wasm-utils",
            _LITERT,
            "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
            {"package/dist/index.js": "wasm-utils.js"},
        ),
    ),
    f"""LiteRT.js {_LITERT} (npm packages @litertjs/core and @litertjs/wasm-utils), unchanged.
Copyright Google LLC. Licensed under the Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0
Source: https://github.com/google-ai-edge/LiteRT
""",
)
"""LiteRT for browsers."""

_FFLATE = "0.8.3"

FFLATE = NpmFiles(
    "fflate",
    _FFLATE,
    (
        NpmPackage(
            "fflate",
            _FFLATE,
            "tbZNuJrLwGUp3zshBtdy4W+ORxZuIh8a5ilyIEQDC5rY1f3U20JMry0Ll3WBzU58EZKsEuJFXhb5gwv8CsPvgA==",
            {"package/esm/browser.js": "index.js", "package/LICENSE": "LICENSE"},
        ),
    ),
    f"""fflate {_FFLATE} (npm package fflate), unchanged. MIT licence: see LICENSE.
Source: https://github.com/101arrowz/fflate
""",
)
"""ZIP archives, for the export of results."""


PAGE_LIBRARIES = (LITERT_JS, FFLATE)


def page_libraries() -> dict[str, Path]:
    """Folder in the page -> the folder with its files; they are fetched at the first call.

    Raises:
        UmlError: one is not in the cache and cannot be fetched, or its SHA-512 is not the expected one.
    """
    return {library.name: library.fetch() for library in PAGE_LIBRARIES}
