"""Each backtest on forecasts that are right, and on forecasts that are wrong in the way it is for.

The size is the share of right forecasts that a test rejects at 5 %, the power that of wrong ones.
Bounds on the size are the nominal 5 % and three binomial errors of the runs; where a published law
is only approximate, the bound is wider and says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np
import pytest

from rtre.backtest.coverage import binomial, kupiec, tuff
from rtre.backtest.duration import duration
from rtre.backtest.dynamic_quantile import dynamic_quantile
from rtre.backtest.eprocess import es_eprocess, var_eprocess
from rtre.backtest.exceedances import Counts, exceedances
from rtre.backtest.independence import (
    christoffersen,
    conditional_coverage,
    time_between_failures,
)
from rtre.backtest.shortfall import acerbi_szekely, exceedance_residuals
from rtre.backtest.traffic_light import traffic_light
from rtre.models.gaussian import normal_factors
from rtre.models.student_t import t_factors

RUNS, N, LEVEL = 200, 750, 0.975
VAR, ES = normal_factors(LEVEL)


@attrs.frozen(eq=False)
class Run:
    losses: np.ndarray
    var: np.ndarray
    es: np.ndarray

    @property
    def counts(self) -> Counts:
        return Counts.of(exceedances(self.losses, self.var))


def run_of(losses: np.ndarray, var: float = VAR, es: float = ES) -> Run:
    return Run(losses, np.full(N, var), np.full(N, es))


def right(rng: np.random.Generator) -> Run:
    return run_of(rng.standard_normal(N))


def low(rng: np.random.Generator) -> Run:
    """VaR and ES a fifth too low: twice the exceedances."""
    return run_of(rng.standard_normal(N), 0.8 * VAR, 0.8 * ES)


def very_low(rng: np.random.Generator) -> Run:
    """VaR that one loss in two beats, which the first exceedance alone must tell."""
    return run_of(rng.standard_normal(N), 0.0, ES)


def clustered(rng: np.random.Generator) -> Run:
    """The right number of exceedances, most of them in wild times that the forecast ignores."""
    variance, losses = 1.0, np.empty(N)
    for t, z in enumerate(rng.standard_normal(N).tolist()):
        losses[t] = math.sqrt(variance) * z
        variance = 0.02 + 0.3 * losses[t] ** 2 + 0.68 * variance
    return run_of(losses, *(float(np.quantile(losses, LEVEL)) * f for f in (1.0, ES / VAR)))


def fat(rng: np.random.Generator) -> Run:
    """VaR right, ES that of a normal law where the losses have three degrees of freedom."""
    q, _ = t_factors(LEVEL, 3.0)
    return run_of(rng.standard_t(3.0, N) * VAR / q)


def zeros(run: Run, statistic: str) -> bool:
    result = acerbi_szekely(
        run.losses, run.var, run.es, LEVEL,
        rng=np.random.default_rng(0), statistic=statistic, draws=5000,  # type: ignore[arg-type]
    )  # fmt: skip
    return result.rejects()


Test = Callable[[Run], bool]
TESTS: dict[str, tuple[Test, float, Callable[[np.random.Generator], Run], float]] = {
    # name: test, bound on its size, what it is for, bound on its power
    "traffic-light": (
        lambda r: traffic_light(r.counts.n, r.counts.x, LEVEL).zone != "green", 0.097, low, 0.9,
    ),
    "binomial": (lambda r: binomial(r.counts.n, r.counts.x, LEVEL).rejects(), 0.097, low, 0.8),
    "binomial-normal": (
        lambda r: binomial(r.counts.n, r.counts.x, LEVEL, law="normal").rejects(), 0.097, low, 0.8,
    ),
    "kupiec": (lambda r: kupiec(r.counts.n, r.counts.x, LEVEL).rejects(), 0.097, low, 0.8),
    # one wait is a sample of one: chi2 is rough
    "tuff": (lambda r: tuff(r.counts.first, LEVEL, n=N).rejects(), 0.097, very_low, 0.4),
    "christoffersen": (
        lambda r: christoffersen(r.counts.transitions).rejects(), 0.097, clustered, 0.4,
    ),
    "conditional-coverage": (
        lambda r: conditional_coverage(
            r.counts.n, r.counts.x, r.counts.transitions, LEVEL
        ).rejects(),
        0.097, low, 0.8,
    ),
    # the sum of rough ratios is rough: see its docstring
    "tbf": (lambda r: time_between_failures(r.counts, LEVEL).rejects(), 0.2, low, 0.8),
    "tbf-independence": (
        lambda r: time_between_failures(r.counts, LEVEL, mixed=False).rejects(),
        0.2, clustered, 0.5,
    ),
    "duration": (lambda r: duration(r.counts, LEVEL).rejects(), 0.097, clustered, 0.5),
    "duration-coverage": (
        lambda r: duration(r.counts, LEVEL, coverage=True).rejects(), 0.1, low, 0.7,
    ),
    # chi2 with seven degrees of freedom from nineteen exceedances
    "dynamic-quantile": (
        lambda r: dynamic_quantile(r.losses, r.var, LEVEL, with_var=False).rejects(),
        0.15, clustered, 0.8,
    ),
    "z1": (lambda r: zeros(r, "z1"), 0.097, fat, 0.5),
    "z2": (lambda r: zeros(r, "z2"), 0.097, low, 0.8),
    # nineteen skew values: the normal law is rough
    "exceedance-residuals": (
        lambda r: exceedance_residuals(r.losses, r.var, r.es).rejects(), 0.12, fat, 0.3,
    ),
    "exceedance-residuals-bootstrap": (
        lambda r: exceedance_residuals(
            r.losses, r.var, r.es, rng=np.random.default_rng(0), draws=500
        ).rejects(),
        0.097, fat, 0.3,
    ),
    "var-e-process": (
        lambda r: var_eprocess(r.losses, r.var, LEVEL).rejected_at() is not None, 0.05, low, 0.5,
    ),
    "es-e-process": (
        lambda r: es_eprocess(r.losses, r.var, r.es, LEVEL).rejected_at() is not None,
        0.05, low, 0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
def test_right_forecasts_pass_and_wrong_ones_are_found(name: str) -> None:
    test, size, wrong, power = TESTS[name]
    rng = np.random.default_rng(20240918)
    assert np.mean([test(right(rng)) for _ in range(RUNS)]) <= size
    assert np.mean([test(wrong(rng)) for _ in range(RUNS)]) >= power
