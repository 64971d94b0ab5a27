"""Reads images with the exported network: python run.py IMAGE...

Before anything of the bundle is imported, every file is compared with its SHA-256 in manifest.json.
"""

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", sys.flags.isolated):
    del sys.path[0]  # this folder: a stray json.py in it must not be imported

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME, MODEL = "uml_tf_runtime.zip", "model.tflite"


def check_bundle(manifest: Path) -> None:
    """Exits with one line on standard error where a file is not the one that was exported."""
    try:
        expected = json.loads(manifest.read_text(encoding="utf-8"))["sha256"]
        digests = {name: expected[name] for name in ("run.py", RUNTIME, MODEL)} | expected
    except (OSError, ValueError, TypeError, KeyError) as error:
        sys.exit(f"run.py: {manifest}: cannot be read as the bundle's manifest ({error!r})")
    for name, digest in digests.items():
        path = HERE / name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            found = f"no readable file ({error.strerror})"
        if found != digest:
            sys.exit(f"run.py: {path}: sha256: found {found}, expected {digest}: damaged or changed")


if __name__ == "__main__":
    check_bundle(HERE / "manifest.json")
    sys.path.insert(0, str(HERE / RUNTIME))
    from uml_tf.runtime.threads import prefer_parallel_images

    prefer_parallel_images()
    from uml_tf.runtime.main import main

    sys.exit(main(HERE / MODEL, sys.argv[1:]))
