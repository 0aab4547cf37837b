"""Framing against wsproto: arbitrary frames in arbitrary pieces, and a table from RFC 6455."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


texts = st.one_of(
    st.text(max_size=40).map(str.encode),
    st.sampled_from([125, 126, 127, 200, 65535, 65536]).map(lambda n: b"y" * n),
)
payloads = st.one_of(texts, st.binary(max_size=20))


@st.composite
def fragmented(draw: st.DrawFn) -> list[bytes]:
    """A message in fragments cut anywhere, characters included, with control frames between."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    frames = []
    for i, part in enumerate(parts):
        frames.append(frame(CONT if i else opcode, part, fin=i == len(parts) - 1))
        if draw(st.booleans()):
            frames.append(frame(draw(st.sampled_from([PING, PONG])), b"between"))
    return frames


whole = st.builds(frame, st.sampled_from([TEXT, TEXT, BINARY]), texts)
binary = st.builds(frame, st.just(BINARY), payloads)
control = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
closing = st.builds(
    lambda code, reason: frame(CLOSE, code.to_bytes(2, "big") + reason),
    st.one_of(st.sampled_from([1000, 1001, 1005, 3000, 4999]), st.integers(0, 65535)),
    st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=10)),
)
wild = st.builds(
    frame,
    st.integers(0, 15),
    payloads,
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 1, 2, 4, 7]),
    masked=st.sampled_from([False, False, False, True]),
)
long_form = st.builds(
    frame, st.sampled_from([CONT, TEXT, PING, CLOSE]), st.binary(max_size=9), size=st.just(2)
)
one = st.one_of(
    *[s.map(lambda f: [f]) for s in (whole, whole, binary, control, wild, long_form, closing)],
    fragmented(),
    fragmented(),
)
streams = st.lists(one, max_size=12).map(lambda groups: b"".join(f for g in groups for f in g))


@st.composite
def in_pieces(draw: st.DrawFn) -> list[bytes]:
    data = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [p for p in pieces if p]


@settings(max_examples=600, deadline=None)
@given(in_pieces())
def test_any_frames_in_any_pieces_are_seen_as_wsproto_sees_them(pieces: list[bytes]) -> None:
    assert_same(pieces)


@settings(max_examples=60, deadline=None)
@given(streams)
def test_a_byte_at_a_time_is_the_same_as_all_at_once(data: bytes) -> None:
    data = data[:600]
    assert ours([data[i : i + 1] for i in range(len(data))]) == ours([data])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 40))
def test_random_bytes_never_raise_and_pieces_do_not_matter(data: bytes, step: int) -> None:
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    assert ours(pieces) == ours([data])


# ---- the table: (where in RFC 6455, name, bytes, close code or None if all is well)

Case = tuple[str, bytes, int | None]
OK = None

KNOWN = (CONT, TEXT, BINARY, CLOSE, PING, PONG)
EDGES = (0, 1, 125, 126, 127, 65535, 65536)

UTF8_GOOD = [
    "",
    "a",
    "\x00",
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\ud7ff",
    "\ue000",
    "\ufffd",
    "\ufffe",
    "\uffff",
    "\U00010000",
    "\U0010ffff",
    "κόσμε",
    "日本語",
    "🙂🙂",
]
UTF8_BAD = [
    b"\x80",
    b"\xbf",
    b"\x80\xbf",
    b"\xc0",
    b"\xc0\x80",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xc2",
    b"\xc2a",
    b"\xdf",
    b"\xe0\x80\x80",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xe0\xa0",
    b"\xe1\x80",
    b"\xed\xa0\x80",
    b"\xed\xad\xbf",
    b"\xed\xae\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xef\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x90\x80",
    b"\xf4\x90\x80\x80",
    b"\xf4\x8f\xbf",
    b"\xf5\x80\x80\x80",
    b"\xf7\xbf\xbf\xbf",
    b"\xf8\x88\x80\x80\x80",
    b"\xfb\xbf\xbf\xbf\xbf",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    "κόσμε".encode() + b"\xf4\x90\x80\x80" + b"edited",
]
CODES_GOOD = [1000, 1001, 1002, 1003, *range(1007, 1014), 3000, 3999, 4000, 4999]
CODES_BAD = [0, 1, 999, 1004, 1005, 1006, 1014, *range(1015, 1030), 1100, 2000, 2999, 5000, 65535]


