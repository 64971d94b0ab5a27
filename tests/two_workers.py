"""Run by test_workers.py as each of two workers: prints losses of some steps, and the variables' sums."""

from __future__ import annotations

import json
import sys

from uml_tf.training.cluster import Cluster

cluster = Cluster.join()  # before TensorFlow computes anything

import numpy as np  # noqa: E402
from small_steps import steps  # noqa: E402

found = {}
for batch_norm in sys.argv[1:]:
    losses, values = steps(cluster, batch_norm)
    found[batch_norm] = losses, [float(np.sum(copy)) for (copy,) in values]
if cluster.is_chief:
    found["sent"] = cluster.from_chief(lambda: b"from the chief").decode()
else:
    found["sent"] = cluster.from_chief(bytes).decode()
print(json.dumps(found))
