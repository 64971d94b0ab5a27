"""Figures of trainings and evaluations that have little to show."""

from __future__ import annotations

import numpy as np

from uml_tf.figures.plots import decided_images, training_curves


def test_one_epoch_is_seen():
    for axes in training_curves({"total": [2.0], "cls": [1.0]}, {"accuracy": [0.5]}, 1).axes:
        drawn = [line for line in axes.lines if len(line.get_xdata()) == 1]
        assert drawn
        assert all(line.get_marker() == "o" for line in drawn)
        assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert all(
        line.get_marker() != "o" for line in training_curves({"total": [2.0, 1.0]}, {}, 1).axes[0].lines
    )


def test_confidences_that_hardly_differ_have_ticks_that_can_be_read():
    figure = decided_images(np.array([0.50031, 0.50033]), np.array([True, False]), ["refer", "refer"])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.xaxis.get_major_formatter().get_offset() == ""
    low, high = axes.get_xlim()
    assert low < 0.50031 < 0.50033 < high
