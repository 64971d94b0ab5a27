"""What is written of measured corruptions, without a network: vacuity and confidence of class and pixels."""

from __future__ import annotations

import csv
import io

import pytest

from uml_tf.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from uml_tf.evaluation.robustness import (
    MEASURES,
    Robustness,
    read_robustness,
    robustness_csv,
    robustness_figure,
    robustness_markdown,
)
from uml_tf.runtime.errors import UmlError

RISING, UNEVEN = list(CORRUPTIONS)[:2]


@pytest.fixture
def found():
    """The pixels' vacuity rises with the severity of every corruption but one; all else is constant."""
    means = {
        (name, severity): dict.fromkeys(MEASURES, 0.5) | {"mask_uncertainty": 0.1 + 0.05 * severity}
        for name in CORRUPTIONS
        for severity in (0, *SEVERITIES)
    }
    for severity, value in enumerate((0.1, 0.3, 0.2, 0.4, 0.5, 0.6)):
        means[UNEVEN, severity]["mask_uncertainty"] = value
    return Robustness(means, 7)


def test_the_pixels_vacuity_has_a_rank_correlation_with_the_severity(found):
    ranked, means = robustness_markdown(found).split("Means over 7 images")
    assert (
        "| corruption | class_uncertainty | class_confidence | mask_uncertainty | mask_confidence |" in ranked
    )
    assert f"| {RISING} |  |  | +1.00 |  |" in ranked
    # One pair of neighbours in six has changed places: 1 - 6 * 2 / (6 * 35).
    assert f"| {UNEVEN} |  |  | +0.94 |  |" in ranked
    assert " mask_uncertainty |" in means


def test_the_table_is_read_as_it_was_written(found, tmp_path):
    (tmp_path / "robustness.csv").write_text(robustness_csv(found))
    again = read_robustness(tmp_path / "robustness.csv")
    assert again.images == 7
    for which, measures in found.means.items():
        assert again.means[which] == pytest.approx(measures, rel=1e-5)


def test_a_file_without_the_pixels_vacuity_is_read_and_drawn(found, tmp_path):
    path = tmp_path / "robustness.csv"
    rows = list(csv.DictReader(io.StringIO(robustness_csv(found))))
    buffer = io.StringIO()
    columns = [column for column in rows[0] if column != "mask_uncertainty"]
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(buffer.getvalue())
    earlier = read_robustness(path)
    assert earlier.curve(RISING, "mask_uncertainty") == pytest.approx([float("nan")] * 6, nan_ok=True)
    assert earlier.curve(RISING, "accuracy") == [0.5] * 6
    assert f"| {RISING} |  |  |  |  |" in robustness_markdown(earlier)
    assert "mask_uncertainty" not in _legend(robustness_figure(earlier))
    assert "mask_uncertainty" in _legend(robustness_figure(found))
    path.write_text(buffer.getvalue().replace("accuracy", "precision"))
    with pytest.raises(UmlError, match=r"robustness\.csv: cannot be read as measured corruptions"):
        read_robustness(path)


def _legend(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]
