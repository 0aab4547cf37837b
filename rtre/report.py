"""What the engine says: estimates, and the immutable snapshot that carries them.

Sign, everywhere: P&L is positive when money is made; VaR and ES are losses, positive when money
is lost. Every number names its horizon, its observations and its model, and comes with its
quality; where there is no number there is a reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from rtre.errors import DataError
from rtre.market import Float64, Int64, Quality

if TYPE_CHECKING:
    from rtre.track import Track


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
        For people, such as ``1d = 23400 x 1s, sqrt-time``.
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


@attrs.frozen
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


@attrs.frozen
class Opinion:
    """What one of several models says of a line; the attributes are those of `LineReport`."""

    estimates: tuple[RiskEstimate, ...]
    problem: str
    model_age_ns: int | None


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


@attrs.frozen(eq=False)
class ModelFigures:
    """All that one model says in a report; NaN and no problem for lines that it does not serve.

    Attributes
    ----------
    values, n_obs, problems, fitted_ns, min_obs, qualities
        As of `RiskReport`.
    """

    model: str
    min_obs: int
    values: Float64
    n_obs: Int64
    problems: dict[int, str]
    fitted_ns: Int64 | None
    qualities: Int64


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@attrs.frozen(eq=False)
class RiskReport:
    """One immutable snapshot of all risk. Iterating gives the lines, symbols first.

    Attributes
    ----------
    sequence : int
        1 for an engine's first report, then rising by 1.
    as_of_ns : int
        The time that was passed to `RiskEngine.report`.
    confidences, horizon
        The same for all lines.
    model, min_obs
        Of the lines whose book has no model of its own.
    names : tuple of str
        Symbols, then books.
    values : (L, C, 5) float64
        var, es, var_low, var_high, es_se per line and confidence, at the horizon; NaN where absent.
        Of each line's own model, like `n_obs` and `qualities`.
    counts : TickCounts
    models : tuple of ModelFigures
        All that run, where there are several; the first is `model`.
    own : tuple of int
        For each line, the place of its own model in `models`.
    beside : tuple of tuple of int
        For each line, the places of the models that run beside it.
    track : Track or None
        What the forecasts were worth so far; None where nothing is tracked.
    """

    sequence: int
    as_of_ns: int
    model: str
    confidences: tuple[float, ...]
    horizon: Horizon
    min_obs: int
    names: tuple[str, ...]
    index: dict[str, int] = attrs.field(repr=False)
    n_assets: int
    values: Float64 = attrs.field(repr=False)
    prices: Float64 = attrs.field(repr=False)  #: (N,)
    changes: Float64 = attrs.field(repr=False)  #: (N,)
    exposures: Float64 = attrs.field(repr=False)  #: (L,)
    n_obs: Int64 = attrs.field(repr=False)  #: (L,)
    qualities: Int64 = attrs.field(repr=False)  #: (L,), bits of `Quality`
    received_ns: Int64 = attrs.field(repr=False)  #: (L,), 0 = never
    problems: dict[int, str] = attrs.field(repr=False)
    counts: TickCounts
    fitted_ns: Int64 | None = attrs.field(default=None, repr=False)
    """(L,) end of the newest interval behind each line's fit, 0 = none; None: nothing is fitted."""
    models: tuple[ModelFigures, ...] = attrs.field(default=(), repr=False)
    own: tuple[int, ...] = attrs.field(default=(), repr=False)
    beside: tuple[tuple[int, ...], ...] = attrs.field(default=(), repr=False)
    track: Track | None = attrs.field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[LineReport]:
        return (self.line(i) for i in range(len(self)))

    def __getitem__(self, name: str) -> LineReport:
        """Return the line of a symbol or book; raises DataError for a name that is neither."""
        try:
            return self.line(self.index[name])
        except KeyError:
            raise DataError(f"{name!r} is not among {', '.join(self.names)}") from None

    @property
    def symbols(self) -> Iterator[LineReport]:
        """The lines of the symbols."""
        return (self.line(i) for i in range(self.n_assets))

    @property
    def books(self) -> Iterator[LineReport]:
        """The lines of the books."""
        return (self.line(i) for i in range(self.n_assets, len(self)))

    @cached_property
    def quality(self) -> Quality:
        """All flags that any input carries."""
        return Quality(int(np.bitwise_or.reduce(self.qualities)))

    @cached_property
    def affected(self) -> float:
        """Share of gross exposure, 0 to 1, whose symbols are not LIVE.

        A position without a price has a size nobody knows: then the share is 1.
        """
        held = self.exposures[: self.n_assets]
        unpriced = np.isnan(held)
        if unpriced.any():
            return 1.0
        gross = float(np.abs(held).sum())
        bad = self.qualities[: self.n_assets] != 0
        return float(np.abs(held[bad]).sum()) / gross if gross else float(bad.any())

    @cached_property
    def oldest_input_ns(self) -> int | None:
        """When the input that has waited longest for news was received; None before all have."""
        oldest = int(self.received_ns[: self.n_assets].min())
        return oldest or None

    @cached_property
    def _first(self) -> ModelFigures:
        return ModelFigures(
            self.model, self.min_obs, self.values, self.n_obs, self.problems, self.fitted_ns,
            self.qualities,
        )  # fmt: skip

    def line(self, i: int) -> LineReport:
        """Return line `i`: symbols in the order of the universe, then books."""
        is_book, received = i >= self.n_assets, int(self.received_ns[i])
        figures = self.models[self.own[i]] if self.models else self._first
        own = self._opinion(figures, i)
        quality = Quality(int(self.qualities[i]))
        if own.problem.startswith("WARMING"):
            quality |= Quality.WARMING
        others = (self.models[m] for m in self.beside[i]) if self.models else ()
        return LineReport(
            name=self.names[i],
            is_book=is_book,
            price=None if is_book else _known(self.prices[i]),
            change=None if is_book else _known(self.changes[i]),
            exposure=_known(self.exposures[i]),
            n_obs=int(figures.n_obs[i]),
            min_obs=figures.min_obs,
            quality=quality,
            age_ns=self.as_of_ns - received if received else None,
            estimates=own.estimates,
            problem=own.problem,
            model_age_ns=own.model_age_ns,
            model=figures.model,
            beside={other.model: self._opinion(other, i) for other in others},
        )

    def _opinion(self, of: ModelFigures, i: int) -> Opinion:
        fitted = int(of.fitted_ns[i]) if of.fitted_ns is not None else 0
        problem = self._problem(of, i)
        return Opinion(
            () if problem else tuple(self._estimates(of, i)),
            problem,
            self.as_of_ns - fitted if fitted else None,
        )

    def _problem(self, of: ModelFigures, i: int) -> str:
        n_obs = int(of.n_obs[i])
        if n_obs < of.min_obs:
            what = "complete rows" if i >= self.n_assets else "observations"
            return f"WARMING: {n_obs} of {of.min_obs} {what}"
        if (problem := of.problems.get(i, "")) or not np.isnan(of.values[i, :, :2]).any():
            return problem
        return "the model gave no number and no reason"

    def _estimates(self, of: ModelFigures, i: int) -> Iterator[RiskEstimate]:
        n_obs = int(of.n_obs[i])
        for c, confidence in enumerate(self.confidences):
            var, es, low, high, se = of.values[i, c].tolist()
            yield RiskEstimate(
                confidence, var, es, _known(low), _known(high), _known(se), self.horizon, n_obs,
                of.model,
            )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values, in the schema that the README documents.

        A VaR or ES that has no bound is the string ``"inf"``; what is not known is None. There is
        no NaN and no infinity in it, which JSON could not say.
        """
        found: dict[str, Any] = {
            "schema": 1,
            "sequence": self.sequence,
            "as_of_ns": self.as_of_ns,
            "oldest_input_ns": self.oldest_input_ns,
            "quality": self.quality.label,
            "affected": round(self.affected, 6),
            "model": self.model,
            "horizon": {"ns": self.horizon.ns, "label": self.horizon.label},
            "counts": {"received": self.counts.received} | attrs.asdict(self.counts),
            "symbols": [self._line_dict(line) for line in self.symbols],
            "books": [self._line_dict(line) for line in self.books],
        }
        if self.track is not None:
            found["track"] = self.track.to_dict()
        return found

    def _line_dict(self, line: LineReport) -> dict[str, Any]:
        keys = _BOOK_KEYS if line.is_book else _SYMBOL_KEYS
        fields: dict[str, Any] = {key: getattr(line, key) for key in keys}
        fields["quality"] = line.quality.label
        fields["estimates"] = _estimate_dicts(line.estimates)
        if self.models:
            fields["model"] = line.model
            fields["beside"] = {
                model: {
                    "estimates": _estimate_dicts(opinion.estimates),
                    "problem": opinion.problem,
                    "model_age_ns": opinion.model_age_ns,
                }
                for model, opinion in line.beside.items()
            }
        return fields


_SYMBOL_KEYS = (
    "name", "price", "change", "exposure", "n_obs", "age_ns", "model_age_ns", "problem",
)  # fmt: skip
_BOOK_KEYS = ("name", "exposure", "n_obs", "age_ns", "model_age_ns", "problem")


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else "inf"


def _estimate_dicts(estimates: tuple[RiskEstimate, ...]) -> list[dict[str, Any]]:
    return [
        {
            "confidence": e.confidence,
            "var": _number(e.var),
            "es": _number(e.es),
            "var_low": e.var_low,
            "var_high": e.var_high,
            "es_se": e.es_se,
        }
        for e in estimates
    ]
