"""The model card: what a model is for, what it was made from, what it reaches, for whom, and its limits.

Source of the sections: Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from uml_tf.evaluation.summary import Metrics, as_json
from uml_tf.reports.facts import confidence_facts, promise, split_counts
from uml_tf.reports.groups import FEW, Grouping
from uml_tf.reports.material import Material
from uml_tf.reports.words import chief, shown
from uml_tf.runtime.confidence import Confidence
from uml_tf.runtime.files import write_json, write_text
from uml_tf.runtime.metadata import INTENDED_USE
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.referral import FAMILIAR
from uml_tf.runtime.version import VERSION
from uml_tf.tracking.card import StatedModel, fitted_anew
from uml_tf.tracking.exports import ROOT_PARAM

CARD_FILES = ("model-card.md", "model-card.json")

_NOT_FOR = (
    "Diagnosis or treatment without a trained person who decides.",
    "Pictures of another organ, another kind of camera or another view than those it was trained on.",
    "Findings that are none of its classes: it cannot name what it was not taught.",
)
_FIDELITY = ("kept", "class_agreement", "mask_agreement", "class_uncertainty_rho", "mask_uncertainty_rho")


def _not_measured(material: Material, card: ModelCard) -> list[str]:
    """What of the figures is not that of a model that was calibrated after the measurement."""
    anew = fitted_anew(material.card, card)
    if not anew:
        return []
    return [
        f"It was calibrated after it was measured (new: {', '.join(anew)}). What it decides since then is "
        "not measured here, and figures of doubt and confidence are those from before: `uml-tf evaluate "
        "MODEL --data DIR --out FOLDER` measures it."
    ]


def _limits(material: Material, card: ModelCard, groupings: Sequence[Grouping]) -> list[str]:
    """What the figures do not show, from the figures themselves."""
    measures = material.measures
    subjects = len({m.resampled_with for m in measures})
    found = [
        f"Its figures come from {len(measures)} images of {subjects} subjects of {material.dataset} alone.",
        *_not_measured(material, card),
    ]
    masked = sum(m.masked for m in measures)
    if masked < len(measures):
        found.append(f"Outlines were compared with an expert's on {masked} of these images.")
    for index, name in enumerate(card.image_classes):
        count = sum(m.label == index for m in measures)
        if count < FEW:
            found.append(f"Only {count} of the measured images are of the class '{name}'.")
    for grouping in groupings:
        few = [group.name for group in grouping.groups if group.few]
        apart = [group.name for group in grouping.groups if group.apart]
        if few:
            found.append(f"By {grouping.by}, fewer than {FEW} images: {', '.join(few)}.")
        if apart:
            found.append(f"By {grouping.by}, worse than all images together: {', '.join(apart)}.")
    if card.accept_above is None:
        found.append("It accepts no answer: its threshold could not be shown to keep the promise.")
    if card.roi is not None:
        found.append(f"It reads the part around the {card.roi.name}; where none is found, it refers.")
    return [*found, "Another camera, site or population needs an evaluation of its own before use."]


def _subgroups(groupings: Sequence[Grouping]) -> dict[str, Any]:
    return {
        grouping.by: {
            group.name: {
                "images": group.images,
                "subjects": group.subjects,
                "few_images": group.few,
                "worse_than_all_in": list(group.apart),
                "metrics": as_json(group.metrics),
            }
            for group in grouping.groups
        }
        for grouping in groupings
    }


def _exports(material: Material) -> dict[str, Any]:
    return {
        kind: {name: fidelity[name] for name in _FIDELITY if name in fidelity}
        | {name: size for name, size in fidelity.items() if name.startswith("bytes_model")}
        for kind, fidelity in material.exports.items()
    }


def _score(confidence: Confidence | None) -> str | None:
    """The name of the score behind a confidence; None where it was not fitted."""
    return None if confidence is None else confidence.name


def card_data(
    name: str, stated: StatedModel, material: Material, groupings: Sequence[Grouping]
) -> dict[str, Any]:
    """The card as plain data.

    Args:
        name: the MODEL as it was given.
        stated: what its file says.
        material: its training run; of a model that was calibrated since, without decisions
            (``uml_tf.reports.calibrated``).
        groupings: the images of the test split by group.
    """
    card, params = stated.card, material.params
    return {
        "model": name,
        "card_version": 1,
        "written_by": f"uml-tf {VERSION}",
        "intended_use": INTENDED_USE,
        "not_intended_for": list(_NOT_FOR),
        "answers": {
            "image_classes": list(card.image_classes),
            "pixel_classes": list(card.pixel_classes),
            "unions": {region: list(parts) for region, parts in card.unions.items()},
        },
        "network": {
            "preset": stated.preset,
            "image_size": list(stated.image_size),
            "fit": card.fit,
            "region_of_interest": None if card.roi is None else asdict(card.roi),
            "parameters": params.get("network.parameters"),
        },
        "training": {"run": card.run_id, "code": params.get("git.commit"), "params": dict(params)},
        "data": {
            "name": card.dataset,
            "source": card.source,
            "licence": card.licence,
            "splits": split_counts(Path(params.get(ROOT_PARAM, "")), card.fingerprint),
        },
        "thresholds": {
            "accept_above": card.accept_above,
            "risk_target": card.risk_target,
            "risk_confidence": card.risk_confidence,
            "gradable_familiarity": FAMILIAR,
            "promise": promise(card),
        },
        "confidence": {
            "class_score": _score(card.trust.class_confidence),
            "mask_score": _score(card.trust.mask_confidence),
            "facts": confidence_facts(card, params),
        },
        "measured_on": {
            "dataset": material.dataset,
            "split": material.split,
            "images": len(material.measures),
            "distances_in": material.unit or None,
            "subjects": len({m.resampled_with for m in material.measures}),
        },
        "metrics": as_json(material.metrics),
        "subgroups": _subgroups(groupings),
        "exports": _exports(material),
        "limits": _limits(material, card, groupings),
        "hashes": {
            "file": stated.file,
            "file_sha256": stated.sha256,
            "weights_sha256": stated.weights_sha256 or None,
            "data_sha256": card.fingerprint,
        },
    }


def _rows(metrics: Metrics, unit: str) -> list[tuple[str, ...]]:
    return [
        (words.name, *shown(metrics[name], words.share, words.unit), str(metrics[name].images))
        for name, words in chief(metrics, unit).items()
    ]


def card_markdown(data: Mapping[str, Any], material: Material, groupings: Sequence[Grouping]) -> str:
    """The card as Markdown.

    Args:
        data: of ``card_data``.
        material: that it was made of.
        groupings: likewise.
    """
    environment = Environment(
        loader=PackageLoader("uml_tf.reports", "pages"),
        autoescape=False,  # Markdown, which is read as text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    tables = []
    for grouping in groupings:
        rows = [(one, dict(_named(one.metrics))) for one in grouping.groups]
        columns = list(dict.fromkeys(name for _, cells in rows for name in cells))
        tables.append((grouping.by, columns, rows))
    return environment.get_template("card.md").render(
        **data, rows=_rows(material.metrics, material.unit), tables=tables, number=_number
    )


def _named(metrics: Metrics) -> list[tuple[str, str]]:
    found = []
    for name, words in chief(metrics).items():
        value, interval = shown(metrics[name], words.share)
        found.append((words.name, f"{value} ({interval})" if interval else value))
    return found


def _number(value: object) -> str:
    if isinstance(value, float) and not math.isnan(value):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def write_card(
    folder: Path, data: Mapping[str, Any], material: Material, groupings: Sequence[Grouping]
) -> list[Path]:
    """Writes ``model-card.md`` and ``model-card.json``.

    Returns:
        The files.
    """
    files = [folder / name for name in CARD_FILES]
    write_text(files[0], card_markdown(data, material, groupings))
    write_json(files[1], data)
    return files
