"""Finnhub's codec, both tiers, and the simulated venue's extension of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtre.market import TickBuffer, Universe
from rtre.venues._codec import UNKNOWN_LIMIT, TwoTierVenue
from rtre.venues.base import DecodeCounts, Notice
from rtre.venues.finnhub import VENUE, Finnhub
from rtre.venues.frames import Frames
from rtre.venues.reference import FinnhubReference, Reading, SimulatedReference
from rtre.venues.simulated import Simulated

CAPTURE = (
    Path(__file__).resolve().parents[2].parent / "shared/data/captures/finnhub_ws_frames.jsonl"
)
UNIVERSE = Universe(("AAPL", "TSLA", "BINANCE:BTCUSDT", "BRK.B"))
INIT = 1_700_000_000_000_000_000

Tick = tuple[int, float, float, int, int]
Result = tuple[list[Tick], DecodeCounts, list[Notice]]


def rows(out: TickBuffer) -> list[Tick]:
    batch = out.take()
    columns = (batch.asset, batch.price, batch.size, batch.ts_event_ns, batch.ts_init_ns)
    return list(zip(*(c.tolist() for c in columns), strict=True))


def decode(venue: TwoTierVenue, payloads: list[bytes]) -> Result:
    out = TickBuffer(1)
    notices = venue.decode(Frames.of(payloads), INIT, out)
    counts = venue.counts
    assert counts.received == counts.decoded + counts.rejected + counts.duplicate
    assert counts.decoded == out.count
    return rows(out), counts, notices


def both(payloads: list[bytes], venue: type[Finnhub] = Finnhub) -> Result:
    """Decode in both tiers; they must agree in everything."""
    fast = decode(venue(UNIVERSE, scan_bytes=0), payloads)
    strict = decode(venue(UNIVERSE, scan_bytes=None), payloads)
    assert fast == strict
    return strict


def trade(p: object = 1.5, s: object = "AAPL", t: object = 1672348887195, v: object = 2) -> str:
    return json.dumps({"p": p, "s": s, "t": t, "v": v}, separators=(",", ":"))


def message(*trades: str, kind: str = "trade") -> bytes:
    return f'{{"data":[{",".join(trades)}],"type":"{kind}"}}'.encode()


GOOD = message(trade())
GOOD_TICK = (0, 1.5, 2.0, 1672348887195_000_000, INIT)


def test_it_is_found_by_its_name_and_knows_where_it_lives() -> None:
    assert VENUE is Finnhub
    assert (Finnhub.name, Finnhub.token_env, Finnhub.silence_s) == ("finnhub", "FINNHUB_TOKEN", 150)
    assert not Finnhub.offers_history


def test_the_token_goes_into_the_query_and_is_quoted() -> None:
    venue = Finnhub(UNIVERSE)
    assert (
        venue.endpoint("wss://ws.finnhub.io", "a/b c&d")
        == "wss://ws.finnhub.io?token=a%2Fb%20c%26d"
    )
    assert venue.endpoint("wss://h/?x=1", "t") == "wss://h/?x=1&token=t"
    assert venue.endpoint("wss://h", None) == "wss://h"


def test_one_message_per_symbol() -> None:
    venue = Finnhub(UNIVERSE)
    assert venue.subscribe(["AAPL", "IC MARKETS:1"]) == [
        '{"type":"subscribe","symbol":"AAPL"}',
        '{"type":"subscribe","symbol":"IC MARKETS:1"}',
    ]
    assert venue.unsubscribe(["AAPL"]) == ['{"type":"unsubscribe","symbol":"AAPL"}']
    assert venue.request_history(["AAPL"], interval_ns=10**9, intervals=5) == []


@pytest.mark.skipif(
    not CAPTURE.exists(), reason=f"no recorded frames beside the checkout: {CAPTURE.name}"
)
def test_recorded_frames_decode_to_what_they_say() -> None:
    payloads = CAPTURE.read_bytes().splitlines()
    ticks, counts, notices = both(payloads)
    wanted = [
        (UNIVERSE.asset(d["s"]), float(d["p"]), float(d["v"]), d["t"] * 10**6, INIT)
        for payload in payloads
        for d in json.loads(payload).get("data", [])
    ]
    assert ticks == wanted
    assert len(ticks) == 19
    assert (counts.frames, counts.heartbeats, notices) == (3, 1, [])


@pytest.mark.parametrize(
    "payload",
    [
        GOOD,
        b'{"type":"trade","data":[%s]}' % trade().encode(),
        b' { "type" : "trade" , "data" : [ %s ] } ' % trade().encode(),
        GOOD.replace(b'"v":2', b'"v":2,"c":null'),
        GOOD.replace(b'{"p"', b'{"c":["1","24"],"p"'),
        GOOD.replace(b'{"p"', b'{"c":[],"p"'),
        GOOD.replace(b'{"p"', b'{"new":{"a":[1]},"p"'),
        GOOD.replace(b"1.5", b"15e-1"),
        GOOD.replace(b"1.5", b"1.50000000000000000000000"),
        GOOD.replace(b'"v":2', b'"v":2.0'),
        GOOD.replace(b'"AAPL"', b'"\\u0041APL"'),
        GOOD[:-1] + b',"seq":7}',
        b'{"data":[{"v":2,"t":1672348887195,"s":"AAPL","p":1.5}],"type":"trade"}',
    ],
)
def test_every_way_to_write_a_trade_is_the_same_trade(payload: bytes) -> None:
    assert both([payload])[0] == [GOOD_TICK]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (message(trade(p="1.5")), 'data[0].p: must be a number, got "1.5"'),
        (message(trade(p=True)), "data[0].p: must be a number, got a boolean"),
        (message(trade(p=None)), "data[0].p: must be a number, got null"),
        (message(trade(p=0)), "data[0].p: 0.0 is not a price"),
        (message(trade(p=-0.0)), "data[0].p: -0.0 is not a price"),
        (message(trade(p=-3)), "data[0].p: -3.0 is not a price"),
        (GOOD.replace(b"1.5", b"NaN"), "is not a number"),
        (GOOD.replace(b"1.5", b"Infinity"), "is not a number"),
        (GOOD.replace(b"1.5", b"1e400"), "data[0].p: is too large a number"),
        (message(trade(v=-1)), "data[0].v: -1.0 is not a size"),
        (message(trade(t=1672348887)), "data[0].t: 1672348887 is not a time"),
        (message(trade(t=1672348887195000)), "1672348887195000 is not a time"),
        (message(trade(t=10**30)), "is not a time"),
        (message(trade(t=-5)), "-5 is not a time"),
        (
            message(trade(t=1672348887195.0)),
            "data[0].t: must be a whole number, got 1672348887195.0",
        ),
        (
            message(trade(t="1672348887195")),
            'data[0].t: must be a whole number, got "1672348887195"',
        ),
        (message(trade(s=7)), "data[0].s: must be a text, got 7"),
        (message(trade(s="MSFT")), "'MSFT' is not a symbol of this run"),
        (message('{"s":"AAPL","t":1672348887195,"v":1}'), "data[0].p: is missing"),
        (b'{"type":"trade"}', "data: is missing"),
        (b'{"type":"trade","data":null}', "data: is missing"),
        (b'{"type":"trade","data":{}}', "data: must be an array, got an object"),
        (b'{"type":3}', "type: must be a text, got 3"),
        (b"{}", "type: is missing"),
        (b"[]", "it must be an object, got an array"),
        (b"", "ends too early"),
        (GOOD[:-1], "ends too early"),
        (GOOD + b"x", "it is no JSON: extra data"),
        (GOOD.replace(b"AAPL", b"A\x1bL"), "it is no JSON: invalid control character at character"),
        (GOOD.replace(b"AAPL", b"AA\xffL"), "UTF-8"),
        (b'{"type":"trade","x":' + b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_refused_is_counted_told_and_does_not_stop_the_rest(
    payload: bytes, words: str
) -> None:
    ticks, counts, notices = both([GOOD, payload, GOOD])
    assert ticks == [GOOD_TICK] * 2
    assert (counts.received, counts.decoded, counts.rejected) == (3, 2, 1)
    assert [n.kind for n in notices] == ["rejected"]
    assert notices[0].text.startswith("frame 1: ")
    assert words in notices[0].text
    assert notices[0].text.isprintable()
    assert len(notices[0].text) <= 200


def test_good_trades_beside_a_bad_one_are_kept() -> None:
    payload = message(trade(), trade(p=0), trade(s="MSFT"), trade(v=0))
    ticks, counts, _ = both([payload])
    assert [t[2] for t in ticks] == [2.0, 0.0]
    assert (counts.received, counts.decoded, counts.rejected) == (4, 2, 2)


def test_a_kind_of_refusal_is_told_once_a_call() -> None:
    venue = Finnhub(UNIVERSE)
    payloads = [message(trade(p=-i)) for i in range(50)] + [b"x"] * 50
    for _ in range(2):
        _, _, notices = decode_more(venue, payloads)
        assert [n.text[:9] for n in notices] == ["frame 0: ", "frame 50:"]
    assert venue.counts.rejected == 200


def decode_more(venue: TwoTierVenue, payloads: list[bytes]) -> Result:
    out = TickBuffer()
    notices = venue.decode(Frames.of(payloads), INIT, out)
    return rows(out), venue.counts, notices


def test_an_unknown_symbol_is_told_once_and_a_hundred_of_them_at_most() -> None:
    venue = Finnhub(UNIVERSE)
    payloads = [message(trade(s=f"X{i}")) for i in range(300)]
    assert len(decode_more(venue, payloads)[2]) == UNKNOWN_LIMIT
    assert len(decode_more(venue, payloads)[2]) == 0
    assert venue.counts.rejected == 600


def test_pings_errors_and_other_channels_are_no_ticks() -> None:
    payloads = [
        b'{"type":"ping"}',
        b'{"msg":"Subscribing to too many symbols","type":"error"}',
        b'{"type":"news","data":[{"headline":"x","datetime":1}]}',
        b'{"type":"history","data":[%s]}' % trade().encode(),
        b'{"type":"pr"}',
    ]
    ticks, counts, notices = both(payloads)
    assert ticks == []
    assert notices == [Notice("error", "Subscribing to too many symbols")]
    assert counts == DecodeCounts(frames=5, heartbeats=1, ignored=3)


@pytest.mark.parametrize(
    ("said", "told", "fatal"),
    [
        ('"Invalid API key"', "Invalid API key", True),
        ('"a\\u001b[31m\\nb\\u0000\\u202ec"', "a[31m b c", False),
        (json.dumps("x" * 5000), "x" * 200, False),
        ("null", "an error without a text", False),
    ],
)
def test_an_error_text_is_made_safe(said: str, told: str, fatal: bool) -> None:
    _, _, notices = both([b'{"type":"error","msg":%s}' % said.encode()])
    assert notices == [Notice("error", told, fatal=fatal)]


# ---- the tiers against each other and against cattrs


def slow(payload: bytes, reference: type[FinnhubReference] = FinnhubReference) -> Reading:
    """What the slow decoder makes of a frame; it explains what it refuses, and nothing else."""
    reading = reference(UNIVERSE.symbols).read(payload)
    told = reference(UNIVERSE.symbols).explain(payload)
    assert bool(told) == bool(reading.problems)
    return reading


def ticks_of(reading: Reading) -> list[Tick]:
    return [
        (UNIVERSE.index[t.symbol], t.price, t.size, t.ts_event_ns,
         t.ts_event_ns if reading.past else INIT)
        for t in reading.trades
    ]  # fmt: skip


prices = st.one_of(
    st.floats(0.0001, 1e6).map(lambda x: round(x, 2)),
    st.decimals(0, 100_000, places=8).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-2, 10**17),
)
trades = st.builds(
    trade,
    p=prices,
    s=st.sampled_from([*UNIVERSE.symbols, *UNIVERSE.symbols, "MSFT", "ä", ""]),
    t=st.one_of(st.integers(10**12, 2 * 10**12), st.integers(-1, 10**20)),
    v=prices,
)
plain = st.builds(
    trade,
    p=st.integers(1, 10**7).map(lambda n: n / 100),
    s=st.sampled_from(UNIVERSE.symbols),
    t=st.integers(10**12, 2 * 10**12),
)
frames = st.one_of(
    *[st.lists(plain, min_size=1, max_size=4).map(lambda t: message(*t))] * 4,
    st.lists(trades, max_size=3).map(lambda t: message(*t)),
    st.lists(plain, max_size=3).map(lambda t: message(*t, kind="history")),
    st.lists(plain, max_size=3).map(
        lambda t: b'{"type":"trade","data":[%s]}' % ",".join(t).encode()
    ),
    st.lists(plain, max_size=3).map(lambda t: message(*(x.replace("{", '{"c":["1"],') for x in t))),
    st.sampled_from([b'{"type":"ping"}', b"", b"x", b'{"type":"error","msg":"m"}']),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(frames))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.integers(0, 3))
        piece = draw(
            st.one_of(
                st.sampled_from([b'"', b",", b"{", b"]", b"0", b"9", b".", b"e", b" "]),
                st.binary(min_size=1, max_size=1),
            )
        )
        if what == 0:
            data[at:at] = piece
        elif what == 1:
            data[at : at + 1] = piece
        elif what == 2:
            del data[at : at + draw(st.integers(1, 4))]
        else:
            data[at:at] = data[draw(st.integers(0, at)) : at]
    return bytes(data)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(frames, mutated()), max_size=10))
def test_both_tiers_give_the_same_whatever_comes(payloads: list[bytes]) -> None:
    both(payloads)


@settings(max_examples=300, deadline=None)
@given(st.one_of(frames, mutated()))
@example(GOOD.replace(b"{", b'{"c":["\xff"],'))
@example(GOOD.replace(b"{", b'{"c":["\\ud800"],'))
@example(GOOD.replace(b'"trade"', b'"tr\xffade"'))
def test_the_ticks_are_those_of_the_slow_decoder(payload: bytes) -> None:
    for venue, reference in ((Finnhub, FinnhubReference), (Simulated, SimulatedReference)):
        ticks, counts, _ = both([payload], venue)
        reading = slow(payload, reference)
        assert ticks == ticks_of(reading)
        assert counts.rejected == len(reading.problems) or (counts.rejected, ticks) == (1, [])
        assert bool(counts.rejected) == bool(reading.problems)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(frames, mutated()), max_size=30), st.data())
def test_how_frames_are_grouped_into_reads_does_not_matter(
    payloads: list[bytes], data: st.DataObject
) -> None:
    whole = decode(Finnhub(UNIVERSE, scan_bytes=0), payloads)
    cut = data.draw(st.integers(0, len(payloads)))
    venue = Finnhub(UNIVERSE)
    first = decode_more(venue, payloads[:cut])
    second = decode_more(venue, payloads[cut:])
    assert first[0] + second[0] == whole[0]
    assert venue.counts == whole[1]


def test_a_million_byte_frame_and_a_full_buffer_grow_the_columns() -> None:
    payload = message(*[trade(p=i + 1) for i in range(20_000)])
    ticks, _, _ = both([payload, GOOD])
    assert [t[1] for t in ticks[:-1]] == [float(i + 1) for i in range(20_000)]
    assert ticks[-1] == GOOD_TICK


def test_rows_already_written_stay() -> None:
    out = TickBuffer(1)
    out.append(3, 9.0, 8.0, 7, 6)
    Finnhub(UNIVERSE, scan_bytes=0).decode(Frames.of([GOOD] * 20), INIT, out)
    assert rows(out) == [(3, 9.0, 8.0, 7, 6), *[GOOD_TICK] * 20]


def test_no_frames_are_no_work() -> None:
    assert both([]) == ([], DecodeCounts(), [])


# ---- the simulated venue


def test_history_is_asked_for_per_symbol_and_stamped_with_its_own_time() -> None:
    venue = Simulated(UNIVERSE)
    assert venue.request_history(["AAPL", "TSLA"], interval_ns=10**9, intervals=500) == [
        '{"type":"history","symbol":"AAPL","interval_ms":1000,"intervals":500}',
        '{"type":"history","symbol":"TSLA","interval_ms":1000,"intervals":500}',
    ]
    past = [trade(p=i + 1, t=1672348887195 + i) for i in range(30)]
    payloads = [message(*past, kind="history"), GOOD]
    ticks, counts, notices = both(payloads, Simulated)
    assert counts.decoded == 31
    assert notices == []
    assert all(event == init for *_, event, init in ticks[:-1])
    assert ticks[-1] == GOOD_TICK


def test_the_simulated_venue_needs_no_token_and_offers_history() -> None:
    assert (Simulated.name, Simulated.token_env, Simulated.offers_history) == (
        "simulated",
        None,
        True,
    )
    assert Simulated(UNIVERSE).endpoint(Simulated.url, None) == "ws://127.0.0.1:8765"


def test_all_numbers_are_correctly_rounded() -> None:
    rng = np.random.default_rng(7)
    texts = [f"{rng.integers(1, 10**9) / 10 ** rng.integers(0, 9):.8f}" for _ in range(5000)]
    payloads = [GOOD.replace(b"1.5", text.encode()) for text in texts]
    assert [t[1] for t in both(payloads)[0]] == [float(text) for text in texts]
