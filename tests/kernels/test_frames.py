"""The frame kernel against plain Python written another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.kernels.frames import BAD_TEXT, FULL, MORE, ODD, cut, is_ascii, is_utf8

LARGEST = 1 << 20


def as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def frame(first: int, payload: bytes) -> bytes:
    n = len(payload)
    if n < 126:
        return bytes([first, n]) + payload
    if n < 65536:
        return bytes([first, 126]) + n.to_bytes(2, "big") + payload
    return bytes([first, 127]) + n.to_bytes(8, "big") + payload


def run(data: bytes, *, at: int = 0, largest: int = LARGEST, room: int = 64):
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    count, position, need, status = cut(as_array(data), at, largest, starts, ends, 0)
    payloads = [data[a:b] for a, b in zip(starts[:count], ends[:count], strict=True)]
    return payloads, position, need, status


@settings(deadline=None)  # the first call may compile
@given(st.binary(max_size=80))
def test_ascii_is_every_byte_below_128(data: bytes) -> None:
    assert is_ascii(as_array(data)) == data.isascii()


def test_ascii_sees_a_high_byte_at_every_place() -> None:
    for n in range(1, 200):
        for at in {0, 1, n // 2, n - 1} & set(range(n)):
            data = bytearray(b"a" * n)
            data[at] = 0x80
            assert not is_ascii(as_array(bytes(data)))


@settings(deadline=None)  # the first call may compile
@given(st.one_of(st.binary(max_size=12), st.text(max_size=8).map(str.encode)))
def test_utf8_is_what_python_decodes(data: bytes) -> None:
    assert is_utf8(as_array(data)) == decodes(data)


def test_utf8_agrees_with_python_on_every_lead_and_second_byte() -> None:
    for lead in range(0x80, 0x100):
        for second in range(0x70, 0xD0):
            for tail in (b"", b"\x80", b"\x80\x80", b"\xbf\xbf\xbf", b"\x80a"):
                data = bytes([lead, second]) + tail
                assert is_utf8(as_array(data)) == decodes(data), data


@settings(deadline=None)  # the first call may compile
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x81, 0x82]),
            st.one_of(st.text(max_size=200).map(str.encode), st.just(b"x" * 70000)),
        ),
        max_size=6,
    ),
    st.integers(0, 300),
)
def test_whole_frames_are_cut_and_the_rest_is_left(
    frames: list[tuple[int, bytes]], missing: int
) -> None:
    coded = [frame(first, payload) for first, payload in frames]
    data = b"".join(coded)
    data = data[: max(0, len(data) - missing)]
    whole = 0
    while whole < len(coded) and sum(map(len, coded[: whole + 1])) <= len(data):
        whole += 1
    payloads, position, need, status = run(data)
    assert payloads == [payload for _, payload in frames[:whole]]
    assert position == sum(map(len, coded[:whole]))
    assert status == MORE
    rest = data[position:]
    if need:
        assert need == len(coded[whole]) > len(rest)
    elif whole < len(coded):
        assert len(rest) < len(coded[whole]) - len(frames[whole][1]), "the header is not whole"


@pytest.mark.parametrize(
    "odd",
    [
        b"\x01\x01a",  # a fragment
        b"\x80\x01a",  # a continuation
        b"\x89\x00",  # a ping
        b"\x88\x00",
        b"\xc1\x00",  # RSV
        b"\x83\x00",
        b"\x81\x80abcd",  # masked
        b"\x81\x7e\x00\x7d",  # 125 in two bytes
        b"\x81\x7f" + (65535).to_bytes(8, "big"),
        b"\x81\x7f\xff" + bytes(7),  # the top bit
        b"\x81\x7f" + (LARGEST + 1).to_bytes(8, "big"),
    ],
)
def test_anything_else_stops_the_cutting_in_front_of_it(odd: bytes) -> None:
    payloads, position, need, status = run(frame(0x81, b"first") + odd)
    assert (payloads, position, need, status) == ([b"first"], 7, 0, ODD)


def test_text_that_is_not_utf8_stops_the_cutting() -> None:
    payloads, position, _, status = run(frame(0x82, b"\xff") + frame(0x81, b"\xff"))
    assert (payloads, position, status) == ([b"\xff"], 3, BAD_TEXT)


def test_full_bounds_stop_the_cutting_and_it_can_go_on() -> None:
    data = frame(0x81, b"a") * 5
    payloads, position, _, status = run(data, room=3)
    assert (len(payloads), position, status) == (3, 9, FULL)
    payloads, position, _, status = run(data, at=position, room=3)
    assert (len(payloads), position, status) == (2, 15, MORE)


def test_a_payload_at_the_limit_passes_and_one_more_does_not() -> None:
    assert run(frame(0x82, b"x" * 10), largest=10)[3] == MORE
    assert run(frame(0x82, b"x" * 11), largest=10)[3] == ODD
