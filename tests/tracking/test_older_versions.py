"""Registered versions of an older uml-tf, which measured failure detection by the vacuity alone."""

from __future__ import annotations

import re

import pytest
from stores import fresh_store

VACUITY, CONFIDENCE = "class_failure_auroc", "class_failure_auroc_confidence"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with an older version, one of today, and one whose failure detection is not defined."""
    folder = tmp_path_factory.mktemp("older")
    with fresh_store(folder) as (client, experiment):
        client.create_registered_model("glaucoma")
        for failure_auroc in ({VACUITY: 0.634}, {VACUITY: 0.625, CONFIDENCE: 0.813}, {}):
            run = client.create_run(experiment).info.run_id
            client.log_metric(run, "test/auc", 0.9)
            for name, value in failure_auroc.items():
                client.log_metric(run, f"test/{name}", value)
                client.log_metric(run, f"export/tflite-int8/change_{name}", value - 0.7)
            client.create_model_version("glaucoma", f"runs:/{run}/model", run)
        yield folder


def test_the_list_has_the_confidence_and_names_the_vacuity_where_there_is_none(store, run):
    printed = run("registry", "list")
    assert "confidence ↑" in printed
    older, today, undefined = re.findall(r"^ +glaucoma \d .*$", printed, re.M)
    assert "vacuity 0.634" in older
    assert "0.813" in today
    assert "0.625" not in today
    assert re.findall(r"\d\.\d{3}", undefined) == ["0.900"]


def test_the_change_of_an_export_is_told_by_the_score_that_was_measured(store, run):
    older, today = (run("registry", "show", "glaucoma", number) for number in "12")
    by_confidence = r"^  failure AUROC change +(\S+)$"
    assert not re.search(by_confidence, older, re.M)
    assert re.search(r"^  failure AUROC change by vacuity +-0\.0660$", older, re.M)
    assert re.search(by_confidence, today, re.M)[1] == "0.1130"
