"""Memory bandwidth of this machine, measured in the run: the limit of whatever touches all rows.

``python benchmarks/bandwidth.py`` prints it by size. The probe is ``y += a x`` over float64,
compiled like a kernel: 24 bytes an element, two reads and a write.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from rtre.kernels.jit import kernel
from rtre.market import Float64

from tables import table

BYTES = 24  #: moved for each element
SIZES = tuple(1 << k for k in range(14, 29))  #: of both arrays, bytes: 16 KiB (L1) to 256 MiB
ELEMENTS = 1 << 22  #: updated in each timing, so that no timing is below a millisecond


@kernel
def axpy(y: Float64, x: Float64, a: float, repeats: int) -> None:
    """Add ``a x`` to `y`, `repeats` times; the sign turns, so that nothing grows."""
    for _ in range(repeats):
        for s in range(len(y)):
            y[s] += a * x[s]
        a = -a


def axpy_ns(window: int, rounds: int = 7) -> float:
    """Median nanoseconds of one update of `window` values that stay in the nearest cache."""
    rng = np.random.default_rng(1)
    y, x = rng.standard_normal((2, window))
    repeats = max(1, ELEMENTS // window)
    axpy(y, x, 1e-3, 1)
    times = []
    for _ in range(rounds):
        begun = time.perf_counter_ns()
        axpy(y, x, 1e-3, repeats)
        times.append((time.perf_counter_ns() - begun) / repeats)
    return statistics.median(times)


def bandwidth() -> list[tuple[int, float]]:
    """Bytes of both arrays, and GB/s (10^9) that one core moves, from L1 to memory."""
    return [(size, BYTES * (size // 16) / axpy_ns(size // 16)) for size in SIZES]


def bandwidth_table() -> str:
    """`bandwidth` as text."""
    lines: list[tuple[object, ...]] = [(f"{b >> 10:,} KiB", rate) for b, rate in bandwidth()]
    return table("y += a x, one core", ("both arrays", "GB/s"), lines)


if __name__ == "__main__":
    print(bandwidth_table())
