"""Keras and keras-cv are imported without optional packages, which stay importable afterwards."""

from __future__ import annotations

SCRIPT = """\
import sys
from uml_tf.cli.quiet import OPTIONAL_IN_KERAS, import_tensorflow
import_tensorflow()
from uml_tf.networks.encoders.keras_cv_backbones import _keras_cv
_keras_cv()
print(*sorted({*OPTIONAL_IN_KERAS, "kagglehub"} & set(sys.modules)))
import kagglehub, matplotlib, pandas, sklearn
_keras_cv(kagglehub=True)
from keras_cv.src.utils import preset_utils
print(preset_utils.kagglehub is kagglehub)
"""


def test_optional_packages_are_left_out_and_can_be_imported_afterwards(run_python, tmp_path):
    output, _ = run_python("-c", SCRIPT, cwd=tmp_path)
    assert output.splitlines() == ["", "True"]
