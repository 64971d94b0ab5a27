"""Only commands hide what libraries print, and not with --debug."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LITERT = "XNNPACK delegate"  # in a line that LiteRT prints to the descriptor of standard error


@pytest.fixture(scope="module")
def library(tmp_path_factory, phantoms, run_python):
    """(.tflite, standard output, standard error) of tests/library_streams.py."""
    folder = tmp_path_factory.mktemp("library")
    network = "preset: unet-edge\nencoder_weights: none\nimage_size: 32\n"  # the quickest to build
    config = f"data: {phantoms.root}\nepochs: 1\n{network}"
    (folder / "tiny.yaml").write_text(config)
    script = Path(__file__).parents[1] / "library_streams.py"
    return folder / "model.tflite", *run_python(script, folder / "model.tflite", "tiny.yaml", cwd=folder)


def test_the_library_redirects_neither_stream(library):
    _, output, errors = library
    written = int(re.search(r"^written: (\d+)$", output, re.M)[1])
    assert written > 100
    for text in (output, errors):
        assert text.count("line of the thread\n") == written


def test_the_library_hides_nothing_that_other_libraries_print(library):
    assert LITERT in library[2]


def test_commands_hide_it_but_not_with_debug(library, phantoms, start_uml_tf, tmp_path):
    arguments = ("predict", library[0], phantoms.root / phantoms.rows[0].image, "--out", "out")
    for options, shown in (((), False), (("--debug",), True)):
        process = start_uml_tf(*options, *arguments, cwd=tmp_path, fresh=True)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert (LITERT in errors) == shown


@pytest.mark.parametrize(
    "command", [("predict", "no.keras", "x.png", "--out", "y"), ("registry", "show", "none")]
)
def test_debug_shows_the_traceback_of_an_error_in_commands_and_groups(start_uml_tf, tmp_path, command):
    for options in ((), ("--debug",)):
        process = start_uml_tf(*options, *command, cwd=tmp_path)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 1
        assert ("Traceback" in errors) == bool(options)
        assert len(errors.splitlines()) == 1 or options
