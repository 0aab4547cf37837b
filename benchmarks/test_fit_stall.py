"""How late a ticker of 1 ms is beside a GARCH fit in a worker thread.

``pytest benchmarks/test_fit_stall.py -s`` prints the table. The ticker is a Trio task, the fits run
in `trio.to_thread`, as in the program. "As before" is the fit with scipy's optimisers around the
kernel of the likelihood; it is kept here alone. All take turns; read the ratios. A sleep is never
exact: the first line is what the ticker shows beside nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import trio
from scipy import optimize

from rtre.kernels.garch import unpack
from rtre.models.garch import Garch
from rtre.models.garch_fit import GarchFit, garch_loglik

from tables import headline, table

TICK = 0.001
SECONDS = 1.0
ROUNDS = 3
N = 500


def clustered(n: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    pnl, variance = np.empty(n), 1.0
    for t in range(n):
        pnl[t] = math.sqrt(variance) * rng.standard_normal()
        variance = 0.05 + 0.1 * pnl[t] ** 2 + 0.85 * variance
    return pnl


def scipy_fit(pnl: np.ndarray) -> float:
    """The fit as it was: L-BFGS from three starts, then a simplex, all of it in Python."""

    def cost(x: np.ndarray) -> float:
        if not np.max(np.abs(x)) < 60.0:
            return 1e10
        mu, omega, alpha, gamma, beta, _ = unpack(x, False, False)
        value = -garch_loglik(pnl, GarchFit(mu, omega, alpha, gamma, beta)) / len(pnl)
        return value if math.isfinite(value) else 1e10

    best = None
    for persistence in (0.7, 0.95, 0.99):
        rest = 1.0 - persistence
        start = [0.0, math.log(rest), math.log(0.04 / rest), math.log((persistence - 0.08) / rest)]
        found = optimize.minimize(cost, start, method="L-BFGS-B", options={"maxiter": 300})
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    options = {"xatol": 1e-7, "fatol": 1e-13, "maxiter": 2000}
    polished = optimize.minimize(cost, best.x, method="Nelder-Mead", options=options)
    return -float(polished.fun) * len(pnl)


async def lateness(beside: Callable[[], object] | None) -> tuple[list[float], list[float]]:
    """Milliseconds by which each tick was late, and what each run of `beside` took."""
    late: list[float] = []
    took: list[float] = []
    stop = trio.current_time() + SECONDS

    async def work(run: Callable[[], object]) -> None:
        while trio.current_time() < stop:
            begun = time.perf_counter()
            await trio.to_thread.run_sync(run)
            took.append(1e3 * (time.perf_counter() - begun))

    async with trio.open_nursery() as nursery:
        if beside is not None:
            nursery.start_soon(work, beside)
        while trio.current_time() < stop:
            due = time.perf_counter() + TICK
            await trio.sleep(TICK)
            late.append(1e3 * (time.perf_counter() - due))
    return late, took


def test_a_ticker_beside_a_fit() -> None:
    pnl = clustered(N)
    model = Garch()
    runs: dict[str, Callable[[], object] | None] = {
        "alone": None,
        "beside an idle thread": lambda: time.sleep(0.05),
        "beside a fit as before (scipy)": lambda: scipy_fit(pnl),
        "beside Garch().fit": lambda: model.fit(pnl),
    }
    late: dict[str, list[float]] = {name: [] for name in runs}
    took: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        if run is not None:
            run()
    for _ in range(ROUNDS):
        for name, run in runs.items():
            ticks, times = trio.run(lateness, run)
            late[name] += ticks
            took[name] += times
    alone = np.percentile(late["alone"], [50, 90, 99])
    lines: list[tuple[object, ...]] = []
    for name in runs:
        found = np.percentile(late[name], [50, 90, 99])
        each = float(np.median(took[name])) if took[name] else math.nan
        lines.append((name, *found.tolist(), float(found[1] / alone[1]), each))
    head = ("a ticker of 1 ms", "late p50 ms", "p90 ms", "p99 ms", "p90 / alone", "one run ms")
    print(table(f"GARCH fits of {N} values in a worker thread", head, lines))
    idle, now = (
        float(np.percentile(late[name], 90))
        for name in ("beside an idle thread", "beside Garch().fit")
    )
    headline(
        "lateness of a 1 ms ticker beside GARCH fits, p90",
        f"{now:.2f} ms", "beside an idle thread", f"{idle:.2f} ms", idle / now,
    )  # fmt: skip
    before, now = (
        float(np.median(took[name]))
        for name in ("beside a fit as before (scipy)", "beside Garch().fit")
    )
    headline(
        f"GARCH fit of {N} values with its errors, in a worker thread",
        f"{now:.1f} ms", "scipy's optimisers, no errors", f"{before:.1f} ms", before / now,
    )  # fmt: skip
    # both find the same top
    fit = model.fit(pnl)
    assert fit is not None
    assert len(late["alone"]) > 100
