from __future__ import annotations

import pytest
import yaml

from uml_tf.runtime.errors import UmlError
from uml_tf.training.config import TrainingConfig, load_config, parse_assignment, with_fields
from uml_tf.training.sections import LossConfig


def test_yaml_round_trip_repeats_the_run(tmp_path):
    config = load_config(None, {"epochs": 3, "loss.cls": 0.7}).resolved()
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    assert load_config(path, {}).resolved() == config


def test_overrides_replace_values_of_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"epochs": 3, "loss": {"cls": 0.7, "seg": 0.2}}))
    config = load_config(path, {"epochs": 9, "loss.seg": 0.1, "augmentation.noise": 0.5})
    assert (config.epochs, config.loss.cls, config.loss.seg) == (9, 0.7, 0.1)
    assert config.augmentation.noise == 0.5


def test_fields_of_a_config_are_replaced_from_python():
    config = with_fields(TrainingConfig(epochs=7), {"loss.cls": 0.3, "augmentation": {"noise": 0.1}})
    assert (config.epochs, config.loss.cls, config.loss.seg) == (7, 0.3, 0.4)
    assert config.augmentation == TrainingConfig().augmentation.model_copy(update={"noise": 0.1})
    with pytest.raises(UmlError, match=r"loss\.cls: found -1, expected at least 0"):
        with_fields(config, {"loss.cls": -1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss.cls=0.3", ("loss.cls", 0.3)),
        ("patience=null", ("patience", None)),
        ("without=[mixer, navigator]", ("without", ["mixer", "navigator"])),
        ("data=a=b", ("data", "a=b")),
    ],
)
def test_assignment_values_are_yaml(text, expected):
    assert parse_assignment(text) == expected


def test_presets_set_the_defaults_that_are_left_open():
    assert TrainingConfig(preset="released").resolved().learning_rate == 1e-4
    assert TrainingConfig(preset="paper").resolved().loss.segmentation == "dice"
    assert TrainingConfig(preset="released").resolved().loss.segmentation == "dice+ce"
    assert [TrainingConfig(preset=p).resolved().loss.kl for p in ("paper", "edge-pretrained")] == [1.0, 0.1]
    given = TrainingConfig(preset="edge-pretrained", loss=LossConfig(kl=0.5, segmentation="dice")).resolved()
    assert (given.loss.kl, given.loss.segmentation) == (0.5, "dice")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch: 3", "epoch: found 3 for an unknown field, expected one of data, phantoms"),
        ("epoch: 3", "; did you mean epochs?"),
        ("loss: {clss: 3}", "loss.clss: found 3 for an unknown field, expected one of cls, seg"),
        ("epochs: -1", "epochs: found -1"),
        ("loss: {cls: x}", "loss.cls: found 'x'"),
        ("seed: 4294967296", "seed: found 4294967296, expected at most 4294967295"),
        ("seed: -1", "seed: found -1"),
        ("phantoms: {seed: 4294967296}", "phantoms.seed: found 4294967296"),
        ("[1, 2]", "found list, expected a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_bad_config_names_file_and_field(tmp_path, text, expected):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UmlError) as caught:
        load_config(path, {"epochs": 3} if "epochs" not in text else {})
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (("--set", "loss.cls"), 1, "--set: found 'loss.cls', expected FIELD=VALUE"),
        (("--set", "loss.cls=["), 1, "--set loss.cls: found '[', expected a YAML value"),
        (
            ("--set", "loss.clss=1"),
            1,
            "options: loss.clss: found 1 for an unknown field, expected one of cls",
        ),
        (("--set", "augmentation.noise=2"), 1, "options: augmentation.noise: found 2"),
        (("--set", "seed=4294967296"), 1, "options: seed: found 4294967296"),
        (("--seed", "-1"), 1, "options: seed: found -1"),
        (("--epochs", "3", "--set", "epochs=4"), 2, "--set epochs: found epochs given before"),
        (("--set", "loss.cls=1", "--set", "loss.cls=2"), 2, "--set loss.cls: found loss.cls given before"),
        (
            ("--class-weights", "none", "--set", "loss={cls: 1}"),
            2,
            "--set loss: found loss.class_weights given",
        ),
        (("--resume", "last", "--set", "epochs=4"), 2, "--resume uses the config of the run"),
    ],
)
def test_bad_options_end_in_one_line(uml_tf_command, tmp_path, arguments, status, line):
    done = uml_tf_command("train", *arguments, cwd=tmp_path, expect=status)
    assert line in done.stderr
    assert status == 2 or len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
