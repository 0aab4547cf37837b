"""The configuration: one frozen tree, from defaults, a TOML file and the command line.

`rtre.reading.read` builds it from these sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import attrs
import tomli_w

from rtre.checks import between, one_of, optional, whole
from rtre.errors import DataError
from rtre.figures import Horizon
from rtre.market import check_name, check_symbol
from rtre.units import Duration

PORTFOLIO = "portfolio"  #: the book that `positions` are in

_SECOND = 1_000_000_000
_DAYS = re.compile(r"(\d+(?:\.\d+)?)d")


def _span(low: str, high: str) -> Callable[[Any, Any, Any], None]:
    least, most = Duration.parse(low), Duration.parse(high)

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if not least <= value <= most:
            raise DataError(f"must be a duration from {low} to {high}; got {str(value)!r}")

    return check


def _holding_period(instance: Any, attribute: Any, value: Any) -> None:
    days = _DAYS.fullmatch(value)
    try:
        right = 0 < float(days[1]) <= 3650 if days else Duration.parse(value) > 0
    except DataError:
        right = False
    if not right:
        raise DataError(f"must be a holding period like 1d, 10d or 30m; got {value!r}")


def _confidences(instance: Any, attribute: Any, value: tuple[float, ...]) -> None:
    right = all(0.5 < c < 1.0 for c in value) and len(set(value)) == len(value)
    if not right or not 1 <= len(value) <= 8:
        # as on the command line; in a file it is the same in brackets
        given = ",".join(f"{c:g}" for c in value)
        percent = next((c for c in value if 50.0 < c < 100.0), 99.0)
        raise DataError(
            f"must be 1 to 8 different levels between 0.5 and 1, like 0.95,0.99 "
            f"({percent:g} % is {percent / 100.0:g}); got {given or 'none'}"
        )


def _symbols(instance: Any, attribute: Any, value: tuple[str, ...]) -> None:
    for symbol in value:
        check_symbol(symbol)
    if len(set(value)) != len(value):
        raise DataError(f"names a symbol twice; got {','.join(value)}")
    if len(value) > 5000:
        raise DataError(f"must be at most 5000 symbols; got {len(value)}")


def _positions(instance: Any, attribute: Any, value: Mapping[str, float]) -> None:
    for symbol, units in value.items():
        check_symbol(symbol)
        if not abs(units) < 1e15:
            raise DataError(f"must be units held, a finite number; got {symbol} = {units!r}")


def _books(instance: Any, attribute: Any, value: Mapping[str, Mapping[str, float]]) -> None:
    if len(value) > 1000:
        raise DataError(f"must be at most 1000 books; got {len(value)}")
    for name, positions in value.items():
        check_name(name)
        if not positions:
            raise DataError(f"must name at least one position of each; got none in {name}")
        _positions(instance, attribute, positions)


def _beside(instance: Any, attribute: Any, value: tuple[str, ...]) -> None:
    if len(value) > 31:
        raise DataError(f"must be at most 31 models; got {len(value)}")


@attrs.frozen
class RiskConfig:
    """What is computed, and from what; ``rtre --print-config`` shows all of it."""

    model: str = "historical"  #: of every line whose book has none of its own in `book_models`
    parameters: dict[str, Any] = attrs.field(factory=dict)  #: of `model`
    beside: tuple[str, ...] = attrs.field(default=(), validator=_beside)  #: they compete with it
    models: dict[str, dict[str, Any]] = attrs.field(factory=dict)  #: parameters by model's name
    book_models: dict[str, str] = attrs.field(factory=dict)  #: book to a model of its own
    track: Literal["books", "all", "off"] = attrs.field(
        default="books", validator=one_of("books", "all", "off")
    )
    #: lines whose forecasts are scored as intervals close: the books, symbols too, or none
    confidence: tuple[float, ...] = attrs.field(default=(0.95, 0.99), validator=_confidences)
    window: int = attrs.field(default=500, validator=whole(2, 1_000_000))
    min_obs: int = attrs.field(default=60, validator=whole(2, 1_000_000))
    interval: Duration = attrs.field(default=Duration(_SECOND), validator=_span("1ms", "7d"))
    horizon: str = attrs.field(default="1d", validator=_holding_period)
    trading_day: Duration = attrs.field(
        default=Duration.parse("6h30m"), validator=_span("1m", "1d")
    )
    evaluation: Literal["auto", "every-tick", "per-batch"] = attrs.field(
        default="auto", validator=one_of("auto", "every-tick", "per-batch")
    )  #: auto: every tick with up to 16 books, else once a batch
    refit_every: int = attrs.field(default=100, validator=whole(1, 1_000_000))
    stale_after: Duration = attrs.field(
        default=Duration(15 * _SECOND), validator=_span("1ms", "7d")
    )
    jump: float = attrs.field(default=0.1, validator=between(0.0, 1e6, low_open=True))
    confirm: int = attrs.field(default=3, validator=whole(1, 100))
    clock_lead: Duration = attrs.field(default=Duration(5 * _SECOND), validator=_span("0s", "1h"))

    @property
    def holding_period(self) -> Horizon:
        """The horizon in trading time: ``10d`` is ten trading days, ``30m`` half an hour."""
        days = _DAYS.fullmatch(self.horizon)
        ns = round(float(days[1]) * self.trading_day) if days else Duration.parse(self.horizon)
        day = f" of {self.trading_day}" if days else ""
        label = f"{self.horizon}{day} from {self.interval} grid, sqrt-time"
        return Horizon(ns, self.interval, label)


@attrs.frozen
class FeedConfig:
    """Where the ticks come from."""

    name: str = "auto"  #: a venue's name; ``auto``: finnhub with a token at hand, else simulated
    url: str | None = attrs.field(default=None, metadata={"example": "ws://127.0.0.1:8765"})
    #: instead of the venue's own address
    seed: int = attrs.field(default=7, validator=whole(0, 2**63 - 1))
    rate: float = attrs.field(default=20.0, validator=between(0.0, 1e6, low_open=True))
    history: bool = True  #: ask the venue for history to fill the window, where it offers any


@attrs.frozen
class OutputConfig:
    """Where the reports go."""

    kind: Literal["auto", "table", "log", "jsonl", "none"] = attrs.field(
        default="auto", validator=one_of("auto", "table", "log", "jsonl", "none")
    )
    every_tick: bool = False
    refresh: Duration = attrs.field(default=Duration.parse("500ms"), validator=_span("20ms", "1h"))
    record: str | None = attrs.field(default=None, metadata={"example": "day.gz"})


@attrs.frozen
class RunConfig:
    """When to end by itself; None: when told."""

    duration: Duration | None = attrs.field(
        default=None,
        validator=optional(_span("1ms", "36500d")),
        metadata={"example": "10s"},
    )
    max_ticks: int | None = attrs.field(
        default=None, validator=optional(whole(1)), metadata={"example": 1000}
    )


@attrs.frozen
class Config:
    """The whole configuration. ``Config()`` is the default one; `read` builds any other.

    >>> Config(symbols=("AAPL",)).units
    {'AAPL': 1.0}
    """

    symbols: tuple[str, ...] = attrs.field(default=("AAPL", "MSFT"), validator=_symbols)
    positions: dict[str, float] = attrs.field(factory=dict, validator=_positions)
    books: dict[str, dict[str, float]] = attrs.field(factory=dict, validator=_books)
    risk: RiskConfig = attrs.field(factory=RiskConfig)
    feed: FeedConfig = attrs.field(factory=FeedConfig)
    output: OutputConfig = attrs.field(factory=OutputConfig)
    run: RunConfig = attrs.field(factory=RunConfig)

    @property
    def universe(self) -> tuple[str, ...]:
        """Symbols to watch: those named, then those held and not named."""
        held = (symbol for book in self.books.values() for symbol in book)
        return tuple(dict.fromkeys((*self.symbols, *self.positions, *held)))

    @property
    def units(self) -> dict[str, float]:
        """Units of every symbol in the book ``portfolio``; one each where no position is named."""
        if self.positions:
            return {s: self.positions.get(s, 0.0) for s in self.universe}
        return dict.fromkeys(self.universe, 1.0)

    @property
    def holdings(self) -> dict[str, dict[str, float]]:
        """Units by book: ``portfolio`` unless only `books` are named, then these."""
        first = {} if self.books and not self.positions else {PORTFOLIO: self.units}
        return first | self.books

    def to_toml(self) -> str:
        """Return the configuration as TOML that `read` turns into an equal one.

        A setting that is None stands there as a comment, since TOML has no word for that.
        """
        lines = []
        for line in tomli_w.dumps(_plain(self)).splitlines():
            lines.append(line)
            if line in _SECTIONS:
                lines += _comments(getattr(self, line.strip("[]")))
        return "\n".join(lines) + "\n"


#: Headers of the tables that have settings which may be None.
_SECTIONS = ("[feed]", "[output]", "[run]")


def _comments(table: Any) -> Iterator[str]:
    """Write the settings of a table that are None, with what they could be."""
    for field in attrs.fields(type(table)):
        if getattr(table, field.name) is None:
            example = tomli_w.dumps({field.name: field.metadata["example"]}).strip()
            yield f"# {example}  # not set"


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        fields = {a.name: getattr(value, a.name) for a in attrs.fields(type(value))}
        return {name: _plain(v) for name, v in fields.items() if v is not None}
    if isinstance(value, Duration):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    return list(value) if isinstance(value, tuple) else value
