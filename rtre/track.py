"""`Track`: what a run's forecasts were worth so far, and which model was best.

An immutable summary. It shares what never changes with the engine that made it, and computes a
line's figures when they are asked for, so that a report that nobody reads costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal, cast

import attrs
import numpy as np
import numpy.typing as npt

from rtre.backtest.eprocess import EProcess, es_eprocess, var_eprocess
from rtre.backtest.result import BacktestResult, Bool
from rtre.backtest.running import ZONES, coverage_figures, zones
from rtre.backtest.tournament import Entry, rank
from rtre.errors import DataError
from rtre.kernels.outcomes import HITS, LOG_WEALTH, MASKED, N00, N01, N10, N11, PEAK, UNFORECAST, N
from rtre.market import Float64

BLOCK = 250  #: intervals of the "recent" traffic light, and in a block of the log at most
LEAST = 30  #: common intervals from which a difference of scores has an interval

Zone = Literal["green", "yellow", "red"]
_SEED = 1


def locked(array: npt.NDArray[Any]) -> Any:
    """Return a view that cannot be written through."""
    view = array.view()
    view.setflags(write=False)
    return view


@attrs.frozen(eq=False)
class Block:
    """Some intervals of scores, filled from the front. All blocks of a log have one size.

    Attributes
    ----------
    scores : (B, S, M, C) float64, read-only
        FZ0; NaN where there is none.
    hits : (B, S, M, C) int8, read-only
        1 beyond VaR, 0 not, -1 no forecast or no outcome.
    losses : (B, S) float64, read-only
        NaN where there was no outcome.
    forecasts : (B, S, M, C, 2) float64, read-only
        VaR and ES; NaN where there was no forecast.
    """

    scores: Float64 = attrs.field(converter=locked)
    hits: npt.NDArray[np.int8] = attrs.field(converter=locked)
    losses: Float64 = attrs.field(converter=locked)
    forecasts: Float64 = attrs.field(converter=locked)


@attrs.frozen
class Standing:
    """One model on one line at one confidence: its live backtest, and its place among the others.

    Attributes
    ----------
    n, exceedances : int
        Scored intervals since the start, and those whose loss beat VaR.
    expected : float
        Exceedances that a right model has on average.
    zone : {"green", "yellow", "red"} or None
        Of the Basel traffic light over all `n`; None where n is 0.
    recent_n, recent_exceedances : int
        Among the newest `BLOCK` intervals of the log, or all where it holds fewer.
    recent_zone : as `zone`
    binomial, kupiec, independence, conditional : float or None
        P-values: of the number of exceedances (exact, and by likelihood ratio), of Christoffersen's
        independence, of both together. Of fixed-sample tests: who keeps reading them will see a
        right model rejected.
    e_value : float
        Wealth of the bet that VaR is too low; 20 rejects at 5 %, whenever one looks. May be inf.
    e_p_value : float
        One over the highest wealth so far: valid at any time.
    unforecast, masked : int
        Closed intervals without a forecast; forecasts without an outcome. Neither is in `n`.
    fz0 : float or None
        Mean joint score of VaR and ES over the `fz0_n` newest intervals that all competing models
        were scored on; lower is better. None where there is no such interval, or the score is not
        defined for this model.
    fz0_n : int
    place : int or None
        1 is the best by FZ0.
    behind : float or None
        Mean score minus the best model's; None for the best.
    behind_low, behind_high : float or None
        95 % interval of `behind` (Diebold and Mariano, Newey-West variance); None below `LEAST`
        common intervals.
    """

    model: str
    confidence: float
    n: int
    exceedances: int
    expected: float
    zone: Zone | None
    recent_n: int
    recent_exceedances: int
    recent_zone: Zone | None
    binomial: float | None
    kupiec: float | None
    independence: float | None
    conditional: float | None
    e_value: float
    e_p_value: float
    unforecast: int
    masked: int
    fz0: float | None
    fz0_n: int
    place: int | None
    behind: float | None
    behind_low: float | None
    behind_high: float | None


@attrs.frozen(eq=False)
class Tests:
    """Every test of a forecast on the newest intervals.

    Attributes
    ----------
    n : int
        Scored intervals behind them.
    results : tuple of BacktestResult
        Of `rtre.backtest.battery.run_battery`. With many tests some reject a right forecast.
    var_bet : EProcess
        Evidence against VaR that may be read at any time.
    es_bet : EProcess or None
        Against ES; None where ES was infinite.
    """

    n: int
    results: tuple[BacktestResult, ...]
    var_bet: EProcess
    es_bet: EProcess | None


@attrs.frozen(eq=False)
class Track:
    """Live backtests of all tracked lines. Iterating gives their names.

    Outcomes and forecasts are those of one grid interval, unscaled; intervals do not overlap. Many
    may read one summary: its arrays are read-only, and what it hands out is immutable or a copy.

    Attributes
    ----------
    lines, models : tuple of str
    confidences : tuple of float
    interval_ns : int
    intervals : int
        Closed so far, with or without a forecast.
    """

    lines: tuple[str, ...]
    models: tuple[str, ...]
    confidences: tuple[float, ...]
    interval_ns: int
    intervals: int
    tails: Float64 = attrs.field(repr=False, converter=locked)  #: (C,), ``1 - confidence``
    served: Bool = attrs.field(repr=False, converter=locked)  #: (S, M)
    #: (S, M, C, FIELDS) of rtre.kernels.outcomes
    counts: Float64 = attrs.field(repr=False, converter=locked)
    blocks: tuple[Block, ...] = attrs.field(repr=False)
    first: int = attrs.field(repr=False)  #: rows of the joined blocks that count
    last: int = attrs.field(repr=False)
    _done: dict[str, tuple[Standing, ...]] = attrs.field(factory=dict, init=False, repr=False)
    _tested: dict[tuple[str, str, float], Tests | None] = attrs.field(
        factory=dict, init=False, repr=False
    )

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    def __getitem__(self, line: str) -> tuple[Standing, ...]:
        """Return the standings of a line, by confidence, then best first.

        Raises
        ------
        DataError
            The line is not tracked.
        """
        if line not in self._done:
            if line not in self.lines:
                raise DataError(f"{line!r} is not tracked; {', '.join(self.lines)} are")
            slot = self.lines.index(line)
            self._done[line] = self._line(slot, self._figures(slice(slot, slot + 1))[0])
        return self._done[line]

    def at(self, line: str, confidence: float) -> tuple[Standing, ...]:
        """Return the standings of a line at one confidence, best first; raises like indexing."""
        return tuple(s for s in self[line] if s.confidence == confidence)

    def tests(self, line: str, model: str, confidence: float) -> Tests | None:
        """Every test of a forecast, over the intervals that the log holds; None before the first.

        Simulated p-values come from a generator with a fixed seed.

        Raises
        ------
        DataError
            The line is not tracked, or there is no such model or confidence.

        Notes
        -----
        Cost: milliseconds, a tenth of a second where a p-value is simulated for a number of
        intervals for the first time. Once per closed interval, however often it is asked. The
        first call of a process imports scipy's statistics, too: a good part of a second.
        """
        key = (line, model, confidence)
        if key not in self._tested:
            if line not in self.lines or model not in self.models:
                raise DataError(f"{line!r} is not tracked with a model {model!r}")
            if confidence not in self.confidences:
                raise DataError(f"confidence must be one of {self.confidences}; got {confidence}")
            self._tested[key] = self._run_tests(*key)
        return self._tested[key]

    def _run_tests(self, line: str, model: str, confidence: float) -> Tests | None:
        slot, m = self.lines.index(line), self.models.index(model)
        # here, because to import scipy's statistics took longer than anything else in a warm start
        from rtre.backtest.battery import run_battery

        c, rows = self.confidences.index(confidence), slice(self.first, self.last)
        if not self.blocks:
            return None
        losses = np.concatenate([block.losses[:, slot] for block in self.blocks])[rows]
        said = np.concatenate([block.forecasts[:, slot, m, c] for block in self.blocks])[rows]
        scored = ~np.isnan(losses) & ~np.isnan(said).any(axis=1)
        losses, var, es = losses[scored], said[scored, 0], said[scored, 1]
        if not len(losses):
            return None
        return Tests(
            len(losses),
            run_battery(losses, var, es, confidence, rng=np.random.default_rng(_SEED)),
            var_eprocess(losses, var, confidence),
            es_eprocess(losses, var, es, confidence) if np.isfinite(es).all() else None,
        )

    def _figures(self, slots: slice) -> list[Any]:
        """Counts and figures of some lines as nested lists, [line][figure][model][confidence]."""
        k = self.counts[slots]
        pairs = (k[..., N00], k[..., N01], k[..., N10], k[..., N11])
        found = coverage_figures(k[..., N], k[..., HITS], pairs, self.tails)
        recent_n, recent_x = self._recent(slots)
        arrays: tuple[npt.NDArray[Any], ...] = (
            k,
            found.zone,
            found.binomial,
            found.kupiec,
            found.independence,
            found.conditional,
            recent_n,
            recent_x,
            zones(recent_n, recent_x, self.tails),
        )
        return list(zip(*(array.tolist() for array in arrays), strict=True))

    def _recent(self, slots: slice) -> tuple[Float64, Float64]:
        """Scored intervals and exceedances among the newest `BLOCK`, (lines, M, C) each."""
        if not self.blocks:
            none = np.zeros(self.counts[slots].shape[:3])
            return none, none
        size = len(self.blocks[0].hits)
        blocks = self.blocks[-(-(-BLOCK // size) + 1) :]  # one more: the newest is not full
        left_out = size * (len(self.blocks) - len(blocks))
        begin = max(self.first, self.last - BLOCK) - left_out
        newest = np.concatenate([block.hits[:, slots] for block in blocks])
        newest = newest[begin : self.last - left_out]
        return (newest >= 0).sum(axis=0).astype(float), (newest > 0).sum(axis=0).astype(float)

    def _scores(self, slot: int, c: int) -> Float64:
        """FZ0 of one line at one confidence, (R, M)."""
        if not self.blocks:
            return np.zeros((0, len(self.models)))
        joined = np.concatenate([block.scores[:, slot, :, c] for block in self.blocks])
        return joined[self.first : self.last]

    def _line(self, slot: int, figures: Any) -> tuple[Standing, ...]:
        confidences = range(len(self.confidences))
        return tuple(s for c in confidences for s in self._standings(slot, c, figures))

    def _standings(self, slot: int, c: int, figures: Any) -> list[Standing]:
        served = np.flatnonzero(self.served[slot])
        entries, n = self._ranked(self._scores(slot, c), served)
        order = [self.models.index(entry.model) for entry in entries]
        order += [m for m in served.tolist() if m not in order]
        found = []
        for rank_of, m in enumerate(order):
            entry = entries[rank_of] if rank_of < len(entries) else None
            found.append(self._standing([of[m][c] for of in figures], m, c, entry, rank_of + 1, n))
        return found

    def _ranked(self, scores: Float64, served: Any) -> tuple[tuple[Entry, ...], int]:
        """Rank the models that were ever scored, over the intervals that all of those were."""
        known = np.isfinite(scores)
        playing = [m for m in served.tolist() if known[:, m].any()]
        common = known[:, playing].all(axis=1)
        n = int(np.count_nonzero(common)) if playing else 0
        if not n:
            return (), 0
        return rank({self.models[m]: scores[common, m] for m in playing}), n

    def _standing(
        self, row: Any, m: int, c: int, entry: Entry | None, place: int, common: int
    ) -> Standing:
        k, zone, binomial, kupiec, independence, conditional, recent_n, recent_x, recent = row
        versus = entry.against_best if entry else None
        sure = versus is not None and common >= LEAST
        return Standing(
            model=self.models[m],
            confidence=self.confidences[c],
            n=int(k[N]),
            exceedances=int(k[HITS]),
            expected=k[N] * float(self.tails[c]),
            zone=_zone(zone),
            recent_n=int(recent_n),
            recent_exceedances=int(recent_x),
            recent_zone=_zone(recent),
            binomial=_known(binomial),
            kupiec=_known(kupiec),
            independence=_known(independence),
            conditional=_known(conditional),
            e_value=math.exp(k[LOG_WEALTH]) if k[LOG_WEALTH] < 709.0 else math.inf,
            e_p_value=math.exp(-k[PEAK]),
            unforecast=int(k[UNFORECAST]),
            masked=int(k[MASKED]),
            fz0=entry.mean if entry else None,
            fz0_n=common if entry else 0,
            place=place if entry else None,
            behind=versus.difference if versus else None,
            behind_low=versus.low if versus and sure else None,
            behind_high=versus.high if versus and sure else None,
        )

    @cached_property
    def _dicts(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """All lines, and their standings as flat dictionaries."""
        if len(self._done) < len(self.lines):
            figures = self._figures(slice(None))  # of all lines in one go: it costs that of one
            for slot, name in enumerate(self.lines):
                if name not in self._done:
                    self._done[name] = self._line(slot, figures[slot])
        return [(name, [_standing_dict(s) for s in self._done[name]]) for name in self.lines]

    def to_dict(self) -> dict[str, Any]:
        """Return all standings as JSON-ready values, a copy that the caller may change.

        Cost: 0.1 ms and 20 us a standing; with several models 0.1 to 0.3 ms a line more for the
        comparison. Once per closed interval, whatever the number of reports; a copy is 0.3 us a
        standing.
        """
        return {
            "interval_ns": self.interval_ns,
            "intervals": self.intervals,
            "lines": [
                {"name": name, "standings": [one.copy() for one in standings]}
                for name, standings in self._dicts
            ],
        }


def _zone(place: int) -> Zone | None:
    return cast(Zone, ZONES[place]) if place >= 0 else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _standing_dict(standing: Standing) -> dict[str, Any]:
    found = {name: getattr(standing, name) for name in _KEYS}
    if math.isinf(standing.e_value):
        found["e_value"] = "inf"
    return found


_KEYS = tuple(a.name for a in attrs.fields(Standing))
