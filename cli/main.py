"""``uml-tf``: the root command; it prints errors as one line."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from uml_tf.networks.long_lived import collect_seldom
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.version import VERSION

COMMANDS = {
    "data": ("uml_tf.cli.data", "data", "Prepare, check and show data sets."),
    "train": ("uml_tf.cli.train", "train", "Train a joint network."),
    "study": ("uml_tf.cli.study", "study", "Compare ways to train, over seeds and folds."),
    "evaluate": ("uml_tf.cli.evaluate", "evaluate", "Measure a model on a data set."),
    "report": ("uml_tf.cli.report", "report", "Write one page about a model, for people."),
    "calibrate": ("uml_tf.cli.calibrate", "calibrate", "Fit a model to another site without training."),
    "export": ("uml_tf.cli.export", "export", "Write a model for the device: TFLite, ONNX, TensorRT."),
    "import-torch": (
        "uml_tf.cli.import_torch",
        "import_torch",
        "Import a PyTorch checkpoint of the authors.",
    ),
    "predict": ("uml_tf.cli.predict", "predict", "Find class and mask of images with a model."),
    "monitor": ("uml_tf.cli.monitor", "monitor", "Compare what devices decide with the model's validation."),
    "registry": ("uml_tf.cli.registry", "registry", "Keep, compare and promote named versions."),
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is used, so that help is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, _, help_line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        collect_seldom()
        try:
            return super().invoke(ctx)
        except UmlError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"uml-tf: {error}", err=True)
            sys.exit(error.exit_status)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="uml-tf")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Joint classification and segmentation of medical images, with the uncertainty of both.

    MODEL is a .keras file, runs:/ID/model, models:/NAME/VERSION, models:/NAME@ALIAS, or "last" for the
    newest finished training; evaluate and predict also take an exported .tflite.
    """


if __name__ == "__main__":
    main()
