"""Rolling mean and deviation of a million values, and what a spike leaves behind (gate 9).

``pytest benchmarks/test_moments.py -s``. All make their own output arrays and give both numbers;
ours keeps the window's state as well. polars is held to one thread (``POLARS_MAX_THREADS``, set
here before it is imported).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import pytest

from rtre.windows.rolling_moments import RollingMoments

from gates import gate, interleaved, peer

VALUES = 1_000_000
Both = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def ours(x: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    out = RollingMoments(window).push_many(x)
    return out[:, 0], out[:, 1]


def peers() -> dict[str, Both | None]:
    """Each peer's mean and sample deviation of a count window, None where it is not installed."""
    bn, nbg, pl, pd = (peer(name) for name in ("bottleneck", "numbagg", "polars", "pandas"))
    found: dict[str, Both | None] = dict.fromkeys(("bottleneck", "numbagg", "polars", "pandas"))
    if bn is not None:
        found["bottleneck"] = lambda x, w: (bn.move_mean(x, w), bn.move_std(x, w, ddof=1))
    if nbg is not None:
        found["numbagg"] = lambda x, w: (nbg.move_mean(x, window=w), nbg.move_std(x, window=w))
    if pl is not None:

        def polars(x: np.ndarray, w: int) -> tuple[np.ndarray, np.ndarray]:
            series = pl.Series(x)
            return series.rolling_mean(w).to_numpy(), series.rolling_std(w).to_numpy()

        found["polars"] = polars
    if pd is not None:

        def pandas(x: np.ndarray, w: int) -> tuple[np.ndarray, np.ndarray]:
            rolling = pd.Series(x).rolling(w)
            return rolling.mean().to_numpy(), rolling.std().to_numpy()

        found["pandas"] = pandas
    return found


def returns(n: int) -> np.ndarray:
    return np.random.default_rng(1).standard_t(4, n) * 1e-3


def exact_sd(window: np.ndarray) -> float:
    mean = math.fsum(window) / len(window)
    return math.sqrt(math.fsum((window - mean) ** 2) / (len(window) - 1))


@pytest.mark.parametrize("window", [250, 1000])
def test_a_million_values(window: int) -> None:
    x = returns(VALUES)
    for name, both in peers().items():
        runs = {"ours": ours} | ({} if both is None else {name: both})
        # two at a time: who runs after a peer that gives much memory back pays for getting it anew
        found = interleaved(
            {who: (lambda run=run: run(x, window), VALUES) for who, run in runs.items()}
        )
        gate(9, "mean and std of 1e6", peer=name, window=window, ours=found["ours"],
             theirs=found.get(name), limit=1.0)  # fmt: skip


def test_what_a_spike_leaves_behind() -> None:
    window, x = 250, returns(50_000)
    x[20_000] = 1e8
    after = range(20_000 + window, 20_000 + 2 * window, 5)
    exact = {t: exact_sd(x[t - window + 1 : t + 1]) for t in after}

    def worst(both: Both) -> float:
        sd = both(x, window)[1]
        errors = [abs(float(sd[t]) / exact[t] - 1.0) for t in after]
        return math.inf if any(map(math.isnan, errors)) else max(errors)

    error = worst(ours)
    gate(9, "std after a spike of 1e8", peer="exact std", window=window, ours=error, theirs=1.0,
         limit=1e-12, unit="relative")  # fmt: skip
    for name, both in peers().items():
        theirs = None if both is None else worst(both)
        gate(9, "std error after a spike", peer=name, window=window, ours=error, theirs=theirs,
             limit=None, unit="relative")  # fmt: skip
    assert error <= 1e-12
