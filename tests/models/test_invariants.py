"""Properties that samples of any kind and size must keep, for every model and option.

Translation (sure money is taken off VaR and ES) holds for the models that estimate a mean. It does
not for those that assume one of zero or leave it out: `ewma`, `riskmetrics2006`,
`volatility-weighted` and `filtered` with an EWMA (a constant would be read as volatility), and
`gaussian` with ``mean`` other than ``sample``. Nor does it, to the tolerance of these tests, for
fits to short samples whose likelihood is flat: their subjects are compared on fewer, longer ones.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_conformance import SUBJECTS, close, label, moves_with_a_constant, option

from rtre.models.base import Model, Tail

LEVELS = (0.9, 0.975, 0.99)


def searches(model: Model) -> bool:
    """Whether an estimate is the end of an iterative search of many parameters."""
    return (
        model.name == "garch"
        or option(model, "filter") == "garch"
        or option(model, "conditional") is True
    )


def sample(kind: int, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    draw = (
        rng.normal(0.1, 1.0, n),
        rng.standard_t(3.0, n),
        -rng.gumbel(size=n),
        np.round(rng.normal(size=n), 1),
        rng.normal(size=n) * np.repeat(np.exp(rng.normal(size=n // 20 + 1)), 20)[:n],
    )
    return np.asarray(draw[kind])


def expect(got: Tail, want: Tail, scale: float, shift: float, tolerance: float) -> None:
    assert bool(got.problem) == bool(want.problem)
    if want.problem:
        return
    unit = scale * max(1.0, abs(want.var), abs(want.es) if math.isfinite(want.es) else 0.0)
    assert close(got.var, scale * want.var - shift, unit, tolerance)
    assert close(got.es, scale * want.es - shift, unit, tolerance)


def check(model: Model, pnl: np.ndarray, power: float, shift: float, tolerance: float) -> int:
    """Hold the numbers for `pnl` against those for other scales and constants; how many there are.

    A reason instead of a number must be one for the other scale, and the other constant, too.
    """
    want = model.estimate(pnl, LEVELS)
    for tail in want:
        assert tail.problem or tail.es >= tail.var
    scale = 10.0**power
    for got, tail in zip(model.estimate(scale * pnl, LEVELS), want, strict=True):
        expect(got, tail, scale, 0.0, tolerance)
    if moves_with_a_constant(model):
        for got, tail in zip(model.estimate(pnl + shift, LEVELS), want, strict=True):
            expect(got, tail, 1.0, shift, tolerance)
    return sum(not tail.problem for tail in want)


#: An EVT tail needs fifty losses beyond its threshold, which is more than `min_obs` can say.
ENOUGH = {"evt": 420}
POWERS, SHIFTS = st.floats(-6.0, 9.0), st.floats(-3.0, 3.0)


@pytest.mark.parametrize("model", [m for m in SUBJECTS if not searches(m)], ids=label)
@settings(max_examples=12, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.integers(0, 4),
    length=st.integers(0, 300),
    seed=st.integers(0, 2**32 - 1),
    power=POWERS,
    shift=SHIFTS,
)
def test_es_is_above_var_and_both_follow_scale_and_sure_money(
    model: Model, kind: int, length: int, seed: int, power: float, shift: float
) -> None:
    enough = ENOUGH.get(model.name, 0)
    found = check(
        model, sample(kind, max(length, model.min_obs) + enough, seed), power, shift, 2e-5
    )
    assert found or model.name != "evt", "it has enough losses here"


@pytest.mark.parametrize("model", [m for m in SUBJECTS if searches(m)], ids=label)
@settings(max_examples=4, derandomize=True, deadline=None)  # a fit costs a tenth of a second
@given(length=st.integers(600, 900), seed=st.integers(0, 2**32 - 1), power=POWERS, shift=SHIFTS)
def test_es_is_above_var_and_both_follow_scale_and_sure_money_after_a_search(
    model: Model, length: int, seed: int, power: float, shift: float
) -> None:
    # 1e-3: a search of four parameters ends anywhere on a top that is flat to the last bits
    assert check(model, sample(4, length, seed), power, shift, 1e-3) > 0


@pytest.mark.parametrize("model", [m for m in SUBJECTS if not moves_with_a_constant(m)], ids=label)
def test_a_model_that_assumes_the_mean_says_so_by_moving_less(model: Model) -> None:
    """The exceptions are exceptions: none of them takes a constant off in full."""
    pnl = sample(0, 400, 1)
    before, after = (model.estimate(pnl + c, [0.99])[0] for c in (0.0, 0.5))
    assert abs((before.var - after.var) - 0.5) > 0.01


@pytest.mark.parametrize("model", SUBJECTS, ids=label)
def test_the_order_of_observations_matters_only_to_models_with_a_memory(model: Model) -> None:
    memory = {
        "age-weighted", "ewma", "riskmetrics2006", "volatility-weighted", "filtered", "garch",
    }  # fmt: skip
    # the expansion refuses tails as heavy as those of kind 4, and flatter ones than the normal's
    pnl = sample(0, 500, 1) if model.name == "cornish-fisher" else sample(4, 500, 2)
    want = model.estimate(pnl, LEVELS)[1]
    got = model.estimate(pnl[::-1].copy(), LEVELS)[1]
    assert not want.problem
    if model.name in memory or option(model, "conditional") is True:
        assert got.var != want.var
    else:
        expect(got, want, 1.0, 0.0, 2e-5)
