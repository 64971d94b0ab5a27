"""The registry of a store with more models than one page holds, and with names that need care."""

from __future__ import annotations

import mlflow
import pytest
from stores import fresh_store

from uml_tf.runtime.errors import UmlError
from uml_tf.tracking.registry import check_name, find_version, holder, set_alias, versions

MODELS = 102
LAST = f"model {MODELS - 1:03d}"
APOSTROPHE, QUOTED = "o'brien's eye", 'the "good" one'


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A SQLite store with 102 registered models, the last of which has 102 versions."""
    folder = tmp_path_factory.mktemp("large")
    with fresh_store(folder) as (client, experiment):
        run = client.create_run(experiment).info.run_id
        names = [f"model {number:03d}" for number in range(MODELS)]
        for name in (*names, APOSTROPHE, QUOTED):
            client.create_registered_model(name)
            client.create_model_version(name, f"runs:/{run}/model", run)
        for _ in range(1, MODELS):
            client.create_model_version(LAST, f"runs:/{run}/model", run)
        client.set_registered_model_alias(LAST, "champion", str(MODELS))
        yield folder


def test_the_champion_is_found_behind_the_first_page(store):
    champion = holder(LAST, "champion")
    assert (champion.number, champion.aliases) == (MODELS, ("champion",))
    assert find_version(LAST, "champion") == find_version(LAST) == champion
    assert holder(LAST, "device") is None
    assert holder("model 000", "champion") is None


def test_all_versions_are_listed(store):
    found = versions()
    assert len(found) == 2 * MODELS + 1
    assert [v.number for v in versions(LAST)] == list(range(1, MODELS + 1))
    assert [(v.name, v.number) for v in found if v.aliases] == [(LAST, MODELS)]


def test_an_unknown_name_lists_all_names_and_an_unknown_version_all_numbers(store):
    with pytest.raises(UmlError, match=rf"registered model 'nothing': not found, expected .*{LAST}"):
        find_version("nothing")
    with pytest.raises(UmlError, match=rf"found no version or alias '999', it has 1, 2, .*, {MODELS}$"):
        find_version(LAST, "999")


@pytest.mark.parametrize("name", [APOSTROPHE, QUOTED])
def test_a_name_with_quotes_works_everywhere(store, name):
    check_name(name)
    (version,) = versions(name)
    assert find_version(name) == find_version(name, "1") == version
    set_alias(version, "champion")
    assert holder(name, "champion").aliases == ("champion",)
    mlflow.MlflowClient().delete_registered_model_alias(name, "champion")


def test_a_name_with_both_quotes_is_refused_in_one_line():
    with pytest.raises(UmlError, match=r"^--name: found .*, expected a name without ' or without \"$"):
        check_name("""the "good" one's""")
