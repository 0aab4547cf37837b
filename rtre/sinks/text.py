"""Numbers, times and foreign text as people read them."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime

MISSING = "–"
_MAX_TEXT = 200


def price(value: float | None) -> str:
    """Format a price to the cent, or to three significant digits where that is finer.

    >>> [price(v) for v in (94_460.777, 0.2216, 0.00001234, None)]
    ['94,460.78', '0.2216', '1.23e-05', '–']
    """
    return money(value, cents_below=1e12)


def money(value: float | None, *, cents_below: float = 1000.0) -> str:
    """Format an amount of money, with three significant digits or more.

    >>> [money(v) for v in (1234567.8, -999.996, 98.765, 0.0456, -0.00001234, 0.0)]
    ['1,234,568', '-1,000', '98.77', '0.0456', '-1.23e-05', '0.00']
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0.0 else "-∞"
    size = abs(value)
    if size >= 1e15 or 0.0 < size < 0.01:
        return f"{value:.2e}"
    if size < 1.0 and size:
        return f"{value:,.4f}"
    return f"{value:,.{2 if size < cents_below - 0.005 else 0}f}"


def level(confidence: float) -> str:
    """Format a confidence in percent: ``99``, ``97.5``.

    >>> level(0.99), level(0.975)
    ('99', '97.5')
    """
    return f"{100.0 * confidence:.10g}"


def interval(low: float | None, high: float | None) -> str:
    """Format the interval of a VaR; a side that is None has no bound, and both None give "".

    >>> interval(12.0, 15.5), interval(12.0, None), interval(None, 15.5)
    ('12.00–15.50', '≥ 12.00', '≤ 15.50')
    """
    if low is None:
        return "" if high is None else f"≤ {money(high)}"
    return f"≥ {money(low)}" if high is None else f"{money(low)}–{money(high)}"


def utc(ns: int, *, date: bool = True) -> str:
    """Format nanoseconds since the epoch as UTC to the millisecond.

    >>> utc(1_500_000_000)
    '1970-01-01 00:00:01.500Z'
    """
    seconds, rest = divmod(ns, 1_000_000_000)
    pattern = "%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S"
    return f"{datetime.fromtimestamp(seconds, UTC):{pattern}}.{rest // 1_000_000:03}Z"


def age(ns: int | None) -> str:
    """Format an age in its largest unit.

    >>> [age(ns) for ns in (250_000_000, 12_000_000_000, 7_200_000_000_000, None)]
    ['0.2s', '12s', '2h', '–']
    """
    if ns is None:
        return MISSING
    seconds = max(ns, 0) / 1e9  # a venue's clock may be ahead of ours
    if seconds < 10.0:
        return f"{math.floor(10.0 * seconds) / 10.0:.1f}s"
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def latency(us: float) -> str:
    """Format microseconds.

    >>> latency(123.4), latency(4567.0), latency(2.5e6)
    ('123 µs', '4.6 ms', '2.5 s')
    """
    if us < 999.5:
        return f"{us:.0f} µs"
    return f"{us / 1e3:.1f} ms" if us < 999_950.0 else f"{us / 1e6:.1f} s"


def clean(text: str) -> str:
    """Make foreign text safe to show: one line, no control or formatting characters, not endless.

    >>> clean("line" + chr(10) + "two" + chr(27) + "[31m")
    'line two[31m'
    """
    spaced = " ".join(text[: 4 * _MAX_TEXT].split())
    plain = "".join(c for c in spaced if unicodedata.category(c)[0] != "C")
    return plain if len(plain) <= _MAX_TEXT else plain[: _MAX_TEXT - 1] + "…"
