"""Run by test_quiet.py in a process of its own: the library at work, while a thread writes to both streams.

Trains with the config of the second argument, and writes the network as a .tflite to the path of the first
one. Prints the number of lines that the thread wrote to each stream.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

from uml_tf.export.convert import convert
from uml_tf.export.kinds import KINDS
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.tracking.models import load_trained
from uml_tf.training.config import load_config
from uml_tf.training.run import train

written = 0
done = threading.Event()


def write_lines():
    global written
    while not done.is_set():
        for descriptor in (1, 2):
            os.write(descriptor, b"line of the thread\n")
        written += 1
        time.sleep(0.002)


thread = threading.Thread(target=write_lines)
thread.start()
try:
    path = Path(sys.argv[1])
    result = train(load_config(Path(sys.argv[2]), {}))
    network, _ = load_trained(str(result.model))
    metadata, converted = convert(network, KINDS["tflite-none"])
    path.write_bytes(converted.files[0].pack(metadata))
    DeviceModel(path).predict(np.zeros((32, 32, 3), np.uint8))
finally:
    done.set()
    thread.join()
print(f"written: {written}")
