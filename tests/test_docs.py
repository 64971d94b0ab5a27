"""README and docs: every link leads somewhere, every page is linked, every command and option exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from uml_tf.cli.main import main

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_CODE = re.compile(r"```.*?```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def _anchors(page):
    """The anchors of a page's headings, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.*)$", _CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def _links(page):
    """(target file, anchor) of each link to another part of the repository."""
    for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in link:
            file, _, anchor = link.partition("#")
            yield (page.parent / file).resolve() if file else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in _links(page):
        assert target.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in _anchors(target), f"{page.name}: {target.name}#{anchor}"


def test_every_file_of_the_docs_is_linked():
    linked = {target for page in PAGES for target, _ in _links(page)}
    files = {path.resolve() for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert files <= linked


def _command(words):
    """The command that the words after uml-tf name, or None."""
    command = main
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        command = command.get_command(click.Context(command), word)
        if command is None:
            return None
    return command


def _options(command):
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def _command_lines(page):
    """Each command line of uml-tf in a page: a block's lines, and inline code."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for block in _CODE.findall(text):
        for line in block.splitlines():
            for part in line.partition(" #")[0].split(";"):
                if part.strip().startswith("uml-tf "):
                    yield part.strip()
    for code in re.findall(r"`(uml-tf [^`]+)`", _CODE.sub("", text)):
        yield " ".join(code.split())


# Added by an example of the same page, or a list of names.
_ELSEWHERE = ("uml-tf data flat", "uml-tf data NAME", "uml-tf registry list|show|compare|promote")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_of_the_docs_exist(page):
    for line in _command_lines(page):
        if line.startswith(_ELSEWHERE):
            continue
        words = shlex.split(line)[1:]
        command = _command(words)
        assert command is not None, f"{page.name}: {line}"
        known = _options(command) | {"--help"}
        unknown = [name for name in _OPTION.findall(line) if name not in known]
        assert not unknown, f"{page.name}: {line}: {unknown}"
