"""The authors' checkpoints: from the names and layouts of their ``state_dict`` to our weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from uml_tf.networks.uml import UML

# A convolution pair inside a torch Sequential: (conv, norm, conv, norm) positions, without and with a
# dropout after the first activation.
_DOUBLE = {
    "0": "conv_1",
    "1": "norm_1",
    "3": "conv_2",
    "4": "norm_2",
}
_DOUBLE_WITH_DROPOUT = {
    "0": "conv_1",
    "1": "norm_1",
    "4": "conv_2",
    "5": "norm_2",
}

_ATTENTION = {
    "ch_wv": "channel_value",
    "ch_wq": "channel_query",
    "ch_wz": "channel_weight",
    "ln": "norm",
    "sp_wv": "spatial_value",
    "sp_wq": "spatial_query",
}
_GATE = {
    "W_x.0": "skip",
    "W_x.1": "skip_norm",
    "W_m.0": "mutual",
    "W_m.1": "mutual_norm",
    "psi.0": "psi",
    "psi.1": "psi_norm",
}


def _down(level: str) -> str:
    return str(int(level) - 1)


def _released_rules() -> list[tuple[str, Any]]:
    return [
        (r"mut_feature_mixer\.(c|s)f_conv(\d)\.conv", lambda m: _mixer_conv(m[1], m[2])),
        (r"mut_feature_mixer\.PSA(\d)\.(\w+)", lambda m: f"mixer_{m[1]}/attention/{_ATTENTION[m[2]]}"),
        (r"mut_feature_mixer\.out_conv(\d)\.conv", lambda m: f"mixer_{m[1]}/out_conv"),
        (r"mut_feature_decoder\.conv_adj_channel(\d)\.conv", lambda m: f"mutual_adjust_{m[1]}"),
        (
            r"mut_feature_decoder\.up_conv(\d)\.conv(1|2)\.double_conv\.(\d)",
            lambda m: f"mutual_up_{_down(m[1])}/{_half(m[2])}/{_DOUBLE[m[3]]}",
        ),
        (r"mut_feature_decoder\.out_conv(\d)\.(0|1)\.conv", lambda m: f"mutual_logits_{m[1]}/{_head(m[2])}"),
        (r"un_seg_decoder\.conv_adj_channel(\d)\.conv", lambda m: f"navigator_adjust_{m[1]}"),
        (r"un_seg_decoder\.un(\d)\.(\w+\.\d)", lambda m: f"navigator_gate_{_down(m[1])}/{_GATE[m[2]]}"),
        (
            r"un_seg_decoder\.conv_up(\d)\.conv(1|2)\.double_conv\.(\d)",
            lambda m: f"navigator_up_{_down(m[1])}/{_half(m[2])}/{_DOUBLE[m[3]]}",
        ),
        (r"un_seg_decoder\.conv_out\.conv", lambda m: "navigator_logits_1"),
        (
            r"un_cls_decoder\.conv_reliable\.double_conv\.(\d)",
            lambda m: f"instructor_reliable/{_DOUBLE[m[1]]}",
        ),
        (
            r"un_cls_decoder\.cls_head\.(\d+)\.(conv|point_wise_conv)",
            lambda m: _separable(int(m[1]) // 4, m[2] == "conv"),
        ),
        (
            r"un_cls_decoder\.cls_head\.(\d+)",
            lambda m: f"instructor_conv_{int(m[1]) // 4 + 1}_norm",
        ),
        (r"un_cls_decoder\.cls_predict\.0", lambda m: "instructor_logits"),
    ]


def _paper_rules() -> list[tuple[str, Any]]:
    return [
        (r"feature_mixer\.(c|s)f_conv(\d)\.conv", lambda m: _mixer_conv(m[1], m[2])),
        (r"feature_mixer\.PSA(\d)\.(\w+)", lambda m: f"mixer_{m[1]}/attention/{_ATTENTION[m[2]]}"),
        (r"feature_mixer\.f_conv(\d)\.conv", lambda m: f"mixer_{m[1]}/out_conv"),
        (
            r"mutual_feature_decoder\.up_conv(\d)\.conv\.double_conv\.(\d)",
            lambda m: f"mutual_up_{4 - int(m[1])}/before/{_DOUBLE_WITH_DROPOUT[m[2]]}",
        ),
        (r"mutual_feature_decoder\.out_conv(1|2)\.conv", lambda m: f"mutual_logits_1/{_head(_down(m[1]))}"),
        (r"UN\.conv_bottom\.conv", lambda m: "navigator_bottom"),
        (r"UN\.UN_C(\d)\.conv\.0", lambda m: f"navigator_reliable_{int(m[1]) + 1}/conv"),
        (r"UN\.UN_C(\d)\.conv\.1", lambda m: f"navigator_reliable_{int(m[1]) + 1}/norm"),
        (r"UN\.UN_C(\d)\.conv_out\.conv", lambda m: f"navigator_reliable_{int(m[1]) + 1}/out"),
        (
            r"UN\.conv_up(\d)\.conv\.double_conv\.(\d)",
            lambda m: f"navigator_up_{m[1]}/before/{_DOUBLE_WITH_DROPOUT[m[2]]}",
        ),
        (r"UN\.conv_out(\d)\.conv", lambda m: f"navigator_logits_{int(m[1]) + 1}"),
        (
            r"UI\.conv_reliable\.double_conv\.(\d)",
            lambda m: f"instructor_reliable/{_DOUBLE_WITH_DROPOUT[m[1]]}",
        ),
        (
            r"UI\.cls_head\.cls_head\.(\d+)\.(conv1|pointwise)",
            lambda m: _separable(int(m[1]) // 3, m[2] == "conv1"),
        ),
        (
            r"UI\.cls_head\.cls_head\.(\d+)",
            lambda m: f"instructor_conv_{int(m[1]) // 3 + 1}_norm",
        ),
        (r"UI\.cls_predict\.0", lambda m: "instructor_logits"),
    ]


def _mixer_conv(side: str, level: str) -> str:
    return f"mixer_{level}/{'class' if side == 'c' else 'segmentation'}_conv"


def _half(conv: str) -> str:
    return "before" if conv == "1" else "after"


def _head(position: str) -> str:
    return "hidden" if position == "0" else "logits"


def _separable(index: int, depthwise: bool) -> str:
    return f"instructor_conv_{index + 1}/{'depthwise' if depthwise else 'pointwise'}"


_RULES = {"released": _released_rules(), "paper": _paper_rules()}
_ENCODERS = {"cls_feature_encoder": "class_encoder", "seg_feature_encoder": "segmentation_encoder"}

# The checkpoints hold stage 5 of both encoders, which the network does not read, and counters of PyTorch.
# A lone encoder's checkpoint has an ImageNet classifier on top.
_UNUSED = re.compile(r"((.*feature_encoder\.)?(layer4|conv5_\d|fc|classifier)\..*)|(.*num_batches_tracked)$")

_LEAVES = {
    "weight": ("kernel", "gamma"),
    "bias": ("bias", "beta"),
    "running_mean": ("moving_mean", "mean"),
    "running_var": ("moving_variance", "variance"),
}


@dataclass
class StateReport:
    """How a checkpoint fits a network.

    Attributes:
        loaded: number of arrays that were loaded.
        unused: names that were ignored as expected (stage 5, counters).
        unknown: names that the network has no place for.
        misfits: one line for each array of another shape.
        missing: our weights without an array.
    """

    loaded: int = 0
    unused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether every weight was found and nothing was left over."""
        return not (self.unknown or self.misfits or self.missing)

    def describe(self, most: int = 6) -> str:
        """What does not fit, in one line."""
        parts = []
        for kind, names in (
            ("shapes that do not fit", self.misfits),
            ("missing", self.missing),
            ("left over", self.unknown),
        ):
            if names:
                more = f" and {len(names) - most} more" if len(names) > most else ""
                parts.append(f"{len(names)} {kind}: {'; '.join(names[:most])}{more}")
        return ". ".join(parts) or f"{self.loaded} arrays fit"


