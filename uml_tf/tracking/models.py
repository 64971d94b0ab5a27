"""Models in MLflow: logging a model, and opening the MODEL argument of the commands."""

from __future__ import annotations

import atexit
import base64
import json
import os
import re
import shutil
import tempfile
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, infer_signature
from mlflow.types.schema import DataType, ParamSchema, ParamSpec
from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError, first_line
from uml_tf.runtime.images import encode_png
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.roi import LOCATOR
from uml_tf.runtime.version import VERSION
from uml_tf.tracking.store import last_run_id, use_store

if TYPE_CHECKING:
    from uml_tf.networks import UML

MODEL_NAME = "model"
REQUEST_FILE = "request.json"
_IN_STORE = ("runs:/", "models:/")
_ALIAS = re.compile(r"models:/([^/@]+)@([^/@]+)")
_RUN = re.compile(r"runs:/\w+")
_RUN_ID = re.compile(r"[0-9a-f]{32}")
SERVED_PACKAGES = ("keras", "keras-cv", "numpy", "opencv-python-headless", "tensorflow")
"""What a served model imports, apart from uml-tf, MLflow (which pins itself), and their dependencies."""


def log_model(keras_file: Path, image: NDArray[Any], outputs: dict[str, NDArray[Any]]) -> str:
    """Logs a model to the active run in the form that MLflow serves, with its signature.

    An example of a request, ``artifacts/request.json``, lies beside it. It is not MLflow's input example, for
    which MLflow would load the model again and run it.

    The model pins the versions of ``SERVED_PACKAGES``. It also needs uml-tf where it is served. No package
    registry has uml-tf, so it cannot be pinned; its version is in the metadata of the model.

    Args:
        keras_file: the network; its locator lies beside it where it has one.
        image: ``(H, W, 3)`` RGB uint8, for the example.
        outputs: the arrays of the output contract, for the signature.

    Returns:
        Its MLflow model URI.
    """
    from uml_tf.tracking import served  # imports pandas, which only logging needs

    artifacts = {served.KERAS_ARTIFACT: str(keras_file)}
    locator = keras_file.with_name(f"{LOCATOR}{keras_file.suffix}")
    if locator.is_file():  # MLflow keeps the files of all artifacts in one folder
        artifacts[LOCATOR] = str(locator)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example was not provided")
        request = Path(folder) / REQUEST_FILE
        request.write_text(json.dumps({"inputs": [base64.b64encode(encode_png(image)).decode()]}))
        info = mlflow.pyfunc.log_model(
            name=MODEL_NAME,
            python_model=served.__file__,
            artifacts=artifacts | {"request": str(request)},
            # Without a schema of the input, which may be encoded images or arrays.
            signature=ModelSignature(
                outputs=infer_signature(image, outputs).outputs,
                params=ParamSchema([ParamSpec("maps", DataType.boolean, True)]),
            ),
            pip_requirements=[f"{name}=={version(name)}" for name in SERVED_PACKAGES],
            metadata={"uml_tf_version": VERSION},
        )
    return str(info.model_uri)


def _keras_file(folder: Path, reference: str) -> Path:
    files = [folder]
    if folder.is_dir():
        files = sorted(path for path in folder.rglob("*.keras") if path.stem != LOCATOR)
    if not files:
        raise UmlError(f"model '{reference}': found no .keras file among its artifacts")
    return files[0]


@cache
def _copies(process: int) -> Path:
    """The folder of what a process fetched, removed when it ends: the copies are opened later.

    A process that it forks has one of its own, and leaves this one alone.
    """
    folder = Path(tempfile.mkdtemp(prefix="uml-tf-"))

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _new_folder() -> Path:
    """An empty folder for a copy.

    Raises:
        UmlError: it cannot be made.
    """
    try:
        folder = _copies(os.getpid())
        folder.mkdir(exist_ok=True)  # where something tidied up
        return Path(tempfile.mkdtemp(dir=folder))
    except OSError as error:
        raise UmlError(
            f"folder for temporary files: cannot be written ({error.strerror or error})"
        ) from error


def fetch(reference: str) -> Path:
    """The local file or folder of a path or of an MLflow URI (``runs:/...``, ``models:/...``).

    Of a URI it is a copy, which lasts until this process ends.

    Raises:
        UmlError: it is not in the store, or the copy cannot be written.
    """
    if not reference.startswith(_IN_STORE):
        return Path(reference)
    use_store()
    folder = _new_folder()
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=reference, dst_path=str(folder)))
    except (MlflowException, OSError) as error:
        raise _not_in_store(reference, error) from error


def fixed_reference(reference: str) -> str:
    """The model by a name that means the same one later: what ``last`` or an alias names now.

    Args:
        reference: a MODEL; a path is returned as it is.

    Raises:
        UmlError: there is no such training, or no version with this alias.
    """
    if reference == "last":
        return f"runs:/{last_run_id()}/{MODEL_NAME}"
    alias = _ALIAS.fullmatch(reference)
    if alias is None:
        return reference
    use_store()
    try:
        version = mlflow.MlflowClient().get_model_version_by_alias(*alias.groups()).version
    except MlflowException as error:
        raise _not_in_store(reference, error) from error
    return f"models:/{alias[1]}/{version}"


def _not_in_store(reference: str, error: Exception) -> UmlError:
    return UmlError(f"model '{reference}': not found in the MLflow store ({first_line(error)})")


def resolve_model(reference: str) -> Path:
    """The ``.keras`` file of a MODEL: a path, ``runs:/ID/model``, ``models:/NAME/VERSION`` or ``last``.

    Raises:
        UmlError: it does not exist, or holds no ``.keras`` file.
    """
    if reference == "last":
        reference = fixed_reference(reference)
    if _RUN.fullmatch(reference):
        reference = f"{reference}/{MODEL_NAME}"
    path = fetch(reference)
    if reference.startswith(_IN_STORE):
        return _keras_file(path, reference)
    if not path.is_file():
        found = "found a folder" if path.is_dir() else "no such file"
        run = reference if _RUN_ID.fullmatch(reference) else "ID"
        forms = f"a .keras file, runs:/{run}/{MODEL_NAME}, models:/NAME/VERSION or last"
        raise UmlError(f"model '{reference}': {found}, expected {forms}")
    return path


def load_model(reference: str) -> UML:
    """Opens a MODEL (see ``resolve_model``).

    Raises:
        UmlError: it does not exist, cannot be read, or is not a uml-tf network.
    """
    path = resolve_model(reference)  # before the wait for TensorFlow
    from uml_tf.networks.files import read_network

    return read_network(path)


def load_pair(reference: str) -> tuple[UML, UML | None]:
    """``load_trained``, with the network's locator where it has one.

    Raises:
        UmlError: as ``load_trained``, or the locator is missing or another.
    """
    path = resolve_model(reference)
    network, _ = load_trained(str(path))
    from uml_tf.evaluation.opening import read_locator

    return network, read_locator(network, path)


def load_trained(reference: str) -> tuple[UML, ModelCard]:
    """``load_model`` of a trained model, with its card.

    Raises:
        UmlError: as ``load_model``, or the model has no card.
    """
    model = load_model(reference)
    if model.card is None:
        raise UmlError(f"model '{reference}': found no card in it, expected a trained model")
    return model, model.card
