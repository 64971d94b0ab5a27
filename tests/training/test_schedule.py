from __future__ import annotations

import json

import numpy as np
import pytest

from uml_tf.training.schedule import HoldThenPolynomial, ScheduleSpec


def test_schedule_equals_that_of_the_authors(reference):
    data = json.loads((reference / "lr_schedule.json").read_text())
    steps = data["train_images"] // data["batch_size"]
    schedule = HoldThenPolynomial(ScheduleSpec(data["base_lr"], steps, data["epochs"], data["hold_epochs"]))
    for epoch, step, rate in data["rows_epoch_step_lr"]:
        assert float(schedule(epoch * steps + step)) == pytest.approx(rate, rel=2e-6), (epoch, step)


def test_warmup_rises_to_the_base():
    schedule = HoldThenPolynomial(ScheduleSpec(1e-3, 10, 10, 3, warmup_epochs=1))
    rates = [float(schedule(step)) for step in range(12)]
    np.testing.assert_allclose(rates[:10], 1e-4 * np.arange(1, 11), rtol=1e-5)
    assert rates[11] == pytest.approx(1e-3)
