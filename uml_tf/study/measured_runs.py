"""The MLflow runs in which the combinations of a study are kept, and by which they are found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mlflow

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.measures_file import MEASURES_FILE, save_measures
from uml_tf.runtime.files import write_text
from uml_tf.study.runs import COMMIT_PARAM, create_run, search_runs
from uml_tf.tracking.commit import git_commit
from uml_tf.tracking.store import run_folder, saving

MEASURED_TAG = "uml_tf.study.measured"
_IMAGES_FILE = "images.csv"


def find_measured(key: str) -> str | None:
    """The run in which several predictions were measured (see ``save_measured``); None where there is none.

    Raises:
        UmlError: the store cannot be read.
    """
    with saving("study"):
        found = search_runs(MEASURED_TAG, key)
    return str(found[0].info.run_id) if found else None


def save_measured(
    name: str, tags: Mapping[str, str], key: str, measures: Sequence[ImageMeasure], table: str
) -> None:
    """Keeps what was measured of several predictions in a run of its own.

    Args:
        name: of the run, for people.
        tags: of the run.
        key: by which it is found again.
        measures: of the images of a test split.
        table: the same as ``images.csv``.

    Raises:
        UmlError: the store cannot be written to.
    """
    client = mlflow.MlflowClient()
    with saving(name):
        run_id = create_run(name, tags)
        client.log_param(run_id, COMMIT_PARAM, git_commit())
        folder = run_folder(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        save_measures(folder / MEASURES_FILE, measures)
        write_text(folder / _IMAGES_FILE, table)
        for file in (MEASURES_FILE, _IMAGES_FILE):
            client.log_artifact(run_id, str(folder / file))
        # Last, so that a run that is found is complete.
        client.set_tag(run_id, MEASURED_TAG, key)
        client.set_terminated(run_id, "FINISHED")
