"""How long a training step would take on many GPUs, on paper: the table of docs/scaling.md.

    python scripts/step_time.py            # print the table
    python scripts/step_time.py --write    # put it into docs/scaling.md

It adds up what each part of a step takes at the speeds of the data sheets. No part overlaps
another, and every GPU reaches its peak; no real one does.
"""

import argparse
import dataclasses
import math
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"
BEGIN, END = "<!-- step_time.py -->\n", "<!-- end of step_time.py -->\n"

# NVIDIA H100 Tensor Core GPU data sheet (2022), SXM: half of what it says with sparsity.
BFLOAT16_FLOPS = 1979e12 / 2
FLOAT32_FLOPS = 67e12
# The same: 900 GB/s in both directions together.
NVLINK_BYTES = 450e9
# NVIDIA DGX H100 data sheet (2022): 8 GPUs, and 8 ports of 400 Gb/s between machines.
GPUS_OF_A_MACHINE = 8
NETWORK_BYTES = GPUS_OF_A_MACHINE * 400e9 / 8
# NCCL 2.7.5 (2020), src/graph/tuning.cc: latencies of a tree, protocol LL.
BASE_SECONDS, NVLINK_SECONDS, NETWORK_SECONDS = 4.4e-6, 0.52e-6, 5.0e-6
NVLINK_FACTOR_BETWEEN_MACHINES = 1.8

LABELLED = UNLABELLED = 100
"""Images of each kind that each GPU has in a step."""

WIDTH = 128
"""Width of the embeddings."""

# Those of semisup.association and semisup.embeddings.blocked_association.
BLOCKED_PAIRS, ROWS = 2**20, 64
COLLECTIVES_OF_A_BLOCK = 8
"""All-reduces of a block in the three passes over it, as XLA compiles them for several devices."""

GPUS = (1, 8, 64, 512, 1024)


@dataclasses.dataclass(frozen=True)
class Network:
    """What a network costs.

    Attributes:
        flops: floating-point operations of the training on an image, forward and backward, as
            `contestants.network_flops` counts them.
        weights: number of trained weights.
    """

    flops: int
    weights: int


NETWORKS = {
    "mnist_model": Network(175_196_160, 434_016),
    "stl10_model": Network(1_005_527_040, 1_277_696),
    "resnet50": Network(22_901_096_448, 23_796_864),
}
"""At 28 x 28 x 1, 96 x 96 x 3 and 224 x 224 x 3 pixels, with embeddings of `WIDTH`."""


def compute_seconds(network):
    """Return the time of the network's arithmetic in bfloat16, the same on every GPU."""
    return (LABELLED + UNLABELLED) * network.flops / BFLOAT16_FLOPS


def latency(gpus):
    """Return the time of an all-reduce of next to nothing."""
    if gpus == 1:
        return 0.0
    machines = math.ceil(gpus / GPUS_OF_A_MACHINE)
    inside = NVLINK_SECONDS * (NVLINK_FACTOR_BETWEEN_MACHINES if machines > 1 else 1)
    hops = (gpus / machines - 1) * inside + math.log2(machines) * NETWORK_SECONDS
    return BASE_SECONDS + 2 * hops


def all_gather_seconds(size, gpus):
    """Return the time until every GPU has all of a tensor that is divided among them.

    Args:
        size: bytes of the whole tensor.
        gpus: number of GPUs.
    """
    speed = NVLINK_BYTES if gpus <= GPUS_OF_A_MACHINE else min(NVLINK_BYTES, NETWORK_BYTES)
    return latency(gpus) + (gpus - 1) / gpus * size / speed


def all_reduce_seconds(size, gpus):
    """Return the time until every GPU has the sum of all GPUs' tensors of some bytes."""
    return 2 * all_gather_seconds(size, gpus) - latency(gpus)


def association_seconds(gpus, gathered=False):
    """Return the time of walker and visit loss of the whole batch, and of their gradients.

    Args:
        gpus: number of GPUs.
        gathered: whether every GPU gets all embeddings once, and has its share of the blocks; not
            what is done today.
    """
    n, m = LABELLED * gpus, UNLABELLED * gpus
    embeddings = 4 * (n + m) * WIDTH
    if n * m <= BLOCKED_PAIRS and not gathered:
        flops = 3 * 2 * n * m * (WIDTH + n)
        # Round trips of all pairs are added up, and sent once more for the gradients.
        sent = all_gather_seconds(4 * n * WIDTH, gpus) + all_reduce_seconds(4 * n * WIDTH, gpus)
        sent += all_reduce_seconds(4 * n * n, gpus) + all_gather_seconds(4 * n * n, gpus)
        return flops / gpus / FLOAT32_FLOPS + sent
    # Similarities in three passes, two products for the gradients, and round trips within a block.
    flops = 2 * n * m * (5 * WIDTH + 3 * 2 * ROWS)
    if gathered:
        sent = 2 * all_gather_seconds(embeddings, gpus)
    else:
        size = 4 * ROWS * ROWS
        sent = math.ceil(n / ROWS) * COLLECTIVES_OF_A_BLOCK * all_reduce_seconds(size, gpus)
    return flops / gpus / FLOAT32_FLOPS + sent


def table():
    """Return the table of all networks and numbers of GPUs, in Markdown."""
    lines = [
        "| network | GPUs | batch | network | gradients | association | step | images a second "
        "| with gathered embeddings |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, network in NETWORKS.items():
        for gpus in GPUS:
            computed = compute_seconds(network)
            reduced = all_reduce_seconds(4 * network.weights, gpus)
            now, then = (association_seconds(gpus, gathered) for gathered in (False, True))
            images = (LABELLED + UNLABELLED) * gpus
            speeds = [images / (computed + reduced + walks) for walks in (now, then)]
            cells = [f"`{name}`", f"{gpus:,}", f"{images:,}"]
            cells += [_milliseconds(part) for part in (computed, reduced, now)]
            cells += [_milliseconds(computed + reduced + now)]
            cells += [f"{_rounded(speed):,.0f}" for speed in speeds]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _milliseconds(seconds):
    return f"{_rounded(1000 * seconds):,g} ms" if seconds else "-"


def _rounded(number):
    """Return a number of two digits that count."""
    return round(number, 1 - math.floor(math.log10(number)))


def main():
    """Print the table, or put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write it into docs/scaling.md")
    if not parser.parse_args().write:
        sys.stdout.write(table())
        return
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
