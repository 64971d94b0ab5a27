"""A new export kind is one new file: the example of docs/extending.md runs in a copy of the package."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from extended_package import copy_with_example, run_in_copy

from uml_tf.export.kinds import KINDS

ROOT = Path(__file__).parents[2]
NAME = "export/kinds/tflite_int16_logits.py"


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the package with the example's file, laid out as it is installed."""
    return copy_with_example(tmp_path_factory.mktemp("copy"), NAME)


@pytest.fixture(scope="module")
def story(copied, trained, tmp_path_factory):
    """What the copied package's commands gave in the folder of the trained network: (bundle, results)."""
    out = tmp_path_factory.mktemp("kind") / "bundle"
    # After two epochs a single image of nine may flip.
    bounds = ("accepted_agreement=0", "class_agreement=0.7", "decision_agreement=0.5")
    bounds += ("class_rho=0.8", "failure_auroc_drop=1", "mask_agreement=0.98")
    lenient = [f"--tolerance={bound}" for bound in bounds]
    kind = ("export", "last", "--tflite", "--quantize", "int16-logits")
    commands = (
        ("export", "--help"),
        (*kind, "--no-web", "--out", out, *lenient),
        (*kind, "--input", "uint8", "--out", "never"),
    )
    return out, run_in_copy(copied, *commands, cwd=trained[0])


def test_example_of_the_page_is_listed_and_exports(story, tmp_path):
    out, (shown, done, refused) = story
    assert "--tflite --quantize int16-logits" in shown.stdout
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "fidelity.json").read_text())
    assert report["export"] == "tflite-int16-logits"
    assert report["class_uncertainty_mean_difference"] < 1e-3  # 16-bit activations
    assert report["bytes_model.tflite"] < 0.5 * report["bytes_float32_weights"]
    example = [sys.executable, "-I", out / "run.py", out / "example.png", "--out", tmp_path / "predictions"]
    assert subprocess.run(example, check=False).returncode == 0
    assert json.loads((tmp_path / "predictions/example.json").read_text())["class_uncertainty"] > 0
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "--input: found uint8, --tflite --quantize int16-logits takes int16" in refused.stderr


def test_example_passes_the_checks_of_the_project(copied):
    path = copied / "uml_tf" / NAME
    ruff = Path(sys.executable).parent / "ruff"
    for command in (("check",), ("format", "--check")):
        done = subprocess.run(
            [ruff, *command, "--config", ROOT / "pyproject.toml", path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_page_has_the_table_of_the_kinds():
    page = (ROOT / "docs/device.md").read_text(encoding="utf-8")
    for _, kind in KINDS.items():
        assert f"| `{kind.options}` | {kind.help} |" in page
    options = "|".join(sorted({kind.target.name for _, kind in KINDS.items()}))
    listed = re.findall(rf"^\| `(--(?:{options}) --\S+ \S+)` \|", page, re.M)
    assert sorted(listed) == sorted(kind.options for _, kind in KINDS.items())
