"""Importing a PyTorch checkpoint through the real command."""

from __future__ import annotations

import zlib

import cv2
import keras
import numpy as np
import pytest

from uml_tf.networks import UML, preset
from uml_tf.networks.encoder_weights import load_encoder_weights
from uml_tf.networks.torch.names import _variables, layer_of, load_encoder_state
from uml_tf.runtime.errors import UmlError

K, C = 3, 2
ENCODERS = dict.fromkeys(("class_encoder", "segmentation_encoder"), "")


def _torch_layout(value, depthwise):
    if value.ndim == 4:
        return value.transpose(2, 3, 0, 1) if depthwise else value.transpose(3, 2, 0, 1)
    return value.T if value.ndim == 2 else value


def _torch_leaf(key):
    leaf = key.rpartition("/")[2]
    names = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}
    return names.get(leaf, "running_mean" if leaf.endswith("mean") else "running_var")


def _drawn(key, shape):
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("variance"):
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    scale = np.sqrt(1.0 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1
    return (rng.normal(0, 1, shape) * scale + (1.0 if key.endswith("gamma") else 0.0)).astype(np.float32)


@pytest.fixture(scope="module")
def paper_checkpoint(tmp_path_factory):
    """A "paper" network with other class counts and another size, in torch's names and layout."""
    model = UML(preset("paper"), K, C, (48, 48))
    state = {}
    names = {}
    for module in _module_names():
        layer = layer_of(module, "paper")
        names.setdefault(layer, module)
    for key, variable in _variables(model).items():
        variable.assign(_drawn(key, tuple(variable.shape)))
        layer = key.rpartition("/")[0]
        module = names.get(layer) or _encoder_module(layer)
        state[f"{module}.{_torch_leaf(key)}"] = _torch_layout(variable.numpy(), layer.endswith("depthwise"))
    path = tmp_path_factory.mktemp("torch") / "paper.npz"
    np.savez(path, **{f"module.{name}": array for name, array in state.items()})
    return path, model


def _module_names():
    for level in (1, 2, 3, 4):
        for side in "cs":
            yield f"feature_mixer.{side}f_conv{level}.conv"
        for part in ("ch_wv", "ch_wq", "ch_wz", "ln", "sp_wv", "sp_wq"):
            yield f"feature_mixer.PSA{level}.{part}"
    for level in (1, 2, 3):
        yield f"feature_mixer.f_conv{level}.conv"
        for position in (0, 1, 4, 5):
            yield f"mutual_feature_decoder.up_conv{level}.conv.double_conv.{position}"
            yield f"UN.conv_up{level}.conv.double_conv.{position}"
    for position in (0, 1, 4, 5):
        yield f"UI.conv_reliable.double_conv.{position}"
    yield from ("mutual_feature_decoder.out_conv1.conv", "mutual_feature_decoder.out_conv2.conv")
    yield from ("UN.conv_bottom.conv", *(f"UN.conv_out{i}.conv" for i in range(4)), "UI.cls_predict.0")
    for level in (0, 3):
        yield from (f"UN.UN_C{level}.conv.0", f"UN.UN_C{level}.conv.1", f"UN.UN_C{level}.conv_out.conv")
    for position in (0, 3, 6, 9):
        yield from (f"UI.cls_head.cls_head.{position}.{part}" for part in ("conv1", "pointwise"))
        yield f"UI.cls_head.cls_head.{position + 1}"


def _encoder_module(layer):
    encoder, _, name = layer.partition("/")
    if encoder == "segmentation_encoder":
        conv, _, part = name.rpartition("_")
        return f"seg_feature_encoder.{conv}.{part}"
    return f"cls_feature_encoder.{name.replace('_', '.')}"


def _import(command, checkpoint, out, cwd, expect=0, fresh=False, **changed):
    options = {"--preset": "paper", "--classes": K, "--seg-classes": C, "--image-size": 48, **changed}
    arguments = [part for pair in options.items() for part in pair]
    return command("import-torch", checkpoint, *arguments, "--out", out, cwd=cwd, expect=expect, fresh=fresh)


def test_import_and_predict(paper_checkpoint, uml_tf_command, tmp_path):
    path, model = paper_checkpoint
    names = {"--class-names": "a,b,c", "--pixel-names": "background,lesion"}
    _import(uml_tf_command, path, "model.keras", tmp_path, fresh=True, **names)
    imported = keras.models.load_model(tmp_path / "model.keras")
    assert imported.card.image_classes == ("a", "b", "c")
    images = np.random.default_rng(0).uniform(0, 255, (1, 48, 48, 3)).astype(np.float32)
    found = imported(images)
    for name, value in model(images).items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)
    cv2.imwrite(str(tmp_path / "x.png"), images[0].astype(np.uint8))
    done = uml_tf_command("predict", "model.keras", "x.png", "--out", "predictions", cwd=tmp_path)
    assert "refer: no answer may be accepted: no threshold was fitted" in done.stdout


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"--classes": 2}, "UI.cls_predict.0.weight: found (3, 1024)"),
        ({"--preset": "released"}, "left over"),
        ({"--class-names": "a,a,b"}, "--class-names: found 'a,a,b', expected 3 different names"),
        ({"--image-size": 50}, "image size: found 50 x 50"),
    ],
)
def test_what_does_not_fit_is_listed_in_one_line(paper_checkpoint, uml_tf_command, tmp_path, changed, line):
    done = _import(uml_tf_command, paper_checkpoint[0], "x.keras", tmp_path, expect=1, **changed)
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x.keras").exists()


