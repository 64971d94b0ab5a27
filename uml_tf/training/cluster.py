"""The devices that train one network together: one device, the GPUs of a machine, or several machines.

Built on TensorFlow's distribution strategies. Every process has its own copy of the network and the loop;
only the first process, the chief, writes to MLflow and to disk.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from uml_tf.runtime.errors import UmlError, first_line
from uml_tf.training.threads import prefer_parallel_operations

if TYPE_CHECKING:
    import tensorflow as tf

VARIABLE = "TF_CONFIG"
_PIECE = 16 * 2**20


class WorkerLostError(UmlError):
    """Another worker ended, so this one cannot continue."""


def set_tf_config(workers: Sequence[str], index: int) -> None:
    """Sets ``TF_CONFIG``, which TensorFlow reads when it is imported.

    Args:
        workers: "host:port" of every worker, the same list on each; the first is the chief.
        index: position of this process in the list.

    Raises:
        UmlError: an address or the index is not valid.
    """
    for worker in workers:
        if not re.fullmatch(r"[^:\s]+:\d{1,5}", worker):
            raise UmlError(f"--workers: found '{worker}', expected host:port,host:port,...")
    if len(set(workers)) != len(workers):
        raise UmlError("--workers: found the same address twice, expected one for each worker")
    if not 0 <= index < len(workers):
        raise UmlError(f"--index: found {index}, expected 0 to {len(workers) - 1}")
    task = {"type": "worker", "index": index}
    os.environ[VARIABLE] = json.dumps({"cluster": {"worker": list(workers)}, "task": task})


def read_tf_config() -> tuple[list[str], int]:
    """Reads ``TF_CONFIG``: the addresses of the workers, the chief's first, and the index of this process."""
    text = os.environ.get(VARIABLE)
    if not text:
        return [""], 0
    try:
        configured = json.loads(text)
        cluster, task = configured["cluster"], configured["task"]
        chiefs, others = cluster.get("chief", []), cluster.get("worker", [])
        index = int(task["index"])
        # A list would take -1 for its last.
        dict(enumerate({"chief": chiefs, "worker": others}[task["type"]]))[index]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UmlError(f"{VARIABLE}: found {text[:80]!r}, expected TensorFlow's cluster and task") from error
    return [*chiefs, *others], index if task["type"] == "chief" else index + len(chiefs)


def _check_address(address: str) -> None:
    port = address.rpartition(":")[2]
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", int(port)))
        except (OSError, OverflowError, ValueError) as error:
            raise UmlError(f"--workers: {address}: port {port} cannot be opened here ({error})") from error


class Cluster:
    """The devices that train one network together.

    Attributes:
        strategy: TensorFlow's.
        index: index of this process among the workers.
        is_chief: whether it is the first worker, which alone writes to MLflow and to disk.
        workers: number of processes.
        replicas: number of devices of all workers together.
    """

    def __init__(self, strategy: tf.distribute.Strategy, index: int = 0, workers: int = 1) -> None:
        self.strategy = strategy
        self.index = index
        self.is_chief = index == 0
        self.workers = workers
        self.replicas: int = strategy.num_replicas_in_sync
        self._sum: Callable[..., Any] | None = None

    @classmethod
    def join(cls) -> Cluster:
        """The cluster of ``TF_CONFIG``, else all GPUs of the machine, else one device.

        Must be called before TensorFlow computes anything. Waits for the other workers.

        Raises:
            UmlError: ``TF_CONFIG`` is not valid, or its port on this machine is taken.
        """
        import tensorflow as tf

        workers, index = read_tf_config()
        prefer_parallel_operations()
        if len(workers) > 1:
            _check_address(workers[index])
            return cls(tf.distribute.MultiWorkerMirroredStrategy(), index, len(workers))
        if len(tf.config.list_physical_devices("GPU")) > 1:
            return cls(tf.distribute.MirroredStrategy())
        return cls.alone()

    @classmethod
    def alone(cls) -> Cluster:
        """One process on one device."""
        import tensorflow as tf

        return cls(tf.distribute.get_strategy())

    def any_worker(self, value: bool) -> bool:
        """Whether the value is true on any worker.

        Raises:
            WorkerLostError: another worker ended.
        """
        if self.workers == 1:
            return value
        with self.one_line_errors():
            return bool(self._add([int(value)])[0])

    def spread(self, batches: tf.data.Dataset) -> Any:
        """Divides this worker's part of every batch among its devices."""
        devices = self.replicas // self.workers
        if devices > 1:
            (size,) = {spec.shape[0] for spec in batches.element_spec.values()}
            batches = batches.rebatch(size // devices, drop_remainder=True)
        return self.strategy.distribute_datasets_from_function(lambda context: batches)

    def local(self, values: Any) -> Any:
        """This process's copy of a nested value of ``strategy.run`` that is equal on every replica."""
        import tensorflow as tf

        return tf.nest.map_structure(lambda v: self.strategy.experimental_local_results(v)[0], values)

    def from_chief(self, make: Callable[[], bytes]) -> bytes:
        """Sends bytes from the chief to every worker, and returns them.

        Args:
            make: returns the bytes; called on the chief only.

        Raises:
            WorkerLostError: another worker ended.
        """
        if self.workers == 1:
            return make()
        content = make() if self.is_chief else b""
        with self.one_line_errors():
            (length,) = self._add([len(content)])
            words = -(-int(length) // 4)
            padded = content.ljust(4 * words, b"\0")
            pieces = [self._piece(padded, start, words) for start in range(0, words, _PIECE // 4)]
        return b"".join(pieces)[: int(length)]

    def _piece(self, padded: bytes, start: int, words: int) -> bytes:
        import numpy as np

        count = min(_PIECE // 4, words - start)
        own = np.frombuffer(padded, np.int32)[start : start + count] if self.is_chief else np.zeros(count)
        return self._add(own).tobytes()

    def _add(self, numbers: Any) -> Any:
        """The sum over the workers of their integers ``(N,)``, int32."""
        import numpy as np
        import tensorflow as tf

        if self._sum is None:

            @tf.function(
                input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)],
                autograph=False,
            )
            def add(values: Any, share: Any) -> Any:
                def one(values: Any) -> Any:
                    context = tf.distribute.get_replica_context()
                    # All replicas of a worker have its numbers; only one of them may add them.
                    counts = context.replica_id_in_sync_group % share == 0
                    own = tf.where(counts, values, tf.zeros_like(values))
                    return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

                return self.local(self.strategy.run(one, args=(values,)))

            self._sum = add
        share = self.replicas // self.workers
        return self._sum(np.asarray(numbers, np.int32), np.int32(share)).numpy()

    @contextmanager
    def one_line_errors(self) -> Iterator[None]:
        """Turns the errors of a training step into one line.

        Raises:
            WorkerLostError: another worker ended.
            UmlError: the device is out of memory.
        """
        import tensorflow as tf

        lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
        try:
            yield
        except tf.errors.ResourceExhaustedError as error:
            raise UmlError("training: out of memory, try a smaller --batch-size or --image-size") from error
        except (*lost, tf.errors.InternalError, tf.errors.DeadlineExceededError) as error:
            if self.workers == 1:
                raise
            reason = first_line(error.message)[:160]
            raise WorkerLostError(
                f"training: another worker ended or cannot be reached ({reason})"
            ) from error
