"""What a run of forecasts is worth: every test of one model, and the models against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from rtre.backtest.battery import es_problem, run_battery
from rtre.backtest.eprocess import EProcess, es_eprocess, var_eprocess
from rtre.backtest.exceedances import exceedances
from rtre.backtest.result import BacktestResult, Bool
from rtre.backtest.rolling import LineForecasts
from rtre.backtest.scores import fz0, pinball
from rtre.backtest.tournament import Entry, rank
from rtre.backtest.traffic_light import TrafficLight, traffic_light
from rtre.errors import DataError
from rtre.market import Float64
from rtre.order import tail_probability

#: Rows of the traffic light that a regulator looks at: the last year.
YEAR = 250
#: Size of the tests and of the e-processes.
LEVEL = 0.05


@attrs.frozen(eq=False)
class Verdict:
    """One model's forecasts at one confidence, for one line, and all that is said of them.

    Attributes
    ----------
    model : str
    confidence : float
    used : (R,) bool
        Rows with a forecast and an outcome. There are `n` of them; all counts refer to these.
    hits : (R,) bool
        Rows with an exceedance.
    skipped : dict of str to int
        Reason to number of rows that are not used.
    light, year : TrafficLight or None
        Over all used rows, and over the last `YEAR` of them; None where there are none.
    tests : tuple of BacktestResult
        See `rtre.backtest.battery`; empty where there are no used rows.
    var_bet, es_bet : EProcess or None
        The running bets that VaR, and the pair of VaR and ES, are too low.
    pinball, fz0 : float or None
        Mean scores, lower is better. FZ0 is free of currency: differences between models stay
        whatever the scale. None where the score is not defined.
    notes : tuple of str
        What could not be computed, and why.
    """

    model: str
    confidence: float
    used: Bool
    hits: Bool
    skipped: dict[str, int]
    light: TrafficLight | None
    year: TrafficLight | None
    tests: tuple[BacktestResult, ...]
    var_bet: EProcess | None
    es_bet: EProcess | None
    pinball: float | None
    fz0: float | None
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Used rows."""
        return int(np.count_nonzero(self.used))

    @property
    def x(self) -> int:
        """Exceedances."""
        return int(np.count_nonzero(self.hits))

    @property
    def expected(self) -> float:
        """Exceedances that a right model has on average."""
        return self.n * float(tail_probability(self.confidence))

    def test(self, name: str) -> BacktestResult | None:
        """Return a test by its name; None where it was not run."""
        return next((t for t in self.tests if t.test == name), None)


@attrs.frozen
class Tournament:
    """All models at one confidence by mean FZ0, over the rows that every one of them forecast.

    Attributes
    ----------
    confidence : float
    n : int
        Common rows.
    entries : tuple of Entry
        Best first.
    left_out : dict of str to str
        Models that could not be scored, and why.
    """

    confidence: float
    n: int
    entries: tuple[Entry, ...]
    left_out: dict[str, str]


def highest(bet: EProcess) -> float:
    """Return the highest wealth of a bet so far, at least the 1 it started with; may be inf."""
    top = max(float(np.max(bet.log_wealth)), 0.0)
    return math.exp(top) if top < 709.0 else math.inf


def used_rows(forecasts: LineForecasts, m: int, c: int) -> Bool:
    """Mark the rows in which model `m` has a forecast at confidence `c` and there is an outcome."""
    known = ~np.isnan(forecasts.losses)
    return np.asarray(known & ~np.isnan(forecasts.var[m, :, c]) & ~np.isnan(forecasts.es[m, :, c]))


def judge(
    forecasts: LineForecasts, m: int, c: int, model: str, confidence: float, *, seed: int = 0
) -> Verdict:
    """Put the forecasts of model number `m` at confidence number `c` through everything.

    Each call draws its simulated p-values from a fresh generator with `seed`, so that a verdict
    does not depend on which others are asked for.
    """
    used = used_rows(forecasts, m, c)
    n = int(np.count_nonzero(used))
    skipped = dict(forecasts.problems[m])
    known = ~np.isnan(forecasts.var[m, :, c]) & ~np.isnan(forecasts.es[m, :, c])
    without = int(np.count_nonzero(known & np.isnan(forecasts.losses)))
    if without:
        skipped["no outcome: a held price is missing on the day or the day before"] = without
    hits = np.zeros(len(used), np.bool_)
    if not n:
        return Verdict(
            model, confidence, used, hits, skipped,
            None, None, (), None, None, None, None, ("nothing to test: no row was forecast",),
        )  # fmt: skip
    losses, var, es = forecasts.losses[used], forecasts.var[m, used, c], forecasts.es[m, used, c]
    hit = exceedances(losses, var)
    hits[used] = hit
    x, last = int(np.count_nonzero(hit)), hit[-YEAR:]
    tests, es_bet, notes = _tests(losses, var, es, confidence, seed)
    score: float | None = None
    try:
        score = _mean(fz0(losses, var, es, confidence))
    except DataError as error:
        notes.append(f"FZ0: {error}")
    return Verdict(
        model,
        confidence,
        used,
        hits,
        skipped,
        traffic_light(n, x, confidence),
        traffic_light(len(last), int(np.count_nonzero(last)), confidence),
        tests,
        var_eprocess(losses, var, confidence),
        es_bet,
        _mean(pinball(losses, var, confidence)),
        score,
        tuple(notes),
    )


def _mean(values: Float64) -> float | None:
    mean = float(np.mean(values))
    return mean if math.isfinite(mean) else None


def _tests(
    losses: Float64, var: Float64, es: Float64, confidence: float, seed: int
) -> tuple[tuple[BacktestResult, ...], EProcess | None, list[str]]:
    tests = run_battery(losses, var, es, confidence, rng=np.random.default_rng(seed))
    if problem := es_problem(losses, var, es):
        return tests, None, [problem]
    return tests, es_eprocess(losses, var, es, confidence), []


def hold_tournament(
    forecasts: LineForecasts, c: int, models: Sequence[str], confidence: float
) -> Tournament:
    """Rank the models at confidence number `c` by mean FZ0 over their common rows."""
    rows = {m: used_rows(forecasts, m, c) for m in range(len(models))}
    left_out = {models[m]: "no row was forecast" for m, used in rows.items() if not used.any()}
    playing = [m for m, used in rows.items() if used.any()]
    common = np.logical_and.reduce([rows[m] for m in playing]) if playing else np.zeros(0, np.bool_)
    n = int(np.count_nonzero(common))
    scores: dict[str, Float64] = {}
    for m in playing if n else []:
        try:
            found = fz0(
                forecasts.losses[common],
                forecasts.var[m, common, c],
                forecasts.es[m, common, c],
                confidence,
            )
        except DataError as error:
            left_out[models[m]] = str(error)
            continue
        if np.isfinite(found).all():
            scores[models[m]] = found
        else:
            left_out[models[m]] = "a score is not finite"
    return Tournament(confidence, n, rank(scores), left_out)
