"""A panel of daily prices from a file: wide CSV (also gzipped) or Parquet.

    date,AAPL,MSFT
    2024-01-02,185.64,370.87
    2024-01-03,184.25,

A cell without a price is a mask. It never becomes a zero return, and the return across it is masked
too. Whatever else cannot be used is a problem with its file, line, column and value; all of them
are found before anything is computed.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from rtre.errors import DataError
from rtre.kernels.layout import HIGHEST_PRICE, LOWEST_PRICE
from rtre.market import Float64, check_symbol

Dates = npt.NDArray[np.datetime64]

#: Cells that say "no price", in lower case.
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
_PRICE = "a price is a positive number up to 1e30; leave the cell empty where there is none"
_DATE = "dates are written like 2024-01-31"
#: More problems than this are counted, not told.
MAX_PROBLEMS = 20


@attrs.frozen(eq=False)
class PricePanel:
    """Prices of several symbols, one row a date.

    Attributes
    ----------
    symbols : tuple of str
    dates : (T,) datetime64[D]
        Strictly ascending.
    prices : (T, N) float64
        From 1e-30 to 1e30, as those of a live run; NaN where there is none.
    source : str
        Where they came from, for people.
    """

    symbols: tuple[str, ...]
    dates: Dates
    prices: Float64
    source: str = ""

    def __attrs_post_init__(self) -> None:
        shape = (len(self.dates), len(self.symbols))
        if self.prices.shape != shape:
            raise DataError(f"prices must have the shape {shape}, got {self.prices.shape}")
        for symbol in self.symbols:
            check_symbol(symbol)
        if len(set(self.symbols)) != len(self.symbols):
            raise DataError(f"a symbol is named twice: {', '.join(self.symbols)}")
        with np.errstate(invalid="ignore"):
            bad = (self.prices < LOWEST_PRICE) | (self.prices > HIGHEST_PRICE)
        if bad.any():
            t, i = np.argwhere(bad)[0].tolist()
            raise DataError(
                f"{self.symbols[i]} on {self.dates[t]} is {float(self.prices[t, i])!r}: {_PRICE}"
            )
        if np.any(np.diff(self.dates) <= np.timedelta64(0, "D")):
            raise DataError("the dates must ascend")

    def __len__(self) -> int:
        return len(self.dates)

    @property
    def missing(self) -> int:
        """Cells without a price."""
        return int(np.count_nonzero(np.isnan(self.prices)))

    def select(self, symbols: Sequence[str]) -> PricePanel:
        """Return the panel of some of the symbols, in their order here.

        Raises
        ------
        DataError
            Naming every symbol that is not a column.
        """
        absent = [s for s in symbols if s not in self.symbols]
        if absent:
            raise DataError(
                f"{', '.join(map(repr, absent))}: no such column; there is "
                f"{', '.join(self.symbols)}"
            )
        keep = [i for i, s in enumerate(self.symbols) if s in set(symbols)]
        names = tuple(self.symbols[i] for i in keep)
        return PricePanel(names, self.dates, self.prices[:, keep], self.source)


class _Problems:
    """What is wrong with one file, in the order in which it was found."""

    def __init__(self, path: str, unit: str) -> None:
        self._path = path
        self._unit = unit
        self._found: list[str] = []
        self._count = 0

    def add(self, text: str, *, line: int | None = None, column: str = "") -> None:
        """Note a problem; beyond `MAX_PROBLEMS` it is only counted."""
        self._count += 1
        if self._count > MAX_PROBLEMS:
            return
        place = f", {self._unit} {line}" if line else ""
        place += f", column {column}" if column else ""
        self._found.append(f"{self._path}{place}: {text}")

    def close(self) -> None:
        """Raise DataError with all of them, one a line, if there are any."""
        if not self._count:
            return
        if self._count > MAX_PROBLEMS:
            self._found.append(f"{self._path}: and {self._count - MAX_PROBLEMS} more problems")
        raise DataError("\n".join(self._found))


def read_prices(path: str | Path) -> PricePanel:
    """Read a wide file of prices: a column of dates, then one column a symbol.

    Parameters
    ----------
    path : str or Path
        ``.parquet`` or ``.pq`` is read with pyarrow; everything else is CSV, gunzipped where its
        first bytes say so.

    Raises
    ------
    DataError
        One line a problem: file, line, column, value, and what would be right.
    """
    path = Path(path)
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path, _Problems(str(path), "row"))
    problems = _Problems(str(path), "line")
    text = _text(path, problems)
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        panel = _parse(rows, str(path), problems)
    except csv.Error as error:
        problems.add(f"is not CSV: {error}", line=rows.line_num)
        panel = None
    problems.close()
    assert panel is not None  # a file without a panel has a problem
    return panel


def _text(path: Path, problems: _Problems) -> str:
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        problems.add(f"is damaged, it cannot be gunzipped: {error}")
    except UnicodeDecodeError as error:
        problems.add(f"is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}")
    except OSError as error:
        problems.add(f"cannot be read: {error.strerror}")
    problems.close()
    raise AssertionError("unreachable")


def _header(cells: list[str], problems: _Problems) -> tuple[str, ...]:
    names = [cell.strip() for cell in cells]
    if names[0].lower() != "date":
        problems.add(
            f"{names[0][:64]!r}: the first column is the date; a header reads date,AAPL,MSFT",
            line=1, column="1",
        )  # fmt: skip
    if len(names) < 2:
        problems.add("has no column of prices; a header reads date,AAPL,MSFT", line=1)
    for c, name in enumerate(names[1:], start=2):
        try:
            check_symbol(name)
        except DataError as error:
            problems.add(str(error), line=1, column=str(c))
        if name in names[1 : c - 1]:
            problems.add(f"{name[:64]!r} is named twice", line=1, column=str(c))
    return tuple(names[1:])


def _parse(rows: Any, path: str, problems: _Problems) -> PricePanel | None:
    header = next(rows, None)
    if not header or header == [""]:
        problems.add("is empty; the first line is a header like date,AAPL,MSFT")
        return None
    symbols = _header(header, problems)
    problems.close()  # nothing below can be read without the names
    dates: list[datetime.date] = []
    prices: list[list[float]] = []
    for cells in rows:
        line = rows.line_num
        if not cells:
            continue
        if len(cells) != len(symbols) + 1:
            problems.add(f"has {len(cells)} cells, the header {len(symbols) + 1}", line=line)
            continue
        date = _date(cells[0], line, dates, problems)
        row = list(_row(cells, symbols, line, problems))
        if date is not None:
            dates.append(date)
            prices.append(row)
    problems.close()
    return _panel(symbols, dates, np.array(prices, np.float64), path, problems)


def _panel(
    symbols: tuple[str, ...],
    dates: Sequence[Any],
    prices: Float64,
    path: str,
    problems: _Problems,
) -> PricePanel:
    if not len(dates):
        problems.add("has a header and no row of prices")
        problems.close()
    for i, symbol in enumerate(symbols):
        if np.isnan(prices[:, i]).all():
            problems.add("has no price at all; leave the column out", column=symbol)
    problems.close()
    return PricePanel(symbols, np.array(dates, "datetime64[D]"), prices, path)


def _date(
    cell: str, line: int, before: list[datetime.date], problems: _Problems
) -> datetime.date | None:
    text = cell.strip()
    try:
        if len(text) != 10:  # fromisoformat reads 20240131 and 2024-W05-3 too
            raise ValueError
        date = datetime.date.fromisoformat(text)
        if date.isoformat() != text:
            raise ValueError
    except ValueError:
        problems.add(f"{text[:64]!r} is not a date; {_DATE}", line=line, column="date")
        return None
    if before and date <= before[-1]:
        problems.add(
            f"{text} is not later than {before[-1]} of the row before; rows go from old to new, "
            "one a date",
            line=line, column="date",
        )  # fmt: skip
    return date


def _row(
    cells: list[str], symbols: tuple[str, ...], line: int, problems: _Problems
) -> Iterator[float]:
    for symbol, cell in zip(symbols, cells[1:], strict=True):
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
            wrong = cell.strip().lower() not in _MISSING
        else:
            wrong = not LOWEST_PRICE <= value <= HIGHEST_PRICE and not math.isnan(value)
            wrong = wrong or "_" in cell  # float() reads 1_000, people mistype it
        if wrong:
            problems.add(f"{cell.strip()[:64]!r}: {_PRICE}", line=line, column=symbol)
            value = math.nan
        yield value


def _read_parquet(path: Path, problems: _Problems) -> PricePanel:
    try:
        import pyarrow  # type: ignore[import-not-found, import-untyped, unused-ignore]
        import pyarrow.parquet  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        problems.add("reading Parquet needs pyarrow: pip install pyarrow")
        problems.close()
    try:
        table = pyarrow.parquet.read_table(path)
    except OSError as error:
        problems.add(f"cannot be read: {error.strerror or error}")
    except pyarrow.ArrowException as error:
        problems.add(f"is not Parquet: {error}")
    problems.close()
    names = list(table.column_names)
    lowered = [str(name).lower() for name in names]
    if "date" in lowered:  # an index that pandas saved comes last
        names.insert(0, names.pop(lowered.index("date")))
    symbols = _header([str(name) for name in names] or [""], problems)
    problems.close()
    dates = _arrow_dates(table.column(names[0]), problems)
    columns = [_arrow_prices(table.column(name), name, problems) for name in names[1:]]
    problems.close()
    return _panel(symbols, dates, np.column_stack(columns), str(path), problems)


def _arrow_dates(column: Any, problems: _Problems) -> list[datetime.date]:
    """Dates, timestamps at midnight, or text; rows are counted from 1."""
    dates: list[datetime.date] = []
    for row, value in enumerate(column.to_pylist(), start=1):
        text = "" if value is None else str(value).removesuffix("+00:00").removesuffix(" 00:00:00")
        date = _date(text, row, dates, problems)
        if date is not None:
            dates.append(date)
    return dates


def _arrow_prices(column: Any, name: str, problems: _Problems) -> Float64:
    values = column.to_pylist()
    out = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None or value != value:  # noqa: PLR0124 - NaN
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and LOWEST_PRICE <= value <= HIGHEST_PRICE:
            out[row] = value
        else:
            problems.add(f"{str(value)[:64]!r}: {_PRICE}", line=row + 1, column=name)
    return out
