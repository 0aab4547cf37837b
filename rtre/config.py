"""The configuration: one frozen tree, from defaults, a TOML file and the command line.

Later sources win, key by key. `read` collects every problem it finds and raises one `ConfigError`
that names for each the place (file and key, or option), the value, and what would be right.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs
import cattrs
import tomli_w

from rtre.checks import between, one_of, optional, whole
from rtre.errors import ConfigError, DataError
from rtre.market import check_symbol
from rtre.report import Horizon
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
    if (days and not 0 < float(days[1]) <= 3650) or (not days and Duration.parse(value) <= 0):
        raise DataError(f"must be a holding period like 1d, 10d or 30m; got {value!r}")


def _confidences(instance: Any, attribute: Any, value: tuple[float, ...]) -> None:
    right = all(0.5 < c < 1.0 for c in value) and len(set(value)) == len(value)
    if not right or not 1 <= len(value) <= 8:
        raise DataError(
            f"must be 1 to 8 different levels between 0.5 and 1, like [0.95, 0.99]; "
            f"got {list(value)!r}"
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
        check_symbol(name)  # a book is named like a symbol: short, and safe to print
        if not positions:
            raise DataError(f"must name at least one position of each; got none in {name}")
        _positions(instance, attribute, positions)


def _beside(instance: Any, attribute: Any, value: tuple[str, ...]) -> None:
    if len(value) > 31:
        raise DataError(f"must be at most 31 models; got {len(value)}")


@attrs.frozen
class RiskConfig:
    """What is computed: see the README's table of options."""

    model: str = "historical"  #: of every line whose book has none of its own in `book_models`
    parameters: dict[str, Any] = attrs.field(factory=dict)  #: of `model`
    beside: tuple[str, ...] = attrs.field(default=(), validator=_beside)
    """Models that run beside it on every line and compete with it."""
    models: dict[str, dict[str, Any]] = attrs.field(factory=dict)  #: parameters by model's name
    book_models: dict[str, str] = attrs.field(factory=dict)  #: book to a model of its own
    track: Literal["books", "all", "off"] = attrs.field(
        default="books", validator=one_of("books", "all", "off")
    )
    """Lines whose forecasts are scored as intervals close: the books, symbols too, or none."""
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
    )
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
    url: str | None = None  #: instead of the venue's own address
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
    record: str | None = None


@attrs.frozen
class RunConfig:
    """When to end by itself; None: when told."""

    duration: Duration | None = attrs.field(
        default=None, validator=optional(_span("1ms", "36500d"))
    )
    max_ticks: int | None = attrs.field(default=None, validator=optional(whole(1)))


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
        """Return the configuration as TOML that `read` turns into an equal one."""
        return tomli_w.dumps(_plain(self))


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        fields = {a.name: getattr(value, a.name) for a in attrs.fields(type(value))}
        return {name: _plain(v) for name, v in fields.items() if v is not None}
    if isinstance(value, Duration):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    return list(value) if isinstance(value, tuple) else value


class _Problems(Exception):  # noqa: N818 - carries several, and never leaves this file
    def __init__(self, found: list[tuple[str, str]]) -> None:
        self.found = found


def _number(value: Any, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"must be a number; got {value!r}")
    return float(value)


def _whole(value: Any, kind: type) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"must be a whole number; got {value!r}")
    return value


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        words = {str: "text", bool: "true or false"}
        raise DataError(f"must be {words[kind]}; got {value!r}")
    return value


def _duration(value: Any, kind: type) -> Duration:
    if not isinstance(value, str):
        raise DataError(f"must be a duration like 500ms, 1s or 6h30m; got {value!r}")
    return Duration.parse(value)


