"""The export kinds. Each module of this package registers one; adding a module adds a kind.

``docs/extending.md`` shows a whole example.
"""

from __future__ import annotations

from importlib.util import find_spec

from uml_tf.export.kind import ExportKind, Target
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.registry import Registry

KINDS: Registry[ExportKind] = Registry("export kind", __name__)


def register(kind: ExportKind) -> ExportKind:
    """Registers a kind under its name and returns it."""
    return KINDS.add(kind.name, kind)


def targets() -> list[Target]:
    """Every target that some kind is written in, in the order of registration."""
    return list(dict.fromkeys(kind.target for _, kind in KINDS.items()))


def kinds_of(target: Target) -> list[ExportKind]:
    """The kinds of one target."""
    return [kind for _, kind in KINDS.items() if kind.target == target]


def check_packages(kind: ExportKind) -> None:
    """Checks that the optional packages of a kind are installed.

    Raises:
        UmlError: one is missing; the message names the extra to install.
    """
    target = kind.target
    missing = [name for name in target.requires if find_spec(name) is None]
    if missing:
        raise UmlError(
            f"export --{target.name}: the package {missing[0]} is not installed, expected the extra "
            f"[{target.extra}]: pip install 'uml-tf[{target.extra}]'"
        )


def input_type_of(kind: ExportKind, input_type: str | None) -> str:
    """The input type that a kind is given, its first where none is asked for.

    Raises:
        UmlError: the kind cannot have that input type.
    """
    if input_type is None:
        return kind.input_types[0]
    if input_type not in kind.input_types:
        expected = " or ".join(kind.input_types)
        raise UmlError(f"--input: found {input_type}, {kind.options} takes {expected}")
    return input_type
