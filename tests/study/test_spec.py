"""A study's YAML: what is accepted, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from uml_tf.runtime.errors import UmlError
from uml_tf.study.spec import arm_configs, read_study


def _write(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def _configs(tmp_path, text):
    path = _write(tmp_path, text)
    return arm_configs(read_study(path), path)


def test_arms_are_overrides_of_one_config_and_an_empty_arm_changes_nothing(tmp_path):
    configs = _configs(
        tmp_path,
        "config: {epochs: 4, loss: {cls: 0.5}}\n"
        "arms:\n  plain:\n  class alone: {loss.seg: 0, loss.mut: 0}\n  longer: {epochs: 10}\n",
    )
    assert list(configs) == ["plain", "class alone", "longer"]
    assert (configs["plain"].epochs, configs["plain"].loss.seg) == (4, 0.4)
    assert (configs["class alone"].loss.seg, configs["class alone"].loss.cls) == (0, 0.5)
    # Defaults that depend on the epochs follow those of the arm.
    assert (configs["plain"].hold_epochs, configs["longer"].hold_epochs) == (1, 3)


def test_the_example_of_the_page_is_a_study(tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    example = (root / "docs/study.md").read_text().split("```yaml\n")[1].split("```")[0]
    monkeypatch.chdir(root)  # the example names docs/busi.yaml
    configs = _configs(tmp_path, example)
    assert list(configs) == ["scratch", "pretrained", "class alone"]
    assert configs["pretrained"].class_encoder == "mobilenet_v2:0.35"


def test_combinations_name_an_arm_and_one_way_to_ask_its_networks(tmp_path):
    text = (
        "arms: {a: }\n"
        "combined: {4: {of: a, passes: 4}, f: {of: a, flips: true}, e: {of: a, ensemble: true}}\n"
    )
    combined = read_study(_write(tmp_path, text)).combined
    assert [(name, one.asked) for name, one in combined.items()] == [
        ("4", ("passes",)),
        ("f", ("flips",)),
        ("e", ("ensemble",)),
    ]
    assert [(one.networks(5), one.predictions(5)) for one in combined.values()] == [(1, 4), (1, 2), (5, 5)]
    digits = read_study(_write(tmp_path, "arms: {1: }\ncombined: {2: {of: 1, flips: true}}\n"))
    assert digits.combined["2"].of == "1"


def test_the_config_can_be_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("epochs: 7\n")
    configs = _configs(tmp_path, "config: base.yaml\narms: {plain: }\n")
    assert configs["plain"].epochs == 7


def test_a_seed_in_the_file_of_a_training_is_named_unless_it_is_one_of_the_seeds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 5\n")
    for seeds, lines in (
        ("[1, 5]", []),
        ("[0, 1]", ["study: config.yaml: seed: 5 is not used, the study's 'seeds' are 0, 1"]),
    ):
        path = _write(tmp_path, f"config: config.yaml\narms: {{a: }}\nseeds: {seeds}\n")
        told = []
        arm_configs(read_study(path), path, told.append)
        assert told == lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[1]", "study.yaml: found list, expected a mapping with 'arms'"),
        ("seeds: [0]", "study.yaml: arms: missing"),
        ("arms: {}", "study.yaml: arms: found {}"),
        ("arms: {a: }\nsedes: [0]", "study.yaml: sedes: unknown field"),
        ("arms: {a: }\nseeds: [0, 0]", "seeds: found [0, 0], expected each seed once"),
        ("arms: {a/b: }", "arms: found 'a/b', expected names of letters"),
        ("arms: {a: }\nfolds: 0", "study.yaml: folds: found 0, expected at least 1"),
        ("arms: {a: }\nsplit_seed: 1", "split_seed: found it with 1 fold, expected more folds"),
        (
            "arms: {a: }\nsplit_seed: 1\ntraining_share: {a: 1}",
            "split_seed: found it with 1 fold, expected more folds",
        ),
        (
            "arms: {a: , b: {epochs: 3}}\ntraining_share: {c: 0.5}",
            "training_share: found 'c', expected an arm, one of a, b",
        ),
        ("arms: {a: }\ntraining_share: {a: 0}", "training_share.a: found 0"),
        ("arms: {a: }\ntraining_share: {a: 1.5}", "training_share.a: found 1.5, expected at most 1"),
        (
            "arms: {a: , b: }\ntraining_share: {a: 1}",
            "arms.b: found the config of arm 'a', expected another one",
        ),
        ("arms: {a: {epochs: 0}}", "study.yaml: arms.a: epochs: found 0"),
        ("arms: {a: {loss.clss: 1}}", "study.yaml: arms.a: loss.clss: found 1 for an unknown field"),
        ("arms: {a: {seed: 1}}", "arms.a: seed: found it in an arm, expected it in 'seeds' alone"),
        (
            "config: {seed: 1}\narms: {a: }\nseeds: [1]",
            "study.yaml: config: seed: found it in the config, expected it in 'seeds' alone",
        ),
        ("arms: {a: , b: {epochs: 14}}", "arms.b: found the config of arm 'a', expected another one"),
        (
            "arms: {a: }\ncombined: {a: {of: a, flips: true}}",
            "study.yaml: combined.a: found the name of an arm",
        ),
        (
            "arms: {a: }\ncombined: {b/c: {of: a, flips: true}}",
            "combined: found 'b/c', expected names of letters",
        ),
        (
            "arms: {a: }\ncombined: {b: {of: c, flips: true}}",
            "combined.b.of: found 'c', expected an arm, one of a",
        ),
        ("arms: {a: }\ncombined: {b: {of: a}}", "combined.b: found none, expected one of passes, flips and"),
        ("arms: {a: }\ncombined: {b: {flips: true}}", "study.yaml: combined.b.of: missing"),
        (
            "arms: {a: }\ncombined: {b: {of: a, flips: true, passes: 2}}",
            "combined.b: found passes and flips, expected one of passes, flips and ensemble",
        ),
        ("arms: {a: }\ncombined: {b: {of: a, passes: 1}}", "combined.b.passes: found 1, expected at least 2"),
        ("arms: {a: }\ncombined: {b: {of: a, seeds: 1}}", "combined.b.seeds: unknown field"),
        ("arms: {a: }\ncombined: [b]", "study.yaml: combined: found ['b']"),
        ("arms: {a: }\ncombined: {b: }", "study.yaml: combined.b: found None, expected a mapping with 'of'"),
        (
            "arms: {a: }\nseeds: [4]\ncombined: {b: {of: a, ensemble: true}}",
            "combined.b.ensemble: found 1 seed, expected at least 2",
        ),
        (
            "arms: {a: }\ncombined: {b: {of: a, flips: true}, c: {of: a, flips: true}}",
            "combined.c: found the same as 'b', expected another one",
        ),
        ("config: {epochs: 0}\narms: {a: }", "study.yaml: config: epochs: found 0"),
        ("config: nowhere.yaml\narms: {a: }", "nowhere.yaml: cannot be read"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_field(tmp_path, text, line):
    with pytest.raises(UmlError) as error:
        _configs(tmp_path, text)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
