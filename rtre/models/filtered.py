"""Filtered historical simulation: history's surprises at today's volatility.

Each P&L is divided by the volatility forecast that preceded it; what is left is (nearly) free of
clusters and keeps the sample's skew and tails. One step ahead the answer is exact: a quantile of
``mu + sd_next z``. Over several steps the surprises are drawn with replacement and each path runs
the variance recursion on its own shocks, so a bad first day raises the risk of the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from rtre.checks import between, one_of, whole
from rtre.errors import DataError
from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.garch_fit import GarchFit, check_flag, garch_variances, relative_fit
from rtre.models.historical import Historical
from rtre.models.rules import RULES, SHORTFALLS, Rule, Shortfall
from rtre.models.sample import deviation_of, invalid, mean_of, sample_problem
from rtre.models.volatility_weighted import ewma_variances


@attrs.frozen(eq=False)
class Filtered:
    """A sample split into volatility and surprise.

    Attributes
    ----------
    residuals : (n,) float64
        ``(pnl - mu) / sd``, oldest first.
    following : float
        Variance forecast for the next observation.
    law : GarchFit
        The recursion behind it; an EWMA is one with omega = gamma = 0.
    """

    residuals: Float64
    following: float
    law: GarchFit


def filter_ewma(pnl: Float64, decay: float) -> Filtered:
    """Filter with mean zero and an EWMA variance that starts at the sample variance.

    Raises
    ------
    DataError
        The variance is zero somewhere, so there is no surprise to speak of.
    """
    variances = ewma_variances(pnl, decay)
    if not np.all(variances > 0.0):
        raise DataError("the volatility is zero: the observations do not vary")
    law = GarchFit(0.0, 0.0, 1.0 - decay, 0.0, decay)
    return Filtered(pnl / np.sqrt(variances[:-1]), float(variances[-1]), law)


def filter_garch(pnl: Float64, fit: GarchFit) -> Filtered:
    """Filter with a fitted GARCH, in the units of `pnl`."""
    variances = garch_variances(pnl, fit)
    return Filtered((pnl - fit.mu) / np.sqrt(variances[:-1]), float(variances[-1]), fit)


def filtered_paths(filtered: Filtered, steps: int, paths: int, rng: np.random.Generator) -> Float64:
    """Draw the P&L of the next `steps` observations together, shape (paths,).

    Barone-Adesi, Giannopoulos and Vosper, Journal of Futures Markets 19 (1999): a
    residual drawn with replacement, times the path's own volatility, feeds the path's next
    variance. Exposure is held constant in currency over the steps.

    Cost: ``steps * paths`` draws, in blocks of one step.
    """
    law = filtered.law
    variance = np.full(paths, filtered.following)
    total = np.zeros(paths)
    for _ in range(steps):
        drawn = filtered.residuals[rng.integers(0, len(filtered.residuals), paths)]
        shock = np.sqrt(variance) * drawn
        total += law.mu + shock
        weight = law.alpha + np.where(shock < 0.0, law.gamma, 0.0)
        variance = law.omega + weight * shock * shock + law.beta * variance
    return total


@attrs.frozen
class FilteredHistorical(Model):
    """VaR and ES of ``mu + sd_next z`` over the filtered residuals z, or of simulated paths.

    The interval and standard error are the order statistics' of the residuals (of the sample, not
    of the paths, whose number is a choice); they leave out the error of the volatility.

    Cost: none on a tick; on a closed interval one recursion and a sort for each line, and ``steps *
    paths`` draws where there is more than one step. A GARCH filter is fitted in a worker, on a
    schedule, and reused in between; an EWMA is not fitted at all.

    Attributes
    ----------
    filter : {"ewma", "garch"}
        What gives the volatility: a recursion with a given `decay`, or a fitted one.
    decay : float
        Of the EWMA.
    asymmetric : bool
        GJR in place of GARCH(1,1).
    steps : int
        Observations ahead; above 1 the numbers refer to the sum of that many P&Ls.
    paths, seed : int
        Number of paths and seed of their generator, for ``steps > 1``: the same sample gives the
        same numbers.
    rule, shortfall : str
        How VaR and ES are read off the distribution; see `rtre.models.rules`.
    """

    name: ClassVar[str] = "filtered"
    cadence: ClassVar[Literal["tick", "interval"]] = "interval"
    min_obs: ClassVar[int] = 100

    filter: Literal["ewma", "garch"] = attrs.field(
        default="ewma", validator=one_of("ewma", "garch")
    )
    decay: float = attrs.field(
        default=0.94, validator=between(0.0, 1.0, low_open=True, high_open=True)
    )
    asymmetric: bool = attrs.field(default=False, validator=check_flag)
    steps: int = attrs.field(default=1, validator=whole(1, 1000))
    paths: int = attrs.field(default=10_000, validator=whole(100, 10_000_000))
    seed: int = attrs.field(default=0, validator=whole(0))
    rule: Rule = attrs.field(default=RULES[0], validator=one_of(*RULES))
    shortfall: Shortfall = attrs.field(default=SHORTFALLS[0], validator=one_of(*SHORTFALLS))

    @property
    def fits(self) -> bool:
        """Only a GARCH filter has parameters to find; an EWMA answers from the first close on."""
        return self.filter == "garch"

    def fit(self, pnl: Float64) -> GarchFit | None:
        """Parameters of the GARCH filter in units of the sample's deviation; None for an EWMA."""
        if self.filter == "ewma" or sample_problem(pnl, self.min_obs):
            return None
        if float(np.min(pnl)) == float(np.max(pnl)):
            return None
        return relative_fit(pnl, asymmetric=self.asymmetric, innovations="normal")

    def split(self, pnl: Float64, fitted: Any = None) -> Filtered:
        """Split a sample by this model's filter; see `Filtered`.

        Raises
        ------
        DataError
            The sample does not vary.
        """
        unit = deviation_of(pnl, mean_of(pnl), 0)
        if unit == 0.0:
            raise DataError("the volatility is zero: the observations do not vary")
        # in units of the deviation, so that the squares of a small currency do not vanish
        if self.filter == "ewma":
            split = filter_ewma(pnl / unit, self.decay)
        else:
            if fitted is None:
                fitted = relative_fit(pnl, asymmetric=self.asymmetric, innovations="normal")
            split = filter_garch(pnl / unit, fitted)
        return attrs.evolve(
            split, following=split.following * unit * unit, law=split.law.scaled(unit)
        )

    @property
    def steps_ahead(self) -> int:
        return self.steps

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES of the next `steps` observations; cost: the filter, then a sort."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        if not np.any(pnl):
            return [Tail(0.0, 0.0, 0.0, 0.0, 0.0) for _ in confidences]
        try:
            split = self.split(pnl, fitted)
        except DataError as error:
            return invalid(str(error), confidences)
        reader = Historical(rule=self.rule, shortfall=self.shortfall)
        sd = math.sqrt(split.following)
        one_step = reader.estimate(split.law.mu + sd * split.residuals, confidences)
        if self.steps == 1:
            return one_step
        drawn = filtered_paths(split, self.steps, self.paths, np.random.default_rng(self.seed))
        tails = []
        for first, tail in zip(one_step, reader.estimate(drawn, confidences), strict=True):
            # what is known of the residuals' tail, stretched with the horizon
            grow = tail.var / first.var if first.var > 0.0 and tail.var > 0.0 else math.nan
            tails.append(
                attrs.evolve(
                    tail,
                    var_low=first.var_low * grow,
                    var_high=first.var_high * grow,
                    es_se=first.es_se * grow,
                )
            )
        return tails


MODEL = FilteredHistorical
ALIASES = ("fhs",)
