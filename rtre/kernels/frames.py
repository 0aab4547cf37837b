"""Cut a byte buffer into WebSocket frames (RFC 6455, section 5.2), many in one call.

The hot shape is a complete, unmasked, unfragmented text or binary frame in the shortest length
encoding. `cut` walks over any number of those. At anything else it stops and says where: fragments,
control frames and violations are rare and are judged one by one by the caller in plain Python,
which keeps this loop short enough to trust.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtre.kernels.jit import kernel

MORE = 0  #: the next frame is not complete yet
ODD = 1  #: the next frame is not of the hot shape
BAD_TEXT = 2  #: the next frame is a text frame that is not UTF-8
FULL = 3  #: `starts` and `ends` are full

TEXT = 0x81  #: first byte of a whole text frame: FIN, no RSV bit, opcode 1
BINARY = 0x82


@kernel
def is_ascii(part: npt.NDArray[np.uint8]) -> bool:
    """Whether every byte is below 128. One branch-free pass, so that it vectorises."""
    seen = np.uint8(0)
    for i in range(part.size):
        seen = np.uint8(seen | part[i])
    return bool(seen < 0x80)


@kernel
def is_utf8(part: npt.NDArray[np.uint8]) -> bool:  # noqa: PLR0912 - one branch per row of the table
    """Whether `part` is well-formed UTF-8 (Unicode standard, table 3-7).

    Overlong forms, surrogates and anything past U+10FFFF are not.
    """
    if is_ascii(part):
        return True
    n = part.size
    i = 0
    while i < n:
        lead = part[i]
        if lead < 0x80:
            i += 1
            continue
        low, high = 0x80, 0xBF  # bounds of the second byte
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                low = 0xA0  # below: overlong
            elif lead == 0xED:
                high = 0x9F  # above: surrogates
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F  # above: past U+10FFFF
        else:
            return False
        if i + more >= n or part[i + 1] < low or part[i + 1] > high:
            return False
        for k in range(i + 2, i + more + 1):
            if part[k] < 0x80 or part[k] > 0xBF:
                return False
        i += more + 1
    return True


@kernel
def cut(  # noqa: PLR0911, PLR0912 - every odd thing leaves at once
    buffer: npt.NDArray[np.uint8],
    position: int,
    largest: int,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    count: int,
) -> tuple[int, int, int, int]:
    """Cut hot frames off `buffer` from `position` on, until one is not complete or not hot.

    Parameters
    ----------
    buffer : (b,) uint8
        Bytes of an open connection, from a frame boundary at `position`.
    largest : int
        Payloads above this many bytes are not hot.
    starts, ends : (c,) int64
        Filled from row `count` on: payload i is ``buffer[starts[i]:ends[i]]``.

    Returns
    -------
    count, position : int
        Rows written so far; the first byte that was not consumed.
    need : int
        With MORE: bytes the next frame takes in all, header included, or 0 if its header is not
        complete either. Otherwise 0.
    status : int
        MORE, ODD, BAD_TEXT or FULL.
    """
    stop = buffer.size
    while position + 2 <= stop:
        first = buffer[position]
        length = np.int64(buffer[position + 1])
        if first not in (TEXT, BINARY) or length > 127:
            return count, position, 0, ODD
        head = 2
        if length == 126:
            head = 4
            if position + head > stop:
                return count, position, 0, MORE
            length = np.int64(buffer[position + 2]) << 8 | np.int64(buffer[position + 3])
            if length < 126:
                return count, position, 0, ODD
        elif length == 127:
            head = 10
            if position + head > stop:
                return count, position, 0, MORE
            length = np.int64(0)
            for k in range(position + 2, position + 10):
                length = length << 8 | np.int64(buffer[k])
            if length < 65536:  # not the shortest form, or the top bit is set
                return count, position, 0, ODD
        if length > largest:
            return count, position, 0, ODD
        end = position + head + int(length)
        if end > stop:
            return count, position, end - position, MORE
        if count == starts.size:
            return count, position, 0, FULL
        if first == TEXT and not is_utf8(buffer[position + head : end]):
            return count, position, 0, BAD_TEXT
        starts[count] = position + head
        ends[count] = end
        count += 1
        position = end
    return count, position, 0, MORE
