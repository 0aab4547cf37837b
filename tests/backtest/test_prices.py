from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

from rtre.backtest.prices import MAX_PROBLEMS, PricePanel, read_prices
from rtre.errors import DataError

GOOD = "date,AAPL,MSFT\n2024-01-02,185.64,370.87\n2024-01-03,,370.60\n2024-01-04,181.91,NaN\n"


def write(folder: Path, data: str | bytes, name: str = "p.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        gzip.compress(GOOD.encode()),
        GOOD.replace("date", "Date").replace(",", ", "),
        GOOD + "\n",
        GOOD.replace("AAPL", '"AAPL"').replace("185.64", '"185.64"'),
    ],
    ids=["plain", "crlf", "bom", "gzip", "spaces", "blank line", "quotes"],
)
def test_a_wide_csv_is_read_and_an_empty_cell_is_a_mask(tmp_path: Path, data: str | bytes) -> None:
    panel = read_prices(write(tmp_path, data))
    assert panel.symbols == ("AAPL", "MSFT")
    assert [str(d) for d in panel.dates] == ["2024-01-02", "2024-01-03", "2024-01-04"]
    np.testing.assert_array_equal(
        panel.prices, [[185.64, 370.87], [np.nan, 370.60], [181.91, np.nan]]
    )
    assert panel.missing == 2


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "is empty; the first line is a header like date,AAPL,MSFT"),
        ("date,AAPL\n", "has a header and no row of prices"),
        ("day,AAPL\n2024-01-02,1\n", "line 1, column 1: 'day': the first column is the date"),
        ("date\n2024-01-02\n", "line 1: has no column of prices"),
        ("date,A,A\n", "line 1, column 3: 'A' is named twice"),
        ("date,<b>\n", "line 1, column 2: '<b>' is not a symbol"),
        ("date,A\n02/01/2024,1\n", "line 2, column date: '02/01/2024' is not a date; dates are"),
        ("date,A\n20240102,1\n", "'20240102' is not a date"),
        ("date,A\n2024-02-30,1\n", "'2024-02-30' is not a date"),
        ("date,A\n2024-01-03,1\n2024-01-02,1\n", "line 3, column date: 2024-01-02 is not later"),
        ("date,A\n2024-01-02,1\n2024-01-02,1\n", "line 3, column date: 2024-01-02 is not later"),
        ("date,A\n2024-01-02,abc\n", "line 2, column A: 'abc': a price is a positive number"),
        ("date,A\n2024-01-02,0\n", "line 2, column A: '0': a price is a positive number"),
        ("date,A\n2024-01-02,-1.5\n", "line 2, column A: '-1.5': a price"),
        ("date,A\n2024-01-02,1e308\n", "'1e308': a price is a positive number up to 1e30"),
        ("date,A\n2024-01-02,5e-324\n", "line 2, column A: '5e-324': a price"),
        ("date,A\n2024-01-02,inf\n", "line 2, column A: 'inf': a price"),
        ("date,A\n2024-01-02,1_000\n", "line 2, column A: '1_000': a price"),
        ('date,A\n2024-01-02,"1,000"\n', "line 2, column A: '1,000': a price"),
        ("date,A\n2024-01-02,1,2\n", "line 2: has 3 cells, the header 2"),
        ("date,A,B\n2024-01-02,1,\n2024-01-03,2,\n", "column B: has no price at all"),
        (b"date,A\n2024-01-02,\xff\n", "is not UTF-8 text: byte 18 is 0xff"),
        (gzip.compress(GOOD.encode())[:-12], "is damaged"),
    ],
)
def test_each_problem_is_told_with_its_place(tmp_path: Path, data: str | bytes, told: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(DataError) as error:
        read_prices(path)
    assert told in str(error.value)
    assert all(line.startswith(str(path)) for line in str(error.value).splitlines())


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "date,A,B\n2024-01-02,x,1\nnope,2,0\n2024-01-04,3\n")
    with pytest.raises(DataError) as error:
        read_prices(path)
    places = [line.split(": ", 1)[0] for line in str(error.value).splitlines()]
    assert places == [
        f"{path}, line 2, column A",
        f"{path}, line 3, column date",
        f"{path}, line 3, column B",
        f"{path}, line 4",
    ]


def test_endless_problems_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{day:02d},x,y\n" for day in range(1, 31))
    with pytest.raises(DataError) as error:
        read_prices(write(tmp_path, "date,A,B\n" + rows))
    lines = str(error.value).splitlines()
    assert len(lines) == MAX_PROBLEMS + 1
    assert lines[-1].endswith(f"and {60 - MAX_PROBLEMS} more problems")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: cannot be read: No such file"):
        read_prices(tmp_path / "nowhere.csv")


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        read_prices(write(tmp_path, b"PAR1", "p.parquet"))


def test_parquet_gives_the_same_panel(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    import datetime

    days = [datetime.date(2024, 1, 2), datetime.date(2024, 1, 3), datetime.date(2024, 1, 4)]
    stamps = [datetime.datetime(d.year, d.month, d.day) for d in days]
    expected = read_prices(write(tmp_path, GOOD))
    for dates in (days, stamps, [str(d) for d in days]):
        table = pa.table(
            {"AAPL": [185.64, None, 181.91], "MSFT": [370.87, 370.60, float("nan")], "date": dates}
        )
        pq.write_table(table, tmp_path / "p.parquet")
        panel = read_prices(tmp_path / "p.parquet")
        np.testing.assert_array_equal(panel.dates, expected.dates)
        np.testing.assert_array_equal(panel.prices, expected.prices)
    pq.write_table(pa.table({"date": days, "A": [1.0, -1.0, 2.0]}), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"row 2, column A: '-1\.0': a price is a positive number"):
        read_prices(tmp_path / "p.parquet")
    with pytest.raises(DataError, match="is not Parquet"):
        read_prices(write(tmp_path, b"nonsense", "q.parquet"))


def test_select_keeps_the_order_of_the_file_and_names_what_is_not_there(tmp_path: Path) -> None:
    panel = read_prices(write(tmp_path, GOOD))
    assert panel.select(("MSFT", "AAPL")).symbols == ("AAPL", "MSFT")
    assert panel.select(("MSFT",)).prices.shape == (3, 1)
    with pytest.raises(DataError, match="'TSLA', 'X': no such column; there is AAPL, MSFT"):
        panel.select(("TSLA", "AAPL", "X"))


def test_a_panel_from_memory_is_checked_too() -> None:
    days = np.array(["2024-01-02", "2024-01-03"], "datetime64[D]")
    with pytest.raises(DataError, match=r"A on 2024-01-03 is 0\.0: a price is a positive number"):
        PricePanel(("A",), days, np.array([[1.0], [0.0]]))
    with pytest.raises(DataError, match="must ascend"):
        PricePanel(("A",), days[::-1], np.array([[1.0], [2.0]]))
    with pytest.raises(DataError, match="must have the shape"):
        PricePanel(("A", "B"), days, np.array([[1.0], [2.0]]))
