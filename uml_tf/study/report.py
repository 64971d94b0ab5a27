"""What stands below the table of a study: what each row is and costs, and what holds for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uml_tf.study.cells import Study
from uml_tf.study.results import ArmMetric
from uml_tf.study.runs import CellRun, finished_runs
from uml_tf.study.spec import Combination


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _how(one: Combination, seeds: int) -> str:
    if one.ensemble:
        return f"ensemble of the {seeds} seeds of {one.of}"
    return f"{one.of}, {f'{one.passes} passes with dropout' if one.passes else 'with its mirror image'}"


def _fewer(study: Study, arm: str) -> list[str]:
    share = study.spec.share_of(arm)
    if share == 1:
        return []
    return [f"{share:.3g} of the training subjects ({study.training_images(arm):.0f} images)"]


def rows_markdown(
    study: Study, repeats: Mapping[str, int], runs: Mapping[str, CellRun], gigaflop: Mapping[str, float]
) -> str:
    """A Markdown table: what each arm changes or each combination asks, and what it cost.

    Args:
        study: the study.
        repeats: row -> number of its repeats in the results.
        runs: key of a cell -> its run.
        gigaflop: row -> 10^9 operations of an answer.
    """
    spec = study.spec
    headers = ["arm", "changes", "seeds", "parameters", "GFLOP an answer", "minutes of training"]
    lines = [_line(headers), "| --- |" + " --- |" * (len(headers) - 1)]

    def flop(row: str) -> str:
        return f"{gigaflop[row]:.2f}" if row in gigaflop else ""

    for arm, fields in spec.arms.items():
        own = finished_runs(study, arm, runs)
        changes = [*(f"`{name}={value}`" for name, value in fields.items()), *_fewer(study, arm)]
        seeds = f"{repeats.get(arm, 0)} of {len(spec.seeds)}"
        parameters, minutes = "", ""
        if own:
            parameters = f"{own[0].parameters:,}"
            minutes = f"{sum(run.minutes for run in own) / len(own):.1f}"
        lines.append(_line([arm, ", ".join(changes) or "none", seeds, parameters, flop(arm), minutes]))
    for name, one in spec.combined.items():
        own = finished_runs(study, one.of, runs)
        parameters = f"{own[0].parameters * one.networks(len(spec.seeds)):,}" if own else ""
        seeds = "all" if one.ensemble and name in repeats else f"{repeats.get(name, 0)} of {len(spec.seeds)}"
        lines.append(_line([name, _how(one, len(spec.seeds)), seeds, parameters, flop(name), "none"]))
    return "\n".join(lines) + "\n"


def notes(study: Study, rows: Sequence[ArmMetric], runs: Mapping[str, CellRun]) -> str:
    """What holds for the whole table, a paragraph each.

    Args:
        study: the study.
        rows: of its results, at least one.
        runs: key of a cell -> its run.
    """
    spec, own = study.spec, [runs[cell.key] for cell in study.cells if cell.key in runs]
    splits = "the data set's own splits"
    if spec.folds > 1:
        splits = f"{spec.folds} folds by subject (split seed {spec.split_seed}), pooled"
    found = [
        f"Test images: {splits}. Means over seeds. Intervals: bootstrap over the {rows[0].mean.subjects} "
        f"subjects of {rows[0].mean.images} images ({rows[0].metric}); differences are paired by subject. "
        f"Better or worse: the interval of the difference excludes 0, and the difference is larger than "
        f"seeds explain (Welch's t-test at 5 %)."
    ]
    if spec.has_shares:
        found.append(f"Training subjects of a share: chosen by split seed {spec.split_seed}.")
    if len(spec.seeds) == 1:
        found.append("One seed: what another training of the same arm would change is not known.")
    elif single := dict.fromkeys(row.arm for row in rows if len(row.by_seed) == 1):
        found.append(
            f"One repeat alone ({', '.join(single)}): what other trainings would change is not known, and "
            "better or worse rests on the interval alone."
        )
    commits = sorted({run.commit for run in own if run.commit})
    if len(commits) > 1:
        found.append(f"The cells were trained by different code: commits {', '.join(commits)}.")
    different = [
        row.arm
        for row in rows
        if row.difference is not None and row.difference.change.images < row.mean.images
    ]
    if different:
        found.append(
            f"Differences of {', '.join(dict.fromkeys(different))} are on the images that both arms have "
            "measured, fewer than those of the means: see the CSV."
        )
    return "\n\n".join(found) + "\n"
