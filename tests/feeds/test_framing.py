"""Framing against wsproto: arbitrary frames in arbitrary pieces; the bounds that wsproto lacks."""

from __future__ import annotations

import pytest
from framing_support import BINARY, CLOSE, CONT, PING, PONG, TEXT, assert_same, frame, ours
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.feeds.framing import MessageCutter

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
