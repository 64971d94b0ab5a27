"""A plugin of pytest that begins with the slowest files; ``tests/conftest.py`` loads it."""

from __future__ import annotations

import pytest

SLOWEST_FIRST = (
    *("test_registry", "test_export", "test_distributed", "test_step", "test_page", "test_kinds"),
    *("test_resume", "test_study_command", "test_full_disk", "test_cli", "test_arm"),
    *("test_running", "test_fidelity", "test_presets", "test_python_api", "test_serving", "test_workers"),
    *("test_quiet", "test_new_kind", "test_new_metric", "test_export_refusals", "test_roi_bundle"),
    *("test_teaching", "test_evaluate_options", "test_evaluate_command", "test_teacher_networks"),
    *("test_encoders", "test_import_torch", "test_watch", "test_calibrate", "test_keras_applications"),
    *("test_unknown_pixels", "test_resume_without_file", "test_mean_model"),
    *("test_report_page", "test_finish", "test_combined", "test_unlocated"),
)
"""Files that share an expensive fixture (``once``) do not follow each other: the second would wait for it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the slowest files, so that at the end no process still works on one of them alone."""
    rank = {name: place for place, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))
