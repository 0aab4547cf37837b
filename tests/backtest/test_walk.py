"""Walking forward: no forecast sees the future, and right models pass the battery."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtre.backtest.battery import run_battery
from rtre.backtest.walk import walk_forward
from rtre.errors import DataError
from rtre.models.evt import Evt
from rtre.models.ewma import Ewma
from rtre.models.garch import Garch
from rtre.models.gaussian import Gaussian
from rtre.models.historical import Historical
from rtre.models.student_t import StudentT


def test_forecasts_know_nothing_of_their_own_period() -> None:
    rng = np.random.default_rng(1)
    pnl = rng.normal(size=400)
    changed = pnl.copy()
    changed[350:] = -100.0
    for model in (Historical(), StudentT()):
        before, after = (walk_forward(model, x, 250, [0.95, 0.99]) for x in (pnl, changed))
        assert np.array_equal(before.var[:101], after.var[:101])
        assert np.array_equal(before.es[:101], after.es[:101])
        assert not np.array_equal(before.var[101:], after.var[101:])


def test_each_forecast_is_the_estimate_of_the_window_before_it() -> None:
    pnl = np.random.default_rng(2).normal(size=120)
    got = walk_forward(Gaussian(), pnl, 100, [0.99])
    assert got.var.shape == (20, 1)
    for i in range(20):
        assert got.var[i, 0] == Gaussian().estimate(pnl[i : i + 100], [0.99])[0].var
        assert got.losses[i] == -pnl[100 + i]


def test_periods_without_a_number_are_left_out_and_counted() -> None:
    pnl = np.random.default_rng(3).normal(size=320)
    got = walk_forward(Evt(), pnl, 300, [0.99])
    assert got.var.shape == (0, 1)
    assert sum(got.skipped.values()) == 20
    assert all("beyond the threshold" in reason for reason in got.skipped)


def test_a_right_model_passes_and_a_wrong_one_fails() -> None:
    rng = np.random.default_rng(4)
    pnl, variance = np.empty(2500), 1.0
    for t in range(2500):
        pnl[t] = math.sqrt(variance) * rng.standard_normal()
        variance = 0.03 + 0.12 * pnl[t] ** 2 + 0.85 * variance
    verdicts = {}
    for model, every in ((Garch(), 250), (Gaussian(), 1)):
        walked = walk_forward(model, pnl, 500, [0.975], refit_every=every)
        results = run_battery(
            walked.losses,
            walked.var[:, 0],
            walked.es[:, 0],
            0.975,
            rng=np.random.default_rng(5),
        )
        verdicts[model.name] = {r.test: r for r in results}
    assert len(verdicts["garch"]) == 10
    for name in ("kupiec-pof", "christoffersen-independence", "dynamic-quantile"):
        assert not verdicts["garch"][name].rejects(0.01)
    assert verdicts["gaussian"]["dynamic-quantile"].rejects(1e-6)
    assert verdicts["gaussian"]["acerbi-szekely-z2"].direction == "too low"


def test_the_battery_leaves_out_what_the_forecasts_do_not_allow() -> None:
    losses, var = np.array([0.0, 3.0, 0.0]), np.ones(3)
    names = {r.test for r in run_battery(losses, var, None, 0.95, rng=np.random.default_rng(6))}
    assert names == {
        "binomial",
        "kupiec-pof",
        "tuff",
        "christoffersen-independence",
        "conditional-coverage",
        "tbf",
    }
    wild = np.full(3, math.inf)
    assert len(run_battery(losses, var, wild, 0.95, rng=np.random.default_rng(6))) == 6


@pytest.mark.parametrize("window", [0, 100])
def test_a_window_that_leaves_nothing_to_forecast_is_refused(window: int) -> None:
    with pytest.raises(DataError, match=f"got {window}"):
        walk_forward(Ewma(), np.zeros(100), window, [0.99])
    with pytest.raises(DataError, match="refit_every"):
        walk_forward(Ewma(), np.zeros(100), 10, [0.99], refit_every=0)
