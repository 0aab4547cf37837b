"""A recorded stream as a feed: the same frames through the same codec, as fast as it goes.

Batches are cut where the time of receipt crosses a grid interval, never by what the machine
happens to be doing, so two replays of one file give the same reports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import trio

from rtre.errors import RecordingError
from rtre.feeds.base import FeedStatistics, TickChannel
from rtre.feeds.recording import Entry, Recording
from rtre.figures import TickCounts
from rtre.market import LinkChange, TickBuffer, Universe
from rtre.venues.base import Venue
from rtre.venues.frames import Frames

_SNIFFED = 5000  #: lines read to find out what a raw capture holds
_CHUNK = 4096  #: messages decoded in one go


class ReplayFeed:
    """Ticks from a recording.

    Parameters
    ----------
    recording : Recording
    venue : type of Venue
        Whose messages they are.
    universe : Universe
        Ticks of other symbols are counted as rejected.
    interval_ns : int
        A batch never spans a boundary of this grid of receipt times.
    speed : float or None
        1.0 is the pace of the recording; None: as fast as it goes.
    every_message : bool
        One batch a message instead of one an interval.
    """

    def __init__(
        self,
        recording: Recording,
        venue: type[Venue],
        universe: Universe,
        *,
        interval_ns: int,
        speed: float | None = None,
        every_message: bool = False,
    ) -> None:
        self.name = "replay"
        self._recording = recording
        self._venue = venue(universe)
        self._assets = tuple(range(len(universe)))
        self._interval_ns = interval_ns
        self._speed = speed
        self._every = every_message
        self._connections = 0
        self._notice = ""

    def refused(self) -> tuple[int, int]:
        """Ticks rejected and duplicates dropped so far."""
        return self._venue.counts.rejected, self._venue.counts.duplicate

    def statistics(self) -> FeedStatistics:
        """Return what happened so far."""
        counts = self._venue.counts
        return FeedStatistics(
            name=self.name,
            connected=True,
            connections=self._connections,
            attempts=self._connections,
            messages=counts.frames,
            heartbeats=counts.heartbeats,
            received=counts.received,
            counts=TickCounts(rejected=counts.rejected, duplicate=counts.duplicate),
            missing=counts.missing,
            notice=self._notice,
        )

    async def run(self, out: TickChannel) -> None:
        """Write the recording's batches to `out` and end."""
        started, first_ns = trio.current_time(), None
        for group in self._groups():
            first_ns = first_ns or group[0].ts_ns
            if self._speed is not None:
                due = started + (group[-1].ts_ns - first_ns) / 1e9 / self._speed
                await trio.sleep_until(due)
            await self._send(group, out)

    def _groups(self) -> Iterator[list[Entry]]:
        """Cut the entries into link changes, and runs of messages within one interval."""
        group: list[Entry] = []
        for entry in self._recording:
            full = self._every or len(group) >= _CHUNK or entry.up is not None
            if group and (full or group[-1].up is not None or self._other_interval(group, entry)):
                yield group
                group = []
            group.append(entry)
        if group:
            yield group

    def _other_interval(self, group: list[Entry], entry: Entry) -> bool:
        return entry.ts_ns // self._interval_ns != group[0].ts_ns // self._interval_ns

    async def _send(self, group: list[Entry], out: TickChannel) -> None:
        head = group[0]
        if head.up is not None:
            self._connections += int(head.up)
            reason = head.payload.decode("utf-8", "replace")
            await out.send(LinkChange(self._assets, head.up, head.ts_ns, reason))
            return
        buffer = TickBuffer(4 * len(group))
        for stamp, frames in _by_stamp(group):
            for notice in self._venue.decode(frames, stamp, buffer):
                self._notice = f"{notice.kind}: {notice.text}"
        if buffer.count:
            await out.send(buffer.take())
        else:
            await trio.lowlevel.checkpoint()


def _by_stamp(group: list[Entry]) -> Iterator[tuple[int, Frames]]:
    """Cut a group into the messages that were received in one read; all share one buffer."""
    frames = Frames.of([entry.payload for entry in group])
    start = 0
    for i in range(1, len(group) + 1):
        if i == len(group) or group[i].ts_ns != group[start].ts_ns:
            yield (
                group[start].ts_ns,
                Frames(frames.buffer, frames.starts[start:i], frames.ends[start:i]),
            )
            start = i


def sniff(recording: Recording) -> tuple[str, tuple[str, ...]]:
    """Find out whose messages a recording holds, and of which symbols.

    The header says so in rtre's own recordings; of a raw capture the first 5,000 lines are looked
    through for what the known venues send.

    Raises
    ------
    RecordingError
        Nothing in it looks like a trade.
    """
    header = recording.header
    if header.venue and header.symbols:
        return header.venue, header.symbols
    venue, symbols = header.venue, dict.fromkeys(header.symbols)
    for number, entry in enumerate(recording):
        if number >= _SNIFFED:
            break
        found, names = _look(entry.payload)
        venue = venue or found
        if found == venue:
            symbols.update(dict.fromkeys(names))
    if venue is None or not symbols:
        raise RecordingError(
            f"{', '.join(recording.paths)}: no trades of a known venue in the first 5,000 lines; "
            f"say --feed and --symbols"
        )
    return venue, tuple(symbols)


def _look(payload: bytes) -> tuple[str | None, tuple[str, ...]]:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return None, ()
    if not isinstance(message, dict):
        return None, ()
    data = message.get("data", message)
    if isinstance(data, dict) and data.get("e") == "trade":
        return "binance", (str(data.get("s")),)
    if message.get("type") in ("trade", "history") and isinstance(data, list):
        names = tuple(str(t["s"]) for t in data if isinstance(t, dict) and "s" in t)
        return ("simulated" if message["type"] == "history" else "finnhub"), names
    return None, ()
