"""The mutual network's graph: mixer, mutual decoder, navigator and instructor (UML, figure 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from uml_tf.networks.encoders import LEVELS
from uml_tf.networks.heads import FeatureMeans, HeadUncertainty, make_head
from uml_tf.networks.instructor import instructor
from uml_tf.networks.mixer import LevelMixer
from uml_tf.networks.mutual_decoder import mutual_decoder
from uml_tf.networks.navigator import NavigatorInputs, navigator
from uml_tf.networks.resize import BilinearResize, reduce_by
from uml_tf.networks.scaling import encoded
from uml_tf.networks.spec import CLASS_ENCODER, SEGMENTATION_ENCODER, NetworkSpec
from uml_tf.runtime.contract import LOGITS, fused


class MutualAssembly:
    """Builds the functional graph; its methods follow the paper's figure from left to right.

    Args:
        spec: a network with the mutual parts.
        image_classes: K.
        pixel_classes: C.
    """

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

    def scores(self, head: Any) -> Any:
        """The class scores of a head's output: the evidence whatever the prior weighs, or the logits."""
        if not self.evidential:
            return head
        weight = self.spec.prior_weight
        return head - 1.0 if weight == 1.0 else (head - 1.0) * weight

    def mutual_features(self, classes: list[Any], segmentation: list[Any]) -> list[Any]:
        mixer, on = self.spec.mixer, self.spec.ablation.mixer
        return [
            LevelMixer(width, filters, on, mixer.integer_safe, name=f"mixer_{i + 1}")(
                [classes[i], segmentation[i]]
            )
            for i, (width, filters) in enumerate(zip(mixer.widths, mixer.filters, strict=True))
        ]

    def regions(self, logits: Any) -> Any:
        """Probability ``(B, h4, w4, C - 1)`` of the mask's foreground classes.

        The class learns from the mask and not the mask from the class: images with a label alone would draw
        masks that suit the label.
        """
        probability = ops.softmax(ops.stop_gradient(logits), axis=-1)[..., 1:]
        return reduce_by(2 ** (LEVELS - 1), self.spec.average_eta, "regions")(probability)

    def outputs(
        self, image: Any, encoders: Mapping[str, keras.Model]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what the loss needs, and what draws the mask, at input size; the logits that it follows from)."""
        spec = self.spec
        features = encoded(image, spec, encoders)
        class_features, segmentation_features = features[CLASS_ENCODER], features[SEGMENTATION_ENCODER]
        mutual = self.mutual_features(class_features, segmentation_features)
        decoded = mutual_decoder(mutual, spec.mutual_decoder, self.pixel_classes, spec.up, spec.conv)
        heads = [
            make_head(self.evidential, f"mutual_head_{level}", spec.prior_weight)(z)
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
                self.scores(heads[0]),
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
            reliable = ops.stop_gradient(final.feature) if spec.instructor.detached else final.feature
            eta = reduce_by(2 ** (LEVELS - 1), spec.average_eta, "eta")(reliable)
        regions = self.regions(final.logits[0]) if spec.instructor.read_mask else None
        logits = instructor(feature, eta, regions, spec.instructor, self.image_classes, spec.conv)
        class_head = make_head(self.evidential, "class_head", spec.prior_weight)
        outputs = {"class_head": class_head(logits)}
        for kind, maps in (
            ("mutual_head", heads),
            ("mutual_uncertainty", uncertainty),
            ("segmentation_logits", final.logits),
        ):
            for level, tensor in enumerate(maps, start=1):
                name = f"{kind}_{level}"
                outputs[name] = self.resized(tensor, level, name)
        outputs["drawn"] = outputs["segmentation_logits_1"]
        if spec.draws_by_evidence:
            mask_head = make_head(True, "mask_head", spec.prior_weight)(final.logits[0])
            outputs["drawn"] = outputs["mask_head"] = self.resized(mask_head, 1, "mask_head")
            if spec.fuses_evidence:
                outputs["drawn"] = self.resized(fused(mask_head, heads[0]), 1, "fused_head")
        outputs |= {f"reliable_mask_{level}": mask for level, mask in final.reliable_masks.items()}
        means = FeatureMeans(name="feature_means")([*class_features[-2:], *segmentation_features[-2:]])
        return outputs, dict(zip(LOGITS, (logits, decoded.logits[0], final.logits[0], means), strict=True))
