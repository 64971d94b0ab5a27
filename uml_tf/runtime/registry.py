"""Named entries of one kind, each registered by the file that defines it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from uml_tf.runtime.errors import UmlError

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by name, in the order of registration.

    With ``package``, every module of that package is imported at the first look-up, in alphabetical order:
    to add an entry is to add a file that registers it.

    Example:
        >>> SHAPES = Registry[Shape]("shape", "package.of.shapes")
        >>> SHAPES.add("square", Shape(corners=4))
        >>> SHAPES["square"]

    Args:
        kind: what an entry is called in messages, e.g. "encoder".
        package: dotted name of the package whose modules register entries, or None.
    """

    def __init__(self, kind: str, package: str | None = None) -> None:
        self.kind = kind
        self._package = package
        self._is_discovering = False
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> Entry:
        """Registers an entry and returns it.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} '{name}': is registered already")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """A decorator that registers a function or a class under a name."""
        return lambda entry: self.add(name, entry)

    def __getitem__(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            UmlError: there is none.
        """
        self._discover()
        if name not in self._entries:
            raise UmlError(f"{self.kind}: found '{name}', expected one of {', '.join(self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(list(self._entries))

    def __len__(self) -> int:
        self._discover()
        return len(self._entries)

    def items(self) -> list[tuple[str, Entry]]:
        """(name, entry) pairs, in the order of registration."""
        self._discover()
        return list(self._entries.items())

    def _discover(self) -> None:
        if self._package is None:
            return
        if self._is_discovering:  # a module of the package looks an entry up while it is imported
            return
        self._is_discovering = True
        try:
            self._import_modules(self._package)
            self._package = None
        finally:
            self._is_discovering = False

    @staticmethod
    def _import_modules(name: str) -> None:
        package = importlib.import_module(name)
        for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
            importlib.import_module(f"{package.__name__}.{module.name}")
