"""The fields of a pydantic model as options of a command."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from uml_tf.data.validation_error import describe_validation_error
from uml_tf.runtime.errors import UmlError

Model = TypeVar("Model", bound=BaseModel)


def options_of(model: type[BaseModel]) -> list[click.Parameter]:
    """One option for each field, with its name, type, default and description.

    The types bool (a flag), int, float, str, Path, Literal, a tuple of a fixed length of one of these, and
    any of these or None are known.
    """
    return [_option(name, field) for name, field in model.model_fields.items()]


def parse_options(model: type[Model], values: Mapping[str, Any]) -> Model:
    """The model from the values of ``options_of``.

    Raises:
        UmlError: a value is out of range, naming the option.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise UmlError(f"--{describe_validation_error(error).replace('_', '-')}") from error


def _option(name: str, field: FieldInfo) -> click.Option:
    flag, kind = f"--{name.replace('_', '-')}", field.annotation
    settings: dict[str, Any] = {
        "default": field.default,
        "show_default": field.default is not None,
        "help": field.description,
    }
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    if kind is bool:
        return click.Option([flag], **{**settings, "is_flag": True, "show_default": False})
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return click.Option([flag], nargs=len(parts), type=parts[0], **settings)
    if get_origin(kind) is Literal:
        return click.Option([flag], type=click.Choice(get_args(kind)), **settings)
    return click.Option([flag], type=kind, **settings)
