"""Monte Carlo VaR and ES of a linear book with kept draws, against drawing anew (gate 17).

``OPENBLAS_NUM_THREADS=1 pytest benchmarks/test_monte_carlo.py -s``. BLAS is held to one thread by
threadpoolctl where that is installed: two BLAS threads beside a compiled kernel stall each other
for milliseconds. Both give VaR and ES of 10 000 paths. Ours keeps its draws, mirrored, and the root
of the covariance; what the refresh of the root costs is shown in a line of its own. numpy's
AVX-512 sort is slower than its AVX2 one on some CPUs: see ``benchmarks/test_engine.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest

from rtre.models.common_draws import CommonDraws

from gates import gate, interleaved, peer

PATHS = 10_000
TAIL = 100


@pytest.fixture(autouse=True)
def _one_blas_thread() -> Iterator[None]:
    control = peer("threadpoolctl")
    with contextlib.nullcontext() if control is None else control.threadpool_limits(1):
        yield


@pytest.mark.parametrize("n", [200, 500])
def test_a_linear_book(n: int) -> None:
    rng = np.random.default_rng(n)
    factors = rng.normal(size=(n, n + 10)) * 1e-2
    covariance, v = factors @ factors.T, rng.normal(size=n) * 1e5
    common = CommonDraws(n, PATHS)
    common.set_covariance(covariance)

    def tail_of(pnl: np.ndarray) -> tuple[float, float]:
        worst = np.partition(pnl, TAIL - 1)[:TAIL]
        return -float(worst[-1]), -float(worst.mean())

    def anew() -> tuple[float, float]:
        root = np.linalg.cholesky(covariance)
        return tail_of(rng.standard_normal((PATHS, n)) @ root.T @ v)

    kept = rng.standard_normal((PATHS, n))
    root = np.linalg.cholesky(covariance)

    def numpy_kept() -> tuple[float, float]:
        return tail_of(kept @ (root.T @ v))

    found = interleaved(
        {
            "ours": (lambda: common.estimate(v, [0.99]), 1),
            "root": (lambda: common.set_covariance(covariance), 1),
            "numpy naive": (anew, 1),
            "numpy, Z kept, Z (L'v)": (numpy_kept, 1),
        },
        rounds=5,
    )
    tail = common.estimate(v, [0.99])[0]
    assert abs(tail.var / anew()[0] - 1.0) < 0.1
    what = f"Monte Carlo, N={n}"
    for name, limit in (("numpy naive", 1 / 25), ("numpy, Z kept, Z (L'v)", None)):
        gate(17, what, peer=name, ours=found["ours"], theirs=found[name], limit=limit)
    gate(17, f"{what}, with a new root", peer="numpy naive", ours=found["ours"] + found["root"],
         theirs=found["numpy naive"], limit=None)  # fmt: skip
