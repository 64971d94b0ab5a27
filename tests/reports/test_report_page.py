"""``uml-tf report``: the page says what was measured, alone and offline, in a real browser."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from uml_tf.data.columns import groups
from uml_tf.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from uml_tf.evaluation.measures_file import load_measures
from uml_tf.evaluation.origin import load_origin
from uml_tf.evaluation.robustness import MEASURES, Robustness, robustness_csv
from uml_tf.reports.material import open_material
from uml_tf.reports.page import EXAMPLES, Choices, render
from uml_tf.runtime.outline_words import outline_in_words

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from browser import find_browser
from unchecked import not_checked

SECTIONS = ("data", "metrics", "trust", "robustness", "groups", "doubtful", "wrong", "all", "terms")


@pytest.fixture(scope="module")
def page(evaluated, uml_tf_quietly):
    """The report with everything that it can hold."""
    work, evaluation, _ = evaluated
    severities = range(len(SEVERITIES) + 1)
    means = {(name, s): dict.fromkeys(MEASURES, 1 - s / 10) for name in CORRUPTIONS for s in severities}
    (evaluation / "robustness.csv").write_text(robustness_csv(Robustness(means, 40)))
    arguments = ("--by", "site", "--by", "age", "--by", "label", "--out", work / "report.html")
    uml_tf_quietly("report", evaluation, *arguments)
    return work / "report.html"


@pytest.fixture(scope="module")
def browser():
    path = find_browser()
    if path is None:
        not_checked("the report in a browser; found no Chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path)
        yield opened
        opened.close()


def _text(page) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text()))


def test_the_page_is_whole_and_alone_in_a_browser(page, browser):
    backgrounds = set()
    for scheme in ("light", "dark"):
        context = browser.new_context(
            color_scheme=scheme, offline=True, viewport={"width": 380, "height": 800}
        )
        tab, asked, said = context.new_page(), [], []
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.on("console", lambda message, said=said: said.append(message.text))
        tab.goto(page.as_uri())
        assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        assert said == []
        assert all(tab.locator(f"#{name}").is_visible() for name in SECTIONS)
        images = tab.evaluate("[...document.images].map((image) => image.naturalWidth)")
        assert len(images) >= 20
        assert min(images) > 0
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        backgrounds.add(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        axis = tab.locator("#risk-coverage svg text").first
        assert axis.evaluate("(e) => getComputedStyle(e).fill") == tab.evaluate(
            "getComputedStyle(document.querySelector('#risk-coverage figcaption').parentElement).color"
        )
        assert tab.evaluate("[...document.querySelectorAll('[id]')].length") == tab.evaluate(
            "new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size"
        )
        assert tab.pdf(format="A4").startswith(b"%PDF")
        context.close()
    assert len(backgrounds) == 2


def test_numbers_are_those_of_the_evaluation(page, evaluated):
    metrics = json.loads((evaluated[1] / "metrics.json").read_text())
    text = _text(page)
    for name in ("accuracy", "accepted"):
        found = metrics[name]
        low, high = (f"{100 * found[end]:.1f} %" for end in ("low", "high"))
        assert f"{100 * found['value']:.1f} % {low} to {high} {found['images']}" in text
    assert "at most 5 % wrong" in text
    distance = metrics["assd_disc"]
    assert re.search(rf"Distance of the outlines: disc .*? {distance['value']:.2f} pixels ", text)
    assert "Distances in pixels of the pictures, of which the size in mm is not known" in text
    table = (evaluated[1] / "metrics.md").read_text()
    assert "Distances (assd, hd95) are in pixels." in table
    assert "phantoms &lt;of&gt; nobody" in page.read_text()


def test_doubt_is_told_by_the_confidence_and_by_the_score_behind_it(page, evaluated):
    text, metrics = _text(page), json.loads((evaluated[1] / "metrics.json").read_text())
    found = metrics["class_failure_auroc_confidence"]
    assert re.search(rf"Doubt finds mistakes \(AUROC\) .*? is perfect\. {found['value']:.3f} ", text)
    assert "Uncertainty finds mistakes" not in text
    trust = load_origin(evaluated[1]).card.trust
    for part, confidence in (("class", trust.class_confidence), ("pixels", trust.mask_confidence)):
        assert f"Confidence of the {part} follows from the score &#39;{confidence.name}&#39; (" in text
    assert "(largest mean probability, vacuity), fitted on validation images" in text


def test_figures_of_an_older_version_tell_the_uncertainty_by_its_name(evaluated, run, monkeypatch, tmp_path):
    monkeypatch.chdir(evaluated[0])
    older = shutil.copytree(evaluated[1], tmp_path / "older")
    metrics = json.loads((older / "metrics.json").read_text())
    del metrics["class_failure_auroc_confidence"]
    (older / "metrics.json").write_text(json.dumps(metrics))
    run("report", older, "--no-images", "--out", tmp_path / "older.html")
    text, found = _text(tmp_path / "older.html"), metrics["class_failure_auroc"]
    told = r"Uncertainty finds mistakes \(AUROC\) .*? was not measured\."
    assert re.search(rf"{told} {found['value']:.3f} ", text)
    assert "Doubt finds mistakes" not in text


def test_examples_have_the_estimated_beside_the_true_dice_of_each_region(page, evaluated):
    measures = {m.image: m for m in load_measures(evaluated[1] / "measures.npz")}
    cards = re.findall(r'<li class="card.*?</li>', page.read_text(), re.S)
    assert len(cards) >= EXAMPLES
    found = False
    for card in cards:
        measure = measures[re.search(r'class="name">(.*?)<', card)[1]]
        head, *rows = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", card)]
        assert head == ["Region", "Outline (estimated Dice)", "True Dice"]
        assert [row[0] for row in rows] == ["rim", "cup", "disc"]
        quality = {n: None if np.isnan(v) else v for n, v in measure.quality.items()}
        assert sorted(quality) == ["disc", "rim"]
        found = found or any(v is not None for v in quality.values())
        for region, outline, dice in rows:
            true = measure.values[f"dice_{region}"]
            assert outline == outline_in_words(quality, region)
            assert dice == ("not defined" if np.isnan(true) else f"{true:.2f}")
    assert found
    assert '"good" from 0.90 on, "check it" from 0.75 on, "do not use it" below.' in _text(page)


def test_without_a_mask_an_outline_has_its_estimate_alone(evaluated):
    _, evaluation, _ = evaluated
    material = open_material(str(evaluation))
    unmasked = [replace(m, values={}, counts={}) for m in material.measures]
    text = render(replace(material, measures=unmasked), Choices())
    assert "<th>Outline (estimated Dice)</th></tr>" in text
    assert "True Dice" not in text
    unknown = [replace(m, quality={}) for m in material.measures]
    assert "estimated Dice" not in render(replace(material, measures=unknown), Choices())


def test_groups_are_the_images_of_each_value(page, evaluated):
    measures = load_measures(evaluated[1] / "measures.npz")
    table = re.search(r'data-by="site".*?</table>', page.read_text(), re.S)[0]
    rows = dict(re.findall(r"<tr><td>(north|south|not stated)<.*?<td class=\"number\">(\d+) \(", table, re.S))
    assert set(rows) == {"north", "south", "not stated"}
    assert sum(map(int, rows.values())) == len(measures)
    ages = re.search(r'data-by="age".*?</table>', page.read_text(), re.S)[0]
    assert len(re.findall(r"<tr><td>\d+ to ", ages)) == 4


def test_bands_hold_every_image_once():
    rng = np.random.default_rng(0)
    values = {str(i): f"{age}" for i, age in enumerate(rng.integers(20, 90, 200))} | {"x": ""}
    found = groups(values)
    assert sorted(image for images in found.values() for image in images) == sorted(values)
    assert len(found) == 5
    assert max(len(images) for images in found.values()) < 70
    assert list(groups({"a": "2", "b": "1"})) == ["1", "2"]


def test_what_is_no_finite_number_is_not_stated():
    ages = {str(i): str(20 + i) for i in range(40)}
    found = groups(ages | {"x": "nan", "y": "inf", "z": ""})
    assert found.pop("not stated") == ["x", "y", "z"]
    assert sorted(image for images in found.values() for image in images) == sorted(ages)
    assert groups({"a": "1", "b": "nan"}) == {"1": ["a"], "not stated": ["b"]}
    assert groups({"a": "not stated", "b": ""}) == {"not stated": ["a", "b"]}


def test_bands_of_large_numbers_stay_apart():
    found = groups({str(i): str(10_000_000 + i) for i in range(40)})
    assert [len(images) for images in found.values()] == [10, 10, 9, 11]
    assert next(iter(found)) == "10000000 to below 10000010"


def test_another_data_set_with_the_same_names_is_refused(evaluated, run, monkeypatch, tmp_path):
    work, evaluation, data = evaluated
    monkeypatch.chdir(work)
    moved = shutil.copytree(data, tmp_path / "moved")
    options = ("--by", "site", "--no-images", "--out", tmp_path / "moved.html")
    run("report", evaluation, "--data", moved, *options)
    first, second, *_ = sorted((moved / "images").iterdir())
    first.write_bytes(second.read_bytes())
    told = run("report", evaluation, "--data", moved, "--out", tmp_path / "other.html", expect=1)
    assert re.search(r"moved: fingerprint: found [0-9a-f]{12}, expected [0-9a-f]{12}, that of the data", told)
    assert not (tmp_path / "other.html").exists()


def test_without_images_there_is_none(evaluated, run, monkeypatch):
    work, evaluation, _ = evaluated
    monkeypatch.chdir(work)
    run("report", evaluation, "--no-images", "--out", "plain.html")
    assert "data:image" not in (work / "plain.html").read_text()
    assert "holds no pictures" in (work / "plain.html").read_text()


def test_a_run_needs_no_evaluation(trained, run, monkeypatch, tmp_path):
    monkeypatch.chdir(trained[0])
    run("report", "last", "--no-images", "--by", "label", "--out", tmp_path / "run.html")
    text = _text(tmp_path / "run.html")
    assert "split &#39;test&#39; of fundus phantoms; none of them was used in training" in text
    assert "preset edge" in text
    assert re.search(r"Confidence of the class not fitted: \d labelled validation images, 20 wanted;", text)
    assert re.search(
        r"Confidence of the pixels not fitted: \d validation images with a mask, 10 wanted;", text
    )
    assert "It was not fitted on validation pictures" in text


def test_a_split_of_which_nothing_is_known_has_a_page_without_figures(evaluated, run, monkeypatch, tmp_path):
    work, _, data = evaluated
    unknown = shutil.copytree(data, tmp_path / "unknown")
    rows = list(csv.DictReader((unknown / "manifest.csv").open()))
    with (unknown / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"label": "", "mask": ""} for row in rows)
    monkeypatch.chdir(tmp_path)
    run("evaluate", work / "network.keras", "--data", unknown, "--split", "val", "--out", "out")
    run("report", "out", "--no-images", "--out", "page.html")
    assert not (tmp_path / "out/figures").exists()
    assert "<svg" not in (tmp_path / "page.html").read_text()
    assert "With a class that is known 0" in _text(tmp_path / "page.html")


def test_mistakes_are_one_line(evaluated, run, monkeypatch, tmp_path):
    work, evaluation, _ = evaluated
    monkeypatch.chdir(work)
    told = run("report", evaluation, "--by", "sex", "--out", "no.html", expect=1)
    assert "found no 'sex', expected one of" in told
    assert "site" in told
    assert not (work / "no.html").exists()
    assert "evaluation.json: no such file" in run("report", tmp_path, "--out", "no.html", expect=1)
    assert "expected a run id" in run("report", "nothing", "--out", "no.html", expect=1)
