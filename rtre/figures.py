"""The parts of a report: horizon, estimates, lines, counts.

Sign, everywhere: P&L is positive when money is made; VaR and ES are losses, positive when money
is lost.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

from rtre.market import Int64, Quality
from rtre.sheet import Sheet

_SYMBOL_KEYS = (
    "name", "price", "change", "exposure", "n_obs", "age_ns", "model_age_ns", "problem",
)  # fmt: skip
_BOOK_KEYS = ("name", "exposure", "n_obs", "age_ns", "model_age_ns", "problem")


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else "inf"


@attrs.frozen
class Horizon:
    """The holding period a number refers to, and how it was reached.

    Attributes
    ----------
    ns : int
        Holding period in nanoseconds of trading time.
    interval_ns : int
        The grid interval that the P&L was observed on.
    label : str
        For people, such as ``1d of 6h30m from 1s grid, sqrt-time``.
    """

    ns: int
    interval_ns: int
    label: str

    @property
    def factor(self) -> float:
        """Multiplier from one grid interval to the horizon: the square root of their ratio."""
        return math.sqrt(self.ns / self.interval_ns)


@attrs.frozen
class RiskEstimate:
    """VaR and ES of one line at one confidence, in currency, losses positive.

    Attributes
    ----------
    var, es : float
        ``es >= var``. ES may be inf where a fitted tail has no mean.
    var_low, var_high : float or None
        95 % interval of VaR; None where that side has no bound (too few observations) or the model
        gives none.
    es_se : float or None
        Standard error of ES; None where the model or the sample gives none.
    var_peak, es_peak : float or None
        The highest that VaR and ES have been after any tick since the report before; None where
        the model is not asked after every tick.
    """

    confidence: float
    var: float
    es: float
    var_low: float | None
    var_high: float | None
    es_se: float | None
    horizon: Horizon
    n_obs: int
    model: str
    var_peak: float | None = None
    es_peak: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON-ready values; a number without bound is ``"inf"``."""
        found = {
            "confidence": self.confidence,
            "var": _number(self.var),
            "es": _number(self.es),
            "var_low": self.var_low,
            "var_high": self.var_high,
            "es_se": self.es_se,
        }
        if self.var_peak is not None:
            found |= {"var_peak": self.var_peak, "es_peak": self.es_peak}
        return found


@attrs.frozen(slots=False)  # made for every report, and quicker so
class TickCounts:
    """What became of every tick. ``received`` is always the sum of the other fields."""

    applied: int = 0
    rejected: int = 0
    late: int = 0  #: rejected too, for being older than the asset's newest tick; not in `rejected`
    quarantined: int = 0
    duplicate: int = 0
    conflated: int = 0

    @property
    def received(self) -> int:
        """Ticks that came in."""
        return sum(attrs.astuple(self))

    @classmethod
    def of(cls, verdicts: Int64, outside: TickCounts | None) -> TickCounts:
        """Add up the engine's verdicts and what ended before it."""
        applied, bad_price, bad_time, late, unknown, quarantined = verdicts.tolist()
        rejected = bad_price + bad_time + unknown
        if outside is None:
            return cls(applied, rejected, late, quarantined)
        return cls(
            applied + outside.applied,
            rejected + outside.rejected,
            late + outside.late,
            quarantined + outside.quarantined,
            outside.duplicate,
            outside.conflated,
        )


@attrs.frozen
class Opinion:
    """What one of several models says of a line; the attributes are those of `LineReport`."""

    estimates: tuple[RiskEstimate, ...]
    problem: str
    model_age_ns: int | None


@attrs.frozen
class BookWork:
    """How the tail of a book is kept: what it cost, and whether it is exact.

    Attributes
    ----------
    candidates : int
        Scenarios that each tick updates; the others are bounded. 0 where all are looked at.
    rebuilds : int
        Times that the candidates were chosen from all scenarios.
    fallbacks : int
        Times that candidates did not pay off, and every scenario was touched until the grid
        interval closed.
    touched : bool
        Whether that is so now.
    drift : float
        Largest relative difference that an audit found between the sums of ticks and fresh ones.
    """

    name: str
    candidates: int
    rebuilds: int
    fallbacks: int
    touched: bool
    drift: float


@attrs.frozen
class LineReport:
    """One symbol or one book within a report.

    Attributes
    ----------
    price : float or None
        Last accepted price of a symbol; None for a book, or before the first tick.
    change : float or None
        Simple return of the open grid interval; None where it is masked.
    exposure : float or None
        Signed value in currency, net over the positions; None while a price is missing.
    n_obs, min_obs : int
        Observations in the window, and how many are needed before there is a number.
    age_ns : int or None
        Time since the newest tick was received (for a book: its oldest input).
    estimates : tuple of RiskEstimate
        One for each confidence; empty where `problem` says why.
    problem : str
        Empty, or the reason for having no number.
    model_age_ns : int or None
        Time since the newest interval that the model's parameters were fitted on; None where there
        is no fit.
    model : str
        Whose `estimates` these are.
    beside : dict of str to Opinion
        What the models that run beside it say, by model; empty where none does.
    """

    name: str
    is_book: bool
    price: float | None
    change: float | None
    exposure: float | None
    n_obs: int
    min_obs: int
    quality: Quality
    age_ns: int | None
    estimates: tuple[RiskEstimate, ...]
    problem: str
    model_age_ns: int | None = None
    model: str = ""
    beside: dict[str, Opinion] = attrs.field(factory=dict)

    def to_dict(self, *, several: bool) -> dict[str, Any]:
        """Return the line as JSON-ready values; its models by name where there are `several`."""
        keys = _BOOK_KEYS if self.is_book else _SYMBOL_KEYS
        fields: dict[str, Any] = {key: getattr(self, key) for key in keys}
        fields["quality"] = self.quality.label
        fields["estimates"] = [e.to_dict() for e in self.estimates]
        if several:
            fields["model"] = self.model
            fields["beside"] = {
                model: {
                    "estimates": [e.to_dict() for e in opinion.estimates],
                    "problem": opinion.problem,
                    "model_age_ns": opinion.model_age_ns,
                }
                for model, opinion in self.beside.items()
            }
        return fields


@attrs.frozen(eq=False)
class ModelFigures:
    """All that one model says in a report; NaN and no problem for lines that it does not serve.

    Attributes
    ----------
    min_obs, sheet, problems, fitted_ns
        As of `RiskReport`; the sheet has `values`, `n_obs` and `qualities` of this model.
    """

    model: str
    min_obs: int
    sheet: Sheet
    problems: dict[int, str]
    fitted_ns: Int64 | None
