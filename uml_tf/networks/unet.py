"""The rival: one encoder, a U-Net decoder, softmax heads for the class and for the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from uml_tf.networks.block_specs import UnetSpec
from uml_tf.networks.convolution import DoubleConv, pointwise
from uml_tf.networks.decoder import UpBlock
from uml_tf.networks.dropout import Dropout
from uml_tf.networks.heads import FeatureMeans, HeadUncertainty, make_head
from uml_tf.networks.resize import BilinearResize
from uml_tf.networks.scaling import encoded
from uml_tf.networks.spec import SEGMENTATION_ENCODER, NetworkSpec
from uml_tf.runtime.contract import LOGITS


class UnetAssembly:
    """Builds the functional graph.

    The pixel uncertainty of the contract is that of the mask's own softmax: the mutual head is the
    segmentation head, so that ``uml_tf.losses.joint`` gives cross-entropy and Dice.

    Args:
        spec: a network with a ``UnetSpec``.
        image_classes: K.
        pixel_classes: C.

    Source: Ronneberger et al., MICCAI 2015; the class head on the coarsest feature as in
        segmentation_models.pytorch.
    """

    def __init__(self, spec: NetworkSpec, image_classes: int, pixel_classes: int) -> None:
        self.spec = spec
        self.image_classes = image_classes
        self.pixel_classes = pixel_classes

    def outputs(
        self, image: Any, encoders: Mapping[str, keras.Model]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what the loss needs, and what draws the mask, at input size; the logits that it follows from)."""
        unet = self.spec.unet
        assert unet is not None  # it selects this assembly
        levels = encoded(image, self.spec, encoders)[SEGMENTATION_ENCODER]
        pooled = keras.layers.GlobalAveragePooling2D(name="class_pool")(levels[-1])
        pooled = Dropout(unet.dropout, name="class_dropout")(pooled)
        class_logits = keras.layers.Dense(self.image_classes, name="class_logits")(pooled)
        mask_logits, stride = self._decoded(levels, unet)
        head = make_head(False, "mask_head")(mask_logits)
        uncertainty = HeadUncertainty(False, name="mask_uncertainty")(head)
        outputs = {"class_head": make_head(False, "class_head")(class_logits)}
        for name, tensor in (
            ("mutual_head_1", head),
            ("mutual_uncertainty_1", uncertainty),
            ("segmentation_logits_1", mask_logits),
        ):
            resize = BilinearResize(stride, False, dtype="float32", name=f"{name}_resized")
            outputs[name] = resize(tensor)
        outputs["drawn"] = outputs["segmentation_logits_1"]
        means = FeatureMeans(name="feature_means")(levels[-2:])
        return outputs, dict(zip(LOGITS, (class_logits, mask_logits, mask_logits, means), strict=True))

    def _decoded(self, levels: list[Any], unet: UnetSpec) -> tuple[Any, int]:
        """The mask's logits and their stride."""
        spec, feature, stride = self.spec, levels[-1], self.spec.stride
        for number, filters in enumerate(unet.widths, start=1):
            skip = 3 - number
            if skip >= 0:
                block = UpBlock(filters, spec.up, spec.conv, name=f"decoder_{number}")
                feature = block([feature, levels[skip]])
            else:  # finer than the encoder's finest feature
                feature = BilinearResize(2, False, name=f"decoder_{number}_upsample")(feature)
                feature = DoubleConv(filters, spec.conv, name=f"decoder_{number}")(feature)
                stride //= 2
        return pointwise(self.pixel_classes, True, "mask_logits")(feature), stride
