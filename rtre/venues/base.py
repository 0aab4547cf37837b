"""What a venue is: how to reach it, what to send it, and how its frames become ticks.

A venue is one file in this folder that defines a subclass of `Venue` and names it ``VENUE``. It
does no I/O and reads no clock: payloads and the time of receipt come in, ticks and notices go
out. One object serves one connection, so it may keep per-connection state such as the last trade
id of each symbol.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, Literal

import attrs

from rtre.market import TickBuffer, Universe
from rtre.venues.frames import Frames


@attrs.frozen
class Notice:
    """Something a venue said, or did, that is not a tick.

    Attributes
    ----------
    kind : {"error", "rejected", "gap"}
        The venue reported an error; a frame or trade was refused by us; trade ids were skipped.
    text : str
        For people: printable, at most 200 characters, never holds a token.
    fatal : bool
        Reconnecting at once would not help (bad token, not entitled).
    assets : tuple of int
        The assets concerned, where known.
    """

    kind: Literal["error", "rejected", "gap"]
    text: str
    fatal: bool = False
    assets: tuple[int, ...] = ()


@attrs.define
class DecodeCounts:
    """What became of everything one venue object has seen. ``received`` ticks are the balance.

    ``received == decoded + rejected + duplicate`` at every moment, where a frame that cannot be
    decoded at all counts as one received and one rejected tick.
    """

    frames: int = 0
    received: int = 0
    decoded: int = 0
    rejected: int = 0
    duplicate: int = 0
    missing: int = 0  #: trades the venue sent and we never saw, by trade id
    heartbeats: int = 0
    ignored: int = 0  #: frames of a known shape that carry no trades


class Venue(abc.ABC):
    """One connection's codec. Subclasses add the wire format of a venue."""

    name: ClassVar[str]  #: as typed after ``--feed``
    url: ClassVar[str]  #: where it listens, without token
    token_env: ClassVar[str | None] = None  #: environment variable that holds the token
    silence_s: ClassVar[float] = 60.0  #: a link this long without any message is dead
    offers_history: ClassVar[bool] = False

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.counts = DecodeCounts()

    @classmethod
    def symbol_problem(cls, symbol: str) -> str:
        """Say why a symbol can never have a trade here; empty where nothing speaks against it."""
        return ""

    def endpoint(self, url: str, token: str | None) -> str:
        """The URL to open, token included. The result is a secret: never log it."""
        return url

    @abc.abstractmethod
    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Messages that ask for the trades of `symbols`."""

    @abc.abstractmethod
    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Messages that end the trades of `symbols`."""

    def request_history(
        self, symbols: Sequence[str], *, interval_ns: int, intervals: int
    ) -> list[str]:
        """Messages that ask for past trades; none where the venue offers no history."""
        return []

    @abc.abstractmethod
    def decode(self, frames: Frames, ts_init_ns: int, out: TickBuffer) -> list[Notice]:
        """Append the ticks of `frames` to `out`; count everything; return what must be told.

        Never raises for what a venue sent. A frame that is not understood is counted and told,
        and does not stop the frames after it.
        """
