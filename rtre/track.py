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

from rtre.backtest.result import Bool
from rtre.backtest.running import ZONES, coverage_figures, zones
from rtre.backtest.tournament import Entry, rank
from rtre.errors import DataError
from rtre.kernels.outcomes import (
    ES_LOG_WEALTH,
    ES_PEAK,
    HITS,
    LOG_WEALTH,
    MASKED,
    N00,
    N01,
    N10,
    N11,
    PEAK,
    UNFORECAST,
    N,
)
from rtre.market import Float64
from rtre.outcome_log import Log, locked
from rtre.tested import Bet, Check, Tests, run_tests

LEAST = 30  #: common intervals from which a difference of scores has an interval

Zone = Literal["green", "yellow", "red"]


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
    es_e_value, es_e_p_value : float
        The same of the bet that ES is too low, or the pair of VaR and ES wrong.
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
    es_e_value: float
    es_e_p_value: float
    unforecast: int
    masked: int
    fz0: float | None
    fz0_n: int
    place: int | None
    behind: float | None
    behind_low: float | None
    behind_high: float | None


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
    log: Log = attrs.field(repr=False)
    checks: tuple[Check | None, ...] = attrs.field(default=(), repr=False)  #: of each line
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
        """Every test of a forecast, as of now; None before the first scored interval.

        Fixed-sample tests are over the intervals that the log holds; the bets are over all.
        Simulated p-values come from a generator with a fixed seed.

        Raises
        ------
        DataError
            The line is not tracked, or there is no such model or confidence.

        Notes
        -----
        Cost: milliseconds, and some more where a p-value is simulated for a number of intervals for
        the first time. Once per closed interval, however often it is asked.
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
        c = self.confidences.index(confidence)
        results = run_tests(self.log, slot, m, c, confidence)
        if not results:
            return None
        k = self.counts[slot, m, c].tolist()
        bets = Bet.of(k[LOG_WEALTH], k[PEAK]), Bet.of(k[ES_LOG_WEALTH], k[ES_PEAK])
        return Tests(int(results[0].inputs["n"]), results, *bets)

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
        if not self.log.blocks:
            none = np.zeros(self.counts[slots].shape[:3])
            return none, none
        return self.log.recent(slots)

    def _scores(self, slot: int, c: int) -> Float64:
        if not self.log.blocks:
            return np.zeros((0, len(self.models)))
        return self.log.scores(slot, c)

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
        bet, es_bet = Bet.of(k[LOG_WEALTH], k[PEAK]), Bet.of(k[ES_LOG_WEALTH], k[ES_PEAK])
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
            e_value=bet.e_value,
            e_p_value=bet.p_value,
            es_e_value=es_bet.e_value,
            es_e_p_value=es_bet.p_value,
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

    def _tests_dict(self, slot: int, standing: dict[str, Any]) -> dict[str, Any] | None:
        check = self.checks[slot] if self.checks else None
        if check is None:
            return None
        m, c = self.models.index(standing["model"]), self.confidences.index(standing["confidence"])
        return check.to_dict(slot, m, c)

    def to_dict(self) -> dict[str, Any]:
        """Return all standings as JSON-ready values, a copy that the caller may change.

        Each has under ``tests`` what the other tests said at the last check of its line, the number
        of closed intervals then, and how many of the newest `rtre.tested.CHECKED` were scored; None
        before the first. Lines are checked in turn, each after `rtre.tested.EVERY` intervals.

        Cost: 0.1 ms and 20 us a standing; with several models 0.1 to 0.3 ms a line more for the
        comparison. Once per closed interval, whatever the number of reports; a copy is 3 us a
        standing. At the first reading after a line's check its tests too, 20 ms a
        standing.
        """
        return {
            "interval_ns": self.interval_ns,
            "intervals": self.intervals,
            "lines": [
                {
                    "name": name,
                    "standings": [one | {"tests": self._tests_dict(s, one)} for one in standings],
                }
                for s, (name, standings) in enumerate(self._dicts)
            ],
        }


def _zone(place: int) -> Zone | None:
    return cast(Zone, ZONES[place]) if place >= 0 else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _standing_dict(standing: Standing) -> dict[str, Any]:
    found = {name: getattr(standing, name) for name in _KEYS}
    for name in ("e_value", "es_e_value"):
        if math.isinf(found[name]):
            found[name] = "inf"
    return found


_KEYS = tuple(a.name for a in attrs.fields(Standing))
