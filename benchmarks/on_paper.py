"""What many devices would do, on paper: from one device's step, the values exchanged, and a link.

Run: ``python benchmarks/on_paper.py --step .079 --batch 8 --values 690000 --sums 3 --small 264``. The step is
measured on one device with that many images (``benchmarks/against.py``), values and sums are those that
``benchmarks/workers.py`` prints. A sum of V values over N devices in a ring takes

    2 (N - 1) latency + 2 (N - 1) / N * 4 V / bandwidth,

and nothing of it is hidden behind the step; the time in which devices wait for the slowest one is left out.
"""

from __future__ import annotations

import argparse

LINKS = {
    "8 GPUs, NVLink": (8, 3e-6, 200e9),
    "8 GPUs, PCIe 4": (8, 10e-6, 20e9),
    "8 machines, 10 Gbit/s": (8, 50e-6, 1.1e9),
    "64 machines, 1 Gbit/s": (64, 100e-6, 0.11e9),
    "64 machines, 10 Gbit/s": (64, 50e-6, 1.1e9),
    "64 machines, 100 Gbit/s, RDMA": (64, 3e-6, 11e9),
}
"""Name -> devices, seconds of one hop, bytes in a second that a program sees."""


def seconds(devices: int, latency: float, bandwidth: float, sums: int, values: int) -> float:
    """Time of some sums over devices in a ring, of so many float32 values together."""
    hops = 2 * (devices - 1)
    return sums * hops * latency + hops / devices * 4 * values / bandwidth


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=float, required=True, help="seconds of a step on one device")
    parser.add_argument("--batch", type=int, required=True, help="images of that step")
    parser.add_argument("--values", type=int, required=True, help="values of all sums of a step")
    parser.add_argument("--sums", type=int, required=True, help="sums of a step, --batch-norm device")
    parser.add_argument("--small", type=int, required=True, help="sums of a step, --batch-norm global")
    options = parser.parse_args()
    print(
        "| devices, link | device: exchange | images/s | to ideal | global: exchange | images/s | to ideal |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (devices, latency, bandwidth) in LINKS.items():
        row = f"| {name}, {latency * 1e6:g} us, {bandwidth / 1e9:g} GB/s"
        for sums in (options.sums, options.small):
            exchange = seconds(devices, latency, bandwidth, sums, options.values)
            share = options.step / (options.step + exchange)
            rate = devices * options.batch / (options.step + exchange)
            row += f" | {exchange * 1e3:.1f} ms | {rate:.0f} | {share:.2f}"
        print(f"{row} |")


if __name__ == "__main__":
    main()
