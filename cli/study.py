"""``uml-tf study``."""

from __future__ import annotations

from pathlib import Path

import click

from uml_tf.runtime.errors import UmlError


@click.command()
@click.argument("study", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: study-STUDY]")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trainings at the same time, each in a process with its share of the processor's cores.",
)
@click.option(
    "--dask",
    "scheduler",
    metavar="ADDRESS",
    help="Train on the workers of this Dask scheduler instead, e.g. tcp://host:8786.",
)
@click.option("--plan", is_flag=True, help="Print the trainings and what they cost; train nothing.")
def study(study: Path, out: Path | None, jobs: int, scheduler: str | None, plan: bool) -> None:
    """Train every arm of STUDY.yaml with every seed on every fold, and compare the arms.

    The same command resumes a study that was stopped or killed. docs/study.md has a whole example.
    """
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.study_display import TerminalStudyDisplay
    from uml_tf.study.cells import open_study

    with TerminalDisplay() as terminal:
        display = TerminalStudyDisplay(terminal)
        opened = open_study(study, display)
        if plan:
            from uml_tf.study.plan import plan_markdown, plan_study

            costs, states = plan_study(opened, jobs, display)
            text = plan_markdown(costs, states, jobs)
        else:
            from uml_tf.cli.quiet import import_tensorflow
            from uml_tf.study.run import run_study

            folder = out or Path(f"study-{study.stem}")
            result = run_study(opened, folder, jobs, display, import_tensorflow, scheduler)
            text = result.files[0].read_text(encoding="utf-8") if result.files else ""
    click.echo(text, nl=False)
    if plan:
        failures = [f"arm '{cost.arm}': {cost.basis}" for cost in costs if cost.minutes is None]
        if failures:
            raise UmlError(f"study: {'; '.join(failures)}")
        return
    if result.files:
        click.echo(f"\nwritten to {result.files[0].parent}, MLflow run {result.run_id}")
    problems = list(result.unmeasured.values())
    if result.failures:
        names = "; ".join(result.failures)
        problems.insert(0, f"{len(result.failures)} of {result.cells} cells failed ({names})")
    if problems:
        raise UmlError(f"study: {'; '.join(problems)}; the same command tries them again")
