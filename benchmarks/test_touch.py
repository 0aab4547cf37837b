"""Gate 11: `reprice` and `collect` at every tick, against the bare update of a book's P&L.

The peer is ``pnl += dv * R[i]``, vectorised, over the same ticks: what no method that touches all
scenarios can beat. It looks for no NaN and finds nothing. A ratio far above the goal means that a
pass no longer vectorises.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rtre.kernels.books import reprice
from rtre.kernels.jit import kernel
from rtre.kernels.touch import ROWS, collect, members_for, settle
from rtre.market import Float64, Int64

from gates import gate, interleaved

ASSETS, TICKS = 50, 2000
LIMITS = {0.01: 4.0, 0.05: 5.0}
Run = Callable[[Float64, Float64, Int64, Int64, Float64, int, Int64, Float64], None]


@kernel
def update_only(
    pnl: Float64, R: Float64, missing: Int64, asset: Int64, dv: Float64, need: int,
    state: Int64, buffer: Float64,
) -> None:  # fmt: skip
    for t in range(len(asset)):
        column, change = R[asset[t]], dv[t]
        for s in range(len(pnl)):
            pnl[s] += change * column[s]


@kernel
def touched(
    pnl: Float64, R: Float64, missing: Int64, asset: Int64, dv: Float64, need: int,
    state: Int64, buffer: Float64,
) -> None:  # fmt: skip
    for t in range(len(asset)):
        reprice(pnl, R[asset[t]], dv[t])
        if collect(pnl, missing, need, state, buffer) < 0:
            settle(pnl, missing, need, state, buffer)


@kernel
def collected(
    pnl: Float64, R: Float64, missing: Int64, asset: Int64, dv: Float64, need: int,
    state: Int64, buffer: Float64,
) -> None:  # fmt: skip
    for _ in range(len(asset)):
        if collect(pnl, missing, need, state, buffer) < 0:
            settle(pnl, missing, need, state, buffer)


def market(window: int) -> tuple[Float64, Float64, Int64, Float64]:
    """P&L, returns (N, W) of five factors, and ticks of 3 bp, there and back."""
    rng = np.random.default_rng(1)
    factors = rng.standard_t(4, (5, window)) * 0.005
    R = rng.standard_normal((ASSETS, 5)) @ factors + rng.standard_t(4, (ASSETS, window)) * 0.01
    position = rng.lognormal(size=ASSETS) * rng.choice([-1e4, 1e4], ASSETS, p=[0.3, 0.7])
    asset = np.minimum(rng.zipf(1.3, TICKS), ASSETS) - 1
    dv = position[asset] * rng.normal(0, 3e-4, TICKS)
    return position @ R, R, np.concatenate([asset, asset[::-1]]), np.concatenate([dv, -dv[::-1]])


@pytest.mark.parametrize("tail", [0.01, 0.05])
@pytest.mark.parametrize("window", [1000, 2500, 10_000])
def test_touching_every_scenario(window: int, tail: float) -> None:
    pnl, R, asset, dv = market(window)
    need = int(window * tail) + 1

    def ticks(run: Run, gaps: int = 0) -> tuple[Callable[[], object], int]:
        missing = np.zeros(window, np.int64)
        if gaps:
            missing[::gaps] = 1
        state = np.zeros(ROWS + members_for(need), np.int64)
        buffer = np.empty(window + 1)
        own = pnl.copy()
        return lambda: run(own, R, missing, asset, dv, need, state, buffer), len(asset)

    times = interleaved(
        {
            "update": ticks(update_only),
            "ticks": ticks(touched),
            "gaps": ticks(touched, 3),
            "collect": ticks(collected),
        },
        rounds=15,
    )
    for what, name, limit in (
        ("touch every scenario, and the worst", "ticks", LIMITS[tail]),
        ("the same, every third row incomplete", "gaps", None),
        ("the worst, without an update", "collect", None),
    ):
        gate(
            11, what, peer="update alone", window=window, tail=tail,
            ours=times[name], theirs=times["update"], limit=limit,
        )  # fmt: skip
