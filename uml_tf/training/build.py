"""Builds the data set, network, loss, optimizer and loop of a config."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import Examples, epoch_order
from uml_tf.data.share import Share
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.networks import UML, NetworkSpec
from uml_tf.networks.encoder_weights import load_encoder_weights
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
from uml_tf.training.specs import loss_spec, network_spec
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
        opened[0].hash_files(display.stage)
        return opened[0].fingerprint.encode()

    fingerprint = cluster.from_chief(by_chief).decode()
    dataset = opened[0] if opened else open_dataset(config, display)
    dataset.hash_files(display.stage)
    if dataset.fingerprint != fingerprint:
        raise UmlError(
            f"{dataset.root}: fingerprint: found {dataset.fingerprint[:12]}, expected the chief's "
            f"{fingerprint[:12]}: every worker needs the same data"
        )
    return dataset


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
    some_masked = 0 < train.has_mask.sum() < len(train) or config.augmentation.destroyed > 0
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
        display: told the number of epochs and steps, and settings that do not go well together.
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
    if step.teacher is not None and config.batch_statistics == "masked":
        display.warn(
            "without_masks: found 'teach' with batch_statistics 'masked', which together ended without any "
            "region on images from two cameras: where masks come out empty, set batch_statistics: all"
        )
    display.begin_training(config.epochs, steps)
    share = Share(cluster.index, cluster.workers)
    augmentation = Augmentation(config.augmentation, config.seed, share)
    return Loop(config, step, KerasPredictor(model), train, splits["val"], augmentation, cluster, share)
