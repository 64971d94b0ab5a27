"""Builds the data set, network, loss, optimizer and loop of a config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import keras
import numpy as np

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import Examples, epoch_order
from uml_tf.data.share import Share
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.losses import LossSpec
from uml_tf.networks import UML, NetworkSpec, preset, without
from uml_tf.networks.encoder_weights import load_encoder_weights
from uml_tf.networks.encoders import resolve
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.roi import Roi
from uml_tf.training.averaging import WeightAverage
from uml_tf.training.cluster import Cluster
from uml_tf.training.config import TrainingConfig
from uml_tf.training.dataset import open_dataset
from uml_tf.training.display import Display
from uml_tf.training.distillation import open_teachers
from uml_tf.training.loop import Loop
from uml_tf.training.schedule import HoldThenPolynomial, ScheduleSpec
from uml_tf.training.step import StepSpec, TrainStep
from uml_tf.training.teaching import Teacher


def open_same_dataset(config: TrainingConfig, display: Display, cluster: Cluster) -> PreparedDataset:
    """``open_dataset`` on every worker: on the chief first, which draws the phantoms where there are none.

    Raises:
        UmlError: a worker's data differ from the chief's.
    """
    opened: list[PreparedDataset] = []

    def by_chief() -> bytes:
        opened.append(open_dataset(config, display))
        return opened[0].fingerprint.encode()

    fingerprint = cluster.from_chief(by_chief).decode()
    dataset = opened[0] if opened else open_dataset(config, display)
    if dataset.fingerprint != fingerprint:
        raise UmlError(
            f"{dataset.root}: fingerprint: found {dataset.fingerprint[:12]}, expected the chief's "
            f"{fingerprint[:12]}: every worker needs the same data"
        )
    return dataset


def network_spec(config: TrainingConfig) -> NetworkSpec:
    """The config's preset, with the encoders that the config names and without the parts it switches off.

    Names of encoder presets are resolved here, when a training starts, and nowhere else.
    """
    spec = preset(config.preset)
    if config.class_encoder:
        spec = replace(spec, class_encoder=resolve(config.class_encoder))
    if config.segmentation_encoder:
        spec = replace(spec, segmentation_encoder=resolve(config.segmentation_encoder))
    spec = without(spec, *config.without)
    if not config.fused_mask or not _weights(config)[2]:  # a head that learns nothing has no evidence to add
        spec = replace(spec, fused_mask=False)
    if config.mask_alone is not None:
        spec = replace(spec, instructor=replace(spec.instructor, mask_alone=config.mask_alone))
    if config.tasks == "class":
        spec = replace(without(spec, "instructor"), instructor=replace(spec.instructor, read_mask=False))
    return spec


def _weights(config: TrainingConfig) -> tuple[float, float, float]:
    """Of the three terms of the loss; 0 for those of a task that is not trained."""
    loss = config.loss
    if config.tasks == "both":
        return loss.cls, loss.seg, loss.mut
    return (loss.cls, 0.0, 0.0) if config.tasks == "class" else (0.0, loss.seg, loss.mut)


def loss_spec(
    config: TrainingConfig,
    spec: NetworkSpec,
    labels: np.ndarray,
    classes: int,
    pixel_classes: Sequence[str] = (),
) -> LossSpec:
    """The joint loss of a resolved config.

    Args:
        config: resolved.
        spec: the network.
        labels: ``(N,)`` class indices of the training images, -1 without a label, for the class weights.
        classes: number of image classes.
        pixel_classes: names, among which cup and rim are looked for.

    Raises:
        UmlError: the cup-to-disc ratio is to be learned and there is no cup or rim.
    """
    has_cup = {"cup", "rim"} <= set(pixel_classes)
    cup_and_rim = (pixel_classes.index("cup"), pixel_classes.index("rim")) if has_cup else None
    if config.loss.ratio and cup_and_rim is None:
        raise UmlError(
            f"loss.ratio: found pixel classes {', '.join(pixel_classes)}, expected 'cup' and 'rim'"
        )
    weights = None
    if config.loss.class_weights == "balanced":
        counts = np.bincount(labels[labels >= 0], minlength=classes)
        weights = tuple((counts.sum() / (classes * np.maximum(counts, 1))).tolist())
    return LossSpec(
        *_weights(config),
        config.loss.annealing_epochs,
        config.loss.segmentation or "dice+ce",
        spec.ablation.evidential,
        weights,
        config.loss.skip_absent,
        config.loss.dice_over,
        config.loss.ratio,
        cup_and_rim,
        config.loss.taught,
        spec.fuses_evidence,
        1.0 if config.loss.kl is None else config.loss.kl,  # None: a run begun before the field existed
    )


def _optimizer(config: TrainingConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    schedule = HoldThenPolynomial(
        ScheduleSpec(
            config.learning_rate or 1e-4,
            steps_per_epoch,
            config.epochs,
            config.hold_epochs or 0,
            config.warmup_epochs or 0,
        )
    )
    adam = keras.optimizers.Adam(schedule)
    if config.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def _network(config: TrainingConfig, spec: NetworkSpec, dataset: PreparedDataset) -> UML:
    info, size = dataset.info, (config.image_size, config.image_size)
    with _precision(config.precision):
        model = UML(spec, len(info.image_classes), len(info.pixel_classes), size)
    if config.encoder_weights not in (None, "none"):
        names = {name: getattr(config, name) or getattr(spec, name).name for name in spec.encoders}
        load_encoder_weights(model, str(config.encoder_weights), names)
    if config.frozen_norms:
        for encoder in _encoders(model):
            _freeze_norms(encoder)
    return model


def _encoders(model: UML) -> list[keras.Model]:
    return [model.training_model.get_layer(name) for name in model.spec.encoders]


def _freeze_norms(encoder: keras.Model) -> None:
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def encoder_rates(model: UML, encoder_rate: float, decay: float = 1.0) -> list[float]:
    """The share of the learning rate of every trained variable: 1 outside the encoders.

    Args:
        model: the network.
        encoder_rate: that of the coarsest stage of each encoder.
        decay: that of a stage, as a multiple of the next coarser one's.
    """
    shares: dict[int, float] = {}
    for encoder in _encoders(model):
        # From the finest feature on: what a feature adds to the ones before is its stage.
        for coarser, output in zip(range(len(encoder.outputs) - 1, -1, -1), encoder.outputs, strict=True):
            for variable in keras.Model(encoder.inputs, output).trainable_variables:
                shares.setdefault(id(variable), encoder_rate * decay**coarser)
    return [shares.get(id(variable), 1.0) for variable in model.training_model.trainable_variables]


def _rates(config: TrainingConfig, model: UML) -> list[float]:
    rate = 1.0 if config.encoder_rate is None else config.encoder_rate
    return encoder_rates(model, rate, config.encoder_decay)


def _step_spec(config: TrainingConfig, train: Examples) -> StepSpec:
    some_masked = 0 < train.has_mask.sum() < len(train)
    return StepSpec(
        config.weight_decay,
        config.gradient_clip,
        config.jit,
        masked_statistics=some_masked and config.batch_statistics == "masked",
        batch_norm=config.batch_norm,
    )


def _teacher(
    config: TrainingConfig, model: UML, average: WeightAverage | None, train: Examples, steps: int
) -> Teacher | None:
    """The teacher of the images without a mask, where there are some and the config asks for it."""
    masked = train.has_mask > 0
    if config.without_masks == "ignore" or masked.all() or not masked.any():
        return None
    if average is None:
        raise UmlError("without_masks: found 'teach' and averaging 0, expected averaging above 0")
    t, every = config.teaching, config.epochs * steps
    return Teacher(model, average, t.weight, round(t.start * every), round(t.ramp * every), t.spread)


def build_loop(
    config: TrainingConfig,
    dataset: PreparedDataset,
    splits: dict[str, Examples],
    display: Display,
    cluster: Cluster,
    roi: Roi | None = None,
) -> Loop:
    """Builds the network, the step and the loop of a resolved config.

    Args:
        config: resolved.
        dataset: the data set, for its classes.
        splits: "train" and "val".
        display: told the number of epochs and steps.
        cluster: the devices to train on.
        roi: the part of every image that is read.

    Raises:
        UmlError: the config does not fit the data or the cluster.
    """
    devices = cluster.replicas
    if config.batch_size % devices:
        raise UmlError(f"batch_size: found {config.batch_size}, expected a multiple of the {devices} devices")
    if config.jit and devices > 1:
        raise UmlError(
            f"jit: found {devices} devices, expected one: XLA cannot compile the sums over devices"
        )
    keras.utils.set_random_seed(config.seed)
    spec = network_spec(config)
    train, info = splits["train"], dataset.info
    if not (train.labels >= 0).any() and not train.has_mask.any():
        raise UmlError(f"{dataset.root}: split 'train' has neither labels nor masks")
    steps = len(epoch_order(train, config.batch_size, config.seed, 0, config.masked_share))
    steps //= config.batch_size
    with cluster.strategy.scope():
        model = _network(config, spec, dataset)
        average = WeightAverage(model.variables, config.averaging) if config.averaging else None
        step = TrainStep(
            model,
            _optimizer(config, steps),
            loss_spec(config, spec, train.labels, len(info.image_classes), info.pixel_classes),
            _step_spec(config, train),
            average,
            cluster.strategy,
            _rates(config, model),
            _teacher(config, model, average, train, steps),
            open_teachers(config.teachers, spec, info, model.image_size, config.fit, roi),
        )
    display.begin_training(config.epochs, steps)
    share = Share(cluster.index, cluster.workers)
    augmentation = Augmentation(config.augmentation, config.seed, share)
    return Loop(config, step, KerasPredictor(model), train, splits["val"], augmentation, cluster, share)
