"""Binance's codec, both tiers, over made-up frames and recorded ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.market import TickBuffer, Universe
from rtre.venues.base import DecodeCounts, Notice
from rtre.venues.binance import VENUE, Binance
from rtre.venues.frames import Frames
from rtre.venues.reference import BinanceReference

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CAPTURES = SHARED / "captures"
UNIVERSE = Universe(("BTCUSDT", "ETHUSDT", "BNBBTC"))
INIT = 1_700_000_000_000_000_000

Tick = tuple[int, float, float, int, int]
Result = tuple[list[Tick], DecodeCounts, list[Notice]]


def rows(out: TickBuffer) -> list[Tick]:
    batch = out.take()
    columns = (batch.asset, batch.price, batch.size, batch.ts_event_ns, batch.ts_init_ns)
    return list(zip(*(c.tolist() for c in columns), strict=True))


def decode(venue: Binance, payloads: list[bytes], reads: int = 1) -> Result:
    out = TickBuffer(1)
    notices = []
    for i in range(reads):
        part = payloads[len(payloads) * i // reads : len(payloads) * (i + 1) // reads]
        notices += venue.decode(Frames.of(part), INIT, out)
    counts = venue.counts
    assert counts.received == counts.decoded + counts.rejected + counts.duplicate
    assert counts.decoded == out.count
    return rows(out), counts, notices


def both(payloads: list[bytes], universe: Universe = UNIVERSE, reads: int = 1) -> Result:
    """Decode in both tiers; they must agree in everything."""
    fast = decode(Binance(universe, scan_bytes=0), payloads, reads)
    strict = decode(Binance(universe, scan_bytes=None), payloads, reads)
    assert fast == strict
    return strict


def trade(
    t: object = 12345,
    s: object = "BTCUSDT",
    p: object = "61837.63000000",
    q: object = "0.02000000",
    T: object = 1723161255342,
    *,
    wrapped: bool = True,
    **more: object,
) -> bytes:
    event = {"e": "trade", "E": 1723161255343, "s": s, "t": t, "p": p, "q": q, "T": T}
    event |= {"m": True, "M": True, **more}
    name = f"{str(s).lower()}@trade"
    return dumps({"stream": name, "data": event} if wrapped else event)


def dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


GOOD_TICK = (0, 61837.63, 0.02, 1723161255342_000_000, INIT)


def test_it_is_found_by_its_name_and_needs_no_token() -> None:
    assert VENUE is Binance
    assert (Binance.name, Binance.token_env) == ("binance", None)
    assert Binance.url.startswith("wss://data-stream.binance.vision/")
    assert Binance(UNIVERSE).endpoint(Binance.url, None) == Binance.url


def test_a_hundred_streams_fit_one_request_and_ids_rise() -> None:
    venue = Binance(UNIVERSE)
    assert venue.subscribe(["BTCUSDT", "ETHUSDT"]) == [
        '{"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@trade"],"id":1}'
    ]
    assert venue.unsubscribe(["BTCUSDT"]) == [
        '{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":2}'
    ]
    requests = [json.loads(m) for m in venue.subscribe([f"S{i}" for i in range(250)])]
    assert [(len(r["params"]), r["id"]) for r in requests] == [(100, 3), (100, 4), (50, 5)]
    assert venue.subscribe([]) == []


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("T", [1723161255342])
def test_a_trade_is_a_tick(wrapped: bool, T: int) -> None:
    ticks, counts, notices = both([trade(T=T, wrapped=wrapped)])
    assert (ticks, notices) == ([GOOD_TICK], [])
    assert counts == DecodeCounts(frames=1, received=1, decoded=1)


@pytest.mark.parametrize(
    "payload",
    [
        trade(X="MARKET"),
        trade(b=1, a=2),
        trade().replace(b":", b" : "),
        trade(p="61837.63"),
        trade(p="61837.630000000000000000000"),
        json.dumps({"data": json.loads(trade())["data"], "stream": "x"}).encode(),
        trade().replace(b"BTCUSDT", b"\\u0042TCUSDT"),
    ],
)
def test_every_way_to_write_a_trade_is_the_same_trade(payload: bytes) -> None:
    assert both([payload])[0] == [GOOD_TICK]


def test_trade_ids_show_repeats_and_losses() -> None:
    ids = [10, 11, 11, 5, 12, 15, 14, 16, 100]
    payloads = [trade(i) for i in ids] + [trade(7, "ETHUSDT"), trade(8, "ETHUSDT")]
    for reads in (1, 2, 5, len(payloads)):
        ticks, counts, notices = both(payloads, reads=reads)
        assert len(ticks) == 8
        assert (counts.duplicate, counts.missing) == (3, 2 + 83)
        assert notices == [
            Notice("gap", "2 trades of BTCUSDT are missing", assets=(0,)),
            Notice("gap", "83 trades of BTCUSDT are missing", assets=(0,)),
        ]


def test_a_refused_trade_was_still_seen() -> None:
    payloads = [trade(1), trade(2, p="0"), trade(3)]
    ticks, counts, notices = both(payloads)
    assert (len(ticks), counts.rejected, counts.missing) == (2, 1, 0)
    assert [n.kind for n in notices] == ["rejected"]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (trade(p=61837.63), "p: must be a text, got 61837.63"),
        (trade(p=True), "p: must be a text, got a boolean"),
        (trade(p="0.00000000"), "p: '0.00000000' is not a price"),
        (trade(p="-1.0"), "'-1.0' is not a price"),
        (trade(p="nan"), "'nan' is not a price"),
        (trade(p="inf"), "'inf' is not a price"),
        (trade(p="1e5"), "'1e5' is not a price"),
        (trade(p="1_0"), "'1_0' is not a price"),
        (trade(p=" 1"), "' 1' is not a price"),
        (trade(p=""), "'' is not a price"),
        (trade(p="1."), "'1.' is not a price"),
        (trade(p="٣"), "is not a price"),
        (trade(p="9" * 500), "is not a price"),
        (trade(q="-1"), "q: '-1' is not a size"),
        (trade(T=1723161255), "T: 1723161255 is not a time"),
        (trade(T=1723161255342000), "is not a time in milliseconds"),
        (trade(T="1723161255342"), 'T: must be a whole number, got "1723161255342"'),
        (trade(t=-1), "t: -1 is not a trade id"),
        (trade(t=2**63), "is not a trade id"),
        (trade(t="7"), 't: must be a whole number, got "7"'),
        (trade(s="XRPUSDT"), "'XRPUSDT' is not a symbol of this run"),
        (dumps({"e": "trade"}), "s: is missing; t: is missing"),
        (
            dumps({"stream": "btcusdt@trade", "data": {"e": "trade"}}),
            "s: is missing; t: is missing",
        ),
        (dumps({"stream": "btcusdt@trade", "data": 7}), "it must be an object, got 7"),
        (dumps({"e": 7}), "e: must be a text, got 7"),
        (b"[]", "it must be an object, got an array"),
        (b"", "ends too early"),
        (trade()[:-1], "ends too early"),
        (trade() + b"," + trade(), "it is no JSON: extra data"),
        (trade(wrapped=False) + b"," + trade(wrapped=False), "it is no JSON: extra data"),
        (trade()[:-1] + trade(wrapped=False) + b"}", "it is no JSON: "),
        (trade().replace(b"BTC", b"B\xffC"), "UTF-8"),
        (b'{"x":' + b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_refused_is_counted_told_and_does_not_stop_the_rest(
    payload: bytes, words: str
) -> None:
    first, last = trade(1, "ETHUSDT"), trade(2, "ETHUSDT")
    ticks, counts, notices = both([first, payload, last])
    assert len(ticks) == 2
    assert (counts.received, counts.decoded, counts.rejected) == (3, 2, 1)
    assert [n.kind for n in notices] == ["rejected"]
    assert notices[0].text.startswith("frame 1: ")
    assert words in notices[0].text
    assert notices[0].text.isprintable()
    assert len(notices[0].text) <= 200


def test_other_streams_and_answers_are_ignored_and_counted() -> None:
    payloads = [
        dumps({"result": None, "id": 1}),
        dumps({"result": ["btcusdt@trade"], "id": "abc"}),
        dumps({"u": 1, "s": "BTCUSDT", "b": "1", "B": "2", "a": "3", "A": "4"}),
        dumps({"stream": "btcusdt@bookTicker", "data": {"u": 1, "s": "BTCUSDT", "b": "1"}}),
        dumps({"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "b": [["1", "2"]], "a": []}),
        dumps({"e": "aggTrade", "a": 26129, "p": "0.01", "q": "4", "f": 100, "l": 105}),
        dumps({"lastUpdateId": 160, "bids": [["0.0024", "10"]], "asks": []}),
        dumps({"stream": "x", "data": {"e": "24hrTicker", "p": 5, "t": "not an id"}}),
    ]
    ticks, counts, notices = both(payloads)
    assert (ticks, notices) == ([], [])
    assert counts == DecodeCounts(frames=8, ignored=8)


def test_a_frame_of_another_stream_is_not_looked_into() -> None:
    frames = [b'{"stream":"btcusdt@depth@100ms","data":', b'{"stream":"x@bookTicker" not JSON']
    ticks, counts, notices = both(frames)
    assert (ticks, notices, counts) == ([], [], DecodeCounts(frames=2, ignored=2))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"code": 2, "msg": "Invalid request: x", "id": 1}, "2: Invalid request: x"),
        ({"error": {"code": 2, "msg": "Invalid"}, "id": 1}, "2: Invalid"),
        ({"error": {"code": 3, "msg": "a\x1b[31m\nb"}, "id": None}, "3: a[31m b"),
        ({"error": "strange", "id": 1}, "an error without a text"),
        ({"code": 1, "msg": "y" * 900}, "1: " + "y" * 197),
        ({"e": "serverShutdown", "E": 1}, "the venue announces that it will shut down"),
        (
            {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}},
            "the venue announces that it will shut down",
        ),
    ],
)
def test_what_the_venue_complains_of_is_told(said: object, told: str) -> None:
    _, counts, notices = both([dumps(said)])
    assert notices == [Notice("error", told)]
    assert counts == DecodeCounts(frames=1)


@pytest.mark.skipif(not CAPTURES.exists(), reason="no recorded streams beside the checkout")
@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_a_recorded_stream_decodes_to_what_it_says(symbol: str) -> None:
    path = CAPTURES / f"binance_spot_{symbol.lower()}_20240808.gz"
    payloads = [line.split(b" ", 1)[1] for line in gzip.decompress(path.read_bytes()).splitlines()]
    facts = json.loads((SHARED / "oracles" / "capture_facts.json").read_text())["facts"][path.name]
    ticks, counts, notices = both(payloads, Universe((symbol,)), reads=200)
    wanted = [
        (0, float(d["p"]), float(d["q"]), d["T"] * 10**6, INIT)
        for d in (json.loads(x).get("data", {}) for x in payloads if b'"trade"' in x)
    ]
    assert ticks == wanted
    assert len(ticks) == facts["trades"]
    assert (counts.missing, counts.duplicate, counts.rejected) == (0, 0, 0)
    assert counts.ignored == len(payloads) - len(ticks)
    assert notices == []


numbers = st.one_of(
    st.decimals(0, 10**6, places=8).map(str),
    st.floats(allow_nan=True).map(str),
    st.text("0123456789.e-", max_size=20),
)
plain = st.builds(
    trade,
    st.integers(1, 9),
    st.sampled_from(UNIVERSE.symbols),
    st.decimals(1, 10**6, places=8).map(str),
    wrapped=st.booleans(),
)
odd = st.builds(
    trade,
    st.one_of(st.integers(-1, 30), st.integers(2**62, 2**65)),
    st.sampled_from([*UNIVERSE.symbols, "XRPUSDT", "ß"]),
    numbers,
    numbers,
    st.one_of(st.integers(10**12, 2 * 10**12), st.integers(-1, 10**20)),
    wrapped=st.booleans(),
)


others = st.sampled_from(
    [
        b'{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1","B":"2"}}',
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"b":[],"a":[]}}',
        b'{"stream":"ethusdt@depth5","data":{"lastUpdateId":1,"bids":[],"asks":[]}}',
        b'{"stream":"x_1@aggTrade","data":{"e":"aggTrade","a":1}}',
        b'{"stream":"btcusdt@kline_1m","data":{"e":"kline"}}',
        b'{"e":"depthUpdate","E":1,"s":"BTCUSDT","b":[]}',
        b'{"u":120,"s":"BTCUSDT","b":"1"}',
        b'{"u":0120,"s":"BTCUSDT","b":"1"}',
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}',
        b'{"stream":"btcusdt@depth',
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.one_of(plain, odd, others)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        piece = draw(
            st.one_of(
                st.sampled_from([b'"', b",", b"{", b"}", b"0", b".", b"\\", b" "]),
                st.binary(min_size=1, max_size=1),
            )
        )
        if draw(st.booleans()):
            data[at : at + 1] = piece
        else:
            data[at : at + draw(st.integers(0, 3))] = b""
    return bytes(data)


@st.composite
def runs(draw: st.DrawFn) -> list[bytes]:
    """Trades whose ids follow each other, as the venue sends them."""
    first, symbol = draw(st.integers(0, 9)), draw(st.sampled_from(UNIVERSE.symbols))
    return [trade(first + i, symbol) for i in range(draw(st.integers(1, 6)))]


streams = st.lists(
    st.one_of(runs(), runs(), st.one_of(plain, odd, others, mutated()).map(lambda f: [f])),
    max_size=8,
).map(lambda groups: [f for group in groups for f in group])


@settings(max_examples=500, deadline=None)
@given(streams, st.integers(1, 4))
def test_both_tiers_give_the_same_whatever_comes(payloads: list[bytes], reads: int) -> None:
    both(payloads, reads=reads)


@settings(max_examples=300, deadline=None)
@given(streams)
def test_the_ticks_are_those_of_the_slow_decoder(payloads: list[bytes]) -> None:
    venue, reference = Binance(UNIVERSE, scan_bytes=0), BinanceReference(UNIVERSE.symbols)
    fresh = BinanceReference(UNIVERSE.symbols)
    for payload in payloads:
        out, before = TickBuffer(), venue.counts.rejected
        venue.decode(Frames.of([payload]), INIT, out)
        reading = reference.read(payload)
        wanted = [
            (UNIVERSE.index[t.symbol], t.price, t.size, t.ts_event_ns, INIT) for t in reading.trades
        ]
        assert rows(out) == wanted
        assert venue.counts.rejected - before == len(reading.problems[:1])
        if reading.problems:
            assert fresh.explain(payload) == "; ".join(reading.problems[:3])
