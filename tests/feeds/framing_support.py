"""Frames as bytes, and what our cutter and wsproto make of them."""

from __future__ import annotations

from typing import NamedTuple

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from rtre.feeds.framing import MessageCutter

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Seen(NamedTuple):
    """What a connection saw: messages, control frames (opcode, payload), and its end."""

    messages: list[bytes]
    controls: list[tuple[int, bytes]]
    code: int | None
    violation: bool


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = False,
    size: int | None = None,
    length: int | None = None,
) -> bytes:
    """One frame; `size` forces the length into 0, 2 or 8 extra bytes, `length` makes it lie."""
    n = len(payload) if length is None else length
    size = size if size is not None else (0 if n < 126 else 2 if n < 65536 else 8)
    short = {0: n, 2: 126, 8: 127}[size]
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | short])
    mask = b"\x00\x00\x00\x00" if masked else b""
    return head + (n.to_bytes(size, "big") if size else b"") + mask + payload


def ours(pieces: list[bytes], **limits: int) -> Seen:
    cutter = MessageCutter(**{"message_bytes": 1 << 30, "pings_per_feed": 1 << 30, **limits})
    messages: list[bytes] = []
    for piece in pieces:
        frames = cutter.feed(piece)
        if frames is not None:
            messages += [bytes(m) for m in frames]
    assert cutter.messages == len(messages)
    controls = []
    data = bytes(cutter.control)
    while data:
        controls.append((data[0] & 15, data[2 : 2 + data[1]]))
        data = data[2 + data[1] :]
    end = cutter.end
    return Seen(messages, controls, end and end.code, end is not None and end.violation)


def theirs(pieces: list[bytes]) -> Seen:
    connection = Connection(ConnectionType.CLIENT)
    seen = Seen([], [], None, False)
    parts: list[bytes] = []
    for piece in pieces:
        if seen.code is not None:
            break
        connection.receive_data(piece)
        for event in connection.events():
            if isinstance(event, TextMessage | BytesMessage):
                data = event.data
                parts.append(data.encode() if isinstance(data, str) else bytes(data))
                if event.message_finished:
                    seen.messages.append(b"".join(parts))
                    parts = []
            elif isinstance(event, Ping | Pong):
                opcode = PING if isinstance(event, Ping) else PONG
                seen.controls.append((opcode, bytes(event.payload)))
            elif isinstance(event, CloseConnection):
                violation = connection.state is ConnectionState.OPEN
                seen = seen._replace(code=int(event.code), violation=violation)
                break
    return seen


def assert_same(pieces: list[bytes]) -> None:
    got, wanted = ours(pieces), theirs(pieces)
    closes = [c for c in got.controls if c[0] == CLOSE]
    assert len(closes) == (got.code is not None and not got.violation)
    got = got._replace(controls=[c for c in got.controls if c[0] != CLOSE])
    assert got == wanted
