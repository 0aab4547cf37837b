"""``rtre backtest prices.csv``: the command line of `rtre.backtest.run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rtre import names
from rtre.backtest.prices import PricePanel, read_prices
from rtre.backtest.report_html import render_html
from rtre.backtest.report_json import to_json
from rtre.backtest.report_text import print_summary
from rtre.backtest.run import BOOK, CAPITAL, Backtest, run_backtest, units_of_weights
from rtre.config import RiskConfig
from rtre.errors import ConfigError, DataError, RtreError
from rtre.lineup import build_model, split_specs
from rtre.models.base import Model
from rtre.reading import read
from rtre.starting import guarded, printing, tell, warm
from rtre.warm import is_warm


def parse_model(text: str) -> Model:
    """Build a model from its name, with parameters in parentheses where they differ.

    >>> parse_model("ewma(decay=0.97)")
    Ewma(decay=0.97)

    Raises
    ------
    UnknownNameError, DataError
        There is no such model; a parameter is unknown or out of range.
    """
    return build_model(text)


def parse_pairs(option: str, texts: Sequence[str], what: str) -> dict[str, float]:
    """Read ``AAPL=100,MSFT=-50``; raises ConfigError with every part that is not like that."""
    found: dict[str, float] = {}
    problems = []
    for part in split_specs(texts):
        symbol, _, number = part.rpartition("=")
        try:
            value = float(number)
            right = bool(symbol.strip()) and abs(value) < 1e15
        except ValueError:
            value, right = 0.0, False
        if not right:
            problems.append(f"{option}: {part!r} is not SYMBOL={what}, like AAPL=100")
        elif symbol.strip() in found:
            problems.append(f"{option}: {symbol.strip()} is named twice")
        found[symbol.strip()] = value
    if not problems and found and not any(found.values()):
        problems.append(f"{option}: holds nothing, all are zero")
    if problems:
        raise ConfigError(tuple(problems))
    return found


def _number(text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text  # the configuration says what would be right


class _Gather:
    """Run steps one after the other and keep what each finds wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def run(self, step: Callable[[], Any], prefix: str = "") -> Any:
        """Return what `step` gives; None, with its problems kept, where it fails."""
        try:
            return step()
        except ConfigError as error:
            self.problems += error.problems
        except RtreError as error:
            self.problems += [prefix + line for line in str(error).splitlines()]
        return None

    def close(self) -> None:
        """Raise ConfigError with all of them."""
        if self.problems:
            raise ConfigError(tuple(self.problems))


@click.command()
@click.argument("prices", type=click.Path(dir_okay=False))
@click.option(
    "-m", "--model", "models", multiple=True, default=("historical",), show_default=True,
    metavar="NAMES",
    help=f"{', '.join(names.available('models'))}; parameters in parentheses: 'ewma(decay=0.97)'.",
)  # fmt: skip
@click.option(
    "-c", "--confidence", default="0.99", show_default=True, metavar="LEVELS",
    help="Confidence levels, like 0.99,0.975.",
)  # fmt: skip
@click.option(
    "-w", "--window", default="500", show_default=True, metavar="N",
    help="Returns a forecast is made from.",
)  # fmt: skip
@click.option(
    "--min-obs", metavar="N",
    help="How many of them must be there, where cells are empty. [half the window]",
)  # fmt: skip
@click.option(
    "-p", "--positions", "--position", multiple=True, metavar="SYMBOL=UNITS,...",
    help="Units held, negative for short. [one share of each column]",
)  # fmt: skip
@click.option(
    "--weights", multiple=True, metavar="SYMBOL=WEIGHT,...",
    help=f"Instead: what share of {CAPITAL:,.0f} buys each, on the day before the first forecast. "
    "The units are then kept.",
)  # fmt: skip
@click.option("--per-symbol", is_flag=True, help="Test the position in each symbol too.")
@click.option(
    "--refit", default="20", show_default=True, metavar="N",
    help="Rows between two fits, for models that have something to fit.",
)  # fmt: skip
@click.option(
    "--seed", default="0", show_default=True, metavar="N", help="Of the simulated p-values."
)  # fmt: skip
@click.option("--report", type=click.Path(dir_okay=False), help="Write an HTML report here.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, allow_dash=True),
    help="Write the results as JSON here; - is the standard output.",
)  # fmt: skip
def backtest(**options: Any) -> None:
    """Test models on a history of daily prices, each day forecast from the days before it.

    PRICES is a wide CSV file (also .gz) or Parquet: date,AAPL,MSFT,... with dates like 2024-01-31,
    oldest first. Leave a cell empty where there is no price: it is masked, not taken for a zero
    return.

    \b
    rtre backtest prices.csv --model historical,ewma,filtered --window 500
    rtre backtest prices.csv -p AAPL=100,MSFT=-50 -c 0.99,0.975 --report out.html
    """
    guarded(lambda: _backtest(**options))


