"""Goals of the kernels, each a ratio to a peer measured in the same run, gathered into one table.

A benchmark measures with `interleaved` and reports with `gate`; `benchmarks/conftest.py` prints the
table of all gates when the run ends, losses and missing peers included.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Mapping
from types import ModuleType

import attrs

from tables import record


@attrs.frozen
class Gate:
    """One goal: `ours` / `theirs` is to stay at or below `limit` (None: nothing to be met)."""

    number: int
    what: str
    window: int | None
    tail: float | None
    peer: str
    ours_ns: float
    theirs_ns: float | None  #: None: the peer is not installed
    limit: float | None
    unit: str = "ns"

    @property
    def ratio(self) -> float | None:
        return None if self.theirs_ns is None else self.ours_ns / self.theirs_ns

    @property
    def verdict(self) -> str:
        if self.ratio is None:
            return "peer missing"
        if self.limit is None:
            return "shown"
        return "met" if self.ratio <= self.limit else "NOT MET"


GATES: list[Gate] = []


def gate(
    number: int,
    what: str,
    *,
    peer: str,
    ours: float,
    theirs: float | None,
    limit: float | None,
    window: int | None = None,
    tail: float | None = None,
    unit: str = "ns",
) -> Gate:
    """Report one comparison; `ours` and `theirs` are in `unit`.

    That is a time, or "relative" for an error, or "rebuilds" for a count (`theirs` is 1 then).
    """
    found = Gate(number, what, window, tail, peer, ours, theirs, limit, unit)
    GATES.append(found)
    record(gate=attrs.asdict(found) | {"ratio": found.ratio, "verdict": found.verdict})
    return found


def peer(module: str) -> ModuleType | None:
    """Import a peer, or None where it is not installed: it is then shown as missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def interleaved(
    runs: Mapping[str, tuple[Callable[[], object], int]], rounds: int = 7
) -> dict[str, float]:
    """Median nanoseconds per unit of each (function, units it does); they take turns.

    Each runs once before the clock starts.
    """
    for run, _ in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, units) in runs.items():
            begun = time.perf_counter_ns()
            run()
            times[name].append((time.perf_counter_ns() - begun) / units)
    return {name: statistics.median(values) for name, values in times.items()}
