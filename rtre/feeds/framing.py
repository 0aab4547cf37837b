"""Bytes of an open WebSocket connection in; messages, control frames and one end out. No I/O.

Theory of operation. `MessageCutter.feed` gets what one socket read gave. The kernel cuts off every
frame of the hot shape in one call; a frame it stops at is judged here:

* a control frame is checked and kept, unchanged and in order, for the WebSocket library, which
  answers pings and closes; what is handed on is always valid, so the library never has to judge;
* a fragment goes into the message that is being put together;
* anything that RFC 6455 does not allow ends the connection with the close code it names.

A frame that is not complete waits as a list of reads. They are joined once, when as many bytes have
come as its header promises: joining at each read would make a long message in small pieces cost
its length squared.

After the first close frame or violation nothing that follows is looked at.
"""

from __future__ import annotations

import codecs

import attrs
import numpy as np

from rtre.kernels.frames import BAD_TEXT, BINARY, FULL, MORE, TEXT, cut
from rtre.venues.frames import Frames

PROTOCOL_ERROR = 1002
NO_CODE = 1005
NOT_UTF8 = 1007
TOO_BIG = 1009

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_OPCODES = frozenset({_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG})
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1014), *range(3000, 5000)})

_utf8 = codecs.getincrementaldecoder("utf-8")


@attrs.frozen
class End:
    """Why nothing more will come out of a connection.

    Attributes
    ----------
    code : int
        WebSocket close code: the peer's, or the one to send if `violation`.
    text : str
        For people. Holds the peer's words where it gave any: not for a log as it is.
    violation : bool
        We end the connection because of what the peer sent.
    """

    code: int
    text: str
    violation: bool


