"""Telling people of a book that stays in the slow state, and not of one that passes through it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from rtre.figures import BookWork

log = logging.getLogger("rtre")

_IN_A_ROW = 3  #: intervals with, or without, a fall-back until that counts as a state


class FallbackWatch:
    """Warns once when a book keeps falling back to touching every scenario, and once when it stops.

    A fall-back ends when its grid interval closes, and in wild markets some are normal: what is
    worth a warning is a book that falls back again in interval after interval.
    """

    def __init__(self) -> None:
        self._interval: int | None = None
        self._seen: dict[str, int] = {}  # fall-backs of each book at the last look
        self._fallen: dict[str, bool] = {}  # the state that people know
        self._against: dict[str, int] = {}  # intervals in a row that say otherwise

    def is_due(self, interval: int) -> bool:
        """Whether this is another interval than last time; the first one is not."""
        last, self._interval = self._interval, interval
        return last is not None and interval != last

    def look(self, books: Iterable[BookWork]) -> None:
        """Take note of what the interval that closed did to each book."""
        for book in books:
            fell = book.fallbacks > self._seen.get(book.name, 0)
            fell |= book.touched and book.fallbacks > 0
            self._seen[book.name] = book.fallbacks
            known = self._fallen.get(book.name, False)
            against = self._against.get(book.name, 0) + 1 if fell != known else 0
            self._against[book.name] = against % _IN_A_ROW
            if against == _IN_A_ROW:
                self._fallen[book.name] = fell
                self._tell(book, fell)

    def _tell(self, book: BookWork, fell: bool) -> None:
        if fell:
            log.warning("book %s touches every scenario with each tick: its worst scenarios change "
                        "too fast to follow a few (the numbers stay exact, ticks cost more; %d "
                        "fall-backs so far)", book.name, book.fallbacks)  # fmt: skip
        else:
            log.warning("book %s follows its worst scenarios again", book.name)
