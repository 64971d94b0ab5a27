"""The fidelity report: ``fidelity.json``, ``fidelity.md`` and ``fidelity.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from uml_tf.export.fidelity import Fidelity
from uml_tf.export.tolerance import Check
from uml_tf.figures.save import save_figure
from uml_tf.runtime.files import write_json, write_text

REPORT = ("fidelity.json", "fidelity.md", "fidelity.png")
"""The files of a report."""

Numbers = dict[str, float | None]


def _text(value: float | None) -> str:
    if value is None:
        return "not defined here"
    return f"{value:.0f}" if value.is_integer() else f"{value:.6g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        "|" + " --- |" * len(head),
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _found(check: Check) -> str:
    if check.interval is not None:
        return f"{_text(check.found)} ({check.interval[0]:.4f} to {check.interval[1]:.4f})"
    return _text(check.found) + (f" ({check.note})" if check.note else "")


def _checks(fidelity: Fidelity) -> list[str]:
    rows = [
        [
            check.name,
            check.meaning,
            _found(check),
            f"at {check.side} {check.bound:g}",
            "yes" if check.kept else "**NO**",
        ]
        for check in fidelity.checks
    ]
    explained = (
        "In brackets: 95 % intervals, for shares of images by Wilson, for the rank correlation over images "
        "by Bonett and Wright (near 1 it is narrower), for the AUROC by a paired bootstrap. "
        "Such a tolerance is not kept where the whole interval is on the wrong side of what is required."
    )
    return [*_table(["tolerance", "what is measured", "found", "required", "kept"], rows), explained, ""]


def _change(numbers: Numbers, name: str) -> str:
    low, high = (numbers.get(f"change_{name}_{end}") for end in ("low", "high"))
    return "" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"


def _metrics(numbers: Numbers) -> list[str]:
    names = [name.removeprefix("network_") for name in numbers if name.startswith("network_")]
    parts = ("network", "file", "change")
    rows = [
        [name, *(_text(numbers[f"{part}_{name}"]) for part in parts), _change(numbers, name)]
        for name in names
    ]
    return _table(["metric", "network", "file", "file minus network", "95 % interval of it"], rows)


def _others(fidelity: Fidelity, numbers: Numbers) -> list[str]:
    figures = [check.figure for check in fidelity.checks]
    shown = {f"{figure}{end}" for figure in figures for end in ("", "_low", "_high")}
    rows = [
        [name, _text(value)]
        for name, value in numbers.items()
        if name not in shown and not name.startswith(("network_", "file_", "change_"))
    ]
    return _table(["figure", "value"], rows)


def _flips(numbers: Numbers) -> str:
    names = ("class_flips", "images", "accepted_flips", "accepted_images")
    counts = {name: _text(numbers[name]) for name in names}
    return (
        "The class differs on {class_flips} of {images} images; the accepted answer on {accepted_flips} of "
        "{accepted_images} that the network or the file accepts."
    ).format(**counts)


def as_markdown(
    title: str, compared_on: str, fidelity: Fidelity, numbers: Numbers, remarks: Sequence[str] = ()
) -> str:
    """The report as text: the tolerances, the metrics of both, the other figures.

    Args:
        title: name of the export, e.g. "tflite-int8".
        compared_on: names the data.
        fidelity: the comparison.
        numbers: its numbers, with those that the export adds.
        remarks: about the conversion, one sentence each.
    """
    verdict = "every tolerance was kept" if not fidelity.broken else "NOT every tolerance was kept"
    lines = [
        f"# Fidelity of {title} to the network",
        "",
        f"Compared on {compared_on}: {verdict}. {_flips(numbers)}",
        "",
        *(line for remark in remarks for line in (remark, "")),
        *_checks(fidelity),
        *_metrics(numbers),
        *_others(fidelity, numbers),
    ]
    return "\n".join(lines)


def _check_as_json(check: Check) -> dict[str, object]:
    found: dict[str, object] = {
        "found": check.found,
        check.side: check.bound,
        "kept": check.kept,
        "note": check.note,
    }
    return found if check.interval is None else {**found, "interval": list(check.interval)}


def as_json(
    title: str, compared_on: str, fidelity: Fidelity, numbers: Numbers, remarks: Sequence[str] = ()
) -> dict[str, object]:
    """The report as plain data; the numbers are at the top level."""
    tolerances = {check.name: _check_as_json(check) for check in fidelity.checks}
    return {
        "export": title,
        "compared_on": compared_on,
        "kept": not fidelity.broken,
        "broken": fidelity.broken,
        "tolerances": tolerances,
        "remarks": list(remarks),
        **numbers,
    }


def scatter(fidelity: Fidelity, title: str) -> Figure:
    """The file's uncertainty over the network's: one point per image, and the density of the pixels."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(*fidelity.class_uncertainty.T, s=12, alpha=0.6)
    pixels = fidelity.mask_uncertainty
    right.hist2d(*pixels.T, bins=120, range=[[0, 1], [0, 1]], norm="log", cmap="viridis")
    for axes, name in ((left, "class uncertainty, images"), (right, "mask uncertainty, pixels")):
        axes.plot([0, 1], [0, 1], color="grey", lw=0.8)
        axes.set(xlabel="network", ylabel="exported file", xlim=(0, 1), ylim=(0, 1), title=name)
    figure.suptitle(title)
    return figure


def write_report(
    folder: Path,
    title: str,
    compared_on: str,
    fidelity: Fidelity,
    numbers: Numbers,
    remarks: Sequence[str] = (),
) -> None:
    """Writes the three files of the report into a folder."""
    write_json(folder / REPORT[0], as_json(title, compared_on, fidelity, numbers, remarks))
    write_text(folder / REPORT[1], as_markdown(title, compared_on, fidelity, numbers, remarks))
    save_figure(scatter(fidelity, title), folder / REPORT[2])