def _backtest(
    prices: str,
    models: tuple[str, ...],
    confidence: str,
    window: str,
    min_obs: str | None,
    positions: tuple[str, ...],
    weights: tuple[str, ...],
    per_symbol: bool,
    refit: str,
    seed: str,
    report: str | None,
    json_file: str | None,
) -> int:
    gather = _Gather()
    risk = gather.run(lambda: _risk(confidence, window, min_obs))
    chosen = {
        text: gather.run(partial(parse_model, text), "--model: ") for text in split_specs(models)
    }
    if not chosen:
        known = ", ".join(names.available("models"))
        gather.problems.append(f"--model: names none; there is {known}")
    every = gather.run(lambda: _whole("--refit", refit, 1))
    start = gather.run(lambda: _whole("--seed", seed, 0))
    units = gather.run(lambda: parse_pairs("--positions", positions, "UNITS"))
    shares = gather.run(lambda: parse_pairs("--weights", weights, "WEIGHT"))
    if positions and weights:
        gather.problems.append("--weights: is instead of --positions, they cannot be mixed")
    for option, path in (("--report", report), ("--json", json_file)):
        if path not in (None, "-") and not Path(str(path)).absolute().parent.is_dir():
            gather.problems.append(f"{option}: {path}: there is no such folder")
    panel = gather.run(lambda: read_prices(prices))
    book = None
    if panel is not None and risk is not None and (units or shares):
        book = gather.run(lambda: _book(panel, units, shares, risk.window))
    if panel is not None and risk is not None and len(panel) < risk.window + 2:
        gather.problems.append(
            f"--window: {risk.window} returns need at least {risk.window + 2} rows; "
            f"{prices} has {len(panel)}"
        )
    if risk is not None:
        gather.problems += [
            f"--window: {text} needs at least {model.min_obs} observations; got {risk.window}"
            for text, model in chosen.items()
            if model is not None and model.min_obs > risk.window
        ]
    gather.close()
    _make_ready(risk, list(chosen))
    result = _run(
        panel, book, chosen, risk, refit_every=every, per_symbol=per_symbol, seed=start,
        described="" if book is None else _described(units, shares),
    )  # fmt: skip
    _write(result, report, json_file)
    return 0


def _make_ready(risk: RiskConfig, models: list[str]) -> None:
    """Compile the kernels of the models in sight of the user, where it was never done."""
    risk = attrs.evolve(risk, model=models[0], beside=tuple(models[1:32]))
    if not is_warm(risk):
        warm(risk, Console(stderr=True))


def _risk(confidence: str, window: str, min_obs: str | None) -> RiskConfig:
    length = _number(window, int)
    least: tuple[str, Any] = ("--min-obs", None)
    if min_obs is not None:
        least = ("--min-obs", _number(min_obs, int))
    else:
        half = max(2, length // 2) if isinstance(length, int) else 2
        least = ("--window", half)
    levels = [_number(text, float) for text in split_specs([confidence])]
    return read(
        None,
        {
            "risk.confidence": ("--confidence", levels),
            "risk.window": ("--window", length),
            "risk.min_obs": least,
        },
    ).risk


def _whole(option: str, text: str, least: int) -> int:
    value = _number(text, int)
    if not isinstance(value, int) or value < least:
        raise ConfigError((f"{option}: must be a whole number, at least {least}; got {text!r}",))
    return value


def _book(
    panel: PricePanel, units: dict[str, float], shares: dict[str, float], window: int
) -> dict[str, float]:
    option = "--positions" if units else "--weights"
    try:
        panel.select(tuple(units or shares))
        return units or units_of_weights(panel, shares, window)
    except DataError as error:
        raise ConfigError((f"{option}: {error}",)) from None


def _described(units: dict[str, float], shares: dict[str, float]) -> str:
    pairs = list((units or shares).items())
    text = ", ".join(
        f"{value:g} {name}" if units else f"{value:.4g} in {name}" for name, value in pairs[:6]
    )
    text += f" and {len(pairs) - 6} more" if len(pairs) > 6 else ""
    if units:
        return text
    return f"weights of {CAPITAL:,.0f}: {text}; bought before the first forecast and kept"


def _run(
    panel: PricePanel,
    book: dict[str, float] | None,
    models: dict[str, Model],
    risk: RiskConfig,
    **rest: Any,
) -> Backtest:
    stderr = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    ) as bar:
        task = bar.add_task("forecasts", total=len(panel))
        return run_backtest(
            panel,
            None if book is None else {BOOK: book},
            models,
            risk.confidence,
            window=risk.window,
            min_obs=risk.min_obs,
            progress=lambda phase, done, of: bar.update(
                task, description=phase, completed=done, total=of
            ),
            **rest,
        )


def _write(result: Backtest, report: str | None, json_file: str | None) -> None:
    """Write what was asked for; the summary makes way where JSON takes the standard output."""
    files = []
    if report is not None:
        files.append(("--report", report, render_html(result)))
    if json_file not in (None, "-"):
        files.append(("--json", str(json_file), to_json(result) + "\n"))
    problems = []
    for option, path, text in files:
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            problems.append(f"{option}: {path}: cannot be written: {error.strerror}")
    console = Console(stderr=json_file == "-", highlight=False)
    if not console.is_terminal:
        console.width = 180  # a file or a pipe has room for all columns
    with console.capture() as summary:
        print_summary(result, console)
    if json_file == "-":
        tell(console, summary.get().rstrip())
    with printing():
        click.echo(to_json(result) if json_file == "-" else summary.get().rstrip())
    if problems:
        raise ConfigError(tuple(problems))
