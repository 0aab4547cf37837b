"""The slow decoders as explainers: short words for whatever comes, and no secrets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.market import TickBuffer, Universe
from rtre.venues._codec import EXPLAIN_BYTES, EXPLAIN_EVERY_NS
from rtre.venues.finnhub import Finnhub
from rtre.venues.frames import Frames
from rtre.venues.reference import BinanceReference, FinnhubReference, Reference, show

KINDS: tuple[type[Reference], ...] = (FinnhubReference, BinanceReference)
TOKEN = "c0ffee" * 6
UNREADABLE = b'{"type":"trade","data":[{"p":"abc"}]}'

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["type", "data", "e", "s", "p", "t", "T", "q", "v", "msg", "code"]), inner
    ),
)  # fmt: skip
kinds = st.sampled_from(["trade", "history", "ping", "error", "aggTrade"])


@given(
    st.binary()
    | anything.map(lambda x: json.dumps(x).encode())
    | st.tuples(kinds, anything).map(
        lambda x: json.dumps({"type": x[0], "e": x[0], "data": x[1]}).encode()
    )
)
def test_it_explains_whatever_is_refused_in_one_short_line(frame: bytes) -> None:
    for kind in KINDS:
        told = kind(["AAPL"]).explain(frame)
        assert bool(told) == bool(kind(["AAPL"]).read(frame).problems)
        assert len(told) <= 200


@pytest.mark.parametrize("frame", [
    b"[" * 100_000, b'{"t":' + b"9" * 10_000 + b"}", b'{"e":"trade","t":1' + b"0" * 4000 + b"}",
])  # fmt: skip
def test_it_does_not_raise_where_python_would(frame: bytes) -> None:
    for kind in KINDS:
        assert kind(["AAPL"]).explain(frame)


@pytest.mark.parametrize("frame", [
    {"type": "trade", "data": [{"p": TOKEN, "s": TOKEN, "t": TOKEN, "v": TOKEN}]},
    {"type": [TOKEN]}, {"type": "trade", "data": TOKEN}, {"type": "trade", "msg": {TOKEN: 1}},
    {"e": "trade", "s": TOKEN, "t": 1, "p": TOKEN, "q": "1", "T": 1}, {"e": [TOKEN]}, TOKEN,
])  # fmt: skip
def test_a_text_that_is_long_enough_for_a_token_is_not_repeated_not_even_in_part(
    frame: object,
) -> None:
    for kind in KINDS:
        assert "c0ffee" not in kind(["AAPL"]).explain(json.dumps(frame).encode())


def test_a_short_text_is_repeated_whole_so_that_a_feed_can_find_its_token_in_it() -> None:
    assert show("x" * 24) == f'"{"x" * 24}"'
    assert show("x" * 25) == "a text of 25 characters"


def notice(venue: Finnhub, frame: bytes, at_ns: int) -> str:
    (found,) = venue.decode(Frames.of([frame]), at_ns, TickBuffer())
    return found.text


def test_a_codec_asks_for_words_once_a_second_and_not_for_a_long_frame() -> None:
    venue, start = Finnhub(Universe(("AAPL",))), 10**18
    slow = 'frame 0: data[0].p: must be a number, got "abc"; data[0].s: is missing'
    fast = "frame 0: data[0].p: expected float, got str"
    assert notice(venue, UNREADABLE, start).startswith(slow)
    assert notice(venue, UNREADABLE, start + EXPLAIN_EVERY_NS - 1) == fast
    assert notice(venue, UNREADABLE, start + EXPLAIN_EVERY_NS).startswith(slow)
    long = UNREADABLE + b" " * EXPLAIN_BYTES
    assert notice(venue, long, start + 9 * EXPLAIN_EVERY_NS) == fast
