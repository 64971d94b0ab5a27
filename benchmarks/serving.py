"""Throughput and latency of ``mlflow models serve`` with one, 8 and 32 clients at once.

Run: ``python benchmarks/serving.py MODEL.keras PHOTO [--clients 1,8,32] [--seconds 20]``. The network is
logged to a store of its own, served by MLflow's command, and asked by threads, each of which sends the photo
again as soon as it has the answer (without maps). ``--largest-batch 1`` reads every image by itself.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--largest-batch", type=int)
    return parser.parse_args()


def _log(options: argparse.Namespace, folder: Path) -> str:
    """Logs the network to a store in a folder; returns its URI, and prints how long that takes."""
    import mlflow

    from uml_tf.evaluation.opening import open_network
    from uml_tf.runtime.images import decode_image
    from uml_tf.tracking.models import log_model
    from uml_tf.tracking.store import use_store

    os.chdir(folder)
    use_store()
    model = open_network(options.model, 1)
    image = decode_image(options.photo.read_bytes(), "photo")
    placed = model.place(image).image(image)
    with mlflow.start_run():
        begin = time.perf_counter()
        uri = log_model(options.model, placed, model(placed[None]))
        print(f"logged in {time.perf_counter() - begin:.1f} s")
    if options.largest_batch:
        for served in folder.rglob("served.py"):
            text = re.sub(
                r"LARGEST_BATCH = \d+", f"LARGEST_BATCH = {options.largest_batch}", served.read_text()
            )
            served.write_text(text)
    return uri


def _serve(uri: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    binaries = Path(sys.executable).parent
    process = subprocess.Popen(
        [
            *(binaries / "mlflow", "models", "serve", "--model-uri", uri, "--env-manager", "local"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlruns/mlflow.db",
            "PATH": f"{binaries}:{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2)
        except OSError:
            time.sleep(0.5)
        else:
            return process, port
    raise TimeoutError("the server did not start")


def _in_session(session: int) -> list[Path]:
    """``/proc`` folders of the processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[3]) == session:
            found.append(stat.parent)
    return found


def _peak_mib(session: int) -> float:
    texts = [(process / "status").read_text() for process in _in_session(session)]
    return max(int(peak[1]) / 1024 for text in texts if (peak := re.search(r"VmHWM:\s+(\d+)", text)))


def _cpu_seconds(session: int) -> float:
    fields = [(process / "stat").read_text().rpartition(")")[2].split() for process in _in_session(session)]
    return sum(int(own[11]) + int(own[12]) for own in fields) / os.sysconf("SC_CLK_TCK")


def _ask(port: int, body: bytes, until: float, times: list[float], refused: list[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    while time.perf_counter() < until:
        begin = time.perf_counter()
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        (times if response.status == 200 else refused).append(time.perf_counter() - begin)


def _measure(port: int, session: int, body: bytes, clients: int, seconds: float) -> None:
    times: list[float] = []
    refused: list[int] = []
    begin, cpu = time.perf_counter(), _cpu_seconds(session)
    with ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            pool.submit(_ask, port, body, begin + seconds, times, refused)
    wall, cpu = time.perf_counter() - begin, _cpu_seconds(session) - cpu
    median, last = statistics.median(times) * 1e3, statistics.quantiles(times, n=20)[-1] * 1e3
    print(
        f"| {clients} | {len(times) / wall:.1f} | {median:.0f} ms | {last:.0f} ms | "
        f"{cpu / len(times) * 1e3:.1f} ms | {_peak_mib(session):.0f} MiB | {len(refused)} |",
        flush=True,
    )


def main() -> None:
    """Prints the table."""
    options = _options()
    options.model, options.photo = options.model.resolve(), options.photo.resolve()
    encoded = base64.b64encode(options.photo.read_bytes()).decode()
    body = json.dumps({"inputs": [encoded], "params": {"maps": False}}).encode()
    with tempfile.TemporaryDirectory() as name:
        process, port = _serve(_log(options, Path(name)), Path(name))
        try:
            for _ in range(2):  # the first batches of one and of several images build what they need
                threads = [
                    threading.Thread(target=_ask, args=(port, body, time.perf_counter() + 5, [], []))
                    for _ in range(4)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            print("| clients | images/s | median | 95 % | CPU an image | peak memory | refused |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
            for clients in map(int, options.clients.split(",")):
                _measure(port, process.pid, body, clients, options.seconds)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
