"""The joint network: two encoders, mixer, mutual decoder, navigator, instructor (UML, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from uml_tf.networks.encoders import LEVELS, build_encoder
from uml_tf.networks.heads import DirichletHead
from uml_tf.networks.instructor import instructor
from uml_tf.networks.mixer import LevelMixer
from uml_tf.networks.mutual_decoder import mutual_decoder
from uml_tf.networks.navigator import NavigatorInputs, navigator
from uml_tf.networks.resize import BilinearResize, reduce_by
from uml_tf.networks.spec import NetworkSpec
from uml_tf.runtime.contract import LOGITS, contract, opinion
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard


def _float32(tensor: Any) -> Any:
    return ops.cast(tensor, "float32")


class _Assembly:
    """Builds the functional graph; its methods follow the paper's figure from left to right."""

    def __init__(self, spec: NetworkSpec, image_classes: int, pixel_classes: int) -> None:
        self.spec = spec
        self.image_classes = image_classes
        self.pixel_classes = pixel_classes

    def evidence(self, logits: Any, name: str) -> Any:
        """Non-negative evidence, or the logits themselves in the ablation without evidential heads."""
        if self.spec.ablation.evidential:
            return DirichletHead(name=name).evidence(logits)
        return _float32(logits)

    def upscale(self, tensor: Any, level: int) -> Any:
        """Brings a map of a level to the input size, as float32."""
        factor = self.spec.stride * 2 ** (level - 1)
        return BilinearResize(factor, self.spec.up.align_corners, dtype="float32")(_float32(tensor))

    def mutual_features(self, classes: list[Any], segmentation: list[Any]) -> list[Any]:
        mixer, on = self.spec.mixer, self.spec.ablation.mixer
        return [
            LevelMixer(width, filters, on, mixer.integer_safe, name=f"mixer_{i + 1}")(
                [classes[i], segmentation[i]]
            )
            for i, (width, filters) in enumerate(zip(mixer.widths, mixer.filters, strict=True))
        ]

    def outputs(self, image: Any, encoders: Sequence[keras.Model]) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what the loss needs, at input size; the logits that it is made from)."""
        spec = self.spec
        scale, offset = spec.normalisation
        normalised = keras.layers.Rescaling(scale, offset, name="normalisation")(image)
        class_features, segmentation_features = (encoder(normalised) for encoder in encoders)
        mutual = self.mutual_features(class_features, segmentation_features)
        decoded = mutual_decoder(mutual, spec.mutual_decoder, self.pixel_classes, spec.up, spec.conv)
        evidence = [self.evidence(z, f"mutual_head_evidence_{i}") for i, z in enumerate(decoded.logits)]
        uncertainty = [opinion(e, spec.ablation.evidential, ops).uncertainty for e in evidence]
        final = navigator(
            NavigatorInputs(
                segmentation_features,
                mutual,
                decoded.feature,
                evidence[0],
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
        answers = {"class_evidence": self.evidence(logits, "class_head_evidence")}
        for level, (e, u) in enumerate(zip(evidence, uncertainty, strict=True), start=1):
            answers[f"mutual_evidence_{level}"] = self.upscale(e, level)
            answers[f"mutual_uncertainty_{level}"] = self.upscale(u, level)
        for level, z in enumerate(final.logits, start=1):
            answers[f"segmentation_logits_{level}"] = self.upscale(z, level)
        answers |= {f"reliable_mask_{level}": mask for level, mask in final.reliable_masks.items()}
        return answers, dict(zip(LOGITS, (logits, decoded.logits[0], final.logits[0]), strict=True))

    def contract(self, answers: dict[str, Any]) -> dict[str, Any]:
        return contract(
            answers["class_evidence"],
            answers["mutual_evidence_1"],
            answers["segmentation_logits_1"],
            self.spec.ablation.evidential,
            ops,
        )


@keras.saving.register_keras_serializable(package="uml_tf")
class UML(keras.Model):
    """Reads one image; answers its class and its pixels, each with belief and uncertainty.

    Example:
        >>> model = UML(preset("edge"), image_classes=2, pixel_classes=3, image_size=(256, 256))
        >>> model(images)["class_uncertainty"]

    Args:
        spec: the network (``uml_tf.networks.preset``), or its ``to_dict()``.
        image_classes: K, at least 2.
        pixel_classes: C, at least 2, background included.
        image_size: (H, W), each divisible by the network's coarsest stride.
        encoder_weights: "imagenet" to start keras-cv presets from their published weights.
        card: what a trained model says of itself; saved with it.

    Shapes:
        ``(B, H, W, 3)`` RGB in [0, 255] to the names of ``CONTRACT``. ``training_model`` shares all
        weights and answers what the loss needs: ``class_evidence``, ``mutual_evidence_L`` and
        ``segmentation_logits_L`` by level L, all at input size.

    Raises:
        UmlError: a size or a class count does not fit.

    Source: Ren et al., "Uncertainty-informed Mutual Learning", MICCAI 2023.
    """

    def __init__(
        self,
        spec: NetworkSpec | dict[str, Any],
        image_classes: int,
        pixel_classes: int,
        image_size: Sequence[int],
        encoder_weights: str | None = None,
        card: ModelCard | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = NetworkSpec.from_dict(spec) if isinstance(spec, dict) else spec
        self.image_classes, self.pixel_classes = image_classes, pixel_classes
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.card = ModelCard.from_dict(card) if isinstance(card, dict) else card
        self._check()
        shape = (*self.image_size, 3)
        encoders = [
            build_encoder(self.spec.class_encoder, shape, "class_encoder", encoder_weights),
            build_encoder(self.spec.segmentation_encoder, shape, "segmentation_encoder", encoder_weights),
        ]
        for encoder in encoders:
            stride = self.image_size[0] / encoder.outputs[0].shape[1]
            if stride != self.spec.stride:
                raise UmlError(
                    f"{encoder.name}: finest feature at stride {stride:g}, expected {self.spec.stride} "
                    f"for preset '{self.spec.preset}'"
                )
        assembly = _Assembly(self.spec, image_classes, pixel_classes)
        image = keras.Input(shape, name="image")
        answers, logits = assembly.outputs(image, encoders)
        self.training_model = keras.Model(image, answers, name="training_model")
        # Views of the same layers: kept out of attribute tracking, so that weights are saved once.
        self._views = (
            keras.Model(image, assembly.contract(answers), name="contract"),
            keras.Model(image, logits, name="logits"),
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

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        return self._views[0](inputs, training=training)

    @property
    def logits_model(self) -> keras.Model:
        """Shares all weights and answers ``LOGITS``, before any evidential arithmetic."""
        return self._views[1]

    def with_image_size(self, image_size: Sequence[int]) -> UML:
        """The same network with the same weights for another input size."""
        if tuple(image_size) == self.image_size:
            return self
        model = UML.from_config({**self.get_config(), "image_size": list(image_size)})
        model.set_weights(self.get_weights())
        if model.card is not None:
            # Sharpness and edges of a smaller or larger image are other numbers.
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
