"""EWMA covariance (gate 16), and the variance recursions of one series and of many symbols.

``OPENBLAS_NUM_THREADS=1 pytest benchmarks/test_covariance.py -s``. BLAS is held to one thread by
threadpoolctl where that is installed. The peers keep a full matrix, ours the lower triangle; dsyr
does the triangle too, but no decay, so it is only shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy.linalg.blas import dsyr

from rtre.kernels.garch import variance_path
from rtre.windows.covariance import EwmaCovariance
from rtre.windows.variance_panel import VariancePanel

from gates import gate, interleaved, peer

DECAY = 0.94


@pytest.fixture(autouse=True)
def _one_blas_thread() -> Iterator[None]:
    control = peer("threadpoolctl")
    with contextlib.nullcontext() if control is None else control.threadpool_limits(1):
        yield


def many(step: Callable[[], object], times: int) -> tuple[Callable[[], object], int]:
    """Repeat a short step, so that the clock is read seldom."""

    def run() -> None:
        for _ in range(times):
            step()

    return run, times


@pytest.mark.parametrize("n", [250, 500, 1000])
def test_one_synchronous_update(n: int) -> None:
    x = np.random.default_rng(n).standard_normal(n)
    ours = EwmaCovariance(n, DECAY)
    S, term = np.zeros((n, n)), np.empty((n, n))
    F = np.zeros((n, n), order="F")
    naive = {"S": np.zeros((n, n))}

    def in_place() -> None:
        np.multiply(S, DECAY, out=S)
        np.multiply(x[:, None], x, out=term)
        np.multiply(term, 1.0 - DECAY, out=term)
        np.add(S, term, out=S)

    def plain() -> None:
        naive["S"] = DECAY * naive["S"] + (1.0 - DECAY) * np.outer(x, x)

    times = max(3, 2_000_000 // (n * n))
    found = interleaved(
        {
            "ours": many(lambda: ours.update(x), times),
            "numpy in place": many(in_place, times),
            "numpy naive": many(plain, times),
            "dsyr, no decay": many(
                lambda: dsyr(1.0 - DECAY, x, lower=1, a=F, overwrite_a=1), times
            ),
        },
        rounds=15,
    )
    assert np.allclose(ours.to_dense(), S / S[0, 0] * x[0] ** 2)  # equal returns: S is x x'
    what = f"EWMA covariance, N={n}"
    for name, limit in (
        ("numpy in place", 0.125),
        ("numpy naive", 0.125),
        ("dsyr, no decay", None),
    ):
        gate(16, what, peer=name, ours=found["ours"], theirs=found[name], limit=limit)


@pytest.mark.parametrize("n", [250, 1000])
def test_one_row_and_one_portfolio(n: int) -> None:
    rng = np.random.default_rng(n)
    x, v = rng.standard_normal(n), rng.standard_normal(n)
    ours = EwmaCovariance(n, DECAY)
    ours.update(x)
    C = ours.to_dense()
    found = interleaved(
        {
            "row": many(lambda: ours.update_row(n // 2, 0.5), 100),
            "update": many(lambda: ours.update(x), 20),
            "v'Cv": many(lambda: ours.variance_of(v), 20),
            "numpy": many(lambda: v @ C @ v, 20),
        }
    )
    gate(16, f"one row, N={n}", peer="update of all", ours=found["row"], theirs=found["update"],
         limit=None)  # fmt: skip
    gate(16, f"v'Cv, N={n}", peer="numpy", ours=found["v'Cv"], theirs=found["numpy"], limit=None)


def test_a_variance_filter_in_a_series() -> None:
    e = np.random.default_rng(1).standard_normal(200_000)
    out = np.empty(len(e) + 1)
    n = len(e)
    runs: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (lambda: variance_path(e, 0.02, 0.05, 0.0, 0.9, 1.0, out), n)
    }
    if (pd := peer("pandas")) is not None:
        series = pd.Series(e * e)
        runs["pandas ewm"] = (lambda: series.ewm(alpha=0.06, adjust=False).mean(), n)
    if (nbg := peer("numbagg")) is not None:
        squares = e * e
        runs["numbagg"] = (lambda: nbg.move_exp_nanmean(squares, alpha=0.06), n)
    if (arch := peer("arch.univariate.recursions")) is not None:
        parameters, squares = np.array([0.02, 0.05, 0.9]), e * e
        signs, sigma2 = np.sign(e), np.empty(n)
        bounds = np.tile([1e-6, 1e6], (n, 1))
        runs["arch"] = (
            lambda: arch.garch_recursion(
                parameters, squares, signs, sigma2, 1, 0, 1, n, 1.0, bounds
            ),
            n,
        )
    found = interleaved(runs)
    for name in ("pandas ewm", "numbagg", "arch"):
        gate(16, "GARCH(1,1) filter, a value", peer=name, ours=found["ours"],
             theirs=found.get(name), limit=1.0)  # fmt: skip


def test_a_variance_step_across_symbols() -> None:
    n = 4000  # the call itself, some microseconds, hardly counts
    rng = np.random.default_rng(2)
    panel = VariancePanel(np.ones(n), omega=0.02, alpha=0.05, gamma=0.05, beta=0.9)
    x, out = rng.standard_normal(n), np.empty(n + 1)
    h = np.ones(n)

    def numpy_step() -> None:
        h[:] = 0.02 + (0.05 + 0.05 * (x < 0.0)) * x * x + 0.9 * h

    runs = {
        "ours": lambda: panel.update(x),
        "numpy": numpy_step,
        "one series": lambda: variance_path(x, 0.02, 0.05, 0.05, 0.9, 1.0, out),
    }
    found = interleaved({name: many(run, 50) for name, run in runs.items()})
    assert np.allclose(panel.variances, h)
    # a recursion along a series cannot be vectorised: well below it means that this one is
    for name, limit in (("numpy", 1.0), ("one series", 0.75)):
        gate(16, f"variance step of {n} symbols, each", peer=name, ours=found["ours"] / n,
             theirs=found[name] / n, limit=limit)  # fmt: skip
