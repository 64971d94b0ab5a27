"""What is fetched from the store: copies that can be opened until the process ends, and no longer."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from stores import fresh_store

from uml_tf.runtime.errors import UmlError
from uml_tf.tracking.models import fetch, resolve_model

FETCH = """
import sys
from uml_tf.tracking.models import fetch, resolve_model
found = [resolve_model(sys.argv[1]), *map(fetch, sys.argv[2:])]
print(*(f"{path} {path.read_text()}" for path in found), sep="\\n")
"""


@pytest.fixture
def run_id(tmp_path):
    """A run with two files, one called as a model, in the store of the temporary folder."""
    with fresh_store(tmp_path), mlflow.start_run() as run:
        mlflow.log_text("weights", "model/artifacts/a.keras")
        mlflow.log_text("figures", "measures.json")
    return run.info.run_id


def test_copies_are_removed_at_the_end_of_the_process(run_id, tmp_path, run_python):
    (tmp_path / "temporary").mkdir()
    references = [f"runs:/{run_id}", f"runs:/{run_id}/measures.json"]
    told, _ = run_python("-c", FETCH, *references, cwd=tmp_path, TMPDIR=str(tmp_path / "temporary"))
    paths, contents = zip(*(line.split() for line in told.splitlines()), strict=True)
    assert contents == ("weights", "figures")
    assert all(Path(path).is_relative_to(tmp_path / "temporary") for path in paths)
    assert list((tmp_path / "temporary").iterdir()) == []


FORK = """
import os, shutil, sys
from uml_tf.tracking.models import fetch
(first,) = map(fetch, sys.argv[1:])
child = os.fork()
if child == 0:
    fetch(sys.argv[1])
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(first.read_text())
shutil.rmtree(first.parents[1])
print(fetch(sys.argv[1]).read_text())
"""


def test_a_forked_process_leaves_the_copies_alone_and_a_folder_that_was_tidied_up_is_made_anew(
    run_id, tmp_path, run_python
):
    (tmp_path / "temporary").mkdir()
    reference, folder = f"runs:/{run_id}/measures.json", tmp_path / "temporary"
    told, _ = run_python("-c", FORK, reference, cwd=tmp_path, TMPDIR=str(folder))
    assert told.split() == ["figures", "figures"]
    assert list(folder.iterdir()) == []


def test_copies_of_one_name_do_not_replace_each_other(run_id, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with mlflow.start_run() as other:
        mlflow.log_text("others", "measures.json")
    copies = [fetch(f"runs:/{one}/measures.json") for one in (run_id, other.info.run_id)]
    assert [copy.read_text() for copy in copies] == ["figures", "others"]
    with pytest.raises(UmlError, match=f"model 'runs:/{run_id}/none': not found in the MLflow store"):
        resolve_model(f"runs:/{run_id}/none")