def test_public_encoder_checkpoints_by_their_own_names(paper_checkpoint, tmp_path):
    path, source = paper_checkpoint
    with np.load(path) as arrays:
        res2net = {
            n.removeprefix("module.cls_feature_encoder."): a for n, a in arrays.items() if ".cls_feature" in n
        }
        vgg = {
            n.removeprefix("module.seg_feature_encoder."): a for n, a in arrays.items() if ".seg_feature" in n
        }
    np.savez(tmp_path / "res2net.npz", **res2net, **{"fc.weight": np.zeros((1000, 2048))})
    positions = (0, 3, 7, 10, 14, 17, 20, 24, 27, 30)
    convs = sorted({name.split(".")[0] for name in vgg})
    torchvision = {"classifier.0.weight": np.zeros((4, 4))}
    for position, conv in zip(positions, convs, strict=True):
        for name, array in vgg.items():
            head, part, leaf = name.split(".")
            if head == conv:
                torchvision[f"features.{position + (part == 'bn')}.{leaf}"] = array
    np.savez(tmp_path / "vgg.npz", **torchvision)
    model = UML(preset("paper"), 2, 3, (32, 32))
    assert load_encoder_weights(model, str(tmp_path / "res2net.npz"), ENCODERS) == ["class_encoder"]
    assert load_encoder_weights(model, str(tmp_path / "vgg.npz"), ENCODERS) == ["segmentation_encoder"]
    for name in ENCODERS:
        pair = (m.training_model.get_layer(name).get_weights() for m in (model, source))
        for a, b in zip(*pair, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not load_encoder_state(model, "class_encoder", vgg).fits


def test_encoder_weights_of_a_trained_model_and_what_does_not_fit(tmp_path):
    source, model = (UML(preset("edge"), k, 3, (64, 64)) for k in (2, 4))
    source.save(tmp_path / "source.keras")
    assert load_encoder_weights(model, str(tmp_path / "source.keras"), ENCODERS) == list(ENCODERS)
    pair = (m.training_model.get_layer("class_encoder").get_weights() for m in (model, source))
    for a, b in zip(*pair, strict=True):
        np.testing.assert_array_equal(a, b)
    (tmp_path / "bad.keras").write_text("no model")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name, line in (
        ("bad.keras", "cannot be read as a Keras model"),
        ("other.npz", "fits no encoder"),
        ("none.pth", "no such file"),
    ):
        with pytest.raises(UmlError, match=line):
            load_encoder_weights(model, str(tmp_path / name), ENCODERS)


def test_imagenet_weights_offline_is_one_line(uml_tf_command, phantoms, tmp_path):
    options = ["--data", phantoms.root, "--encoder-weights", "imagenet", "--epochs", "1"]
    done = uml_tf_command("train", *options, cwd=tmp_path, expect=1)
    assert "encoder 'keras_cv:EfficientNetLiteBackbone' has no published weights" in done.stderr