def layer_of(name: str, preset: str) -> str | None:
    """Our layer ("block/part" or "class_encoder/layer") for a torch module name, or None."""
    encoder, _, rest = name.partition(".")
    if encoder in _ENCODERS:
        return f"{_ENCODERS[encoder]}/{rest.replace('.', '_')}"
    for pattern, layer in _RULES[preset]:
        match = re.fullmatch(pattern, name)
        if match:
            return str(layer(match))
    return None


def _variables(model: UML) -> dict[str, keras.Variable]:
    """Maps "layer/leaf" to its variable; the two encoders' layers under their encoder's name."""
    found: dict[str, keras.Variable] = {}
    for layer in model.training_model.layers:
        inside = layer.layers if layer.name in _ENCODERS.values() else [layer]
        prefix = f"{layer.name}/" if layer.name in _ENCODERS.values() else ""
        for part in inside:
            for variable in part.variables:
                if "seed_generator" not in variable.path:
                    tail = variable.path.split(f"{part.name}/", 1)[-1]
                    found[f"{prefix}{part.name}/{tail}"] = variable
    return found


def _in_our_layout(array: NDArray[Any], layer: str) -> NDArray[Any]:
    if array.ndim == 4:
        return array.transpose(2, 3, 0, 1) if layer.endswith("depthwise") else array.transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


