"""Scan JSON payloads of one exact shape straight into tick columns, many frames in one call.

This is not a JSON parser. It is given templates, the very bytes that a venue writes with holes
where the values go, and takes a frame only if it fits one in every byte; at the first frame that is
odd in any way (white space, an escape, an exponent, an unknown symbol, a price of zero, a missing
trade id ...) it stops, leaves no trace of that frame, and says where. The caller then decodes it
with a real parser, which also words the complaint. So the scanner needs to know what is plain,
never what is wrong. A template may end with `REST`: such frames begin like a message that is known
to carry no trade, and are passed over without a look at what follows.

Two flat loops take turns over a few dozen trades at a time: `mark` fits the frames to the templates
and notes the digits and places of the values; `settle` makes ticks of the notes and judges them.
They call nothing, because each array handed to a function costs two atomic operations on its
reference count: with a function for every kind of hole a trade took 1.3 times as long (467 against
358 ns, 98-byte frames, a busy core). One loop written by hand for Finnhub alone took 200 ns; a
template costs more and makes a venue's shape data. Each frame is tried against the templates in
turn; with a call for each template and run of frames, a stream that mixes its kinds paid for a call
every frame or two.

Numbers are correctly rounded. The digits of a decimal number make an integer m and a power of ten
k; where m <= 2^53 and k <= 22 both are doubles without error, so the one division m / 10^k rounds
once, as IEEE 754 wants it (W. D. Clinger, "How to read floating point numbers accurately", PLDI
1990, section 3). Longer numbers are odd.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters, digits
from typing import Any

import numpy as np
import numpy.typing as npt

from rtre.kernels.jit import kernel

UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

FIRST_MS = 100_000_000_000  #: earliest believable venue time, 3 March 1973
LAST_MS = 9_000_000_000_000  #: latest, in 2255: in nanoseconds it still fits 64 bits
NS_PER_MS = 1_000_000
TRADE_BYTES = 32  #: no plain trade is shorter: its time alone has twelve digits
LARGEST_EXACT = 1 << 53
MOST_DIGITS = 18  #: as many always fit an int64
_POWERS = 10.0 ** np.arange(MOST_DIGITS + 1)

# Columns of a note, two for each value: mantissa and decimal places, or begin and end.
_PRICE, _SIZE, _TIME, _ID, _SYMBOL, _NOWHERE, _FRAME, _COLUMNS = 0, 2, 4, 6, 8, 10, 12, 16
_PASSED = 13  # frames passed over before this one

# What is done after the literal of a step.
_DECIMAL, _INTEGER, _TEXT, _WORD, _ROW, _MORE, _BEGIN, _NAME, _STOP, _REST = range(10)

# Holes of a template, as (what is done, column of the note).
PRICE = (_DECIMAL, _PRICE)
SIZE = (_DECIMAL, _SIZE)
TIME_MS = (_INTEGER, _TIME)
TRADE_ID = (_INTEGER, _ID)
SYMBOL = (_TEXT, _SYMBOL)
ANY_INTEGER = (_INTEGER, _NOWHERE)
ANY_TEXT = (_TEXT, _NOWHERE)  #: up to the next quote, of printable ASCII without escapes
ANY_BOOLEAN = (_WORD, _NOWHERE)
ANY_NAME = (_NAME, _NOWHERE)  #: one or more ASCII letters, digits and underscores
BEGIN = (_BEGIN, 0)  #: something begins here that may come several times; groups may be nested
MORE = (_MORE, 0)  #: it ends here: a comma leads back to its beginning
TRADE = (_ROW, 0)  #: all values of a trade have been seen
REST = (_REST, 0)  #: last: whatever follows, the frame carries no trade

_QUOTE, _COMMA, _ZERO = 0x22, 0x2C, 0x30
_FNV_BASIS, _FNV_PRIME, _32_BITS = np.int64(2166136261), np.int64(16777619), np.int64(0xFFFFFFFF)
_IN_TEXT = np.array([0x20 <= c <= 0x7E and c != 0x5C for c in range(256)])  # 0x5C: a backslash
_IN_NAME = np.array([chr(c) in ascii_letters + digits + "_" for c in range(256)])
_TRUE, _FALSE = int.from_bytes(b"true", "big"), int.from_bytes(b"false", "big")


def make_template(*parts: bytes | tuple[int, int]) -> tuple[UInt8, Int64]:
    """Turn literal bytes and holes into what `scan` takes: literals, and steps (n, 5).

    A step is: begin and end of its literal, what is done after it, the column that this goes to (or
    the step that a comma leads back to), and in the first step where the next template begins.
    """
    literals, begin = b"", 0
    steps: list[tuple[int, int, int, int, int]] = []
    open_groups: list[int] = []
    for part in parts:
        if isinstance(part, bytes):
            literals += part
            continue
        what, column = part
        back = open_groups.pop() if what == _MORE else column
        steps.append((begin, len(literals), what, back, 0))
        begin = len(literals)
        if what == _BEGIN:
            open_groups.append(len(steps))
    if parts[-1] != REST:
        steps.append((begin, len(literals), _STOP, 0, 0))
    return np.frombuffer(literals, np.uint8).copy(), np.array(steps, np.int64)


def join_templates(*templates: tuple[UInt8, Int64]) -> tuple[UInt8, Int64]:
    """Several templates as one: a frame is fitted to each in turn. The most frequent goes first."""
    literals = np.concatenate([part for part, _ in templates])
    steps, offset, total = [], 0, 0
    for part, own in templates:
        moved = own.copy()
        moved[:, :2] += offset
        moved[own[:, 2] == _MORE, 3] += total
        offset, total = offset + len(part), total + len(own)
        moved[0, 4] = total
        steps.append(moved)
    steps[-1][0, 4] = 0
    return literals, np.concatenate(steps)


def make_notes(trades: int = 64) -> Int64:
    """Scratch space for `scan`. Frames of more than `trades` trades are odd."""
    return np.zeros((trades, _COLUMNS), np.int64)


@kernel
def hash_bytes(part: UInt8) -> int:
    """FNV-1a of 32 bits, folded; what `settle` computes in place."""
    digest = _FNV_BASIS
    for i in range(part.size):
        digest = ((digest ^ np.int64(part[i])) * _FNV_PRIME) & _32_BITS
    return int(digest ^ (digest >> 15))


def pack_symbols(symbols: Sequence[str]) -> tuple[UInt8, Int32, Int32]:
    """Pack `symbols` for `scan`.

    Returns
    -------
    names : (b,) uint8
        All symbols, one after the other.
    offsets : (n + 1,) int32
        Symbol i is ``names[offsets[i]:offsets[i + 1]]``.
    slots : (2^k,) int32
        A hash table with open addressing, at most half full: the index of a symbol, or -1.
    """
    coded = [s.encode() for s in symbols]
    names = np.frombuffer(b"".join(coded), np.uint8).copy()
    offsets = np.cumsum([0, *map(len, coded)], dtype=np.int32)
    slots = np.full(1 << (2 * len(coded)).bit_length(), -1, np.int32)
    for i in range(len(coded)):
        slot = hash_bytes(names[offsets[i] : offsets[i + 1]]) % len(slots)
        while slots[slot] >= 0:
            slot = (slot + 1) % len(slots)
        slots[slot] = i
    return names, offsets, slots


@kernel
def mark(  # noqa: PLR0912, PLR0915 - one flat loop; see the module's text
    buffer: UInt8,
    starts: Int64,
    ends: Int64,
    frame: int,
    literals: UInt8,
    steps: Int64,
    notes: Int64,
) -> tuple[int, int, int]:
    """Fit frames, while there is room; the first odd frame, and counts of notes and passed."""
    row, passed, first = 0, 0, 0
    while frame < starts.size:
        at, end = starts[frame], ends[frame]
        filled, step, fits = row, first, False
        plain: Any = True
        while plain:
            k, stop, what, column = steps[step, 0], steps[step, 1], steps[step, 2], steps[step, 3]
            if at + stop - k > end:
                break
            while k < stop and buffer[at] == literals[k]:
                k += 1
                at += 1
            if k < stop or what >= _STOP or (what <= _ROW and filled == len(notes)):
                fits = k == stop and (what == _REST or (what == _STOP and at == end))
                passed += fits and what == _REST
                break
            begin, dot, value = at, np.int64(-1), np.int64(0)
            if what <= _INTEGER:
                while at < end and at - (dot >= 0) < begin + MOST_DIGITS:  # more do not fit
                    digit = np.int64(buffer[at]) - _ZERO
                    if 0 <= digit <= 9:
                        value = value * 10 + digit
                    elif digit == -2 and dot < 0 and what == _DECIMAL:
                        dot = at
                    else:
                        break
                    at += 1
                places = 0 if dot < 0 else at - dot - 1
                whole = at - begin - places - (dot >= 0)
                plain = whole > 0 and (dot < 0 or places > 0)
                plain = plain and (whole == 1 or buffer[begin] != _ZERO)
                notes[filled, column], notes[filled, column + 1] = value, places
            elif what == _TEXT:
                while at < end and buffer[at] != _QUOTE:
                    plain = plain and _IN_TEXT[buffer[at]]
                    at += 1
                notes[filled, column], notes[filled, column + 1] = begin, at
            elif what == _WORD:
                while at < end and at < begin + 5 and 0x61 <= buffer[at] <= 0x7A:
                    value = value << 8 | np.int64(buffer[at])
                    at += 1
                plain = value in (_TRUE, _FALSE)
            elif what == _ROW:
                notes[filled, _FRAME], notes[filled, _PASSED] = frame, passed
                filled += 1
            elif what == _MORE and at < end and buffer[at] == _COMMA:
                at += 1
                step = column - 1
            elif what == _NAME:
                while at < end and _IN_NAME[buffer[at]]:
                    at += 1
                plain = at > begin
            step += 1
        first = 0 if fits else steps[first, 4]
        if fits:
            row, frame = filled, frame + 1
        elif first == 0:
            break
    return frame, row, passed


@kernel
def settle(
    buffer: UInt8,
    notes: Int64,
    count: int,
    names: UInt8,
    offsets: Int32,
    slots: Int32,
    last_id: Int64,
    asset: Int32,
    price: Float64,
    size: Float64,
    ts_event_ns: Int64,
    row: int,
) -> int:
    """Make ticks of `count` notes, from `row` on; returns the first note that is odd, or `count`.

    With a `last_id` of size 0 trade ids are not looked at.
    """
    mask = slots.size - 1
    for i in range(count):
        begin, end = notes[i, _SYMBOL], notes[i, _SYMBOL + 1]
        digest = _FNV_BASIS
        for at in range(begin, end):
            digest = ((digest ^ np.int64(buffer[at])) * _FNV_PRIME) & _32_BITS
        slot = (digest ^ (digest >> 15)) & mask
        found = np.int64(slots[slot])
        while found >= 0:
            first = offsets[found]
            k = 0
            if offsets[found + 1] - first == end - begin:
                while k < end - begin and names[first + k] == buffer[begin + k]:
                    k += 1
                if k == end - begin:
                    break
            slot = (slot + 1) & mask
            found = np.int64(slots[slot])
        price_digits, size_digits, ms = notes[i, _PRICE], notes[i, _SIZE], notes[i, _TIME]
        if found < 0 or price_digits == 0 or ms < FIRST_MS or ms > LAST_MS:
            return i
        if price_digits > LARGEST_EXACT or size_digits > LARGEST_EXACT:
            return i
        if last_id.size > 0:
            trade = notes[i, _ID]
            if last_id[found] >= 0 and trade != last_id[found] + 1:
                return i
            last_id[found] = trade
        asset[row + i] = found
        price[row + i] = np.float64(price_digits) / _POWERS[notes[i, _PRICE + 1]]
        size[row + i] = np.float64(size_digits) / _POWERS[notes[i, _SIZE + 1]]
        ts_event_ns[row + i] = ms * NS_PER_MS
    return count


@kernel
def scan(
    buffer: UInt8,
    starts: Int64,
    ends: Int64,
    frame: int,
    literals: UInt8,
    steps: Int64,
    names: UInt8,
    offsets: Int32,
    slots: Int32,
    last_id: Int64,
    notes: Int64,
    asset: Int32,
    price: Float64,
    size: Float64,
    ts_event_ns: Int64,
    row: int,
) -> tuple[int, int, int]:
    """Scan frames from `frame` on, until one is odd.

    Parameters
    ----------
    buffer, starts, ends : arrays
        Payload i is ``buffer[starts[i]:ends[i]]``.
    literals, steps : arrays
        From `make_template` or `join_templates`.
    names, offsets, slots : arrays
        From `pack_symbols`.
    last_id : (n,) or (0,) int64
        The newest trade id of each asset, or -1 before the first; moves on. An id that does not
        follow its forerunner is odd. Only for templates of one trade a frame.
    notes : array
        From `make_notes`; overwritten.
    asset, price, size, ts_event_ns : (r,) arrays
        Written from `row` on; rows past the result may hold leftovers. Where they are full, the
        next frame is odd.

    Returns
    -------
    frame, row, passed : int
        The first frame that was not taken, the first row that was not written, and how many of the
        frames taken were passed over because they carry no trade.
    """
    passed = 0
    while frame < starts.size:
        reached, count, over = mark(buffer, starts, ends, frame, literals, steps, notes)
        if reached == frame or row + count > asset.size:
            break
        good = settle(
            buffer, notes, count, names, offsets, slots, last_id,
            asset, price, size, ts_event_ns, row,
        )  # fmt: skip
        if good < count:
            frame = int(notes[good, _FRAME])
            while good > 0 and notes[good - 1, _FRAME] == frame:
                good -= 1
            return frame, row + good, passed + int(notes[good, _PASSED])
        row += count
        frame = reached
        passed += over
    return frame, row, passed
