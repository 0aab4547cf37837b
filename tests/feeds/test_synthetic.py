"""The synthetic market: what its prices look like, and that they are the same every time."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.feeds.instruments import instrument
from rtre.feeds.noise import student, uniforms
from rtre.feeds.synthetic import SyntheticMarket, Trades

START_NS = 1_750_000_000_123_456_789  # on no grid, as a clock would give it
SECOND_NS = 1_000_000_000
YEAR_S = 252 * 23_400
STOCKS = ("AAPL", "MSFT", "NVDA", "JPM", "SPY")


def market(*symbols: str, seed: int = 7, rate: float = 100.0) -> SyntheticMarket:
    made = SyntheticMarket(seed, START_NS, rate)
    for symbol in symbols:
        made.add(symbol)
    return made


def columns(trades: Trades) -> list[list[float]]:
    return [c.tolist() for c in (trades.asset, trades.price, trades.size, trades.ts_ms)]


def sampled_returns(trades: Trades, asset: int, interval_ms: int) -> np.ndarray:
    """Log returns on a grid, by the last trade before each grid point."""
    mine = trades.asset == asset
    ts, price = trades.ts_ms[mine], trades.price[mine]
    first, last = (trades.ts_ms[[0, -1]] // interval_ms).tolist()
    grid = np.arange(first + 5, last) * interval_ms  # by 5 s every symbol has traded
    return np.diff(np.log(price[np.searchsorted(ts, grid) - 1]))


def excess_kurtosis(returns: np.ndarray) -> float:
    centred = returns - returns.mean()
    return float((centred**4).mean() / centred.var() ** 2 - 3.0)


def autocorrelation(values: np.ndarray, lag: int = 1) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


@pytest.fixture(scope="module")
def live() -> list[np.ndarray]:
    """One-second returns of an hour of live trades, a row for each of STOCKS."""
    trades = market(*STOCKS, rate=150.0).advance(START_NS + 3600 * SECOND_NS)
    return [sampled_returns(trades, i, 1000) for i in range(len(STOCKS))]


@pytest.fixture(scope="module")
def past() -> list[np.ndarray]:
    """One-second returns of 20,000 seconds of history, a row for each of STOCKS."""
    made = market()
    return [
        np.diff(
            np.log(
                made.history(s, interval_ns=SECOND_NS, intervals=20_000, until_ns=START_NS).price
            )
        )
        for s in STOCKS
    ]


@pytest.mark.parametrize("source", ["live", "past"])
def test_volatility_is_the_annual_one_of_the_instrument(source, request):
    for symbol, returns in zip(STOCKS, request.getfixturevalue(source), strict=True):
        annual = returns.std() * np.sqrt(YEAR_S)
        # 3,600 returns with kurtosis 8 in clusters: a standard error near 4 %; three of them,
        # and 4 % more for the rounding to cents.
        assert annual == pytest.approx(instrument(symbol).vol, rel=0.16), symbol


@pytest.mark.parametrize("source", ["live", "past"])
def test_tails_are_heavy(source, request):
    for symbol, returns in zip(STOCKS, request.getfixturevalue(source), strict=True):
        # The normal gives 0 with a standard error of sqrt(24 / 3600) = 0.08.
        assert excess_kurtosis(returns) > 1.0, symbol


@pytest.mark.parametrize("source", ["live", "past"])
def test_volatility_comes_in_clusters_and_returns_do_not(source, request):
    for symbol, returns in zip(STOCKS, request.getfixturevalue(source), strict=True):
        # Independent returns: 0 with a standard error of 1 / sqrt(3600) = 0.017.
        assert autocorrelation(np.abs(returns)) > 0.07, symbol
        assert autocorrelation(np.abs(returns), 5) > 0.05, symbol
        # Rounding to cents leaves a trace of bounce, so not quite zero.
        assert abs(autocorrelation(returns)) < 0.09, symbol


@pytest.mark.parametrize("source", ["live", "past"])
def test_stocks_move_together_as_far_as_the_factor_says(source, request):
    correlation = np.corrcoef(request.getfixturevalue(source))
    kinds = [instrument(s) for s in STOCKS]
    for i, first in enumerate(kinds):
        for j, second in enumerate(kinds[:i]):
            model = first.systematic * second.systematic / (first.vol * second.vol)
            # Trades at different times see different parts of the path: up to a third is lost.
            assert model * 0.65 < correlation[i, j] < model * 1.1, (STOCKS[i], STOCKS[j])
            assert 0.25 < correlation[i, j] < 0.85


def test_shocks_have_variance_one_and_the_tails_of_a_t_with_four_degrees_of_freedom():
    probability = (np.arange(1_000_000) + 0.5) / 1_000_000
    quantiles = student(probability)
    # The million points leave out the last 5e-7 of each tail: 0.3 % of the variance.
    assert quantiles.var() == pytest.approx(1.0, abs=0.004)
    # Tables give 3.7469 for t(4) at 99 %; divided by its standard deviation, sqrt(2).
    assert student(np.array([0.99]))[0] == pytest.approx(3.7469474 / np.sqrt(2.0), abs=1e-6)
    assert np.isfinite(student(np.array([2.0**-54, 0.5, 1.0]))).all()


@given(st.integers(0, 2**48), st.integers(1, 50), st.integers(0, 49))
def test_numbers_by_index_do_not_depend_on_the_stretch_they_are_asked_in(first, count, skip):
    skip = min(skip, count - 1)
    whole = uniforms(99, first, count)
    assert uniforms(99, first + skip, count - skip).tolist() == whole[skip:].tolist()
    assert ((whole > 0.0) & (whole < 1.0)).all()


def test_same_seed_gives_the_same_bits_and_another_seed_another_market():
    runs = [columns(market(*STOCKS, seed=s).advance(START_NS + 10 * SECOND_NS)) for s in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 700_000_000), min_size=1, max_size=12))
def test_how_calls_cut_the_time_axis_changes_nothing(pauses_ns):
    cut, now_ns, parts = market("AAPL", "MSFT"), START_NS, []
    for pause_ns in pauses_ns:
        now_ns += pause_ns
        parts.append(columns(cut.advance(now_ns)))
    joined = [[x for part in parts for x in part[i]] for i in range(4)]
    assert joined == columns(market("AAPL", "MSFT").advance(now_ns))


def test_another_process_with_another_hash_seed_makes_the_same_trades():
    code = (
        "from rtre.feeds.synthetic import SyntheticMarket\n"
        f"m = SyntheticMarket(7, {START_NS}, 100.0)\n"
        "m.add('AAPL'); m.add('BINANCE:BTCUSDT'); m.add('QQZX')\n"
        f"t = m.advance({START_NS + SECOND_NS})\n"
        f"h = m.history('QQZX', interval_ns=10**9, intervals=9, until_ns={START_NS})\n"
        "print([c.tobytes().hex() for x in (t, h) for c in (x.asset, x.price, x.size, x.ts_ms)])"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(seen) == 1
    assert len(seen.pop()) > 1000


def test_a_path_does_not_depend_on_the_other_symbols_nor_on_when_it_was_listed():
    alone, late = market("MSFT"), market("AAPL", "JPM")
    until_ns = START_NS + 90 * SECOND_NS
    alone.advance(until_ns)
    late.advance(until_ns - 7 * SECOND_NS)
    late.add("MSFT")
    late.advance(until_ns)
    request = {"interval_ns": SECOND_NS, "intervals": 200, "until_ns": until_ns}
    assert (
        alone.history("MSFT", **request).price.tolist()
        == late.history("MSFT", **request).price.tolist()
    )


def test_a_symbol_listed_late_trades_at_once_on_the_path_it_always_had():
    early, late = market("AAPL", "MSFT", rate=400.0), market("AAPL", rate=400.0)
    now_ns = START_NS + 60 * SECOND_NS
    early.advance(now_ns)
    late.advance(now_ns)
    late.add("MSFT")
    ahead = [m.advance(now_ns + SECOND_NS // 2) for m in (early, late)]
    prices = [t.price[t.asset == 1] for t in ahead]
    assert min(map(len, prices)) > 20
    # Two samples of half a second of one path: its one-second standard deviation is 4 cents.
    assert prices[0].mean() == pytest.approx(prices[1].mean(), abs=0.12)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([10, 100, 250, 1000, 7000, 60_000, 86_400_000]),
    st.integers(1, 300),
    st.integers(0, 400_000),
)
def test_history_has_one_trade_in_each_whole_interval_before_the_end(ms, intervals, ahead_ms):
    interval_ns = ms * 1_000_000
    until_ns = START_NS + ahead_ms * 1_000_000
    made = market()
    made.advance(until_ns)
    trades = made.history("AAPL", interval_ns=interval_ns, intervals=intervals, until_ns=until_ns)
    last = until_ns // interval_ns
    assert (trades.ts_ms // ms).tolist() == list(range(last - intervals, last))
    assert np.isfinite(trades.price).all()
    assert (trades.price > 0).all()
    assert (trades.size > 0).all()
    if intervals > 50 and ms > 10:
        assert len(set((trades.ts_ms % ms).tolist())) > 10  # irregular in the interval


def test_history_joins_the_live_price():
    made = market(*STOCKS)
    for step in range(3):  # at the start, in the first block of the live path, and far beyond it
        now_ns = START_NS + step * 45 * SECOND_NS
        made.advance(now_ns)
        ahead = made.advance(now_ns + SECOND_NS)
        for asset, symbol in enumerate(STOCKS):
            before = made.history(symbol, interval_ns=SECOND_NS, intervals=5, until_ns=now_ns)
            first = ahead.price[ahead.asset == asset][0]
            sigma = instrument(symbol).vol / np.sqrt(YEAR_S)
            # Two seconds apart at most: eight standard deviations, and a cent of rounding.
            room = 8.0 * sigma * np.sqrt(2.0) * first + 0.01
            assert before.price[-1] == pytest.approx(first, abs=room), (symbol, step)


def test_history_over_the_start_has_no_jump():
    made = market("SPY")
    until_ns = START_NS + 30 * SECOND_NS
    made.advance(until_ns)
    price = made.history("SPY", interval_ns=SECOND_NS, intervals=60, until_ns=until_ns).price
    sigma = instrument("SPY").vol / np.sqrt(YEAR_S)
    assert np.abs(np.diff(np.log(price))).max() < 15.0 * sigma
    assert price[29] == pytest.approx(instrument("SPY").price, rel=10.0 * sigma)


def test_only_active_symbols_trade_and_share_the_whole_rate():
    made = market("AAPL", "MSFT", "JPM", rate=1000.0)
    made.set_active([2])
    trades = made.advance(START_NS + 10 * SECOND_NS)
    assert set(trades.asset.tolist()) == {2}
    # 5,000 orders of two prints each, geometric: a standard deviation of 170.
    assert len(trades) == pytest.approx(10_000, abs=700)
    made.set_active([])
    rest = made.advance(START_NS + 20 * SECOND_NS)  # of the step that had begun
    assert rest.ts_ms[-1] <= START_NS // 1_000_000 + 10_100
    assert len(made.advance(START_NS + 25 * SECOND_NS)) == 0
    made.set_active(None)
    assert set(made.advance(START_NS + 30 * SECOND_NS).asset.tolist()) == {0, 1, 2}


def test_trades_are_in_time_order_at_irregular_times_and_inside_the_call():
    made = market("AAPL", "MSFT", rate=500.0)
    made.advance(START_NS + 3 * SECOND_NS)
    trades = made.advance(START_NS + 5 * SECOND_NS)
    first_ms, last_ms = ((START_NS + s * SECOND_NS) // 1_000_000 for s in (3, 5))
    assert first_ms <= trades.ts_ms[0]
    assert trades.ts_ms[-1] <= last_ms
    gaps = np.diff(trades.ts_ms)
    assert (gaps >= 0).all()
    assert len(set(gaps.tolist())) > 5


def test_skip_goes_on_without_the_trades_between():
    skipped, walked = market("AAPL"), market("AAPL")
    skipped.advance(START_NS + SECOND_NS)
    skipped.skip(START_NS + 100 * SECOND_NS)
    walked.advance(START_NS + 100 * SECOND_NS)
    later = START_NS + 101 * SECOND_NS
    assert columns(skipped.advance(later)) == columns(walked.advance(later))


def test_a_quarter_of_a_million_trades_a_second_are_made_with_room_to_spare():
    made = market(*STOCKS, rate=1_000_000.0)
    made.advance(START_NS + 100_000_000)
    begin, count = time.perf_counter(), 0
    for step in range(1, 26):
        count += len(made.advance(START_NS + 100_000_000 + step * 20_000_000))
    # Measured: 4 million a second. The bound leaves a factor of 16 for a busy machine.
    assert count / (time.perf_counter() - begin) > 250_000


def test_unknown_symbols_are_made_up_once_and_for_all():
    assert instrument("AAPL").price == 230.0
    # Written down, so that a change of the rule cannot pass unseen.
    assert (instrument("QQZX").price, instrument("QQZX").vol) == (240.34, 0.272)
    assert instrument("QQZX") != instrument("QQZY")
    coin = instrument("BINANCE:PEPEUSDT")
    assert coin.vol >= 0.5
    assert coin.size_scale > 1.0


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 .:/_^=@+\-]{0,31}", fullmatch=True))
def test_every_symbol_has_plausible_numbers_and_keeps_its_volatility(symbol):
    kind = instrument(symbol)
    assert 0.01 <= kind.price < 1e6
    assert 0.05 <= kind.vol < 1.5
    assert kind.systematic**2 + kind.idiosyncratic**2 == pytest.approx(kind.vol**2)
    assert kind.price * kind.price_scale >= 100.0  # a tick is at most one per cent


def test_prices_are_whole_ticks_and_crypto_sizes_are_fractions():
    trades = market("AAPL", "BINANCE:BTCUSDT").advance(START_NS + 10 * SECOND_NS)
    stock = trades[trades.asset == 0]
    assert stock.price.tolist() == [round(p, 2) for p in stock.price.tolist()]
    assert (stock.size == np.rint(stock.size)).all()
    coin = trades[trades.asset == 1]
    assert (coin.size < 5.0).mean() > 0.9
    assert coin.size.tolist() == [round(v, 5) for v in coin.size.tolist()]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda m: SyntheticMarket(1, 0, 0.0), "0.0"),
        (lambda m: SyntheticMarket(1, -1, 1.0), "-1"),
        (lambda m: m.add("no\nsymbol"), "symbol"),
        (
            lambda m: m.history("A", interval_ns=9_000_000, intervals=1, until_ns=START_NS),
            "9000000",
        ),
        (
            lambda m: m.history("A", interval_ns=10**7 + 1, intervals=1, until_ns=START_NS),
            "whole ms",
        ),
        (lambda m: m.history("A", interval_ns=10**9, intervals=0, until_ns=START_NS), "got 0"),
        (
            lambda m: m.history("A", interval_ns=10**9, intervals=100_001, until_ns=START_NS),
            "100001",
        ),
        (lambda m: m.history("A", interval_ns=10**9, intervals=1, until_ns=2**62), "beyond"),
        (lambda m: m.history("A", interval_ns=10**30, intervals=1, until_ns=START_NS), "intervals"),
    ],
)
def test_arguments_out_of_range_are_refused_with_their_value(call, told):
    with pytest.raises(DataError, match=told):
        call(market())
