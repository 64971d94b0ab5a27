"""The public Python API: what it offers, that it is lazy, and that the page about it runs."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import uml_tf

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def _run(code, cwd):
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def test_every_name_can_be_had_and_is_documented():
    for name in uml_tf.__all__:
        assert getattr(uml_tf, name) is not None
        assert name in dir(uml_tf)
        if name != "__version__":
            assert getattr(uml_tf, name).__doc__


def test_importing_the_package_imports_neither_tensorflow_nor_numpy(tmp_path):
    heavy = "{'tensorflow', 'keras', 'mlflow', 'numpy', 'cv2', 'click'}"
    done = _run(f"import sys, uml_tf; print(sorted({heavy} & set(sys.modules)))", tmp_path)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_device_model_imports_no_tensorflow(tmp_path):
    code = (
        "import sys, uml_tf; uml_tf.DeviceModel; uml_tf.UmlError;"
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'scipy', 'pydantic'} & set(sys.modules)))"
    )
    done = _run(code, tmp_path)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_examples_of_the_page_run_from_top_to_bottom(tmp_path):
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 6
    (tmp_path / "page.py").write_text("\n".join(examples), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^test accuracy [01]\.\d\d \(", done.stdout, re.MULTILINE)
    assert "class_head" in done.stdout  # of network.summary()
    assert done.stdout.rstrip().endswith(
        "model 'nothing.keras': no such file, expected a .keras file, runs:/ID/model, "
        "models:/NAME/VERSION or last"
    )
    assert (tmp_path / "measured" / "metrics.json").is_file()
    images = list(csv.DictReader((tmp_path / "measured" / "images.csv").open()))
    assert {row["decision"] for row in images} <= {"accept", "refer", "ungradable"}
    assert (tmp_path / "bundle" / "model.tflite").is_file()
