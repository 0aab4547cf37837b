"""The scanner against Python's own numbers and strings; whole frames are tested with the venues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.kernels.scan import (
    ANY_BOOLEAN,
    ANY_INTEGER,
    ANY_NAME,
    ANY_TEXT,
    BEGIN,
    FIRST_MS,
    LAST_MS,
    MORE,
    PRICE,
    REST,
    SIZE,
    SYMBOL,
    TIME_MS,
    TRADE,
    TRADE_ID,
    join_templates,
    make_notes,
    make_template,
    pack_symbols,
    scan,
)

MS = 1_700_000_000_000
LINE = make_template(
    BEGIN, PRICE, b"*", SIZE, b" of ", SYMBOL, b'" at ', TIME_MS, b";", TRADE, MORE
)
Tick = tuple[int, float, float, int]


def run(frames: Sequence[bytes], *args: Any, **options: Any) -> tuple[int, list[Tick]]:
    """How many frames were taken, and their ticks."""
    return run_all(frames, *args, **options)[:2]


def run_all(
    frames: Sequence[bytes],
    template: tuple[np.ndarray, np.ndarray] = LINE,
    symbols: Sequence[str] = ("A", "BB"),
    *,
    last_id: np.ndarray | None = None,
    room: int = 4096,
    trades: int = 64,
) -> tuple[int, list[Tick], int]:
    """How many frames were taken, their ticks, and how many frames were passed over."""
    ends = np.cumsum([len(f) for f in frames], dtype=np.int64)
    starts = ends - np.array([len(f) for f in frames], np.int64)
    buffer = np.frombuffer(b"".join(frames), np.uint8)
    asset, times = np.empty(room, np.int32), np.empty(room, np.int64)
    price, size = np.empty(room), np.empty(room)
    ids = np.empty(0, np.int64) if last_id is None else last_id
    taken, rows, passed = scan(
        buffer, starts, ends, 0, *template, *pack_symbols(symbols), ids, make_notes(trades),
        asset, price, size, times, 0,
    )  # fmt: skip
    columns = (asset[:rows].tolist(), price[:rows].tolist(), size[:rows].tolist())
    return taken, list(zip(*columns, times[:rows].tolist(), strict=True)), passed


def line(price: str = "1.5", size: str = "2", symbol: str = "A", ms: object = MS) -> bytes:
    return f'{price}*{size} of {symbol}" at {ms};'.encode()


def is_exact(text: str) -> bool:
    """Whether the scanner should take this number."""
    digits = text.replace(".", "")
    return len(digits) <= 18 and int(digits) <= 2**53


@settings(deadline=None, max_examples=500)
@given(st.from_regex(r"(0|[1-9][0-9]{0,12})(\.[0-9]{1,12})?", fullmatch=True))
def test_a_decimal_is_what_python_reads_or_odd(text: str) -> None:
    expected = [(0, 1.5, float(text), MS * 10**6)] if is_exact(text) else []
    assert run([line(size=text)]) == (len(expected), expected)


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 2**53), st.integers(0, 15))
def test_every_exact_mantissa_is_rounded_correctly(mantissa: int, places: int) -> None:
    digits = f"{mantissa:0{places + 1}d}"
    text = (
        f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else digits
    )
    expected = [(0, float(text), 2.0, MS * 10**6)] if is_exact(text) else []
    assert run([line(price=text)])[1] == expected


@pytest.mark.parametrize(
    "text",
    ["0.1", "100", "10.0", "0.0000000000000001", "9007199254740992", "90071992547409.92"],
)
def test_a_plain_price_is_taken(text: str) -> None:
    assert run([line(price=text)]) == (1, [(0, float(text), 2.0, MS * 10**6)])


@pytest.mark.parametrize(
    "text",
    [
        "", ".5", "-1", "+1", "1.", "01", "00.5", "0", "0.0", "-0.0", "1e5", "1.5E3", "1.5.5",
        "1,5", " 1", "1 ", "NaN", "Infinity", "0x10", "1_0", "9007199254740993",
        "900719925474099.3", "1" * 18, "0." + "0" * 17 + "1", "1." + "0" * 400, "9" * 400,
        "18446744073709551617", "0.18446744073709551617",
    ],
)  # fmt: skip
def test_any_other_price_is_odd(text: str) -> None:
    assert run([line(), line(price=text), line()]) == (1, [(0, 1.5, 2.0, MS * 10**6)])


@pytest.mark.parametrize("ms", [FIRST_MS, LAST_MS])
def test_times_within_bounds_are_taken(ms: int) -> None:
    assert run([line(ms=ms)]) == (1, [(0, 1.5, 2.0, ms * 10**6)])


@pytest.mark.parametrize(
    "ms", [FIRST_MS - 1, LAST_MS + 1, 0, "", -MS, f"{MS}.0", f"0{MS}", 2**64 + MS, "1" * 30]
)
def test_any_other_time_is_odd(ms: object) -> None:
    assert run([line(ms=ms)]) == (0, [])


names = st.text("ABCDEFGHIJ:.=^", min_size=1, max_size=12)


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=60, unique=True), st.lists(names, max_size=20))
def test_every_symbol_is_found_and_no_other(symbols: list[str], others: list[str]) -> None:
    taken, ticks = run([line(symbol=s) for s in symbols], symbols=symbols)
    assert (taken, [t[0] for t in ticks]) == (len(symbols), list(range(len(symbols))))
    for symbol in others:
        wanted = [symbols.index(symbol)] if symbol in symbols else []
        assert [t[0] for t in run([line(symbol=symbol)], symbols=symbols)[1]] == wanted


def test_ten_thousand_symbols_fit() -> None:
    symbols = [f"S{i}" for i in range(10_000)]
    taken, ticks = run([line(symbol=s) for s in symbols], symbols=symbols, room=10_000)
    assert (taken, [t[0] for t in ticks]) == (10_000, list(range(10_000)))
    assert run([line(symbol="S10000")], symbols=symbols)[0] == 0
    assert run([line(symbol="")], symbols=symbols)[0] == 0


@pytest.mark.parametrize(
    ("frame", "fits"),
    [
        (b'x"', True),
        (b'"', True),
        (b'~ !"', True),
        (b"x", False),
        (b"", False),
        (b'\\""', False),
        (b'\x1f"', False),
        (b'\x7f"', False),
        (b'\xc3\xa4"', False),
        (b'x" ', False),
    ],
)
def test_a_text_is_printable_ascii_up_to_a_quote(frame: bytes, fits: bool) -> None:
    template = make_template(ANY_TEXT, b'"|', *VALUES)
    assert run([frame + TAIL], template)[0] == fits


VALUES = (PRICE, b"*", SIZE, b" of ", SYMBOL, b'" at ', TIME_MS, b";", TRADE)
TAIL = b"|" + line()


@pytest.mark.parametrize(
    ("word", "fits"),
    [
        (b"true", True),
        (b"false", True),
        (b"", False),
        (b"tru", False),
        (b"truee", False),
        (b"True", False),
        (b"falsetrue", False),
        (b"null", False),
        (b"1", False),
    ],
)
def test_a_boolean_is_one_of_two_words(word: bytes, fits: bool) -> None:
    assert run([word + TAIL], make_template(ANY_BOOLEAN, b"|", *VALUES))[0] == fits


@pytest.mark.parametrize(
    ("frame", "fits"),
    [(b"[1]", True), (b"[1,22,3]", True), (b"[]", False), (b"[1,]", False), (b"[1 ,2]", False)],
)
def test_a_group_comes_once_or_more_often(frame: bytes, fits: bool) -> None:
    template = make_template(b"[", BEGIN, ANY_INTEGER, MORE, b"]|", *VALUES)
    assert run([frame + TAIL], template)[0] == fits


def test_a_frame_fits_to_its_last_byte_and_no_other_frame_is_touched() -> None:
    good = line()
    for cut in range(len(good)):
        assert run([good, good[:cut], good])[0] == 1
    for extra in (b" ", b";", b",", good, good[:1]):
        assert run([good, good + extra, good])[0] == 1
    assert run([])[0] == 0


def test_a_frame_of_several_trades_counts_as_a_whole_or_not_at_all() -> None:
    several = b",".join([line("1"), line("2"), line("3")])
    taken, ticks = run([several, several])
    assert (taken, [t[1] for t in ticks]) == (2, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    for bad in (line("0"), line(symbol="C"), line(ms=1), b"x"):
        taken, ticks = run([several, b",".join([line("1"), line("2"), bad]), several])
        assert (taken, len(ticks)) == (1, 3)


@pytest.mark.parametrize("trades", [1, 2, 3, 7])
def test_how_many_trades_are_noted_at_a_time_does_not_matter(trades: int) -> None:
    frames = [line(str(i + 1)) for i in range(20)]
    assert run(frames, trades=trades) == run(frames)
    pair = b",".join([line(), line()])
    taken, ticks = run([line(), pair, line()], trades=trades)
    assert (taken, len(ticks)) == ((3, 4) if trades >= 2 else (1, 1))


def test_full_columns_make_the_next_frame_odd() -> None:
    taken, ticks = run([line()] * 10, room=4, trades=2)
    assert (taken, len(ticks)) == (4, 4)


def test_trade_ids_must_follow_each_other() -> None:
    template = make_template(TRADE_ID, b" ", *VALUES)
    last_id = np.full(2, -1, np.int64)

    def ids(*pairs: tuple[int, str]) -> int:
        return run(
            [f"{i} ".encode() + line(symbol=s) for i, s in pairs], template, last_id=last_id
        )[0]

    assert ids((7, "A"), (8, "A"), (1, "BB"), (9, "A"), (2, "BB")) == 5
    assert last_id.tolist() == [9, 2]
    assert ids((9, "A")) == 0, "a repeat"
    assert ids((10, "A"), (12, "A")) == 1, "a gap"
    assert last_id.tolist() == [10, 2]


@pytest.mark.parametrize(
    ("frame", "fits"),
    [
        (b"aZ_09@book", True),
        (b"a@book and anything at all \xff\x00", True),
        (b"@book", False),
        (b"a@boo", False),
        (b"a-b@book", False),
        (b"a", False),
        (b"\xc1@book", False),
        (b"", False),
    ],
)
def test_what_begins_like_no_trade_is_passed_over(frame: bytes, fits: bool) -> None:
    template = make_template(ANY_NAME, b"@book", REST)
    assert run_all([frame], template) == (int(fits), [], int(fits))


def test_every_name_character_is_a_letter_a_digit_or_an_underscore() -> None:
    template = make_template(ANY_NAME, b"@", REST)
    for code in range(256):
        plain = code < 128 and (chr(code).isalnum() or chr(code) == "_")
        assert run([bytes([code, 64])], template)[0] == plain, code


KINDS = {"trade": line(), "pair": line() + b"," + line("2"), "book": b"book 1", "list": b"[1,2]|x"}
MIXED = join_templates(
    LINE,
    make_template(b"[", BEGIN, ANY_INTEGER, MORE, b"]|", REST),
    make_template(b"book", REST),
)


@given(
    st.lists(st.sampled_from(sorted(KINDS)), max_size=12),
    st.sampled_from([b"", b"boo", line("0"), line(symbol="C"), line() + b"," + line("0")]),
    st.integers(2, 5),
)
def test_kinds_are_told_apart_in_any_order_up_to_the_first_odd_frame(
    kinds: list[str], odd: bytes, trades: int
) -> None:
    frames = [KINDS[kind] for kind in kinds]
    taken, ticks, passed = run_all([*frames, odd, *frames], MIXED, trades=trades)
    assert taken == len(frames)
    assert len(ticks) == sum({"trade": 1, "pair": 2}.get(kind, 0) for kind in kinds)
    assert passed == sum(kind in ("book", "list") for kind in kinds)