def header_cases() -> list[Case]:
    cases: list[Case] = []
    for opcode in KNOWN:
        for rsv in range(1, 8):
            for fin in (True, False):
                name = f"5.2 rsv {rsv} opcode {opcode} fin {fin}"
                cases.append((name, frame(opcode, rsv=rsv, fin=fin), 1002))
        for n in (0, 1, 125, 126, 65536):
            cases.append(
                (f"5.1 masked opcode {opcode}, {n}", frame(opcode, b"x" * n, masked=True), 1002)
            )
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for fin in (True, False):
            for n in (0, 1, 125, 126, 65536):
                name = f"5.2 reserved opcode {opcode} fin {fin}, {n} bytes"
                cases.append((name, frame(opcode, b"x" * n, fin=fin), 1002))
    for opcode in (TEXT, BINARY):
        for n in EDGES:
            cases.append((f"5.2 opcode {opcode} of {n} bytes", frame(opcode, b"x" * n), OK))
        for n in (0, 1, 2, 124, 125):
            cases.append((f"5.2 {n} in 2 bytes", frame(opcode, b"x" * n, size=2), 1002))
        for n in (0, 1, 125, 126, 127, 65535):
            cases.append((f"5.2 {n} in 8 bytes", frame(opcode, b"x" * n, size=8), 1002))
        for n in (1 << 63, (1 << 63) + 1, (1 << 64) - 1):
            cases.append((f"5.2 length {n}", frame(opcode, size=8, length=n), 1002))
    return cases


def control_cases() -> list[Case]:
    cases: list[Case] = []
    for opcode in (CLOSE, PING, PONG):
        for n in (0, 2, 125):
            payload = b"\x03\xe8" + b"x" * (n - 2) if n else b""
            cases.append((f"5.5 fragmented {opcode}, {n}", frame(opcode, payload, fin=False), 1002))
        for n in (126, 127, 200, 65535, 65536):
            cases.append((f"5.5 control {opcode} of {n}", frame(opcode, b"x" * n), 1002))
        for n in (0, 1, 125):
            cases.append((f"5.5 control {opcode}, {n} in 2", frame(opcode, b"x" * n, size=2), 1002))
            cases.append((f"5.5 control {opcode}, {n} in 8", frame(opcode, b"x" * n, size=8), 1002))
    for opcode in (PING, PONG):
        for n in (0, 1, 4, 124, 125):
            cases.append((f"5.5.2 {opcode} of {n}", frame(opcode, b"\xff" * n), OK))
        cases.append((f"5.5.2 ten of {opcode}", frame(opcode, b"p") * 10, OK))
    return cases


