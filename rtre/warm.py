"""Compile, or load from the cache, every kernel that a run will use, before it matters.

The real objects are driven over a tiny market, so that what is compiled is what will be called,
with the very same types. `tests/test_warm.py` holds that a run adds nothing to it.
"""

from __future__ import annotations

import gc
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import numpy as np

from rtre import names
from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.feeds.framing import MessageCutter
from rtre.kernels.jit import CACHE_DIR, CACHE_PROBLEM, is_compiled
from rtre.lineup import line_up
from rtre.market import LinkChange, TickBatch, TickBuffer, Universe
from rtre.units import Duration
from rtre.venues.frames import Frames

Progress = Callable[[str, int, int], None]
Step = tuple[str, Callable[[], None]]

_SECOND = 1_000_000_000
_MESSAGE = b"x" * 64


@attrs.frozen
class WarmUp:
    """What `warm_up` did.

    Attributes
    ----------
    seconds : float
        It took.
    kernels : int
        Compiled functions that are ready; 0 where numba is switched off.
    problem : str
        Empty, or why the compiled code cannot be kept on disk, so that each start compiles anew.
    """

    seconds: float
    kernels: int
    problem: str


def kernels() -> dict[str, int]:
    """Every kernel imported so far, by full name, and its number of compiled signatures."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith("rtre.kernels."):
            for attribute, value in vars(module).items():
                if is_compiled(value) and value.__module__ == name:
                    found[f"{name}.{attribute}"] = len(value.signatures)
    return found


def warm_up(risk: RiskConfig | None = None, progress: Progress | None = None) -> WarmUp:
    """Make ready what a live run with `risk` calls: engine, model, framing and codecs.

    Parameters
    ----------
    risk : RiskConfig, optional
        Names the model and its parameters.
    progress : callable, optional
        Called as ``progress(what, done, total)`` before each step and once more at the end. It runs
        in the caller's thread.

    Raises
    ------
    UnknownNameError, DataError
        The model does not exist, or not with these parameters.

    Notes
    -----
    Cost: a minute or more the first time on a machine, seconds from the cache, nothing where this
    process has done it before for the same models.
    """
    started = time.perf_counter()
    risk = risk or RiskConfig()
    subject = _subject(risk)
    if subject in _warmed:
        if progress is not None:
            progress("ready", 1, 1)
        return _warmed[subject]
    steps = [*_engine_steps(risk), *_wire_steps()]
    with _no_collection():
        for done, (what, step) in enumerate(steps):
            if progress is not None:
                progress(what, done, len(steps))
            step()
    if progress is not None:
        progress("ready", len(steps), len(steps))
    ready = sum(1 for signatures in kernels().values() if signatures)
    mark = _mark(risk)
    if mark is not None:
        mark.touch()
    _warmed[subject] = WarmUp(time.perf_counter() - started, ready, CACHE_PROBLEM)
    return _warmed[subject]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave cycles of objects alone: numba makes many, and to look for them is a tenth of the time.

    Only where the process has not switched collection off for itself.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def is_warm(risk: RiskConfig | None = None) -> bool:
    """Whether `warm_up` has run before on this machine, so that it will be quick."""
    mark = _mark(risk or RiskConfig())
    return mark is not None and mark.exists()


_warmed: dict[str, WarmUp] = {}  #: by subject, what this process has done


def _subject(risk: RiskConfig) -> str:
    """Say which models a configuration runs: other settings are no part of a kernel's types."""
    asked = (risk.beside, sorted(risk.models.items()), sorted(risk.book_models.items()))
    return f"{risk.model} {sorted(risk.parameters.items())} {asked}"


def _mark(risk: RiskConfig) -> Path | None:
    """Return the file that says that all kernels of a configuration are in the cache."""
    if CACHE_DIR is None:
        return None
    return CACHE_DIR / f"warm-{hashlib.sha256(_subject(risk).encode()).hexdigest()[:16]}"


class _Market:
    """An engine of two symbols with a book each way, and made-up ticks to drive it with."""

    def __init__(self, risk: RiskConfig) -> None:
        # whatever book has a model of its own: here all of them run on all lines
        beside = tuple(dict.fromkeys((*risk.beside, *risk.book_models.values())))
        alike = attrs.evolve(risk, beside=beside, book_models={}, track="all")
        self.needs = max(model.min_obs for model in line_up(alike, ()).models)
        # windows just as long as the models need: sizes are no part of a kernel's types
        tiny = attrs.evolve(alike, window=self.needs + 3, min_obs=2, interval=Duration(_SECOND))
        self.engine = RiskEngine(Universe(("A", "B")), {"both": {"A": 1.0, "B": -1.0}}, tiny)
        self._rng = np.random.default_rng(1)
        self._interval = 0

    def tick(self, intervals: int) -> None:
        """Advance by this many grid intervals, with a tick of each symbol in each."""
        for _ in range(intervals):
            self._interval += 1
            prices = 100.0 + self._rng.standard_normal(2)
            at = np.full(2, self._interval * _SECOND)
            self.engine.update(TickBatch.of([0, 1], prices, at))

    def report(self) -> None:
        self.engine.report(self._interval * _SECOND)
        # where a book falls back this comes in the middle of a run
        self.engine.lines.refresh(np.arange(len(self.engine.lines)))

    def reconnect(self) -> None:
        for up in (False, True):
            self.engine.link_changed(LinkChange((0, 1), up, self._interval * _SECOND))


def _engine_steps(risk: RiskConfig) -> Iterator[Step]:
    market = _Market(risk)
    engine = market.engine
    yield "ticks", lambda: market.tick(1)
    yield "grid", lambda: market.tick(market.needs + 3)
    yield engine.model.name, market.report
    yield "reconnect", market.reconnect


def _wire_steps() -> Iterator[Step]:
    cut: list[Frames] = []

    def feed() -> None:
        # two whole text messages, unmasked, as a venue sends them; one alone needs no kernel
        frames = MessageCutter().feed(2 * (bytes((0x81, len(_MESSAGE))) + _MESSAGE))
        assert frames is not None, "whole messages were fed"
        cut.append(frames)

    def decode() -> None:
        codec = names.find("venues", "simulated")(Universe(("A", "B")), scan_bytes=0)
        codec.decode(cut[0], _SECOND, TickBuffer())

    yield "frames", feed
    yield "codec", decode
