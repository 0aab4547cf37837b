"""The tests that need the single intervals, live: on what the log holds, and now and then alone."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from rtre.backtest.result import BacktestResult
from rtre.outcome_log import Log

#: Intervals of the log from one check of a line to its next, or the number of models times lines
#: times confidences where that is more. The lines take turns: a test takes some 20 ms with all that
#: belongs to it, and the reader who comes first after a check waits for one line, not for all.
EVERY = 50
#: Intervals that a check looks at, the newest: at 5,000 the tests took 5 to 20 times as long.
CHECKED = 1000
#: Simulated statistics behind a p-value: 20,000, as for a backtest, take ten times as long, for
#: each number of intervals anew, and a live log has another one all the time until it is full.
DRAWS = 2000
#: Standings have the p-values of these over the whole run, anew each interval.
COUNTED = ("binomial", "kupiec-pof", "christoffersen-independence", "conditional-coverage")
_SEED = 1


@attrs.frozen
class Bet:
    """A bet against a forecast that runs since the start, as in `rtre.backtest.eprocess`.

    Attributes
    ----------
    e_value : float
        Its wealth; 20 rejects at 5 %, whenever one looks. May be inf.
    p_value : float
        One over the highest wealth so far: valid at any time.
    """

    e_value: float
    p_value: float

    @classmethod
    def of(cls, log_wealth: float, peak: float) -> Bet:
        """From the logarithms of the wealth, and of the highest so far or 0."""
        return cls(math.exp(log_wealth) if log_wealth < 709.0 else math.inf, math.exp(-peak))


@attrs.frozen(eq=False)
class Tests:
    """Every test of a forecast.

    Attributes
    ----------
    n : int
        Scored intervals behind `results`, the newest.
    results : tuple of BacktestResult
        Of `rtre.backtest.battery.run_battery`. They are of a fixed sample: who keeps reading them
        will see a right forecast rejected. With many tests some reject one anyway.
    var_bet, es_bet : Bet
        Against VaR, and against the pair of VaR and ES, over the whole run: they may be read at any
        time.
    """

    n: int
    results: tuple[BacktestResult, ...]
    var_bet: Bet
    es_bet: Bet


def run_tests(log: Log, slot: int, m: int, c: int, confidence: float) -> tuple[BacktestResult, ...]:
    """Run the battery on what a log holds; nothing where that is nothing."""
    losses, var, es = log.scored(slot, m, c)
    if not len(losses):
        return ()
    rng = np.random.default_rng(_SEED)
    # here, because to import scipy's statistics took longer than anything else in a warm start
    from rtre.backtest.battery import run_battery

    return run_battery(losses, var, es, confidence, rng=rng, draws=DRAWS)


@attrs.frozen(eq=False)
class Check:
    """The log as it was at one interval, and tests of it, each computed when it is first asked for.

    All summaries until the next check share it: a report costs no test, and what it says does not
    depend on who read which report before.

    Attributes
    ----------
    interval : int
        Closed intervals at the time.
    log : Log
    confidences : tuple of float
    """

    interval: int
    log: Log
    confidences: tuple[float, ...]
    _done: dict[tuple[int, int, int], dict[str, Any] | None] = attrs.field(factory=dict, init=False)

    def to_dict(self, slot: int, m: int, c: int) -> dict[str, Any] | None:
        """Return the tests but `COUNTED` as JSON-ready values; None without a scored interval.

        Several threads may ask: at worst a test is computed twice, with one result.
        """
        key = (slot, m, c)
        if key not in self._done:
            results = run_tests(self.log, slot, m, c, self.confidences[c])
            self._done[key] = self._plain(results) if results else None
        found = self._done[key]
        if found is None:
            return None
        return found | {"results": {name: said.copy() for name, said in found["results"].items()}}

    def _plain(self, results: tuple[BacktestResult, ...]) -> dict[str, Any]:
        return {
            "interval": self.interval,
            "n": int(results[0].inputs["n"]),
            "results": {
                r.test: {
                    "statistic": _plain(r.statistic),
                    "p_value": r.p_value,
                    "direction": r.direction,
                    "note": r.note,
                }
                for r in results
                if r.test not in COUNTED
            },
        }


def _plain(value: float) -> float | str:
    if math.isinf(value):
        return "inf" if value > 0.0 else "-inf"
    return value
