"""CPU time, time and peak memory of whole commands on a growing number of phantoms.

Run: ``python benchmarks/whole_commands.py --images 1000 100000``. For each number: phantoms are drawn,
checked, shown, and converted anew from their folder; a network is trained to the end of the command (fits,
test split, figures), and its test split evaluated. Each command runs in a process of its own; the peak is
that of its largest process, the CPU time that of all. ``--keep FOLDER`` keeps the phantoms there, and draws
none that are there already.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from scale import command

_UML_TF = Path(sys.executable).parent / "uml-tf"


def _commands(data: Path, epochs: int, fields: list[str]) -> dict[str, list[object]]:
    """The words of each command behind ``uml-tf``, by name."""
    settings = [word for field in fields for word in ("--set", field)]
    masks = ("--masks", "/masks/{stem}.png", "--pixel-values", "0=background,1=rim,2=cup")
    labels = ("--images", "images/*.jpg", "--labels", data / "manifest.csv")
    return {
        "data check": ["data", "check", data],
        "data preview": ["data", "preview", data],
        "data folder": ["data", "folder", data, "converted", *labels, *masks],
        "train": ["train", "--data", data, "--epochs", epochs, *settings],
        "evaluate": ["evaluate", "last", "--data", data, "--out", "evaluated"],
    }


def main() -> None:
    """Prints a line for each command and number of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--size", type=int, default=64, help="Of the phantoms, at least 64.")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--set", dest="fields", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--only", nargs="+", metavar="COMMAND", help="Of the commands, these alone.")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    if options.size < 64:
        parser.error(f"--size: found {options.size}, expected at least 64")
    fields = options.fields or ["preset=unet-edge", "encoder_weights=none", "image_size=32", "batch_size=32"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for count in options.images:
            data = folder / f"phantoms-{count}-{options.size}"
            if not data.is_dir():
                drawn = ("data", "phantom", data, "--images", count, "--size", options.size)
                print(
                    f"{count} images, data phantom: {command(_UML_TF, *drawn, folder=folder)[0]}", flush=True
                )
            for name, words in _commands(data, options.epochs, fields).items():
                if options.only and name not in options.only:
                    continue
                for left in ("converted", "evaluated"):
                    shutil.rmtree(folder / left, ignore_errors=True)
                print(f"{count} images, {name}: {command(_UML_TF, *words, folder=folder)[0]}", flush=True)


if __name__ == "__main__":
    main()
