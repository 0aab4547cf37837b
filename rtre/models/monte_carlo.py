"""Monte Carlo: simulate P&L from a law, then read VaR and ES off the draws.

A book is simulated from the joint law of its assets' returns (`rtre.models.monte_carlo_joint`), a
symbol, or a book of one asset, from the law of its P&L. There it is the parametric model with
sampling noise added, which is good for checking one against the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from rtre.checks import between, one_of, optional, whole
from rtre.errors import DataError
from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.common_draws import CommonDraws, worst_of_draws
from rtre.models.historical import tail_of_sorted
from rtre.models.monte_carlo_joint import (
    fit_copula_df,
    linear_correlation,
    mapped_scores,
    rank_correlation,
)
from rtre.models.sample import deviation_of, invalid, mean_of, sample_problem
from rtre.models.student_t import best_df, common_df, locate_t
from rtre.order import tail_ranks
from rtre.windows.lines import Lines

KEPT = 0.9  #: draws for confidences from here on are kept with a fit: 42 kB of 50,000
MOST_JOINT = 25_000_000  #: numbers kept for a book, 200 MB
MOST_TAILS = 16  #: confidences whose tails are kept, too


@attrs.frozen(eq=False)
class Draws:
    """The worst draws of a law of location 0 and scale 1, kept and used again: common draws.

    A location-scale law moves its draws without changing their order, so VaR, ES and their errors
    are read off once, and later samples only shift and stretch them.

    Attributes
    ----------
    df : float or None
        Degrees of freedom of the t; None: normal.
    count : int
        Number of draws.
    losses : (kept,) float64
        The worst, worst first; not to be changed.
    """

    df: float | None
    count: int
    losses: Float64 = attrs.field(repr=False)
    _tails: dict[float, Tail] = attrs.field(factory=dict, init=False, repr=False)

    @classmethod
    def make(cls, df: float | None, count: int, seed: int, lowest: float) -> Draws:
        """Draw, and keep what confidences from `lowest` on ask for. Cost: `count` draws, a sort."""
        rng = np.random.default_rng(seed)
        drawn = rng.standard_normal(count) if df is None else rng.standard_t(df, count)
        kept = tail_ranks(count, lowest).low
        return cls(df, count, np.sort(0.0 - drawn)[::-1][:kept].copy())

    def tail(self, confidence: float) -> Tail | None:
        """Return the tail at location 0 and scale 1; None where too few draws were kept."""
        found = self._tails.get(confidence)
        if found is None:
            ranks = tail_ranks(self.count, confidence)
            if max(ranks.k, min(ranks.low, self.count)) > len(self.losses):
                return None
            found = tail_of_sorted(self.losses, ranks, self.count)
            if self.df is not None and self.df <= 1.0:  # draws have a mean, the law has none
                found = attrs.evolve(found, es=math.inf, es_se=math.nan)
            if len(self._tails) < MOST_TAILS:
                self._tails[confidence] = found
        return found


@lru_cache(maxsize=8)
def _shared(df: float | None, count: int, seed: int) -> Draws:
    """`Draws.make` of a law that does not depend on the sample."""
    return Draws.make(df, count, seed, KEPT)


@attrs.frozen(eq=False)
class JointFit:
    """What is kept of a fit to the returns of several assets: free of positions and of scale.

    Attributes
    ----------
    dfs : tuple of float or None
        Of each asset's t law; None: normal.
    copula_df : float or None
        Of a t copula; None: Gaussian.
    draws : CommonDraws
        Scores of all assets together: each of location 0 and, as a t, of scale 1.
    """

    dfs: tuple[float | None, ...]
    copula_df: float | None
    draws: CommonDraws = attrs.field(repr=False)


def _moves(returns: Float64) -> bool:
    return float(np.min(returns)) < float(np.max(returns))


@attrs.frozen
class MonteCarlo(Model):
    """VaR and ES of simulated P&L, by the order statistics of the draws.

    The errors given are those of the simulation; the error of the fitted parameters comes on top
    (the closed forms, `gaussian` and `student-t`, give it).

    Draws are common random numbers: a fit keeps its own until the next one, and the same seed makes
    the same. A book's come with their mirror images (`CommonDraws`); the errors are those of
    independent draws, a little too large for these. P&L is linear in the returns.

    Cost: none on a tick. `fit`, in a worker, makes the draws: for a symbol 5 to 15 ms; for a book
    of N assets O(N^2 n) where correlations are Pearson's, else O(N^2 n^2) (`rank_correlation`), and
    where copula and marginals are of different kinds some 30 ms an asset to map the draws. An
    estimate, when an interval closes: O(n) for a symbol; for a book O(N n), one pass over its draws
    and a selection of the worst, 1 ms for 10 assets and 8 ms for 50 at 50,000 draws, between two
    ticks. Until then a symbol's numbers follow its exposure. Memory of a book: 4 bytes times assets
    times draws, which books of as many assets share unless their draws are mapped.

    Attributes
    ----------
    law : {"normal", "t"}
        Of each asset's return, or of a symbol's P&L, fitted at each close: mean and deviation, or
        location and scale of a t.
    copula : {"of-law", "gaussian", "t"}
        What ties the assets of a book together. ``of-law``: they have the multivariate normal law,
        or the multivariate t law with one df for all. ``gaussian`` and ``t``: a copula under
        marginals that have a df each.
    df : float, optional
        Fixed degrees of freedom of every t; None fits them.
    draws, seed : int
        Number of draws and seed of their generator: the same sample gives the same numbers.
    """

    name: ClassVar[str] = "monte-carlo"
    cadence: ClassVar[Literal["tick", "interval"]] = "interval"
    min_obs: ClassVar[int] = 50

    law: Literal["normal", "t"] = attrs.field(default="normal", validator=one_of("normal", "t"))
    copula: Literal["of-law", "gaussian", "t"] = attrs.field(
        default="of-law", validator=one_of("of-law", "gaussian", "t")
    )
    df: float | None = attrs.field(default=None, validator=optional(between(0.5, 300.0)))
    draws: int = attrs.field(default=50_000, validator=whole(1000, 10_000_000))
    seed: int = attrs.field(default=0, validator=whole(0))

    def fit_sample(self, lines: Lines, line: int) -> Float64:
        """Closed P&L, (n,), of a symbol or of a book of one asset; else returns, (assets, n)."""
        if line >= lines.n_assets:
            assets, _, returns = lines.book_sample(line, closed=True)
            if len(assets) > 1:
                return returns
        return super().fit_sample(lines, line)

    def fit(self, pnl: Float64) -> Draws | JointFit | None:
        """Return the draws of the fitted law: of P&L, (n,), or of returns, (assets, n).

        Raises
        ------
        DataError
            The joint law cannot be fitted.
        """
        return self._fit_joint(pnl) if pnl.ndim == 2 else self._fit_series(pnl)

    def _fit_series(self, pnl: Float64) -> Draws | None:
        """Draws of the fitted t; the shared ones of a law that needs no fit."""
        if self.law == "normal" or self.df is not None:
            return _shared(self.df if self.law == "t" else None, self.draws, self.seed)
        if sample_problem(pnl, self.min_obs):
            return None
        found = best_df(pnl)
        return None if isinstance(found, str) else Draws.make(found, self.draws, self.seed, KEPT)

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES of the draws.

        Cost: a few passes over the sample with `fitted`, plus `draws` quantiles and a sort
        without. A confidence below `KEPT` always pays for the draws.
        """
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        if not np.any(pnl):
            return [Tail(0.0, 0.0, 0.0, 0.0, 0.0) for _ in confidences]
        if isinstance(fitted, JointFit):
            raise DataError("a fit of several assets needs their returns: see `estimate_book`")
        draws = fitted if fitted is not None else self._fit_series(pnl)
        if draws is None:  # the search for df gave a reason
            return invalid(str(best_df(pnl)), confidences)
        if draws.df is None:
            loc = mean_of(pnl)
            scale = deviation_of(pnl, loc, 1)
        else:
            at = locate_t(pnl, draws.df)
            if isinstance(at, str):
                return invalid(at, confidences)
            loc, scale = at
        return [_moved(self._tail(draws, c), loc, scale) for c in confidences]

    def estimate_line(
        self, lines: Lines, line: int, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """Simulate a book of several assets by its assets; for other lines it is `estimate`."""
        if line >= lines.n_assets:
            assets, exposures, returns = lines.book_sample(line)
            if len(assets) > 1:
                try:
                    return self.estimate_book(exposures, returns, confidences, fitted)
                except DataError as error:
                    return invalid(str(error), confidences)
        return super().estimate_line(lines, line, confidences, fitted)

    def estimate_book(
        self,
        exposures: Float64,
        returns: Float64,
        confidences: Sequence[float],
        fitted: JointFit | None = None,
    ) -> list[Tail]:
        """VaR and ES of exposures, (assets,), from returns, (assets, n), oldest first.

        Raises
        ------
        DataError
            The joint law cannot be fitted.
        """
        problem = sample_problem(np.sum(exposures[:, None] * returns, axis=0), self.min_obs)
        if problem:
            return invalid(problem, confidences)
        joint = fitted if fitted is not None else self._fit_joint(returns)
        at = [_located(row, df) for row, df in zip(returns, joint.dfs, strict=True)]
        loc, scale = np.array(at).T
        pnl = joint.draws.pnl(scale * exposures) + float(np.sum(loc * exposures))
        tails = worst_of_draws(pnl, confidences)
        if any(df is not None and df <= 1.0 for df in joint.dfs):  # the law has no mean
            tails = [attrs.evolve(tail, es=math.inf, es_se=math.nan) for tail in tails]
        return tails

    def _fit_joint(self, returns: Float64) -> JointFit:
        if returns.size and not float(np.max(np.abs(returns))) < math.inf:
            raise DataError("a return is not finite")
        if len(returns) * self.draws > 2 * MOST_JOINT:
            raise DataError(
                f"{len(returns)} assets times {self.draws} draws are too many numbers to keep: "
                f"at most {2 * MOST_JOINT // len(returns)} draws for a book of so many"
            )
        dfs = self._marginal_dfs(returns)
        normal = self.law == "normal" and self.copula != "t"
        correlation = linear_correlation(returns) if normal else rank_correlation(returns)
        copula_df = None
        if self.copula == "of-law":
            copula_df = dfs[0]
        elif self.copula == "t":
            copula_df = self.df if self.df is not None else fit_copula_df(returns, correlation)
        draws = CommonDraws(len(returns), self.draws, seed=self.seed, df=copula_df)
        draws.set_covariance(correlation)
        if any(df != copula_df for df in dfs):
            scores = [
                mapped_scores(z, copula_df, df) for z, df in zip(draws.factors, dfs, strict=True)
            ]
            draws = draws.mapped(np.array(scores))
        return JointFit(dfs, copula_df, draws)

    def _marginal_dfs(self, returns: Float64) -> tuple[float | None, ...]:
        """Degrees of freedom of each asset; an asset that does not vary has those of the others."""
        if self.law == "normal" or self.df is not None:
            return (self.df if self.law == "t" else None,) * len(returns)
        moving = [row for row in returns if _moves(row)]
        if not moving:
            return (None,) * len(returns)
        if self.copula == "of-law":
            return (_number(common_df(moving)),) * len(returns)
        return tuple(_number(best_df(row)) if _moves(row) else None for row in returns)

    def _tail(self, draws: Draws, confidence: float) -> Tail:
        found = draws.tail(confidence)
        if found is None:
            found = Draws.make(draws.df, self.draws, self.seed, confidence).tail(confidence)
        assert found is not None  # these were kept for this very confidence
        return found


def _number(found: float | str) -> float:
    """Raise what is a reason and no number."""
    if isinstance(found, str):
        raise DataError(f"an asset of the book: {found}")
    return found


def _located(returns: Float64, df: float | None) -> tuple[float, float]:
    """Location and scale of one asset's returns."""
    if not _moves(returns):
        return float(returns[0]), 0.0
    if df is None:
        mean = mean_of(returns)
        return mean, deviation_of(returns, mean, 1)
    at = locate_t(returns, df)
    if isinstance(at, str):
        raise DataError(f"an asset of the book: {at}")
    return at


def _moved(unit: Tail, loc: float, scale: float) -> Tail:
    """Tail of ``loc + scale * X`` from that of X."""
    if scale == 0.0:  # times an infinite end of the interval it would not be a number
        return Tail(-loc, -loc, -loc, -loc, 0.0)
    low, high = scale * unit.var_low - loc, scale * unit.var_high - loc
    return Tail(scale * unit.var - loc, scale * unit.es - loc, low, high, scale * unit.es_se)


MODEL = MonteCarlo