def fragment_cases() -> list[Case]:
    start = {op: frame(op, b"a", fin=False) for op in (TEXT, BINARY)}
    more, last = frame(CONT, b"b", fin=False), frame(CONT, b"c")
    ping = frame(PING, b"p")
    cases: list[Case] = [
        ("5.4 continuation first", more, 1002),
        ("5.4 last continuation first", last, 1002),
        ("5.4 empty continuation first", frame(CONT), 1002),
        ("5.4 continuation after a message", frame(TEXT, b"a") + last, 1002),
        ("5.4 continuation after a ping", ping + last, 1002),
        ("5.4 continuation after a fragmented message", start[TEXT] + last + last, 1002),
    ]
    for op, first in start.items():
        for op2 in (TEXT, BINARY):
            for fin in (True, False):
                name = f"5.4 opcode {op2} fin {fin} inside opcode {op}"
                cases.append((name, first + frame(op2, b"x", fin=fin), 1002))
                cases.append((f"{name}, later", first + more + frame(op2, b"x", fin=fin), 1002))
        for k in (0, 1, 2, 7, 100):
            cases.append((f"5.4 opcode {op} in {k + 2}", first + more * k + last, OK))
            cases.append(
                (f"5.4 opcode {op} in {k + 2}, pings", first + (ping + more) * k + ping + last, OK)
            )
        empty = frame(op, fin=False) + frame(CONT, fin=False) * 3
        cases.append((f"5.4 opcode {op}, empty fragments", empty + frame(CONT), OK))
        cases.append((f"5.4 opcode {op}, one full at last", empty + last, OK))
        cases.append((f"5.4 opcode {op}, big parts", frame(op, b"x" * 70000, fin=False) + last, OK))
        cases.append((f"5.4 opcode {op}, two", (first + last) * 2 + frame(op, b"whole"), OK))
    return cases


def text_cases() -> list[Case]:
    cases: list[Case] = []
    for word in UTF8_GOOD:
        data = word.encode()
        cases.append((f"8.1 good {data!r}", frame(TEXT, data), OK))
        cases.append(
            (f"8.1 good {data!r} among 300", frame(TEXT, b"x" * 150 + data + b"y" * 150), OK)
        )
        for i in range(len(data) + 1):
            parts = frame(TEXT, data[:i], fin=False) + frame(CONT, data[i:])
            cases.append((f"8.1 good {data!r} cut at {i}", parts, OK))
    for data in UTF8_BAD:
        cases.append((f"8.1 bad {data!r}", frame(TEXT, data), 1007))
        cases.append(
            (f"8.1 bad {data!r} among 300", frame(TEXT, b"x" * 150 + data + b"y" * 150), 1007)
        )
        cases.append((f"5.6 binary {data!r}", frame(BINARY, data), OK))
        for i in {0, 1, len(data) - 1, len(data)}:
            parts = frame(TEXT, data[:i], fin=False) + frame(CONT, data[i:])
            cases.append((f"8.1 bad {data!r} cut at {i}", parts, 1007))
    return cases


def close_cases() -> list[Case]:
    def close(code: int, reason: bytes = b"") -> bytes:
        return frame(CLOSE, code.to_bytes(2, "big") + reason)

    cases: list[Case] = [("5.5.1 no code", frame(CLOSE), 1005)]
    for byte in (0, 3, 255):
        cases.append((f"5.5.1 one byte {byte}", frame(CLOSE, bytes([byte])), 1002))
    for code in CODES_GOOD:
        cases.append((f"7.4 code {code}", close(code), code))
        cases.append((f"7.4 code {code}, reason", close(code, "größer".encode()), code))
        cases.append((f"7.4 code {code}, long reason", close(code, b"r" * 123), code))
        cases.append((f"7.4 code {code}, then data", close(code) + frame(TEXT, b"late"), code))
    for code in CODES_BAD:
        cases.append((f"7.4 bad code {code}", close(code), 1002))
        cases.append((f"7.4 bad code {code}, reason", close(code, b"because"), 1002))
    for data in UTF8_BAD:
        cases.append((f"5.5.1 bad reason {data!r}", close(1000, data), 1007))
    return cases


TABLE = [*header_cases(), *control_cases(), *fragment_cases(), *text_cases(), *close_cases()]


def test_the_table_has_at_least_five_hundred_cases() -> None:
    assert len({data for _, data, _ in TABLE}) >= 500
    assert sum(code == 1002 for *_, code in TABLE) >= 250
    assert sum(code == 1007 for *_, code in TABLE) >= 100


