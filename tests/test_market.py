"""Values of the market: symbols, universes, batches and the buffer that codecs fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.market import (
    Quality,
    TickBatch,
    TickBuffer,
    Universe,
    as_assets,
    check_name,
    check_symbol,
)

COLUMNS = ("asset", "price", "size", "ts_event_ns", "ts_init_ns")


@pytest.mark.parametrize("symbol", ["AAPL", "BTC-USD", "BINANCE:BTCUSDT", "6E=F", "a" * 32])
def test_symbols_of_real_venues_are_taken(symbol: str) -> None:
    assert check_symbol(symbol) == symbol


@pytest.mark.parametrize(
    "text", ["", " A", "A B", "a" * 33, "A\n", "A\x1b[31m", "Ä", "A;B", "-A", "^A"]
)
def test_what_is_not_safe_to_print_is_no_symbol(text: str) -> None:
    with pytest.raises(DataError):
        check_symbol(text)


def test_a_book_may_have_spaces_in_its_name_and_a_symbol_may_not() -> None:
    assert check_name("hedge 1") == "hedge 1"
    for text in ("", " A", "A\n", "A\t1", "a" * 33):
        with pytest.raises(DataError, match="is not a book's name"):
            check_name(text)


def test_a_universe_knows_the_place_of_each_symbol() -> None:
    universe = Universe(iter(("B", "A")))
    assert universe.symbols == ("B", "A")
    assert as_assets(universe, ("A", "B", "A")) == (1, 0, 1)
    assert list(universe) == ["B", "A"]
    with pytest.raises(DataError, match="'C' is not among B, A"):
        universe.asset("C")


@pytest.mark.parametrize(("symbols", "words"), [((), "at least one"), (("A", "A"), "twice: A")])
def test_a_universe_has_each_symbol_once_and_at_least_one(
    symbols: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        Universe(symbols)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(DataError, match="one length"):
        TickBatch.of([0, 1], [1.0, 2.0, 3.0], 1)
    with pytest.raises(DataError, match="one length"):
        TickBatch.of([[0]], [[1.0]], [[1]])
    with pytest.raises(DataError, match="one length"):
        TickBatch.of([0, 0], 1.0, 1, ts_init_ns=[1, 2, 3])


def test_columns_have_one_type_whatever_they_were_made_from() -> None:
    frozen = np.arange(4.0)
    frozen.setflags(write=False)
    for price in ([1, 2], frozen[::2], np.float32([1, 2]), np.broadcast_to(3.0, 2)):
        batch = TickBatch.of(0, price, [5, 6])
        for name, kind in zip(COLUMNS, ("i8", "f8", "f8", "i8", "i8"), strict=True):
            column = getattr(batch, name)
            assert column.dtype == np.dtype(kind)
            assert column.flags.c_contiguous
            assert column.flags.writeable


def test_a_batch_owns_its_columns() -> None:
    price = np.array([1.0, 2.0])
    batch = TickBatch.of([0, 0], price, [5, 6])
    price[0] = 99.0
    assert batch.price.tolist() == [1.0, 2.0]


def test_batches_are_cut_and_joined() -> None:
    batch = TickBatch.of([0, 1, 0], [1.0, 2.0, 3.0], [5, 6, 7], size=4.0)
    assert TickBatch.concat([batch]) is batch
    again = TickBatch.concat([batch[:1], batch[1:1], batch[1:]])
    for name in COLUMNS:
        assert getattr(again, name).tolist() == getattr(batch, name).tolist()


rows = st.tuples(
    st.integers(0, 9), st.floats(1, 9), st.floats(0, 9), st.integers(0, 9), st.integers(0, 9)
)


@given(st.lists(st.lists(rows, max_size=9), max_size=6), st.integers(1, 4))
@settings(deadline=None)
def test_a_buffer_gives_back_what_was_written_whatever_it_starts_with(
    takes: list[list[tuple[int, float, float, int, int]]], capacity: int
) -> None:
    buffer = TickBuffer(capacity)
    for written in takes:
        for row in written:
            buffer.append(*row)
        buffer.reserve(3)
        batch = buffer.take()
        assert list(zip(*(getattr(batch, n).tolist() for n in COLUMNS), strict=True)) == written
        assert buffer.count == 0


def test_quality_without_a_flag_is_live() -> None:
    assert Quality.LIVE.label == "LIVE"
    assert (Quality.WARMING | Quality.UNPRICED).label == "UNPRICED|WARMING"
