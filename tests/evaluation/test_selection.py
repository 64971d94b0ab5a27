"""Names of metrics: what an evaluation reports, and what a study may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from small_networks import random_network

from uml_tf.data.dataset import DatasetInfo
from uml_tf.evaluation.evaluate import measure_split
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.selection import check_names, reported_names
from uml_tf.evaluation.summary import summarise
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.intervals import RATIO, Interval, area_name
from uml_tf.runtime.mask_quality import DiceFit

STUDIES = sorted((Path(__file__).parents[2] / "docs/studies").glob("*.yaml"))
LESIONS = DatasetInfo(name="l", image_classes=("a", "b"), pixel_classes=("background", "lesion"))


def test_every_metric_of_an_evaluation_has_a_reported_name(phantoms):
    model, info = random_network(2), phantoms.info
    regions = ("rim", "cup", "disc")
    model.card = model.card.__class__(
        info.image_classes,
        info.pixel_classes,
        info.unions,
        mask_quality={name: DiceFit(1.0, 0.0, 9) for name in regions},
        intervals={name: Interval(1.0, 9) for name in (RATIO, *map(area_name, regions))},
    )
    found = set(summarise(measure_split(KerasPredictor(model), phantoms, "val")))
    assert found <= set(reported_names(info))
    fitted = {name for name in reported_names(info) if name.startswith(("quality_", "interval_"))}
    assert len(fitted) == 2 * 3 + 2 * (3 + 1), "two of every region, two of every area and of the ratio"
    assert fitted <= found


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_metrics_of_the_documented_studies_exist(path, phantoms):
    study = yaml.safe_load(path.read_text())
    info = phantoms.info if path.stem.startswith(("glaucoma", "phantoms")) else LESIONS
    check_names(tuple(study.get("metrics", ())), info, "metrics")


def test_a_metric_of_a_region_needs_the_region(phantoms):
    check_names(("quality_error_cup", f"interval_coverage_{RATIO}"), phantoms.info, "metrics")
    for name in ("quality_error", "quality_error_lesion", "interval_coverage"):
        with pytest.raises(
            UmlError, match=rf"^metrics: found '{name}' \(perhaps .+\), expected some of accuracy, "
        ):
            check_names((name,), phantoms.info, "metrics")
    with pytest.raises(UmlError, match=r"found 'acuracy' \(perhaps accuracy.*\), expected"):
        check_names(("acuracy",), phantoms.info, "metrics")
    with pytest.raises(UmlError, match=r"found 'qqqq', expected"):
        check_names(("qqqq",), phantoms.info, "metrics")
    assert f"interval_coverage_{RATIO}" not in reported_names(LESIONS)
