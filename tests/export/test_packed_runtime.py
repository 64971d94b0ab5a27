"""The runtime as a bundle packs it: compiled code beside each source."""

from __future__ import annotations

import subprocess
import sys
import zipfile

from uml_tf.export.bundle import RUNTIME, _write_runtime

_PROBE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from uml_tf.runtime import version as found;"
    "print(found.__file__, found.VERSION)"
)


def _loaded(path):
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PROBE, path], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_same_python_loads_the_compiled_code_and_another_the_source(tmp_path):
    path, again, other = (tmp_path / name / RUNTIME for name in ("one", "again", "other"))
    for each in (path, again, other):
        each.parent.mkdir()
    _write_runtime(path)
    _write_runtime(again)
    assert path.read_bytes() == again.read_bytes()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(other, "w") as changed:
        names = archive.namelist()
        for name in names:
            content = archive.read(name)
            changed.writestr(name, b"\0" * 4 + content[4:] if name.endswith(".pyc") else content)
    assert {name for name in names if name.endswith("py")} == {
        name[:-1] for name in names if name.endswith("pyc")
    }
    (found, version), (source, same) = _loaded(path), _loaded(other)
    assert found.endswith("version.pyc")
    assert source.endswith("version.py")
    assert version == same
