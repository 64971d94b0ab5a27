"""The joint network: two encoders, mixer, mutual decoder, navigator, instructor (UML, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from uml_tf.losses.dirichlet import distribution
from uml_tf.networks.encoders import LEVELS, build_encoder, complete
from uml_tf.networks.heads import Contract, HeadUncertainty, make_head
from uml_tf.networks.instructor import instructor
from uml_tf.networks.mixer import LevelMixer
from uml_tf.networks.mutual_decoder import mutual_decoder
from uml_tf.networks.navigator import NavigatorInputs, navigator
from uml_tf.networks.resize import BilinearResize, reduce_by
from uml_tf.networks.spec import EncoderSpec, NetworkSpec
from uml_tf.runtime.contract import LOGITS
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard


def _scaling(encoder: EncoderSpec) -> tuple[float, float]:
    """(scale, offset) from [0, 255] to the encoder's input range."""
    assert encoder.input_range is not None  # the spec is complete
    low, high = encoder.input_range
    return (high - low) / 255.0, low


class _Assembly:
    """Builds the functional graph; its methods follow the paper's figure from left to right."""

    def __init__(self, spec: NetworkSpec, image_classes: int, pixel_classes: int) -> None:
        self.spec = spec
        self.evidential = spec.ablation.evidential
        self.image_classes = image_classes
        self.pixel_classes = pixel_classes

    def resized(self, tensor: Any, level: int, name: str) -> Any:
        """A map of a level at the input size, as float32."""
        factor = self.spec.stride * 2 ** (level - 1)
        resize = BilinearResize(factor, self.spec.up.align_corners, dtype="float32", name=f"{name}_resized")
        return resize(tensor)

    def encoded(self, image: Any, encoders: Sequence[keras.Model]) -> list[Any]:
        """Each encoder's features of the image, brought to the range of values that the encoder reads."""
        scalings = [_scaling(self.spec.class_encoder), _scaling(self.spec.segmentation_encoder)]
        normalised = {}
        for number, (scale, offset) in enumerate(dict.fromkeys(scalings), start=1):
            name = "normalisation" if number == 1 else f"normalisation_{number}"
            normalised[scale, offset] = keras.layers.Rescaling(scale, offset, name=name)(image)
        return [encoder(normalised[scaling]) for encoder, scaling in zip(encoders, scalings, strict=True)]

    def mutual_features(self, classes: list[Any], segmentation: list[Any]) -> list[Any]:
        mixer, on = self.spec.mixer, self.spec.ablation.mixer
        return [
            LevelMixer(width, filters, on, mixer.integer_safe, name=f"mixer_{i + 1}")(
                [classes[i], segmentation[i]]
            )
            for i, (width, filters) in enumerate(zip(mixer.widths, mixer.filters, strict=True))
        ]

    def outputs(self, image: Any, encoders: Sequence[keras.Model]) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what the loss needs, at input size; the logits that it is computed from)."""
        spec = self.spec
        class_features, segmentation_features = self.encoded(image, encoders)
        mutual = self.mutual_features(class_features, segmentation_features)
        decoded = mutual_decoder(mutual, spec.mutual_decoder, self.pixel_classes, spec.up, spec.conv)
        heads = [
            make_head(self.evidential, f"mutual_head_{level}")(z)
            for level, z in enumerate(decoded.logits, start=1)
        ]
        uncertainty = [
            HeadUncertainty(self.evidential, name=f"mutual_uncertainty_{level}")(head)
            for level, head in enumerate(heads, start=1)
        ]
        final = navigator(
            NavigatorInputs(
                segmentation_features,
                mutual,
                decoded.feature,
                heads[0] - 1.0 if self.evidential else heads[0],
                uncertainty[0] if spec.ablation.navigator else None,
            ),
            spec.navigator,
            self.pixel_classes,
            spec.up,
            spec.conv,
        )
        feature = class_features[-1]
        if spec.instructor.join_mutual:
            feature = ops.concatenate([feature, mutual[-1]], axis=-1)
        eta = None
        if spec.ablation.instructor:
            eta = reduce_by(2 ** (LEVELS - 1), spec.average_eta, "eta")(final.feature)
        logits = instructor(feature, eta, spec.instructor, self.image_classes, spec.conv)
        outputs = {"class_head": make_head(self.evidential, "class_head")(logits)}
        for kind, maps in (
            ("mutual_head", heads),
            ("mutual_uncertainty", uncertainty),
            ("segmentation_logits", final.logits),
        ):
            for level, tensor in enumerate(maps, start=1):
                name = f"{kind}_{level}"
                outputs[name] = self.resized(tensor, level, name)
        outputs |= {f"reliable_mask_{level}": mask for level, mask in final.reliable_masks.items()}
        return outputs, dict(zip(LOGITS, (logits, decoded.logits[0], final.logits[0]), strict=True))

    def contract(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """The outputs that every model returns."""
        names = ("class_head", "mutual_head_1", "segmentation_logits_1")
        layer = Contract(self.evidential, name="contract")
        return dict(layer([outputs[name] for name in names]))


@dataclass(frozen=True)
class _Views:
    """Models over the same layers. Keras does not track what a dataclass holds, so weights are saved once."""

    contract: keras.Model
    logits: keras.Model
    heads: keras.Model
    graph: keras.Model


@keras.saving.register_keras_serializable(package="uml_tf")
class UML(keras.Model):
    """Reads an image; returns its class and the class of every pixel, each with belief and uncertainty.

    The heads are ``DirichletHead`` layers, one for the class and one for each supervised level of the mutual
    decoder; their output is the concentration of a Dirichlet, from which everything else follows.

    Example:
        >>> model = UML(preset("edge"), image_classes=2, pixel_classes=3, image_size=(256, 256))
        >>> model(images)["class_uncertainty"]
        >>> model.distributions(images)["class"].entropy()
        >>> model.summary()

    Args:
        spec: the network (``uml_tf.networks.preset``), or its ``to_dict()``.
        image_classes: K, at least 2.
        pixel_classes: C, at least 2, background included.
        image_size: (H, W), each divisible by the network's coarsest stride.
        card: what is stored with a trained model about its data and thresholds.
        name: the model's name.

    Attributes:
        spec: the network, with every constructor argument of its encoders.
        training_model: shares all weights; returns what the loss needs, at input size:
            ``class_head`` and ``mutual_head_L`` (the heads' outputs, by level L from 1, the finest),
            ``mutual_uncertainty_L`` and ``segmentation_logits_L``. A head's output is a concentration, or in
            the ablation without evidential heads the logits of a ``SoftmaxHead``.

    Shapes:
        ``(B, H, W, 3)`` RGB in [0, 255] to the names of ``uml_tf.runtime.contract.CONTRACT``.

    Raises:
        UmlError: a size, a class count or an encoder does not fit.

    Source: Ren et al., "Uncertainty-informed Mutual Learning", MICCAI 2023.
    """

    def __init__(
        self,
        spec: NetworkSpec | dict[str, Any],
        image_classes: int,
        pixel_classes: int,
        image_size: Sequence[int],
        card: ModelCard | dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        given = NetworkSpec.from_dict(spec) if isinstance(spec, dict) else spec
        self.spec = replace(
            given,
            class_encoder=complete(given.class_encoder),
            segmentation_encoder=complete(given.segmentation_encoder),
        )
        self.image_classes, self.pixel_classes = image_classes, pixel_classes
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.card = ModelCard.from_dict(card) if isinstance(card, dict) else card
        self._check()
        encoders = self._encoders()
        assembly = _Assembly(self.spec, image_classes, pixel_classes)
        image = keras.Input((*self.image_size, 3), name="image")
        outputs, logits = assembly.outputs(image, encoders)
        contract = assembly.contract(outputs)
        heads = {"class": outputs["class_head"], "mask": outputs["mutual_head_1"]}
        self.training_model = keras.Model(image, outputs, name="training_model")
        self._views = _Views(
            contract=keras.Model(image, contract, name="contract"),
            logits=keras.Model(image, logits, name="logits"),
            heads=keras.Model(image, heads, name="heads"),
            graph=keras.Model(image, {**outputs, **contract}, name=self.name),
        )
        self.built = True

    def _check(self) -> None:
        for name, count in (("image_classes", self.image_classes), ("pixel_classes", self.pixel_classes)):
            if count < 2:
                raise UmlError(f"{name}: found {count}, expected at least 2")
        divisor = self.spec.stride * 2 ** (LEVELS - 1)
        if any(side % divisor or side <= 0 for side in self.image_size):
            height, width = self.image_size
            raise UmlError(
                f"image size: found {height} x {width}, expected both divisible by {divisor} "
                f"for preset '{self.spec.preset}'"
            )

    def _encoders(self) -> list[keras.Model]:
        shape, built = (*self.image_size, 3), []
        for name in ("class_encoder", "segmentation_encoder"):
            encoder = build_encoder(getattr(self.spec, name), shape, name)
            stride = self.image_size[0] / encoder.outputs[0].shape[1]
            if stride != self.spec.stride:
                raise UmlError(
                    f"{name}: finest feature at stride {stride:g}, expected {self.spec.stride} "
                    f"for preset '{self.spec.preset}'"
                )
            built.append(encoder)
        return built

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        return self._views.contract(inputs, training=training)

    def distributions(self, images: Any) -> dict[str, Any]:
        """The Dirichlet distributions that the heads predict, in inference mode.

        Args:
            images: ``(B, H, W, 3)`` RGB in [0, 255].

        Returns:
            "class": a ``tensorflow_probability.distributions.Dirichlet`` of batch shape (B,) and event
            shape (K,); its mean is ``class_probability``. "mask": the mutual head's, of batch shape
            (B, H, W) and event shape (C,).

        Raises:
            UmlError: the network has softmax heads.
        """
        if not self.spec.ablation.evidential:
            raise UmlError(
                "distributions: found softmax heads (ablation 'evidential'), expected Dirichlet heads"
            )
        heads = self._views.heads(images, training=False)
        return {name: distribution(concentration) for name, concentration in heads.items()}

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints every layer of the graph, the heads among them; arguments as ``keras.Model.summary``."""
        self._views.graph.summary(*args, **kwargs)

    @property
    def logits_model(self) -> keras.Model:
        """Shares all weights and returns ``LOGITS``, the inputs of the heads."""
        return self._views.logits

    @property
    def normalisation(self) -> tuple[float, float]:
        """(scale, offset) that map [0, 255] to the class encoder's input range."""
        return _scaling(self.spec.class_encoder)

    def with_image_size(self, image_size: Sequence[int]) -> UML:
        """The same network with the same weights for another input size."""
        if tuple(image_size) == self.image_size:
            return self
        model = UML.from_config({**self.get_config(), "image_size": list(image_size)})
        model.set_weights(self.get_weights())
        if model.card is not None:
            # The sharpness and edge measures depend on the image size.
            model.card = replace(model.card, gradability=None)
        return model

    def get_config(self) -> dict[str, Any]:
        return {
            "spec": self.spec.to_dict(),
            "image_classes": self.image_classes,
            "pixel_classes": self.pixel_classes,
            "image_size": list(self.image_size),
            "card": None if self.card is None else self.card.to_dict(),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> UML:
        return cls(**config)
