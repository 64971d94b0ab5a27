"""The commit that a run records is of this package's code, or none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import uml_tf

COMMIT = "from uml_tf.tracking.commit import git_commit; print(git_commit())"


def _git(folder, *arguments):
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository of somebody's own, with a copy of the package inside it that it does not track."""
    _git(tmp_path, "init", "--quiet")
    (tmp_path / "analysis.py").write_text("")
    (tmp_path / ".gitignore").write_text("/site/\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "Analysis")
    package = tmp_path / "site" / "uml_tf"
    shutil.copytree(
        Path(uml_tf.__file__).parent, package, ignore=shutil.ignore_patterns("cli", "export", "__pycache__")
    )
    return tmp_path


def _recorded(run_python, repository):
    output, _ = run_python("-c", COMMIT, cwd=repository, PYTHONPATH=str(repository / "site"))
    return output.strip()


def test_the_repository_around_an_installed_package_is_not_recorded(run_python, repository):
    assert _recorded(run_python, repository) == "unknown"


def test_the_repository_of_the_package_is_recorded_with_its_changes(run_python, repository):
    _git(repository, "add", "--force", "site")
    _git(repository, "commit", "--quiet", "--message", "Package")
    commit = _git(repository, "rev-parse", "HEAD")
    assert _recorded(run_python, repository) == commit
    with (repository / "site" / "uml_tf" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    assert _recorded(run_python, repository) == f"{commit}+changes"
