"""``index.html``: the predictions of many images to look through, the most doubtful first.

One page without any other file or address: thumbnails, style and script are in it. Only the large pictures,
shown when an image is opened, are the files of the predictions beside it.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.images import encode_jpeg
from uml_tf.runtime.intervals import LEVEL, RATIO
from uml_tf.runtime.outline_words import outline_in_words
from uml_tf.runtime.page_parts import SCRIPT, STYLE
from uml_tf.runtime.predictions_table import UNREADABLE, Answer

PAGE = "index.html"
MOST = 5000
"""Images on a page; of more the most doubtful. A browser shows that many at once, at 25 MB."""

_SIDE = 192
_QUALITY = 80
_UNGRADABLE = "ungradable"
_DECISIONS = ("accept", "refer", _UNGRADABLE, UNREADABLE)
_NUMBERS = ("class_confidence", "class_uncertainty", "familiarity")
_WITH_INTERVAL = f" ({100 * LEVEL:.0f} % interval)"
_PICTURES = {"overlay": "Mask", "uncertainty": "Uncertainty", "doubt": "Doubt about each pixel"}


@dataclass(frozen=True)
class Shown:
    """One image of the page.

    Attributes:
        answer: what was found.
        stem: what the names of its files begin with.
        thumbnail: JPEG of the overlay; empty for an image that could not be read.
    """

    answer: Answer
    stem: str
    thumbnail: bytes


def thumbnail(picture: NDArray[Any]) -> bytes:
    """An RGB ``(H, W, 3)`` uint8 picture as a small JPEG, its longer side at most 192 pixels."""
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = picture if scale == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return encode_jpeg(np.ascontiguousarray(small), _QUALITY)


def doubt_of(answer: Answer) -> float:
    """1 less the class confidence; 2, the most, for an image that could not be read."""
    return 2.0 if answer["decision"] == UNREADABLE else 1.0 - float(answer["class_confidence"])


def most_doubtful(answers: Sequence[Answer]) -> list[int]:
    """The places of the answers that the page shows, in its order."""
    return sorted(range(len(answers)), key=lambda place: -doubt_of(answers[place]))[:MOST]


def predictions_page(shown: Sequence[Shown], counts: Mapping[str, int], model: str) -> str:
    """The page.

    Args:
        shown: in the page's order.
        counts: decision -> number of all images, shown or not.
        model: identity of the model.
    """
    total = sum(counts.values())
    cards = "\n".join(_card(one, place) for place, one in enumerate(shown))
    script = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data: 'self' file:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
    )
    left_out = (
        f" The {len(shown)} most doubtful are shown; predictions.csv has all." if total > len(shown) else ""
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{total} predictions</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{total} predictions</h1>
<p>The most doubtful first: those with the smallest confidence in the class.{left_out}
Arrow keys move, Enter opens, Escape closes,
0 to {len(_DECISIONS)} filter.</p>
<div class="filters" role="group" aria-label="Show by decision">
{_filters(counts, total)}
</div>
</header>
<main><ul id="cards">
{cards}
</ul>
<p id="none" hidden>No image has this decision.</p></main>
<dialog id="detail" aria-labelledby="detail-name"><div id="detail-content"></div>
<form method="dialog"><button id="close">Close (Escape)</button></form></dialog>
<footer>Model {escape(model[:12])}. Decision support for trained staff; not a diagnosis. Uncertainty is a
relative score of evidence, not a probability of error.</footer>
<script>{SCRIPT}</script>
</body>
</html>
"""


def counts_of(answers: Sequence[Answer]) -> dict[str, int]:
    """Decision -> number of images, in a fixed order, those that occur."""
    found = Counter(answer["decision"] for answer in answers)
    return {name: found[name] for name in _DECISIONS if found[name]}


def _filters(counts: Mapping[str, int], total: int) -> str:
    choices = [("", "all", total, 0)]
    choices += [(name, name, counts.get(name, 0), key) for key, name in enumerate(_DECISIONS, 1)]
    return "\n".join(
        f'<button data-filter="{name}" data-key="{key}" aria-pressed="{str(not name).lower()}">'
        f"{text} <b>{count}</b></button>"
        for name, text, count, key in choices
    )