def _key_of(name: str, preset: str, variables: Mapping[str, Any]) -> str | None:
    """The key in ``_variables`` of a torch parameter name, or None."""
    module, _, leaf = name.rpartition(".")
    layer = layer_of(module, preset)
    keys = [f"{layer}/{ours}" for ours in _LEAVES.get(leaf, ())]
    return next((key for key in keys if key in variables), None)


def variable_of(model: UML, name: str) -> keras.Variable:
    """Our weight for a torch parameter name.

    Raises:
        KeyError: the network has no such weight.
    """
    variables = _variables(model)
    key = _key_of(name, model.spec.preset, variables)
    if key is None:
        raise KeyError(name)
    return variables[key]


def _load(
    variables: Mapping[str, keras.Variable],
    keyed: Mapping[str, str | None],
    state: Mapping[str, NDArray[Any]],
) -> StateReport:
    """Assigns the arrays by key (None: the network has no such weight) and reports."""
    report, waiting = StateReport(), set(variables)
    for name, array in state.items():
        if _UNUSED.match(name):
            report.unused.append(name)
            continue
        key = keyed[name]
        if key is None:
            report.unknown.append(name)
            continue
        waiting.discard(key)
        value = _in_our_layout(np.asarray(array), key.rpartition("/")[0])
        if tuple(value.shape) != tuple(variables[key].shape):
            expected = tuple(variables[key].shape)
            report.misfits.append(f"{name}: found {tuple(array.shape)}, expected {expected} in our layout")
            continue
        variables[key].assign(value)
        report.loaded += 1
    report.missing = sorted(waiting)
    return report


def load_state(model: UML, state: Mapping[str, NDArray[Any]]) -> StateReport:
    """Puts a ``state_dict``'s arrays into a network of the same preset, where they fit.

    Args:
        model: a "released" or "paper" network.
        state: torch name -> array in torch layout (conv: out, in / groups, kh, kw; dense: out, in).

    Returns:
        What was loaded and what did not fit; weights without a fitting array keep their value.
    """
    variables = _variables(model)
    keyed = {name: _key_of(name, model.spec.preset, variables) for name in state}
    return _load(variables, keyed, state)


def load_encoder_state(model: UML, encoder: str, state: Mapping[str, NDArray[Any]]) -> StateReport:
    """Puts a lone encoder's ``state_dict`` into one of a network's encoders.

    Args:
        model: a network whose encoder is Res2Net or VGG16.
        encoder: "class_encoder" or "segmentation_encoder".
        state: the encoder's own torch names; a classifier on top of it is ignored.
    """
    variables = {k: v for k, v in _variables(model).items() if k.startswith(f"{encoder}/")}
    keyed = {}
    for name in state:
        module, _, leaf = name.rpartition(".")
        keys = [f"{encoder}/{module.replace('.', '_')}/{ours}" for ours in _LEAVES.get(leaf, ())]
        keyed[name] = next((key for key in keys if key in variables), None)
    return _load(variables, keyed, state)
