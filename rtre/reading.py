"""Reading a configuration: defaults, then a TOML file, then the command line.

Later sources win, key by key. `read` collects every problem it finds and raises one `ConfigError`
that names for each the place (file and key, or option), the value, and what would be right.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs
import cattrs

from rtre.config import PORTFOLIO, Config
from rtre.errors import ConfigError, DataError
from rtre.units import Duration


class _Problems(Exception):  # noqa: N818 - carries several, and never leaves this file
    def __init__(self, found: list[tuple[str, str]]) -> None:
        self.found = found


def _number(value: Any, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"must be a number; got {value!r}")
    try:
        return float(value)
    except OverflowError:  # TOML's whole numbers have no end
        raise DataError("must be a number; got a whole number of more than 308 digits") from None


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
    """Return the tables of a TOML file; raises ConfigError."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError((f"{path}: cannot be read: {error.strerror}",)) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no TOMLDecodeError
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
