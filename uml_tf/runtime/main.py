"""The command of a device bundle: ``python run.py IMAGE``. NumPy, OpenCV and LiteRT alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.image_arguments import find_images
from uml_tf.runtime.opening import open_device_model
from uml_tf.runtime.predict_files import PredictOptions, predict_files
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.prediction_files import check_folders
from uml_tf.runtime.silence import silenced
from uml_tf.runtime.tally import Tally, beside
from uml_tf.runtime.text_bar import TextBar
from uml_tf.runtime.threads import interpreter_threads


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Read images with the exported network: class, mask, uncertainty and a decision.",
    )
    parser.add_argument(
        "images",
        nargs="*",
        type=Path,
        metavar="IMAGE",
        help="PNG, JPEG, TIFF, BMP or WebP file, a folder of them, or a pattern in quotes",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), help="output folder  [default: predictions]"
    )
    parser.add_argument("--no-pictures", action="store_true", help="write no mask, overlay and maps")
    parser.add_argument("--again", action="store_true", help="also predict images that are finished")
    parser.add_argument(
        "--tally", type=Path, help="folder of counts for `uml-tf monitor`  [default: OUT-tally]"
    )
    parser.add_argument("--no-tally", action="store_true", help="keep no such counts")
    parser.add_argument("--threads", type=int, help="threads of the interpreter  [default: up to 4]")
    parser.add_argument(
        "--watch",
        type=Path,
        metavar="DIR",
        help="predict the images in DIR and those that land there, until stopped",
    )
    options = parser.parse_args(list(arguments))
    if bool(options.images) == bool(options.watch):
        parser.error("expected images, or --watch DIR")
    return options


def _say(line: str) -> None:
    print(line, flush=True)  # a log reads it as it comes


def _complain(line: str) -> None:
    print(f"run.py: {line}", file=sys.stderr)


def _tally(network: Model, options: argparse.Namespace, complain: Callable[[str], None]) -> Tally | None:
    """Counts beside the predictions; none of images that are predicted again, which were counted before."""
    if options.no_tally or options.again:
        return None
    folder = options.tally or beside(options.out)
    return Tally(folder, network.identity, network.card.run_id, complain)


def main(model: Path, arguments: Sequence[str]) -> int:
    """Reads each image with the model and writes JSON, mask, overlay and two maps to a folder.

    Args:
        model: the ``.tflite`` file; its locator lies beside it where it has one.
        arguments: of the command line, without the program's name.

    Returns:
        The exit status: 1 when the model or an image could not be read.
    """
    options = _arguments(arguments)
    try:
        if options.watch:
            _watch(model, options)
        else:
            _predict(model, options)
    except UmlError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _open(model: Path, threads: int) -> Model:
    with silenced(2):  # LiteRT prints a line about its delegate
        return open_device_model(model, threads)


def _watch(model: Path, options: argparse.Namespace) -> None:
    from uml_tf.runtime.watch import WatchOptions, watch_folder

    network = _open(model, options.threads or interpreter_threads(1))
    print(f"watching {options.watch}, predictions in {options.out}", flush=True)
    tally = _tally(network, options, _complain)
    watching = WatchOptions(not options.no_pictures, tally=tally)
    watch_folder(network, options.watch, options.out, _say, _complain, watching)


def _predict(model: Path, options: argparse.Namespace) -> None:
    images = find_images(options.images, options.out)
    check_folders(images.folders, options.out)
    threads = options.threads or interpreter_threads(len(images.paths))
    network = _open(model, threads)
    bar = TextBar(len(images.paths), sys.stderr, images.is_searched)
    predict_files(
        network,
        images.paths,
        options.out,
        bar.above(print),
        bar.above(_complain),
        PredictOptions(
            not options.no_pictures,
            options.again,
            lines=not images.is_searched,
            tally=_tally(network, options, bar.above(_complain)),
        ),
        bar.show,
    )
