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
from rtre.figures import (
    Horizon,
    LineReport,
    ModelFigures,
    Opinion,
    RiskEstimate,
    TickCounts,
)
from rtre.market import Float64, Int64, Quality
from rtre.sheet import Sheet

if TYPE_CHECKING:
    from rtre.track import Track


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@attrs.frozen(eq=False, slots=False)  # with slots it takes twice as long to make
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
    sheet : Sheet
        All figures, of each line's own model, at the horizon; the properties say which.
    models : tuple of ModelFigures
        All that run, where there are several; the first is `model`.
    own : tuple of int
        For each line, the place of its own model in `models`.
    beside : tuple of tuple of int
        For each line, the places of the models that run beside it.
    has_peaks : bool
        Whether every tick is evaluated, so that there are `peaks`.
    outside : TickCounts or None
        Ticks that ended before they reached the engine; part of `counts`.
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
    sheet: Sheet = attrs.field(repr=False)
    problems: dict[int, str] = attrs.field(repr=False)
    outside: TickCounts | None = None
    fitted_ns: Int64 | None = attrs.field(default=None, repr=False)
    """(L,) end of the newest interval behind each line's fit, 0 = none; None: nothing is fitted."""
    models: tuple[ModelFigures, ...] = attrs.field(default=(), repr=False)
    own: tuple[int, ...] = attrs.field(default=(), repr=False)
    beside: tuple[tuple[int, ...], ...] = attrs.field(default=(), repr=False)
    has_peaks: bool = False
    track: Track | None = attrs.field(default=None, repr=False)

    @property
    def values(self) -> Float64:
        """(L, C, 5) var, es, var_low, var_high, es_se at the horizon; NaN where absent."""
        return self.sheet.values

    @property
    def peaks(self) -> Float64 | None:
        """(L, C, 2) highest var and es since the report before, at the horizon.

        None where not every tick is evaluated, NaN for a line whose model is not.
        """
        return self.sheet.peaks if self.has_peaks else None

    @property
    def prices(self) -> Float64:
        """(N,) last prices; NaN before the first."""
        return np.asarray(self.sheet.symbols[0])

    @property
    def changes(self) -> Float64:
        """(N,) simple returns of the open interval; NaN where masked."""
        return np.asarray(self.sheet.symbols[1])

    @property
    def exposures(self) -> Float64:
        """(L,) signed values in currency; NaN while a price is missing."""
        return self.sheet.exposures

    @property
    def n_obs(self) -> Int64:
        """(L,) observations."""
        return self.sheet.n_obs

    @property
    def qualities(self) -> Int64:
        """(L,) bits of `Quality`."""
        return self.sheet.qualities

    @property
    def received_ns(self) -> Int64:
        """(L,) receipt of the newest tick, for a book of its oldest input; 0 = never."""
        return self.sheet.received_ns

    @cached_property
    def counts(self) -> TickCounts:
        """What became of every tick so far."""
        return TickCounts.of(self.sheet.verdicts, self.outside)

    def with_peaks(self, peaks: Float64) -> RiskReport:
        """Return the report with other `peaks`."""
        sheet = self.sheet.copy()
        sheet.peaks[:] = peaks
        return attrs.evolve(self, sheet=sheet.frozen(), has_peaks=True)

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
        return ModelFigures(self.model, self.min_obs, self.sheet, self.problems, self.fitted_ns)

    def line(self, i: int) -> LineReport:
        """Return line `i`: symbols in the order of the universe, then books."""
        is_book, received = i >= self.n_assets, int(self.received_ns[i])
        figures = self.models[self.own[i]] if self.models else self._first
        own = self._opinion(figures, i, self.peaks)
        quality = Quality(int(self.qualities[i]))
        others = (self.models[m] for m in self.beside[i]) if self.models else ()
        return LineReport(
            name=self.names[i],
            is_book=is_book,
            price=None if is_book else _known(self.prices[i]),
            change=None if is_book else _known(self.changes[i]),
            exposure=_known(self.exposures[i]),
            n_obs=int(figures.sheet.n_obs[i]),
            min_obs=figures.min_obs,
            quality=quality,
            age_ns=self.as_of_ns - received if received else None,
            estimates=own.estimates,
            problem=own.problem,
            model_age_ns=own.model_age_ns,
            model=figures.model,
            beside={other.model: self._opinion(other, i) for other in others},
        )

    def _opinion(self, of: ModelFigures, i: int, peaks: Float64 | None = None) -> Opinion:
        fitted = int(of.fitted_ns[i]) if of.fitted_ns is not None else 0
        problem = self._problem(of, i)
        return Opinion(
            () if problem else tuple(self._estimates(of, i, peaks)),
            problem,
            self.as_of_ns - fitted if fitted else None,
        )

    def _problem(self, of: ModelFigures, i: int) -> str:
        n_obs = int(of.sheet.n_obs[i])
        if n_obs < of.min_obs:
            what = "complete rows" if i >= self.n_assets else "observations"
            return f"WARMING: {n_obs} of {of.min_obs} {what}"
        if (problem := of.problems.get(i, "")) or not np.isnan(of.sheet.values[i, :, :2]).any():
            return problem
        return "the model gave no number and no reason"

    def _estimates(self, of: ModelFigures, i: int, peaks: Float64 | None) -> Iterator[RiskEstimate]:
        n_obs = int(of.sheet.n_obs[i])
        for c, confidence in enumerate(self.confidences):
            var, es, low, high, se = of.sheet.values[i, c].tolist()
            highest = peaks[i, c].tolist() if peaks is not None else (math.nan, math.nan)
            yield RiskEstimate(
                confidence, var, es, _known(low), _known(high), _known(se), self.horizon, n_obs,
                of.model, *map(_known, highest),
            )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values, in the schema that the README documents.

        A VaR or ES that has no bound is the string ``"inf"``; what is not known is None. There is
        no NaN and no infinity in it, which JSON could not say.
        """
        several = bool(self.models)
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
            "symbols": [line.to_dict(several=several) for line in self.symbols],
            "books": [line.to_dict(several=several) for line in self.books],
        }
        if self.track is not None:
            found["track"] = self.track.to_dict()
        return found
