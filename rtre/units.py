"""Durations as people write them: ``500ms``, ``1s``, ``5m``, ``6h30m``; kept as nanoseconds."""

from __future__ import annotations

import re

from rtre.errors import DataError

_UNITS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_LONGEST = 256  #: characters; whatever is meant has fewer
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|d|h|m|s)")


class Duration(int):
    """A span of time in nanoseconds; an int that reads and prints as ``1m30s``.

    >>> Duration.parse("6h30m") // 60_000_000_000
    390
    >>> str(Duration(1_500_000_000))
    '1s500ms'
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read a duration; raises DataError for text that is not one, or beyond 292 years."""
        if len(text) > _LONGEST:  # int() refuses thousands of digits
            raise DataError(f"must be a duration below 292 years; got {text[:_LONGEST]!r}...")
        rest, total = text.strip(), 0
        while rest and (part := _PART.match(rest)):
            number, unit = part.groups()
            whole, _, fraction = number.partition(".")
            scale = _UNITS[unit]
            total += int(whole) * scale + int(fraction or 0) * scale // 10 ** len(fraction)
            rest = rest[part.end() :]
        if rest or not text.strip():
            raise DataError(f"must be a duration like 500ms, 1s, 5m or 6h30m; got {text!r}")
        if total >= 1 << 63:
            raise DataError(f"must be a duration below 292 years; got {text!r}")
        return cls(total)

    def __str__(self) -> str:
        rest, parts = int(self), []
        for unit, scale in _UNITS.items():
            count, rest = divmod(rest, scale)
            if count:
                parts.append(f"{count}{unit}")
        return "".join(parts) or "0s"

    def __repr__(self) -> str:
        return f"Duration.parse({str(self)!r})"

    @property
    def seconds(self) -> float:
        """The same in seconds, for Trio."""
        return self / 1e9
