"""A training that began with a weight file is resumed without it: the checkpoint holds all weights."""

from __future__ import annotations

import os
import signal

import pytest

from uml_tf.networks import UML, preset
from uml_tf.training.config import TrainingConfig
from uml_tf.training.display import SilentDisplay
from uml_tf.training.interruption import StoppedError
from uml_tf.training.run import resume, train


class _StopAfterOneStep(SilentDisplay):
    def losses(self, epoch, step, terms):
        os.kill(os.getpid(), signal.SIGINT)


def test_the_file_is_not_needed_again(phantoms, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder = UML(preset("unet-edge"), 2, 3, (32, 32)).training_model.get_layer("segmentation_encoder")
    file = tmp_path / "encoder.weights.h5"
    encoder.save_weights(file)
    config = TrainingConfig(data=phantoms.root, preset="unet-edge", encoder_weights=str(file), image_size=32)
    with pytest.raises(StoppedError, match="stopped in epoch 1 after step 1"):
        train(config, _StopAfterOneStep())
    file.unlink()
    with pytest.raises(StoppedError, match="stopped in epoch 1 after step 2"):
        resume("last", _StopAfterOneStep())
