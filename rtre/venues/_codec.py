"""What the codecs share: text for people, the tally of refusals, and the two tiers of decoding."""

from __future__ import annotations

import abc
import json
import unicodedata
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rtre.kernels.scan import TRADE_BYTES, make_notes, pack_symbols, scan
from rtre.market import Int64, TickBuffer, Universe
from rtre.venues.base import DecodeCounts, Notice, Venue
from rtre.venues.frames import Frames
from rtre.venues.reference import Reference

TEXT_LIMIT = 200
SCAN_BYTES = 1024  #: smaller reads are cheaper in the strict tier than one kernel call
UInt8 = npt.NDArray[np.uint8]

STRICT_STEP = 256
EXPLAIN_BYTES = 16_384  #: longest frame that is read again to explain what is wrong with it
EXPLAIN_EVERY_NS = 1_000_000_000  #: at most so often, by time of receipt
UNKNOWN_LIMIT = 100  #: unknown symbols that are told one by one

_PLAIN = frozenset({"L", "N", "P", "S"})  # Unicode: letters, numbers, punctuation, symbols


def printable(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""`text` made safe to print and to log: no control characters, one line, bounded.

    >>> printable("too many\x1b[31m\nsymbols")
    'too many[31m symbols'
    """
    head = text[: 4 * limit]  # bounds the work as well as the result
    plain = "".join(c if unicodedata.category(c)[0] in _PLAIN else " " for c in head if c != "\x1b")
    return " ".join(plain.split())[:limit]


def dumps(**fields: object) -> str:
    """Compact JSON for a message of ours."""
    return json.dumps(fields, separators=(",", ":"))


class Explainer:
    """Words for frames that cannot be decoded, from the slow decoder where there is time for it.

    One short frame a second is read again for that; of others the fast decoder's error is told.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._next_ns = 0

    def why(self, payload: memoryview, error: Exception, ts_init_ns: int) -> str:
        """Why `payload` is refused. Holds texts of the venue whole or not at all."""
        if len(payload) > EXPLAIN_BYTES or ts_init_ns < self._next_ns:
            return describe(error)
        self._next_ns = ts_init_ns + EXPLAIN_EVERY_NS
        return self._reference.explain(bytes(payload)) or describe(error)


class Refusals:
    """What one `decode` call refused: counts every one and tells the first of each kind.

    Parameters
    ----------
    explainer : Explainer
        Of the venue object.
    ts_init_ns : int
        Time of receipt.
    unknown : set of str
        Symbols told so far, kept over the life of the venue object.
    """

    def __init__(
        self, counts: DecodeCounts, unknown: set[str], explainer: Explainer, ts_init_ns: int
    ) -> None:
        self._explainer = explainer
        self._ts_init_ns = ts_init_ns
        self.notices: list[Notice] = []
        self._counts = counts
        self._unknown = unknown
        self._told: set[str] = set()

    def frame(self, frame: int, payload: memoryview, error: Exception) -> None:
        """A frame that cannot be decoded at all: one received and one rejected."""
        self._counts.received += 1
        told = "frame" in self._told
        why = "" if told else self._explainer.why(payload, error, self._ts_init_ns)
        self.tick("frame", frame, why)

    def tick(self, kind: str, frame: int, what: str) -> None:
        """One tick of a frame. The caller has counted it as received."""
        self._counts.rejected += 1
        if kind not in self._told:
            self._told.add(kind)
            self.notices.append(Notice("rejected", printable(f"frame {frame}: {what}")))

    def unknown_symbol(self, frame: int, symbol: str) -> None:
        """A tick of a symbol that is not in the universe."""
        self._counts.rejected += 1
        if symbol not in self._unknown and len(self._unknown) < UNKNOWN_LIMIT:
            self._unknown.add(symbol)
            text = f"frame {frame}: {symbol[:64]!r} is not a symbol of this run"
            self.notices.append(Notice("rejected", printable(text)))

    def tell(self, notice: Notice) -> None:
        """Pass something on that is not a refusal."""
        self.notices.append(notice)


def describe(error: Exception) -> str:
    """A decoder's error, place first: ``data[0].p: expected float, got str``."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    what, _, where = str(error).partition(" - at `")
    what = what.replace("`", "").removeprefix("JSON is ")
    where = where.rstrip("`").removeprefix("$").removeprefix(".")
    return f"{where}{': ' if where else ''}{what[:1].lower()}{what[1:]}"


class Columns:
    """Ticks on their way into a `TickBuffer`: lists first, one write per column in the end."""

    def __init__(self) -> None:
        self.asset: list[int] = []
        self.price: list[float] = []
        self.size: list[float] = []
        self.ts_event_ns: list[int] = []
        self.ts_init_ns: list[int] = []

    def append(
        self, asset: int, price: float, size: float, ts_event_ns: int, ts_init_ns: int
    ) -> None:
        """Add one tick."""
        self.asset.append(asset)
        self.price.append(price)
        self.size.append(size)
        self.ts_event_ns.append(ts_event_ns)
        self.ts_init_ns.append(ts_init_ns)

    def write(self, out: TickBuffer) -> int:
        """Append everything to `out`; returns how many ticks that are."""
        n = len(self.asset)
        if n == 1:  # the usual read of a calm link: five slices would take three times as long
            out.append(
                self.asset[0],
                self.price[0],
                self.size[0],
                self.ts_event_ns[0],
                self.ts_init_ns[0],
            )
            return 1
        out.reserve(n)
        rows = slice(out.count, out.count + n)
        out.asset[rows] = self.asset
        out.price[rows] = self.price
        out.size[rows] = self.size
        out.ts_event_ns[rows] = self.ts_event_ns
        out.ts_init_ns[rows] = self.ts_init_ns
        out.count += n
        return n


class TwoTierVenue(Venue):
    """A codec with a fast and a strict tier that give the same ticks and the same counts.

    The fast tier (`rtre.kernels.scan`) takes frames of a few exact shapes, many in a call, and
    stops at the first that is odd in any way. The strict tier (`read_frame`) takes any frame and
    has the last word. When a call of the fast tier does not pay for itself, the strict tier takes
    twice as many frames as the time before, so a stream without a plain frame costs little more
    than the strict tier alone.

    Parameters
    ----------
    scan_bytes : int or None
        Reads smaller than this go to the strict tier; None sends all of them there.
    """

    template: ClassVar[tuple[UInt8, Int64]]  #: shapes of the fast tier
    reference: ClassVar[type[Reference]]  #: the slow decoder

    def __init__(self, universe: Universe, *, scan_bytes: int | None = SCAN_BYTES) -> None:
        super().__init__(universe)
        self.last_id = np.empty(0, np.int64)  # of each asset, where the venue has trade ids
        self._packed = pack_symbols(universe.symbols)
        self._notes = make_notes()
        self._index = universe.index
        self._scan_bytes = scan_bytes
        self._unknown: set[str] = set()
        self._explainer = Explainer(self.reference(universe.symbols))

    def decode(self, frames: Frames, ts_init_ns: int, out: TickBuffer) -> list[Notice]:
        """See `Venue.decode`."""
        refusals = Refusals(self.counts, self._unknown, self._explainer, ts_init_ns)
        total = len(frames)
        self.counts.frames += total
        at, step = 0, 1
        if self._scan_bytes is None or frames.buffer.size < self._scan_bytes:
            self._read_frames(frames, 0, total, ts_init_ns, out, refusals)
            return refusals.notices
        while at < total:
            found = self._scan(frames, at, ts_init_ns, out)
            step = 1 if found - at >= step else min(2 * step, STRICT_STEP)
            at = min(found + step, total)
            if found < at:
                self._read_frames(frames, found, at, ts_init_ns, out, refusals)
        return refusals.notices

    def _scan(self, frames: Frames, start: int, ts_init_ns: int, out: TickBuffer) -> int:
        """The fast tier: decode frames from `start` on; returns the first that is odd."""
        out.reserve(frames.buffer.size // TRADE_BYTES + 1)
        first = out.count
        literals, steps = self.template
        names, offsets, slots = self._packed
        found, out.count, passed = scan(
            frames.buffer,
            frames.starts,
            frames.ends,
            start,
            literals,
            steps,
            names,
            offsets,
            slots,
            self.last_id,
            self._notes,
            out.asset,
            out.price,
            out.size,
            out.ts_event_ns,
            first,
        )
        out.ts_init_ns[first : out.count] = ts_init_ns
        self.counts.received += out.count - first
        self.counts.decoded += out.count - first
        self.counts.ignored += passed
        return found

    def _read_frames(
        self,
        frames: Frames,
        start: int,
        stop: int,
        ts_init_ns: int,
        out: TickBuffer,
        refusals: Refusals,
    ) -> None:
        view = frames.buffer.data
        bounds: Iterable[tuple[int, int]]
        if stop - start == 1:  # 0.3 us where the lists take 2.0
            bounds = ((int(frames.starts[start]), int(frames.ends[start])),)
        else:
            bounds = zip(
                frames.starts[start:stop].tolist(), frames.ends[start:stop].tolist(), strict=True
            )
        columns = Columns()
        for i, (begin, end) in enumerate(bounds, start):
            self.read_frame(view[begin:end], i, ts_init_ns, columns, refusals)
        if columns.asset:
            self.counts.decoded += columns.write(out)

    @abc.abstractmethod
    def read_frame(
        self, payload: memoryview, i: int, ts_init_ns: int, columns: Columns, refusals: Refusals
    ) -> None:
        """Decode frame `i`, whatever it is."""
