"""The registry of named entries."""

from __future__ import annotations

import sys

import pytest

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.registry import Registry


def test_an_entry_is_found_by_name_in_the_order_of_registration():
    registry = Registry("shape")
    registry.add("square", 4)
    registry.register("triangle")(3)
    assert list(registry) == ["square", "triangle"]
    assert registry["triangle"] == 3
    assert ("circle" in registry, len(registry)) == (False, 2)
    with pytest.raises(UmlError, match="shape: found 'circle', expected one of square, triangle"):
        registry["circle"]
    with pytest.raises(ValueError, match="shape 'square': is registered already"):
        registry.add("square", 5)


def test_a_file_in_the_package_is_found_by_itself(tmp_path, monkeypatch):
    folder = tmp_path / "shapes_for_test"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from uml_tf.runtime.registry import Registry\nSHAPES = Registry('shape', __name__)\n"
    )
    for name, corners in (("square", 4), ("triangle", 3)):
        (folder / f"{name}.py").write_text(
            f"from shapes_for_test import SHAPES\nSHAPES.add('{name}', {corners})\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    from shapes_for_test import SHAPES

    assert not [name for name in sys.modules if name.startswith("shapes_for_test.")]
    assert SHAPES.items() == [("square", 4), ("triangle", 3)]


def test_a_broken_file_fails_at_every_look_up_and_hides_no_entry(tmp_path, monkeypatch):
    folder = tmp_path / "broken_for_test"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from uml_tf.runtime.registry import Registry\nSHAPES = Registry('shape', __name__)\n"
    )
    (folder / "a_broken.py").write_text("import a_module_that_is_not_there\n")
    (folder / "b_square.py").write_text("from broken_for_test import SHAPES\nSHAPES.add('square', 4)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from broken_for_test import SHAPES

    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
            list(SHAPES)
    (folder / "a_broken.py").write_text("")
    assert SHAPES["square"] == 4
