from __future__ import annotations

import pytest
import yaml

from uml_tf.runtime.errors import UmlError
from uml_tf.training.config import TrainingConfig, load_config


def test_yaml_round_trip_repeats_the_run(tmp_path):
    config = load_config(None, {"epochs": 3, "loss": {"cls": 0.7}}).resolved()
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    assert load_config(path, {}).resolved() == config


def test_overrides_win_over_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"epochs": 3, "loss": {"cls": 0.7, "seg": 0.2}}))
    config = load_config(path, {"epochs": 9, "loss": {"seg": 0.1}})
    assert (config.epochs, config.loss.cls, config.loss.seg) == (9, 0.7, 0.1)


def test_presets_decide_what_is_left_open():
    assert TrainingConfig(preset="released").resolved().learning_rate == 1e-4
    assert TrainingConfig(preset="paper").resolved().loss.segmentation == "dice"
    assert TrainingConfig(preset="released").resolved().loss.segmentation == "dice+ce"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch: 3", "epoch: found 3"),
        ("epochs: -1", "epochs: found -1"),
        ("loss: {cls: x}", "loss.cls: found 'x'"),
        ("[1, 2]", "found list, expected a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_bad_config_names_file_and_field(tmp_path, text, expected):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UmlError) as caught:
        load_config(path, {})
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
