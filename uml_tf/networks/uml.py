"""The network as a Keras model: one set of layers, seen as the contract, the logits and the heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from uml_tf.losses.dirichlet import distribution
from uml_tf.networks.encoders import LEVELS, build_encoder, complete
from uml_tf.networks.heads import Contract, Sharpness
from uml_tf.networks.mutual import MutualAssembly
from uml_tf.networks.scaling import scaling
from uml_tf.networks.spec import NetworkSpec
from uml_tf.networks.unet import UnetAssembly
from uml_tf.runtime.contract import Heads
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.trust import NO_TRUST, Trust


@dataclass(frozen=True)
class _Views:
    """Models over the same layers. Keras does not track what a dataclass holds, so weights are saved once."""

    layer: Contract
    contract: keras.Model
    logits: keras.Model
    heads: keras.Model
    graph: keras.Model
    trust: Trust


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
        card: what is stored with a trained model about its data and thresholds. What was fitted on its
            outputs (``card.trust``) is part of the graph; another card may be set at any time.
        name: the model's name.

    Attributes:
        spec: the network, with every constructor argument of its encoders.
        training_model: shares all weights; returns what the loss needs, at input size:
            ``class_head`` and ``mutual_head_L`` (the heads' outputs, by level L from 1, the finest),
            ``mutual_uncertainty_L`` and ``segmentation_logits_L``, and ``mask_head`` where a Dirichlet head
            draws the mask. A head's output is a concentration, or in the ablation without evidential heads
            the logits of a ``SoftmaxHead``.

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
        self._card = ModelCard.from_dict(card) if isinstance(card, dict) else card
        self._check()
        kind = UnetAssembly if self.spec.unet else MutualAssembly
        assembly = kind(self.spec, image_classes, pixel_classes)
        image = keras.Input((*self.image_size, 3), name="image")
        outputs, logits = assembly.outputs(image, self._encoders())
        drawn = outputs.pop("drawn")
        self.training_model = keras.Model(image, outputs, name="training_model")
        read = (outputs["class_head"], outputs["mutual_head_1"], drawn, logits["features"])
        terms = Sharpness(name="sharpness")(image)
        heads = keras.Model(image, dict(zip(Heads._fields, (*read, terms), strict=True)), name="heads")
        logits_view = keras.Model(image, logits, name="logits")
        trust = NO_TRUST if self._card is None else self._card.trust
        self._views = self._views_of(heads, logits_view, trust)
        self.built = True

    def _views_of(self, heads: keras.Model, logits: keras.Model, trust: Trust) -> _Views:
        """The views whose contract applies what was fitted."""
        image = heads.input
        evidential, by_evidence = self.spec.ablation.evidential, self.spec.draws_by_evidence
        layer = Contract(evidential, by_evidence, trust, name="contract")
        contract = dict(layer([heads.output[name] for name in Heads._fields]))
        return _Views(
            layer=layer,
            contract=keras.Model(image, contract, name="contract"),
            logits=logits,
            heads=heads,
            graph=keras.Model(image, {**self.training_model.output, **contract}, name=self.name),
            trust=trust,
        )

    @property
    def card(self) -> ModelCard | None:
        """What is stored with a trained model; None for one that is not trained."""
        return self._card

    @card.setter
    def card(self, card: ModelCard | None) -> None:
        self._card = card
        trust = NO_TRUST if card is None else card.trust
        if trust != self._views.trust:
            self._views = self._views_of(self._views.heads, self._views.logits, trust)

    @property
    def trust(self) -> Trust:
        """What was fitted, as it is in the graph."""
        return self._views.trust

    def heads_model(self) -> keras.Model:
        """Shares all weights and returns the fields of ``Heads``, from which the contract follows.

        A method, because Keras stores the weights under the first attribute, by name, that holds them.
        """
        return self._views.heads

    def contract_of(self, heads: Mapping[str, Any]) -> dict[str, Any]:
        """What follows from the outputs of ``heads_model``: with them, what calling the network returns."""
        return dict(self._views.layer([heads[name] for name in Heads._fields]))

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

    def _encoders(self) -> dict[str, keras.Model]:
        shape, built = (*self.image_size, 3), {}
        for name in self.spec.encoders:
            encoder = build_encoder(getattr(self.spec, name), shape, name)
            stride = self.image_size[0] / encoder.outputs[0].shape[1]
            if stride != self.spec.stride:
                raise UmlError(
                    f"{name}: finest feature at stride {stride:g}, expected {self.spec.stride} "
                    f"for preset '{self.spec.preset}'"
                )
            built[name] = encoder
        return built

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        return self._views.contract(inputs, training=training)

    def distributions(self, images: Any) -> dict[str, Any]:
        """The Dirichlet distributions of the heads, in inference mode and before all that was fitted.

        Args:
            images: ``(B, H, W, 3)`` RGB in [0, 255].

        Returns:
            "class": a ``tensorflow_probability.distributions.Dirichlet`` of batch shape (B,) and event
            shape (K,); its mean is the ``class_probability`` of a network without fitted parameters.
            "mask": that of the head that draws the mask where it is a Dirichlet head, else the mutual
            head's, of batch shape (B, H, W) and event shape (C,).

        Raises:
            UmlError: the network has softmax heads.
        """
        if not self.spec.ablation.evidential:
            raise UmlError(
                "distributions: found softmax heads (ablation 'evidential'), expected Dirichlet heads"
            )
        heads = self._views.heads(images, training=False)
        of_pixels = heads["mask_head" if self.spec.draws_by_evidence else "mutual_head"]
        return {"class": distribution(heads["class_head"]), "mask": distribution(of_pixels)}

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints every layer of the graph, the heads among them; arguments as ``keras.Model.summary``."""
        self._views.graph.summary(*args, **kwargs)

    @property
    def logits_model(self) -> keras.Model:
        """Shares all weights and returns ``LOGITS``, the inputs of the heads."""
        return self._views.logits

    @property
    def normalisation(self) -> tuple[float, float]:
        """(scale, offset) that map [0, 255] to the input range of the first encoder."""
        return scaling(getattr(self.spec, self.spec.encoders[0]))

    def with_image_size(self, image_size: Sequence[int]) -> UML:
        """The same network with the same weights for another input size."""
        if tuple(image_size) == self.image_size:
            return self
        model = UML.from_config({**self.get_config(), "image_size": list(image_size)})
        model.set_weights(self.get_weights())
        if model.card is not None:
            # What was fitted holds for the size that it was fitted at.
            model.card = replace(model.card, trust=NO_TRUST, accept_above=None)
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