@pytest.mark.parametrize(("name", "data", "code"), TABLE, ids=[name for name, *_ in TABLE])
def test_a_case_of_the_table_ends_as_the_rfc_says(name: str, data: bytes, code: int | None) -> None:
    before = frame(TEXT, b"before")
    got = ours([before + data])
    assert got.messages[0] == b"before"
    assert got.code == code, name
    assert got.violation == (code in (1002, 1007) and not name.startswith("7.4 code"))
    assert_same([before + data])
    if len(data) < 400:
        assert ours([bytes([b]) for b in before + data]) == got


# ---- bounds that wsproto does not have


def test_a_message_of_the_largest_size_passes_and_one_byte_more_is_1009() -> None:
    for op in (TEXT, BINARY):
        assert ours([frame(op, b"x" * 1000)], message_bytes=1000).messages == [b"x" * 1000]
        assert ours([frame(op, b"x" * 1001)], message_bytes=1000).code == 1009
        halves = frame(op, b"x" * 600, fin=False)
        assert ours([halves, frame(CONT, b"x" * 400)], message_bytes=1000).code is None
        assert ours([halves, frame(CONT, b"x" * 401)], message_bytes=1000).code == 1009


def test_a_message_too_big_is_refused_by_its_header_alone() -> None:
    for n in (1 << 20, 1 << 40, (1 << 63) - 1):
        head = frame(TEXT, size=8, length=n)
        assert ours([head], message_bytes=(1 << 20) - 1).code == 1009


LONE = st.one_of(
    st.text("aé€", max_size=200).map(str.encode), st.binary(max_size=8), st.sampled_from([b"\xff"])
)


@given(st.sampled_from(range(256)), LONE, st.sampled_from([0, 2, 8]), st.integers(-1, 1))
def test_a_lone_frame_in_one_read_is_the_same_as_in_two(
    first: int, payload: bytes, size: int, extra: int
) -> None:
    length = max(0, len(payload) + extra)
    short = {0: min(length, 125), 2: 126, 8: 127}[size]
    long = length.to_bytes(size, "big") if size else b""
    data = bytes([first, short]) + long + payload
    assert ours([data]) == ours([data[:1], data[1:]])
    limit = max(1, len(payload) - 1)
    assert ours([data], message_bytes=limit) == ours([data[:1], data[1:]], message_bytes=limit)


@pytest.mark.parametrize("payload", [b"\xc3\x28", b"\xff", b"ok\x80"])
def test_a_lone_text_frame_is_checked(payload: bytes) -> None:
    assert ours([frame(TEXT, payload)]).code == 1007
    assert ours([frame(BINARY, payload)]).code is None


def test_a_lone_frame_with_a_length_that_is_too_long_a_form_is_refused() -> None:
    assert ours([b"\x81\x7e\x00\x02ab"]).code == 1002


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_endless_fragments_end_at_the_limit(payload: bytes) -> None:
    first, more = frame(BINARY, payload, fin=False), frame(CONT, payload, fin=False)
    assert ours([first + more * 1023]).code is None
    assert ours([first + more * 1023 + frame(CONT, payload)]).code == 1009
    assert ours([first + more * 1024]).code == 1009


def test_of_a_flood_of_pings_only_the_newest_are_handed_on() -> None:
    cutter = MessageCutter(pings_per_feed=4)
    flood = b"".join(frame(PING, b"%04d" % i) for i in range(1000))
    assert cutter.feed(frame(PONG, b"kept") + flood) is None
    assert cutter.control == frame(PONG, b"kept") + flood[-4 * 6 :]
    assert (cutter.control_frames, cutter.pings_skipped) == (1001, 996)


def test_a_long_message_in_single_bytes_is_joined_once() -> None:
    cutter = MessageCutter()
    data = frame(BINARY, b"z" * 200_000)
    joins = 0
    for i in range(len(data) - 1):
        assert cutter.feed(data[i : i + 1]) is None
        joins += len(cutter._waiting) == 1
    assert joins < 20, "each read would copy everything that came before it"
    frames = cutter.feed(data[-1:])
    assert frames is not None
    assert [len(m) for m in frames] == [200_000]
