"""``uml-tf calibrate``: another site's thresholds, by the real command."""

from __future__ import annotations

from dataclasses import replace

import mlflow
import numpy as np
import pytest
from small_networks import SIZE, quick_network, random_network

from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.export.kind import Request
from uml_tf.export.kinds import KINDS
from uml_tf.export.metadata import add_metadata, describe
from uml_tf.export.tflite import convert_network
from uml_tf.networks.files import read_network
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.metadata import CONFIDENT_FORMAT, FORMAT
from uml_tf.tracking.export_run import run_of_export
from uml_tf.tracking.models import MODEL_NAME, log_model, resolve_model
from uml_tf.tracking.store import use_store
from uml_tf.training.calibrate import CALIBRATED_FROM


@pytest.fixture(scope="module")
def network(phantoms):
    model = random_network(2)
    info = phantoms.info
    model.card = replace(
        model.card,
        image_classes=info.image_classes,
        pixel_classes=info.pixel_classes,
        unions=info.unions,
        accept_above=0.123,
    )
    return model


def test_a_network_gets_new_limits_and_keeps_its_weights(network, phantoms, uml_tf_command, tmp_path):
    network.save(tmp_path / "old.keras")
    before = (tmp_path / "old.keras").read_bytes()
    options = ("--data", phantoms.root, "--split", "train", "--risk-target", "0.3", "--confidence", "0.8")
    arguments = ("calibrate", "old.keras", *options, "--out", "new.keras")
    done = uml_tf_command(*arguments, cwd=tmp_path, fresh=True)
    assert "accepts" in done.stdout
    assert (tmp_path / "old.keras").read_bytes() == before
    found = read_network(tmp_path / "new.keras")
    for one, other in zip(found.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    old, new = network.card.trust, found.card.trust
    assert new.density.features == replace(old.density.features, limit=new.density.features.limit)
    assert new.density.features.limit != old.density.features.limit
    assert new.class_temperature != old.class_temperature
    assert (found.card.risk_target, found.card.risk_confidence) == (0.3, 0.8)
    assert found.card.accept_above != network.card.accept_above
    assert {fit.evidence_scale for fit in found.card.mask_quality.values()} == {4.0}
    refused = uml_tf_command(*arguments, cwd=tmp_path, expect=1)
    assert "exists already" in refused.stderr


def test_a_file_gets_a_new_threshold_alone(network, phantoms, uml_tf_command, tmp_path):
    metadata = replace(describe(network, KINDS["tflite-none"], "float32"), format=CONFIDENT_FORMAT)
    data = convert_network(Request(network, metadata, 1, None))
    (tmp_path / "old.tflite").write_bytes(add_metadata(data, metadata, names=False))
    done = uml_tf_command(
        "calibrate", "old.tflite", "--data", phantoms.root, "--out", "new.tflite", cwd=tmp_path
    )
    assert "temperatures, confidence and familiarity are in the file's graph" in done.stdout
    assert "accepts   none: 0 labelled, familiar validation images" in done.stdout
    old, new = (DeviceModel(tmp_path / name) for name in ("old.tflite", "new.tflite"))
    assert (old.metadata.format, new.metadata.format) == (CONFIDENT_FORMAT, FORMAT)
    assert new.card.trust == old.card.trust
    assert new.card.accept_above is None
    assert "0 labelled, familiar validation images" in new.card.accept_reason
    image = np.full((1, *SIZE, 3), 90, np.float32)
    for name, value in old(image).items():
        np.testing.assert_array_equal(value, new(image)[name])


def test_a_registered_network_becomes_a_new_version_and_the_old_one_stays(
    phantoms, uml_tf_command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    network = quick_network(3, phantoms.info)
    client = mlflow.MlflowClient(use_store())
    example = np.zeros((1, *network.image_size, 3), np.uint8)
    with mlflow.start_run() as run:
        network.card = replace(network.card, run_id=run.info.run_id)
        network.save(tmp_path / "old.keras")
        outputs = KerasPredictor(network, 1, is_compiled=False)(example)
        log_model(tmp_path / "old.keras", example[0], outputs)
    first = mlflow.register_model(f"runs:/{run.info.run_id}/{MODEL_NAME}", "site")
    client.set_registered_model_alias("site", "champion", first.version)
    model = "models:/site@champion"
    arguments = ("calibrate", model, "--data", phantoms.root, "--split", "train", "--out", "new.keras")
    done = uml_tf_command(*arguments, cwd=tmp_path)
    assert "version   models:/site/2\n" in done.stdout
    versions = {int(one.version): one for one in client.search_model_versions("name = 'site'")}
    assert set(versions) == {1, 2}
    assert (versions[1].tags, versions[1].run_id) == ({}, run.info.run_id)
    assert int(client.get_model_version_by_alias("site", "champion").version) == 1
    told = {CALIBRATED_FROM: model, "dataset.fingerprint": phantoms.fingerprint}
    assert versions[2].tags == told
    params = client.get_run(versions[2].run_id).data.params
    assert params == told | {"dataset.name": phantoms.info.name}
    for number, file in ((1, "old.keras"), (2, "new.keras")):
        found = resolve_model(f"models:/site/{number}").read_bytes()
        assert found == (tmp_path / file).read_bytes()
    new = read_network(tmp_path / "new.keras")
    assert new.card.run_id == run.info.run_id
    for number, card in ((1, network.card), (2, new.card)):
        assert run_of_export(card, f"models:/site/{number}") == versions[number].run_id
    assert run_of_export(network.card, "old.keras") == run_of_export(network.card, None) == run.info.run_id
    with pytest.raises(UmlError, match="calibrated after its training"):
        run_of_export(new.card, "new.keras")
    assert new.card.trust.class_temperature is not None
    assert network.card.trust.class_temperature is None
    for one, other in zip(new.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
