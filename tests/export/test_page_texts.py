"""The page's words: one table, every language whole; readable by eye and by screen reader."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_driver import choose, open_page
from playwright.sync_api import expect

from uml_tf.runtime.outline_words import WORDS, outline_in_words

WEB = Path(__file__).parents[2] / "export/web"
ENGLISH = json.loads((WEB / "texts/en.json").read_text())
LEAST_CONTRAST = 4.5
"""Of text, WCAG 2.2, criterion 1.4.3 (AA)."""
LEAST_CONTRAST_OF_EDGES = 3.0
"""Of what shows where a control is, criterion 1.4.11 (AA)."""
# Text and what it lies on, as style.css uses them.
TEXTS = [
    *((text, ground) for text in ("text", "quiet", "link") for ground in ("page", "panel")),
    ("on-main", "main"),
    *(("on-decision", decision) for decision in ("accept", "refer", "ungradable")),
]
EDGES = [(edge, "page") for edge in ("line", "focus")]


@pytest.fixture(scope="module")
def page(page_bundle, browser, serve):
    with serve(page_bundle("float16")) as (address, _):
        one = open_page(browser, address)
        yield one
        one.close()


def _colours():
    """Name -> colour of style.css, for light and for dark."""
    roots = re.findall(r":root \{(.*?)\}", (WEB / "style.css").read_text(), re.S)
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", root)) for root in roots)
    return {"light": light, "dark": light | dark}


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(first, second):
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(scheme):
    colours = _colours()[scheme]
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    found = {pair: _contrast(*(colours[name] for name in pair)) for pair in TEXTS}
    assert {pair: ratio for pair, ratio in found.items() if ratio < LEAST_CONTRAST} == {}
    found = {pair: _contrast(*(colours[name] for name in pair)) for pair in EDGES}
    assert {pair: ratio for pair, ratio in found.items() if ratio < LEAST_CONTRAST_OF_EDGES} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_fault_that_axe_finds(page, photograph, scheme):
    page.emulate_media(color_scheme=scheme)
    choose(page, photograph)
    page.wait_for_selector("#kept-list li")
    standard = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    found = Axe().run(page, options=standard).response
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
    checked = {rule["id"]: len(rule["nodes"]) for rule in found["passes"]}
    assert checked["color-contrast"] > 20
    assert {"button-name", "label", "role-img-alt", "heading-order"} <= set(checked)


def test_screen_reader_hears_the_decision_before_the_numbers(page, photograph):
    choose(page, photograph)
    heard = page.locator("body").aria_snapshot()
    decision = page.inner_text("#action")
    order = [
        'heading "uml-tf" [level=1]',
        'region "Choose an image"',
        'region "Result"',
        f'heading "{decision}" [level=2]',
        page.inner_text("#sure"),
        f'img "{photograph.name} with its regions outlined',
        'heading "Measurements" [level=3]',
        'heading "Class" [level=3]',
        'heading "Results on this device" [level=2]',
        "contentinfo",
    ]
    places = [heard.find(part) for part in order]
    assert -1 not in places, heard
    assert places == sorted(places), heard


def test_every_language_has_every_text():
    for path in WEB.glob("texts/*.json"):
        table = json.loads(path.read_text())
        assert list(table) == list(ENGLISH), path.name
        for key, text in table.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", ENGLISH[key])), key


def test_the_words_for_outlines_are_those_of_the_runtime():
    assert {level: ENGLISH[f"quality.{level}"] for level in WORDS} == WORDS


def test_texts_are_in_the_table_alone():
    html = (WEB / "index.html").read_text()
    body = re.sub(r"<[^>]*>", " ", html[html.index("<body>") :])
    assert body.split() == ["uml-tf"]
    used = set(re.findall(r'data-(?:text|label)="([^"]+)"', html))
    scripts = "".join(path.read_text() for path in WEB.glob("*.js"))
    strings = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)*)"', scripts))
    prefixes = tuple(re.findall(r"text\(`([a-z.]+\.)\$\{", scripts))
    assert used <= set(ENGLISH)
    unused = {key for key in ENGLISH if key not in used | strings and not key.startswith(prefixes)}
    assert unused == set()
    called = set(re.findall(r'\b(?:text|words|english)\("([^"]+)"', scripts))
    assert called <= set(ENGLISH)


def test_another_language_is_one_file(page_bundle, browser, serve, photograph):
    german = json.loads((WEB / "texts/de.json").read_text())
    with serve(page_bundle("float16")) as (address, _):
        context = browser.new_context(locale="de-CH")
        page = open_page(context, address)
        assert page.get_attribute("html", "lang") == "de"
        assert page.inner_text("#example") == german["choose.example"]
        choose(page, photograph)
        assert page.inner_text("#action") in {
            german[f"decision.{d}"] for d in ("accept", "refer", "ungradable")
        }
        # What has no file is passed over, and English is always there.
        page.goto(f"{address}/web/?lang=tlh&lang=en-GB")
        expect(page.locator("#example")).to_have_text(ENGLISH["choose.example"], timeout=60_000)
        context.close()


def _words(page, confidence, decision="refer", fitted=True):
    json_ = {"decision": decision, "class_confidence": confidence, "class": "ill"}
    card = {"trust": {"class_confidence": {"name": "largest"} if fitted else None}}
    return page.evaluate(
        "([json, card]) => import('./words.js').then((m) => m.inWords(json, card))", [json_, card]
    )


def test_confidence_is_said_in_words(page):
    found = [_words(page, confidence)["sure"] for confidence in (0.99, 0.9, 0.75, 0.5)]
    assert found == [
        ENGLISH[f"sure.{level}"].replace("{class}", "ill") for level in ("very", "yes", "fairly", "no")
    ]
    assert "about 87 are right" in _words(page, 0.876)["right"]
    assert _words(page, 0.5, "accept")["sure"] == ENGLISH["sure.fairly"].replace("{class}", "ill")
    # Nothing is always right; what was not fitted is no chance; and of a foreign image nothing is known.
    assert "about 99 are right" in _words(page, 1.0)["right"]
    assert _words(page, 0.9, fitted=False)["right"] == ENGLISH["right.unchecked"]
    nothing = _words(page, 0.99, "ungradable")
    assert nothing == {"sure": ENGLISH["sure.none"], "right": "", "advice": ENGLISH["do.ungradable"]}


def test_an_outline_is_said_in_the_words_of_the_runtime(page):
    quality = {str(dice): dice for dice in (1, 0.9, 0.8999, 0.75, 0.7499, 0.31, 0, None)}
    told = "values => import('./words.js').then((m) => [...values, undefined].map(m.outlineInWords))"
    assert page.evaluate(told, list(quality.values())) == [
        outline_in_words(quality, name) for name in [*quality, "other"]
    ]
