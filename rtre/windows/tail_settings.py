"""The settings and the counters of a rolling tail."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import attrs

from rtre.errors import DataError
from rtre.kernels import tail_layout as lay
from rtre.windows.inputs import number, whole

LARGEST_WINDOW = 1 << 24
FINEST = 10**9  #: a confidence has at most 9 decimals, so that ranks are exact in 53 bits
SPREAD_FROM = 16_384
"""Windows from this size on refill their tails in pieces. Below, a rebuild at once is 1 to 20 us
and rare, while in pieces a tick costs up to twice as much on average (5,000 values, 95 %)."""

SIDES = {"lower": (1,), "upper": (-1,), "both": (1, -1)}
NAN = ("skip", "keep")
REBUILDS = ("auto", "at once", "in pieces")


@attrs.frozen
class TailSettings:
    """What a window of `RollingTail` is; checked by `RollingTail` itself."""

    confidences: tuple[float, ...]
    window: int
    rule: str
    sides: str
    min_obs: int
    max_age_ns: int | None
    nan: str
    rebuild: str
    n_series: int


@attrs.frozen
class TailCounts:
    """Counters of one series.

    Attributes
    ----------
    ticks : int
        Values pushed, of any kind.
    nans, rejected : int
        NaN values; infinite ones and magnitudes above 1e300, which are never taken.
    late : int
        Times that were before the newest seen, which they were taken for.
    aged, displaced : int
        Values that left for their age; that left younger, because the window was full.
    rebuilds, refills : int
        Tails filled anew at once, O(n); in pieces.
    touched : int
        Elements moved, scanned or added up so far: the work, without the noise of a clock.
    """

    ticks: int
    nans: int
    rejected: int
    late: int
    aged: int
    displaced: int
    rebuilds: int
    refills: int
    touched: int


def settings_of(
    confidences: float | Iterable[float],
    *,
    window: int,
    rule: str,
    sides: str,
    min_obs: int,
    max_age_ns: int | None,
    nan: str,
    rebuild: str,
    n_series: int,
) -> TailSettings:
    """Check every parameter of `RollingTails`; a DataError names the value."""
    levels = confidences if isinstance(confidences, Iterable) else (confidences,)
    return TailSettings(
        confidences=tuple(number("a confidence", c) for c in levels),
        window=whole("window", window, 1, LARGEST_WINDOW),
        rule=_one_of("rule", rule, lay.RULES),
        sides=_one_of("sides", sides, SIDES),
        min_obs=whole("min_obs", min_obs, 1, window),
        max_age_ns=None if max_age_ns is None else whole("max_age_ns", max_age_ns, 1, 1 << 62),
        nan=_one_of("nan", nan, NAN),
        rebuild=_one_of("rebuild", rebuild, REBUILDS),
        n_series=whole("n_series", n_series, 1, 1 << 24),
    )


def _one_of(name: str, value: str, choices: Iterable[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise DataError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return value


def tails_of(confidences: tuple[float, ...]) -> list[Fraction]:
    """Tail probabilities, exactly, reading a confidence as the decimal that a person typed."""
    for confidence in confidences:
        if not 0.5 < confidence < 1.0:
            raise DataError(f"confidence must lie between 0.5 and 1, like 0.99; got {confidence!r}")
    tails = [1 - Fraction(Decimal(repr(c))) for c in confidences]
    if not tails or len(set(tails)) != len(tails):
        raise DataError(f"confidences must be given and differ, got {confidences}")
    for confidence, tail in zip(confidences, tails, strict=True):
        if FINEST % tail.denominator:
            raise DataError(f"a confidence has at most 9 decimals, got {confidence!r}")
    return tails