class _Violation(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.end = End(code, text, violation=True)


@attrs.frozen
class _Header:
    final: bool
    opcode: int
    begin: int  #: of the payload
    end: int


def _parse_header(data: bytes, at: int) -> _Header | None:
    """Read the frame header at `at`; None if it is not complete. Raises for what is not allowed."""
    if at + 2 > len(data):
        return None
    first, second = data[at], data[at + 1]
    opcode, length = first & 0x0F, second & 0x7F
    if opcode not in _OPCODES:
        raise _Violation(PROTOCOL_ERROR, f"opcode {opcode} is reserved")
    if first & 0x70:
        raise _Violation(PROTOCOL_ERROR, "a reserved bit is set and no extension was agreed")
    if second & 0x80:
        raise _Violation(PROTOCOL_ERROR, "a server must not mask its frames")
    if opcode >= _CLOSE and not first & 0x80:
        raise _Violation(PROTOCOL_ERROR, "a control frame must not be fragmented")
    if opcode >= _CLOSE and length > 125:
        raise _Violation(PROTOCOL_ERROR, "a control frame holds at most 125 bytes")
    size = {126: 4, 127: 10}.get(length, 2)
    if at + size > len(data):
        return None
    if size > 2:
        length = int.from_bytes(data[at + 2 : at + size], "big")
        if length < (126 if size == 4 else 65536):
            raise _Violation(PROTOCOL_ERROR, f"length {length} is not in its shortest form")
        if length >> 63:
            raise _Violation(PROTOCOL_ERROR, "the top bit of a length is set")
    return _Header(bool(first & 0x80), opcode, at + size, at + size + length)


def _parse_close(payload: bytes) -> End:
    """Judge the payload of a close frame (RFC 6455, sections 5.5.1 and 7.4)."""
    if not payload:
        return End(NO_CODE, "closed by the peer without a code", violation=False)
    if len(payload) == 1:
        raise _Violation(PROTOCOL_ERROR, "a close frame with one byte of payload")
    code = int.from_bytes(payload[:2], "big")
    if code not in _CLOSE_CODES:
        raise _Violation(PROTOCOL_ERROR, f"close code {code} must not be sent")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise _Violation(NOT_UTF8, "the reason of a close frame is not UTF-8") from None
    return End(code, reason, violation=False)


class _Fragments:
    """The message that is being put together."""

    def __init__(self, opcode: int) -> None:
        self.data = bytearray()
        self.count = 0
        self._decoder = _utf8() if opcode == _TEXT else None

    def add(self, part: bytes, *, final: bool) -> None:
        self.data += part
        self.count += 1
        if self._decoder is not None:
            try:
                self._decoder.decode(part, final)
            except UnicodeDecodeError:
                raise _Violation(NOT_UTF8, "a text message is not UTF-8") from None


class MessageCutter:
    """Cuts one connection's bytes; see the module's text.

    Parameters
    ----------
    message_bytes, fragments : int
        Bounds of one message; past either the connection ends with 1009.
    pings_per_feed : int
        Of more pings than this in one `feed` only the newest are handed on, so that a flood cannot
        make us answer without bound (section 5.5.3 allows to answer the newest alone).

    Attributes
    ----------
    control : bytearray
        Control frames to hand on. The caller empties it.
    end : End or None
    messages, control_frames, pings_skipped : int
        Counted since the start.
    """

    def __init__(
        self, message_bytes: int = 1 << 20, fragments: int = 1024, pings_per_feed: int = 64
    ) -> None:
        self.control = bytearray()
        self.end: End | None = None
        self.messages = 0
        self.control_frames = 0
        self.pings_skipped = 0
        self._message_bytes = message_bytes
        self._fragments = fragments
        self._pings_per_feed = pings_per_feed
        self._message: _Fragments | None = None
        self._waiting: list[bytes] = []  # reads that hold the start of a frame
        self._have = 0
        self._need = 0
        self._starts = np.empty(0, np.int64)
        self._ends = np.empty(0, np.int64)

    @property
    def partial(self) -> bool:
        """Whether a message has begun and is not complete."""
        return self._message is not None or self._have > 0

    def feed(self, data: bytes) -> Frames | None:
        """Take one read. Returns the messages it completed, or None if there are none."""
        if self.end is not None:
            return None
        if not self._waiting and self._message is None and (one := self._cut_one(data)) is not None:
            return one
        if self._waiting:
            self._waiting.append(data)
            self._have += len(data)
            if self._have < self._need:
                return None
            data = b"".join(self._waiting)
        room = len(data) // 2 + 1  # the smallest frame has two bytes
        if len(self._starts) < room:
            self._starts = np.empty(room, np.int64)
            self._ends = np.empty(room, np.int64)
        count, position, joined = self._cut_all(data)
        rest = data[position:]
        self._waiting = [rest] if rest else []
        self._have = len(rest)
        self.messages += count
        if count == 0:
            return None
        buffer = np.frombuffer(data + joined if joined else data, np.uint8)
        return Frames(buffer, self._starts[:count].copy(), self._ends[:count].copy())

    def _cut_one(self, data: bytes) -> Frames | None:
        """The one short frame of ASCII that a calm link brings at a time; None for all else.

        The kernel and its arrays take 4 us whatever they are given; this takes 1.5.
        """
        if len(data) < 2 or data[0] not in (TEXT, BINARY):
            return None
        begin = 2 if data[1] < 126 else 4
        length = data[1] if begin == 2 else int.from_bytes(data[2:4], "big")
        if data[1] > 126 or len(data) != begin + length or (begin == 4 and length < 126):
            return None
        if length > self._message_bytes or (data[0] == TEXT and not data[begin:].isascii()):
            return None
        self.messages += 1
        return Frames(np.frombuffer(data, np.uint8), np.array([begin]), np.array([len(data)]))

    def _cut_all(self, data: bytes) -> tuple[int, int, bytearray]:
        """Cut all of `data`: messages, consumed bytes, and the messages joined from fragments."""
        buffer = np.frombuffer(data, np.uint8)
        controls: list[bytes] = []
        joined = bytearray()
        count = position = 0
        try:
            while True:
                self._need = 0
                if self._message is None:
                    count, position, self._need, status = cut(
                        buffer, position, self._message_bytes, self._starts, self._ends, count
                    )
                    if status == MORE:
                        break
                    if status == BAD_TEXT:
                        raise _Violation(NOT_UTF8, "a text message is not UTF-8")
                    assert status != FULL, "there is a row for every two bytes"
                header = _parse_header(data, position)
                if header is None:
                    break
                self._check_order_and_size(header)
                if header.end > len(data):
                    self._need = header.end - position
                    break
                if header.opcode >= _CLOSE:
                    self._take_control(header, data[position : header.end], controls)
                elif self._take_fragment(header, data[header.begin : header.end]):
                    assert self._message is not None
                    self._starts[count] = len(data) + len(joined)
                    joined += self._message.data
                    self._ends[count] = len(data) + len(joined)
                    self._message = None
                    count += 1
                position = header.end
                if self.end is not None:
                    break
        except _Violation as violation:
            self.end = violation.end
        if controls:
            self._hand_on(controls)
        return count, len(data) if self.end else position, joined

    def _check_order_and_size(self, header: _Header) -> None:
        if header.opcode >= _CLOSE:
            return
        if (header.opcode == _CONTINUATION) != (self._message is not None):
            started = "inside" if self._message is not None else "without"
            raise _Violation(PROTOCOL_ERROR, f"opcode {header.opcode} {started} a started message")
        held = 0 if self._message is None else len(self._message.data)
        if held + header.end - header.begin > self._message_bytes:
            raise _Violation(TOO_BIG, f"a message of more than {self._message_bytes} bytes")
        if self._message is not None and self._message.count >= self._fragments:
            raise _Violation(TOO_BIG, f"a message of more than {self._fragments} fragments")

    def _take_fragment(self, header: _Header, payload: bytes) -> bool:
        """Add a fragment; whether the message is complete."""
        if self._message is None:
            self._message = _Fragments(header.opcode)
        self._message.add(payload, final=header.final)
        return header.final

    def _take_control(self, header: _Header, frame: bytes, controls: list[bytes]) -> None:
        self.control_frames += 1
        if header.opcode == _CLOSE:
            self.end = _parse_close(frame[2:])
        controls.append(frame)

    def _hand_on(self, controls: list[bytes]) -> None:
        pings = [i for i, frame in enumerate(controls) if frame[0] & 0x0F == _PING]
        skipped = frozenset(pings[: -self._pings_per_feed])
        self.pings_skipped += len(skipped)
        self.control += b"".join(f for i, f in enumerate(controls) if i not in skipped)