def _card(one: Shown, place: int) -> str:
    answer, decision = one.answer, one.answer["decision"]
    name = escape(PurePath(answer["image"]).name)
    if decision == UNREADABLE:
        picture, found, details = '<span class="no-picture">no picture</span>', "", ""
    else:
        data = base64.b64encode(one.thumbnail).decode()
        picture = f'<img src="data:image/jpeg;base64,{data}" alt="">'
        probability = answer["class_probability"][answer["class"]]
        found = f'<span class="found">{escape(answer["class"])} {probability:.2f}</span>'
        if decision == _UNGRADABLE:  # its class means nothing
            found = ""
        details = _details(answer, one.stem)
    return f"""<li data-decision="{decision}"><button class="card" aria-describedby="reason-{place}">
{picture}<span class="name">{name}</span>{found}
<span class="decision {decision}">{decision}</span></button>
<div class="more" hidden><h2>{name}</h2><p><span class="decision {decision}">{decision}</span>
<span id="reason-{place}">{escape(answer["reason"])}</span></p>{details}</div></li>"""


def _details(answer: Answer, stem: str) -> str:
    pictures = "".join(_figure(stem, kind, title) for kind, title in _PICTURES.items())
    rows = {f"probability of {name}": f"{p:.3f}" for name, p in answer["class_probability"].items()}
    rows |= {name.replace("_", " "): f"{answer[name]:.3f}" for name in _NUMBERS}
    rows |= _measured(answer)
    table = "".join(f"<tr><th>{escape(name)}</th><td>{value}</td></tr>" for name, value in rows.items())
    return f'<div class="pictures">{pictures}</div><table>{table}</table>'


def _measured(answer: Answer) -> dict[str, str]:
    """Title -> text of what was measured on the mask, and how good its outlines are."""
    regions, rows = answer["pixels"], {}
    for name, region in regions.items():
        rows[f"area of {name}{_of_interval(region.get('area_interval'))}"] = _area(region)
    quality = answer.get("mask_quality", {})
    if quality:
        rows |= {f"outline of {n} (estimated Dice)": outline_in_words(quality, n) for n in regions}
    ratio, interval = answer.get(RATIO), answer.get(f"{RATIO}_interval")
    if ratio is not None:
        title = f"vertical cup-to-disc ratio{_of_interval(interval)}"
        rows[title] = f"{ratio:.2f}{_in_brackets(interval, '.2f')}"
    return rows


def _of_interval(interval: Sequence[float] | None) -> str:
    """What a title says of the brackets behind the value; "" where there are none."""
    return "" if interval is None else _WITH_INTERVAL


def _in_brackets(interval: Sequence[float] | None, form: str, scale: float = 1.0) -> str:
    """Both ends of an interval times a scale, to follow the value; "" where there is none."""
    if interval is None:
        return ""
    low, high = (format(end * scale, form) for end in interval)
    return f" ({low} to {high})"


def _area(region: Mapping[str, Any]) -> str:
    """A region's area with its interval, and its size in millimetres where that of a pixel is known."""
    interval = region.get("area_interval")
    parts = [f"{region['area']} pixels{_in_brackets(interval, '.0f')}"]
    if "area_mm2" in region:
        scale = region["area_mm2"] / max(region["area"], 1)
        brackets = _in_brackets(interval, ".4g", scale)
        parts.append(f"{region['area_mm2']:.4g} mm\N{SUPERSCRIPT TWO}{brackets}")
    if "width_mm" in region:
        parts.append(f"{region['width_mm']:.3g} x {region['height_mm']:.3g} mm")
    return ", ".join(parts)


def _figure(stem: str, kind: str, title: str) -> str:
    source = escape(f"{quote(stem)}_{kind}.png")
    return f'<figure><img data-src="{source}" alt="{title}"><figcaption>{title}</figcaption></figure>'