def _sequence(value: Any, kind: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise DataError(f"must be a list; got {value!r}")
    return tuple(_CONVERTER.structure(item, get_args(kind)[0]) for item in value)


def _table(value: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"must be a table of name = value; got {value!r}")
    item = get_args(kind)[1]
    if item is Any:
        return dict(value)
    made, found = {}, []
    for name, inner in value.items():
        try:
            made[str(name)] = _CONVERTER.structure(inner, item)
        except _Problems as problems:
            found += [(f"{name}.{path}", text) for path, text in problems.found]
        except DataError as error:
            found.append((str(name), str(error)))
    if found:
        raise _Problems(found)
    return made


def _class(cls: type) -> Callable[[Any, Any], Any]:
    """Structure one attrs class field by field, so that all of its problems are found at once."""
    kinds = get_type_hints(cls)

    def structure(raw: Any, _: Any) -> Any:
        if not isinstance(raw, Mapping):
            raise DataError(f"must be a table; got {raw!r}")
        known = {a.name: a for a in attrs.fields(cls)}
        found = [
            (name, f"no such key; there is {', '.join(known)}") for name in raw if name not in known
        ]
        values = {}
        for name in raw.keys() & known.keys():
            try:
                values[name] = _CONVERTER.structure(raw[name], kinds[name])
                if known[name].validator is not None:
                    known[name].validator(object.__new__(cls), known[name], values[name])
            except _Problems as inner:
                found += [(f"{name}.{path}", text) for path, text in inner.found]
            except (DataError, cattrs.BaseValidationError) as error:
                found.append((name, str(error).removeprefix(f"{cls.__name__}.{name} ")))
        if found:
            raise _Problems(sorted(found))
        return cls(**values)

    return structure


def _has_origin(origin: Any) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) == origin


_CONVERTER = cattrs.Converter(detailed_validation=False)
_CONVERTER.register_structure_hook(float, _number)
_CONVERTER.register_structure_hook(int, _whole)
_CONVERTER.register_structure_hook(str, _typed)
_CONVERTER.register_structure_hook(bool, _typed)
_CONVERTER.register_structure_hook(Duration, _duration)
_CONVERTER.register_structure_hook_func(_has_origin(tuple), _sequence)
_CONVERTER.register_structure_hook_func(_has_origin(dict), _table)
_CONVERTER.register_structure_hook_func(_has_origin(Literal), lambda value, _: value)
_CONVERTER.register_structure_hook_factory(attrs.has, _class)


def load_file(path: str) -> dict[str, Any]:
    """Return the tables of a TOML file; raises ConfigError naming the file and the place."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError((f"{path}: cannot be read: {error.strerror}",)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError((f"{path}: is not TOML: {error}",)) from None


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        tables = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merge(below or {}, value) if tables else value
    return merged


def read(
    file: str | None = None,
    options: Mapping[str, tuple[str, Any]] | None = None,
    check: Callable[[Config], list[tuple[str, str]]] | None = None,
) -> Config:
    """Build the configuration from defaults, then a file, then options.

    Parameters
    ----------
    file : str, optional
        Path of a TOML file.
    options : mapping, optional
        Key such as ``"risk.window"`` to (option as typed, value).
    check : callable, optional
        Further checks of a complete configuration; returns (key, problem) pairs.

    Raises
    ------
    ConfigError
        With every problem found in all the sources.
    """
    raw = load_file(file) if file else {}
    typed: dict[str, str] = {}
    for key, (option, value) in (options or {}).items():
        typed[key] = option
        *tables, name = key.split(".")
        leaf: Any = value
        for part in reversed((*tables, name)):
            leaf = {part: leaf}
        raw = _merge(raw, leaf)

    def place(key: str) -> str:
        for known, option in typed.items():
            if key == known or key.startswith(known + "."):
                return option
        return f"{file}: {key}" if file else key

    try:
        config: Config = _CONVERTER.structure(raw, Config)
    except _Problems as problems:
        raise ConfigError(tuple(f"{place(k)}: {text}" for k, text in problems.found)) from None
    found = _across(config) + (check(config) if check else [])
    if found:
        raise ConfigError(tuple(f"{place(k)}: {text}" for k, text in found))
    return config


def _across(config: Config) -> list[tuple[str, str]]:
    """Problems between keys, each of which is right by itself."""
    found = []
    risk = config.risk
    if not config.universe:
        found.append(("symbols", "must name at least one symbol, like AAPL,MSFT; got none"))
    if clash := set(config.universe) & set(config.holdings):
        found.append(("books", f"must not be named like a symbol; got {', '.join(sorted(clash))}"))
    if config.positions and PORTFOLIO in config.books:
        found.append((f"books.{PORTFOLIO}", "is the book that positions fill; say it in one place"))
    for book in risk.book_models:
        if book not in config.holdings:
            there = ", ".join(config.holdings)
            found.append((f"risk.book_models.{book}", f"no such book; there is {there}"))
    if risk.min_obs > risk.window:
        found.append(
            ("risk.min_obs", f"must be at most the window, {risk.window}; got {risk.min_obs}")
        )
    if risk.holding_period.ns < risk.interval:
        found.append(
            ("risk.horizon", f"must not be shorter than the interval, {risk.interval}; "
             f"got {risk.horizon!r}")
        )  # fmt: skip
    return found
