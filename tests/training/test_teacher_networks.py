"""Learning from trained networks."""

from __future__ import annotations

from dataclasses import replace

import keras
import mlflow
import numpy as np
import pytest
import tensorflow as tf
from small_networks import SIZE, random_images, random_network

from uml_tf.losses import LossSpec, joint_loss
from uml_tf.networks import preset, without
from uml_tf.runtime.errors import UmlError
from uml_tf.training.distillation import TeacherNetworks, open_teachers


@pytest.fixture(scope="module")
def teachers():
    return [random_network(seed) for seed in (1, 2)]


def _batch(count):
    rng = np.random.default_rng(0)
    return {
        "image": tf.constant(random_images(count)),
        "label": tf.constant([0, 1, -1, 1][:count]),
        "mask": tf.constant(rng.integers(0, 3, (count, *SIZE)).astype(np.uint8)),
        "has_mask": tf.constant([1.0, 0.0, 0.0, 1.0][:count]),
    }


def test_one_teacher_teaches_its_own_concentrations(teachers):
    batch = TeacherNetworks(teachers[:1], SIZE)(_batch(4))
    heads = teachers[0].heads_model()(batch["image"], training=False)
    np.testing.assert_allclose(batch["taught_class"], heads["class_head"], rtol=1e-3)
    np.testing.assert_allclose(batch["taught_mask"], heads["mask_head"], rtol=1e-3)


def test_teachers_teach_their_mean_to_a_network_of_another_size(teachers):
    small = (SIZE[0] // 2, SIZE[1] // 2)
    batch = TeacherNetworks(teachers, small)({"image": tf.image.resize(_batch(4)["image"], small)})
    assert batch["taught_mask"].shape == (4, *small, 3)
    resized = tf.image.resize(batch["image"], SIZE)
    heads = [network.heads_model()(resized, training=False)["class_head"].numpy() for network in teachers]
    mean = np.mean([h / h.sum(-1, keepdims=True) for h in heads], axis=0)
    taught = batch["taught_class"].numpy()
    wide = (mean * taught.sum(-1, keepdims=True) > 1.05).all(-1)  # where no concentration was raised to 1
    np.testing.assert_allclose((taught / taught.sum(-1, keepdims=True))[wide], mean[wide], atol=1e-4)


def test_a_network_that_is_taught_alone_comes_nearer_without_labels_and_masks(teachers):
    student = random_network(3)
    batch = TeacherNetworks(teachers, SIZE)(_batch(4))
    batch |= {"label": tf.fill((4,), -1), "has_mask": tf.zeros(4)}
    spec, optimizer = LossSpec(taught=1.0, fused_mask=True), keras.optimizers.Adam(2e-3)
    losses = []
    for _ in range(4):
        with tf.GradientTape() as tape:
            terms = joint_loss(student.training_model(batch["image"], training=False), batch, 0, spec)
        variables = student.training_model.trainable_variables
        optimizer.apply(tape.gradient(terms["total"], variables), variables)
        losses.append(float(terms["total"]))
    assert losses[-1] < 0.9 * losses[0]


def test_a_teacher_that_does_not_fit_is_refused(teachers, tmp_path):
    info = type("Info", (), {"image_classes": ["class 0", "class 1"], "pixel_classes": ["background", "x"]})
    path = tmp_path / "teacher.keras"
    teachers[0].save(path)
    with pytest.raises(UmlError, match=r"teacher.keras': pixel_classes: found .*region 2.*expected .*'x'"):
        open_teachers([str(path)], preset("edge"), info, SIZE, "stretch", None)
    with pytest.raises(UmlError, match="preset 'unet-edge', expected one whose class and mask"):
        open_teachers([str(path)], preset("unet-edge"), info, SIZE, "stretch", None)
    softmax = random_network(4, 2, 3, "evidential")
    assert without(replace(preset("edge")), "evidential").ablation == softmax.spec.ablation
    with pytest.raises(UmlError, match="a single softmax has no spread"):
        TeacherNetworks([softmax], SIZE)


def test_the_command_trains_with_a_teacher(teachers, phantoms, uml_tf_command, tmp_path):
    info = phantoms.info
    names = {name: getattr(info, name) for name in ("image_classes", "pixel_classes", "unions")}
    kept = teachers[0].card
    teachers[0].card = replace(kept, **names)
    teachers[0].save(tmp_path / "teacher.keras")
    teachers[0].card = kept
    few = ("--set", "phantoms.images=20", "--set", "phantoms.size=64", "--epochs", 1, "--image-size", 32)
    uml_tf_command("train", "--teacher", "teacher.keras", *few, cwd=tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    assert str(tmp_path / "teacher.keras") in run.data.params["teachers"]
    assert np.isfinite(run.data.metrics["train/total"])
    assert "test/accuracy" in run.data.metrics
