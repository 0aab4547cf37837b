"""The command line's options, and how they become a configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from rtre import names
from rtre.config import Config
from rtre.errors import ConfigError, DataError
from rtre.lineup import split_specs
from rtre.reading import read

_MODELS = ", ".join(names.available("models"))
VENUES = ", ".join(names.available("venues"))

_SCALARS: dict[str, bool] = {"true": True, "false": False}


def _scalar(text: str) -> Any:
    """Read a value as TOML would read it without quotes: a number, true, false, or text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return _SCALARS.get(text, text)


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pairs(texts: tuple[str, ...], form: str, like: str, *, numbers: bool) -> dict[str, Any]:
    """Read ``NAME=VALUE`` options; raises DataError for a text that is not like that."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        read = _scalar(value)
        number = isinstance(read, int | float) and not isinstance(read, bool)
        if not name or not equals or (numbers and not number):
            raise DataError(f"{text!r} is not {form}, like {like}")
        if name in found:
            raise DataError(f"{name} is given twice: {' and '.join(texts)}")
        found[name] = read
    return found


_positions = partial(_pairs, form="SYMBOL=UNITS", like="AAPL=100", numbers=True)
_parameters = partial(_pairs, form="NAME=VALUE", like="decay=0.97", numbers=False)


Check = Callable[[Config], list[tuple[str, str]]]
_Option = Callable[[Callable[..., Any]], Callable[..., Any]]
_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "symbols": ("symbols", _list),
    "position": ("positions", _positions),
    "confidence": ("risk.confidence", lambda text: [_scalar(t) for t in _list(text)]),
    "window": ("risk.window", _scalar),
    "interval": ("risk.interval", str),
    "min_obs": ("risk.min_obs", _scalar),
    "horizon": ("risk.horizon", str),
    "trading_day": ("risk.trading_day", str),
    "parameter": ("risk.parameters", _parameters),
    "track": ("risk.track", str),
    "stale_after": ("risk.stale_after", str),
    "feed": ("feed.name", str),
    "url": ("feed.url", str),
    "seed": ("feed.seed", _scalar),
    "rate": ("feed.rate", _scalar),
    "output": ("output.kind", str),
    "every_tick": ("output.every_tick", bool),
    "refresh": ("output.refresh", str),
    "record": ("output.record", str),
    "duration": ("run.duration", str),
    "max_ticks": ("run.max_ticks", _scalar),
}


def _options(*options: _Option) -> _Option:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


RISK_OPTIONS = _options(
    click.option(
        "-s", "--symbols", metavar="A,B,...",
        help="Symbols to watch. [AAPL,MSFT; of a recording all]",
    ),
    click.option(
        "-p", "--position", metavar="SYMBOL=UNITS", multiple=True,
        help="Units held, negative for short; repeat for more. [one of each symbol]",
    ),
    click.option("-c", "--confidence", metavar="LEVELS", help="Confidence levels. [0.95,0.99]"),
    click.option("-w", "--window", metavar="N", help="Grid intervals in the window. [500]"),
    click.option(
        "-i", "--interval", metavar="TIME",
        help="Grid interval that returns are taken on: 1s for a demo, 1m to 5m for equities. [1s]",
    ),
    click.option("--min-obs", metavar="N", help="Observations before there is a number. [60]"),
    click.option(
        "--horizon", metavar="TIME", help="Holding period: 1d, 10d (trading days) or 30m. [1d]"
    ),
    click.option("--trading-day", metavar="TIME", help="Length of a trading day. [6h30m]"),
    click.option(
        "-m", "--model", metavar="NAMES",
        help=f"{_MODELS}. The first is shown; others, after commas, run beside it and compete. "
        "Parameters in parentheses: 'historical,ewma(decay=0.97)'. [historical]",
    ),
    click.option(
        "--parameter", metavar="NAME=VALUE", multiple=True,
        help="Parameter of the (first) model, such as decay=0.97 for ewma.",
    ),
    click.option(
        "--track", metavar="LINES",
        help="Whose forecasts are scored live: books, all (symbols too), off. [books]",
    ),
    click.option("--stale-after", metavar="TIME", help="Age at which a price is STALE. [15s]"),
    click.option(
        "-o", "--output", metavar="KIND",
        help="table (a terminal's default), log (otherwise), jsonl, none.",
    ),
    click.option("--every-tick", is_flag=True, default=None, help="Report after each tick."),
    click.option(
        "--refresh", metavar="TIME", help="How often reports show without --every-tick. [500ms]"
    ),
    click.option("--max-ticks", metavar="N", help="End after so many ticks."),
    click.option("--config", "file", metavar="FILE", help="TOML file; options override it."),
    click.option("--print-config", is_flag=True, help="Print the effective configuration and end."),
)  # fmt: skip


def refuse_typed(context: click.Context, typed: dict[str, Any]) -> None:
    """Raise click's usage error if options were typed before a command: it has its own."""
    names = {p.name: p.opts[-1] for p in context.command.params}
    given = [names[name] for name, value in typed.items() if value not in (None, (), False)]
    if given:
        raise click.UsageError(
            f"{', '.join(given)}: options of {context.invoked_subcommand} stand after it, as in "
            f"'rtre {context.invoked_subcommand} ... {given[0]} ...'"
        )


def read_options(file: str | None, typed: dict[str, Any], check: Check | None = None) -> Config:
    """Turn the options that were typed into a configuration; all problems at once.

    `check` is as of `rtre.reading.read`.
    """
    options: dict[str, tuple[str, Any]] = {}
    problems: list[str] = []
    for name, value in typed.items():
        if value is None or value == ():
            continue
        option = f"--{name.replace('_', '-')}"
        if name == "model":  # all that run: what the file has beside its model does not stay
            first, *beside = split_specs([value]) or [""]
            options |= {"risk.model": (option, first), "risk.beside": (option, beside)}
            continue
        key, reader = _READERS[name]
        try:
            options[key] = (option, reader(value))
        except DataError as error:
            problems.append(f"{option}: {error}")
    if not problems:
        return read(file, options, check)
    try:
        read(file, options)  # for what else is wrong
    except ConfigError as error:
        problems += error.problems
    raise ConfigError(tuple(problems))
