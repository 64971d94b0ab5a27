"""docs/data.md tells what the commands do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from uml_tf.cli.data import data
from uml_tf.data.converter import CONVERTERS
from uml_tf.data.dataset import COLUMNS, OPTIONAL_COLUMNS
from uml_tf.runtime.regions import UNKNOWN_PIXEL

PAGE = (Path(__file__).resolve().parents[2] / "docs/data.md").read_text(encoding="utf-8")


def test_the_table_of_converters_is_the_registry():
    section = PAGE.partition("## Converters")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert listed == sorted(listed)
    assert set(listed) == set(CONVERTERS)


def _commands():
    for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("uml-tf data "):
                yield line


@pytest.mark.parametrize("line", list(_commands()))
def test_every_command_of_the_page_can_be_parsed(line):
    words = [word for word in shlex.split(line, comments=True)[2:] if word != "..."]
    with click.Context(data) as context:
        name, command, rest = data.resolve_command(context, words)
        assert command is not None, name
        with command.make_context(name, rest, parent=context) as inner:
            folders = [inner.params[p.name] for p in command.params if isinstance(p, click.Argument)]
    assert all(folders)


def test_options_and_columns_on_the_page_exist():
    known = {option for command in data.commands.values() for p in command.params for option in p.opts}
    assert set(re.findall(r"(--[a-z][a-z-]+)", PAGE)) <= known | {"--help"}
    assert ",".join(COLUMNS) in PAGE
    assert all(f"`{column}`" in PAGE for column in OPTIONAL_COLUMNS)
    assert f"Pixel value {UNKNOWN_PIXEL}" in PAGE
