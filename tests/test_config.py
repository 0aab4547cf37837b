"""Configuration: three sources, one tree, and every problem told at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.config import Config, FeedConfig, OutputConfig, RiskConfig, RunConfig
from rtre.errors import ConfigError, DataError
from rtre.reading import read
from rtre.units import Duration


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "rtre.toml"
    path.write_text(text)
    return str(path)


def problems(file: str | None = None, **options: Any) -> tuple[str, ...]:
    typed = {k.replace("__", "."): (f"--{k.split('__')[-1]}", v) for k, v in options.items()}
    with pytest.raises(ConfigError) as caught:
        read(file, typed)
    return caught.value.problems


def test_without_sources_the_defaults_come_out() -> None:
    assert read() == Config()


def test_the_default_book_holds_one_of_each_symbol() -> None:
    assert Config(symbols=("A", "B")).units == {"A": 1.0, "B": 1.0}


def test_a_held_symbol_is_watched_without_being_named_and_an_unheld_one_has_no_units() -> None:
    config = Config(symbols=("A",), positions={"B": -5.0})
    assert config.universe == ("A", "B")
    assert config.units == {"A": 0.0, "B": -5.0}


def test_books_stand_beside_the_portfolio_and_alone_where_nothing_is_in_it() -> None:
    books = {"hedge": {"B": -1.0}, "x": {"C": 2.0}}
    config = Config(symbols=("A",), books=books)
    assert config.universe == ("A", "B", "C")
    assert config.holdings == books
    both = Config(symbols=("A",), positions={"A": 3.0}, books=books)
    assert both.holdings == {"portfolio": {"A": 3.0, "B": 0.0, "C": 0.0}} | books
    assert list(Config().holdings) == ["portfolio"]


def test_books_and_models_are_read_and_every_problem_has_its_place(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'symbols = ["A"]\n[risk]\nmodel = "historical"\nbeside = ["ewma", "fhs"]\ntrack = "all"\n'
        '[risk.models.ewma]\ndecay = 0.9\n[risk.book_models]\nhedge = "ewma"\n'
        "[books.hedge]\nB = -1\n",
    )
    config = read(file)
    assert config.risk.beside == ("ewma", "fhs")
    assert config.risk.models == {"ewma": {"decay": 0.9}}
    assert config.risk.book_models == {"hedge": "ewma"}
    assert (config.books, config.risk.track) == ({"hedge": {"B": -1.0}}, "all")
    wrong = written(
        tmp_path,
        '[risk]\nbeside = "ewma"\ntrack = "some"\nbook_models = { a = 1 }\nmodels = { ewma = 2 }\n'
        '[books]\nempty = {}\n[books.b]\nX = "many"\nY = true\n',
    )
    found = "\n".join(problems(wrong))
    for place in (
        "risk.beside: must be a list", "risk.track: must be one of books, all, off",
        "risk.book_models.a: must be text", "risk.models.ewma: must be a table",
        "books.b.X: must be a number", "books.b.Y: must be a number",
    ):  # fmt: skip
        assert f"{wrong}: {place}" in found
    assert "must name at least one position" in problems(books={"empty": {}})[0]


def test_names_that_clash_or_lead_nowhere_are_told_too() -> None:
    found = problems(
        symbols=["A", "x"], positions={"A": 1}, risk__book_models={"nosuch": "ewma"},
        books={"x": {"A": 1}, "portfolio": {"A": 1}},
    )  # fmt: skip
    assert any("must not be named like a symbol; got x" in p for p in found)
    assert any("is the book that positions fill" in p for p in found)
    assert any("no such book; there is portfolio, x" in p for p in found)


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "[risk]\nwindow = 300\nmin_obs = 20\n[positions]\nA = 1\nB = 2")
    config = read(file, {"risk.window": ("--window", 400), "positions": ("--position", {"A": 9})})
    assert (config.risk.window, config.risk.min_obs, config.risk.model) == (400, 20, "historical")
    assert config.positions == {"A": 9.0, "B": 2.0}


def test_all_problems_of_all_sources_are_told_at_once(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'symbols = ["A", "A"]\ncolour = 1\n[risk]\nwindow = -5\nconfidence = [0.2]\n'
        'interval = "1x"\n[run]\nduration = 5\n[positions]\nA = "x"\n',
    )
    found = problems(file, risk__min_obs="abc")
    assert len(found) == 8
    text = "\n".join(found)
    for key in ("colour", "risk.window", "risk.confidence", "risk.interval", "run.duration"):
        assert f"{file}: {key}: " in text
    assert "--min_obs: must be a whole number; got 'abc'" in found


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("risk__window", 1, "from 2 to 1000000; got 1"),
        ("risk__confidence", [0.99, 0.99], "different levels"),
        ("risk__confidence", [], "1 to 8"),
        ("risk__horizon", "soon", "a holding period like 1d, 10d or 30m; got 'soon'"),
        ("risk__horizon", "0d", "holding period"),
        ("risk__interval", "0s", "from 1ms to 7d; got '0s'"),
        ("risk__jump", float("nan"), "must be"),
        ("output__kind", "paper", "one of auto, table, log, jsonl, none"),
        ("output__every_tick", 1, "true or false"),
        ("feed__rate", 0, "more than 0"),
        ("feed__seed", 1.5, "whole number"),
        ("positions", {"A": float("inf")}, "finite"),
        ("symbols", ["A\x1b[31m"], "is not a symbol"),
        ("symbols", "AAPL", "must be a list"),
        ("symbols", [], "at least one symbol"),
        ("risk", 5, "must be a table"),
    ],
)
def test_a_wrong_value_names_the_option_and_what_would_be_right(
    key: str, value: Any, wanted: str
) -> None:
    (problem,) = problems(**{key: value})
    assert problem.startswith(f"--{key.rpartition('__')[2]}: ")
    assert wanted in problem


def test_keys_that_only_clash_together_are_told_too() -> None:
    found = problems(risk__window=50, risk__interval="1h", risk__horizon="30m")
    assert len(found) == 2
    assert any("must be at most the window, 50; got 60" in p for p in found)
    assert any("must not be shorter than the interval, 1h" in p for p in found)


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    (missing,) = problems(str(tmp_path / "no.toml"))
    assert "no.toml: cannot be read" in missing
    (broken,) = problems(written(tmp_path, "a = \nb = 1"))
    assert "is not TOML" in broken
    assert "line 1" in broken


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[run]\nmax_ticks = " + "9" * 5000, "is not TOML: "),
        ("x = " + "[" * 100_000, "is not TOML: "),
        (
            "[positions]\nAAPL = " + "9" * 400,
            "positions.AAPL: must be a number; got a",
        ),
        ('[risk]\ninterval = "' + "9" * 5000 + 's"', "risk.interval: must be a duration below 292"),
        ('[risk]\nhorizon = "' + "9" * 5000 + 'm"', "risk.horizon: must be a holding period like"),
        ('[risk]\nhorizon = "' + "9" * 5000 + 'd"', "risk.horizon: must be a holding period like"),
    ],
)
def test_numbers_without_end_are_problems_like_others(
    tmp_path: Path, text: str, wanted: str
) -> None:
    file = tmp_path / "long.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(str(file))
    [problem] = caught.value.problems
    assert problem.startswith(f"{file}: {wanted}")


def test_an_editor_that_marks_utf_8_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "marked.toml"
    file.write_text('symbols = ["TSLA"]', encoding="utf-8-sig")
    assert read(str(file)).symbols == ("TSLA",)


def test_the_tree_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Config().risk.window = 3  # type: ignore[misc]


durations = st.integers(1, 10**15).map(Duration)


@given(
    st.builds(
        Config,
        symbols=st.just(("AAPL", "BINANCE:BTCUSDT")),
        positions=st.dictionaries(st.sampled_from(["AAPL", "X"]), st.floats(-1e9, 1e9)),
        books=st.dictionaries(
            st.sampled_from(["tech", "hedge 1"]),
            st.dictionaries(st.sampled_from(["AAPL", "X"]), st.floats(-1e9, 1e9), min_size=1),
        ),
        risk=st.builds(
            RiskConfig,
            window=st.integers(60, 1000),
            interval=st.integers(10**6, 10**12).map(Duration),
            jump=st.floats(1e-6, 10),
            parameters=st.dictionaries(st.sampled_from(["decay", "rule"]), st.floats(0, 1)),
            beside=st.sampled_from([(), ("ewma",), ("fhs", "ewma(decay=0.9)")]),
            models=st.dictionaries(
                st.sampled_from(["ewma", "my.own:Model"]),
                st.dictionaries(st.just("decay"), st.floats(0, 1)),
            ),
            book_models=st.dictionaries(st.sampled_from(["tech", "x"]), st.just("ewma")),
            track=st.sampled_from(["books", "all", "off"]),
        ),
        feed=st.builds(FeedConfig, rate=st.floats(0.1, 1e5), history=st.booleans()),
        output=st.builds(OutputConfig, kind=st.sampled_from(["table", "jsonl"])),
        run=st.builds(RunConfig, max_ticks=st.none() | st.integers(1, 10**9)),
    )
)
def test_printed_and_read_again_any_configuration_is_the_same(config: Config) -> None:
    import tomllib

    from rtre import reading as module

    raw = tomllib.loads(config.to_toml())
    assert module._CONVERTER.structure(raw, Config) == config


def test_what_is_not_set_stands_in_the_printed_configuration_as_a_comment(tmp_path: Path) -> None:
    text = Config(run=RunConfig(max_ticks=5)).to_toml()
    unset = {
        '# url = "ws://127.0.0.1:8765"  # not set', '# record = "day.gz"  # not set',
        '# duration = "10s"  # not set',
    }  # fmt: skip
    assert {line for line in text.splitlines() if line.startswith("#")} == unset
    # each is right where it stands
    shown = re.sub(r"^# (.*)  # not set$", r"\1", text, flags=re.MULTILINE)
    config = read(written(tmp_path, shown))
    assert config.run == RunConfig(duration=Duration.parse("10s"), max_ticks=5)
    assert (config.feed.url, config.output.record) == ("ws://127.0.0.1:8765", "day.gz")


@given(durations)
def test_a_duration_prints_as_text_that_reads_as_itself(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "1s x", "-1s", "1e3s", "9999999d"])
def test_text_that_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DataError, match="must be a duration"):
        Duration.parse(text)


def test_a_horizon_in_days_counts_trading_days_and_says_so() -> None:
    risk = RiskConfig(horizon="10d")
    assert risk.holding_period.ns == 10 * 23_400 * 10**9
    assert "6h30m" in risk.holding_period.label
    assert "sqrt-time" in risk.holding_period.label
    assert risk.holding_period.factor == pytest.approx(234_000**0.5, rel=1e-15)  # one rounding
