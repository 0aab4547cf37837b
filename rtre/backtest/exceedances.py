"""Exceedances: the periods whose loss beat the VaR forecast made before them."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

import attrs
import numpy as np
import numpy.typing as npt

from rtre.backtest.result import Bool, as_series
from rtre.errors import DataError
from rtre.order import tail_probability


def exceedances(losses: npt.ArrayLike, var: npt.ArrayLike) -> Bool:
    """Mark the periods with ``loss > VaR``; a loss that equals its forecast is none.

    Parameters
    ----------
    losses, var : (n,) array_like
        Losses (positive when money is lost) and the VaR forecast for each, made before the period
        began. NaN is refused.

    >>> exceedances([1.0, 3.0, 2.0], [2.0, 2.0, 2.0])
    array([False,  True, False])
    """
    lost, forecast = as_series(losses=losses, var=var)
    return np.asarray(lost > forecast)


@attrs.frozen
class Transitions:
    """Number of pairs of neighbouring periods by (exceedance before, exceedance now)."""

    n00: int
    n01: int
    n10: int
    n11: int

    def __attrs_post_init__(self) -> None:
        if min(self.n00, self.n01, self.n10, self.n11) < 0:
            raise DataError(f"counts of transitions cannot be negative: {self}")


@attrs.frozen
class Counts:
    """All that the coverage tests need to know of a run of periods.

    Attributes
    ----------
    n, x : int
        Periods and exceedances.
    transitions : Transitions
        Over the n - 1 pairs.
    positions : tuple of int
        Where the exceedances are, counted from 1.
    """

    n: int
    x: int
    transitions: Transitions
    positions: tuple[int, ...]

    @classmethod
    def of(cls, hits: npt.ArrayLike) -> Self:
        """Count a run of exceedance marks (booleans, or zeros and ones), oldest first.

        >>> Counts.of([0, 1, 1, 0]).transitions
        Transitions(n00=0, n01=1, n10=1, n11=1)
        """
        (marks,) = as_series(hits=hits)
        if not np.isin(marks, (0.0, 1.0)).all():
            raise DataError("exceedance marks are booleans, or zeros and ones")
        now = marks.astype(bool)
        pairs = np.bincount(2 * now[:-1].astype(np.int64) + now[1:], minlength=4)
        positions = tuple((np.flatnonzero(now) + 1).tolist())
        return cls(len(now), len(positions), Transitions(*pairs.tolist()), positions)

    @property
    def first(self) -> int | None:
        """Period of the first exceedance, counted from 1; None where there is none."""
        return self.positions[0] if self.positions else None

    @property
    def gaps(self) -> tuple[int, ...]:
        """Periods from one exceedance to the next; the first is counted from the start."""
        return tuple(b - a for a, b in pairwise((0, *self.positions)))

    def ratio(self, confidence: float) -> float:
        """Actual over expected number of exceedances; one is right."""
        return self.x / (self.n * float(tail_probability(confidence)))
