"""The program: argv -> Config -> trio.run. See ``python -m rtre --help``."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import click
import trio
from rich.console import Console
from rich.progress import Progress

from rtre import __version__, app
from rtre.config import Config
from rtre.errors import ConfigError
from rtre.feeds.recording import Recording
from rtre.feeds.simulated import SimulatedVenue, serve_venue
from rtre.options import RISK_OPTIONS, VENUES, read_options, refuse_typed
from rtre.pipeline.fanout import Subscription
from rtre.pipeline.pipeline import Pipeline
from rtre.reading import load_file
from rtre.sinks import jsonl, log, table
from rtre.sinks.summary import summary
from rtre.starting import EXIT_INTERRUPTED, guarded, printing, tell, warm


class _Commands(click.Group):
    """The sub-commands; `backtest` is imported only when it is asked for."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        def run() -> int:
            with printing():  # click writes help and version
                super(_Commands, self).main(*args, **kwargs)
            return 0

        guarded(run)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "backtest"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "backtest":
            return super().get_command(ctx, cmd_name)
        from rtre.backtest.command import backtest

        return backtest


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@RISK_OPTIONS
@click.option(
    "-f",
    "--feed",
    metavar="VENUE",
    help=f"{VENUES}. [finnhub with FINNHUB_TOKEN set, else simulated]",
)
@click.option("--url", metavar="URL", help="Instead of the venue's own address.")
@click.option("--seed", metavar="N", help="Of the simulated venue. [7]")
@click.option("--rate", metavar="N", help="Ticks a second of the simulated venue. [20]")
@click.option(
    "--record", metavar="FILE",
    help="Write all that is received; .gz compresses. An existing file is refused.",
)  # fmt: skip
@click.option("--duration", metavar="TIME", help="End after this long, like 30s.")
@click.version_option(__version__, message="rtre %(version)s")
@click.pass_context
def main(context: click.Context, /, file: str | None, print_config: bool, **typed: Any) -> None:
    """Real-time market risk: VaR and Expected Shortfall on every tick.

    Without a command it runs live. With no key and no network it starts a simulated venue on this
    machine and connects to that; with FINNHUB_TOKEN in the environment it connects to Finnhub.

    \b
    rtre --symbols AAPL,MSFT                     simulated, or Finnhub with a token
    rtre --feed binance -s BTCUSDT,ETHUSDT --trading-day 1d
                                                 live crypto trades, no key needed
    rtre -s AAPL,MSFT -p AAPL=100 -p MSFT=-50    a long-short book
    rtre --record day.gz                         write what comes in ...
    rtre replay day.gz                           ... and run it again
    rtre --print-config > rtre.toml              a file to start from

    VaR and ES are losses in currency, positive when money is lost.
    """
    if context.invoked_subcommand is not None:
        refuse_typed(context, {"file": file, "print_config": print_config, **typed})
        return
    _guarded(lambda: _live(file, print_config, typed))


def _live(file: str | None, print_config: bool, typed: dict[str, Any]) -> int:
    config = read_options(file, typed, None if print_config else app.check)
    if print_config:
        with printing():
            click.echo(config.to_toml(), nl=False)
        return 0
    return _run_live(config)


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@RISK_OPTIONS
@click.option("-f", "--feed", metavar="VENUE", help="Whose messages these are. [from the file]")
@click.option("--speed", type=float, metavar="X", help="1 is the recorded pace. [no waiting]")
def replay(
    files: tuple[str, ...], speed: float | None, file: str | None, print_config: bool, **typed: Any
) -> None:
    """Run recorded streams through the same engine.

    Reads rtre's own recordings (--record) and raw captures of lines `<ns> <message>`, plain or
    gzipped; several files are merged by time of receipt. Two replays give identical reports. One
    report is made per grid interval of the recording, with --every-tick one per message.
    """
    _guarded(lambda: _replay(files, speed, file, print_config, typed))


def _replay(
    files: tuple[str, ...],
    speed: float | None,
    file: str | None,
    print_config: bool,
    typed: dict[str, Any],
) -> int:
    if speed is not None and not speed > 0:
        raise ConfigError((f"--speed: must be above 0; got {speed:g}",))
    if print_config:
        text = read_options(file, typed).to_toml()
        with printing():
            click.echo(text, nl=False)
        return 0
    recording = Recording(files)
    given = typed["symbols"] is not None or (file is not None and "symbols" in load_file(file))
    filled = partial(app.replay_config, recording=recording, symbols_given=given)
    config = read_options(file, typed, lambda config: app.check(filled(config), live=False))
    stderr = Console(stderr=True)
    config = filled(config)
    warm(config.risk, stderr)
    return trio.run(_replay_task, config, recording, speed, stderr)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535))
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Of the market.")
@click.option(
    "--rate", default=20.0, show_default=True, type=click.FloatRange(0, 1e6, min_open=True),
    help="Ticks a second, over all subscribed symbols.",
)  # fmt: skip
@click.option(
    "--symbol-limit", default=50, show_default=True, type=click.IntRange(1),
    help="Subscriptions per connection.",
)  # fmt: skip
def simulate(**arguments: Any) -> None:
    """Run the simulated venue alone: a WebSocket server that speaks Finnhub's protocol.

    \b
    rtre simulate --port 8765
    rtre --feed simulated --url ws://127.0.0.1:8765 --symbols AAPL,MSFT
    """
    _guarded(lambda: _run_venue(**arguments))


def _guarded(run: Callable[[], int]) -> NoReturn:
    logging.basicConfig(format="rtre: %(message)s", level=logging.WARNING, stream=sys.stderr)
    guarded(run)


def _run_live(config: Config) -> int:
    stderr = Console(stderr=True)
    warm(config.risk, stderr)
    return trio.run(_live_task, config, stderr)


async def _live_task(config: Config, stderr: Console) -> int:
    code = EXIT_INTERRUPTED  # unless it gets to the end before a second signal
    async with app.open_pipeline(config) as pipeline, trio.open_nursery() as nursery:
        if app.find_venue(config).name == "simulated" and config.feed.url is None:
            tell(
                stderr,
                "rtre: these data are SIMULATED. For live data set FINNHUB_TOKEN, or run "
                "rtre --feed binance --symbols BTCUSDT,ETHUSDT --trading-day 1d",
            )
        nursery.start_soon(_stop_on_signal, pipeline, nursery.cancel_scope)
        if config.run.duration is not None:
            nursery.start_soon(_stop_after, config.run.duration.seconds, pipeline)
        kind = _kind(config)
        # a table is looked at: it never needs a report that a newer one has replaced
        every = config.output.every_tick and kind != "table"
        with pipeline.subscribe(every=every) as reports:
            await _show(kind, config, pipeline, reports)
        pipeline.stop()
        await pipeline.wait_ended()
        nursery.cancel_scope.cancel()
        tell(stderr, summary(pipeline.statistics(), pipeline.last_report))
        code = 0
    return code


def _kind(config: Config) -> str:
    if config.output.kind != "auto":
        return config.output.kind
    # closed by whoever started us, there is none
    return "table" if sys.stdout is not None and sys.stdout.isatty() else "log"


async def _show(kind: str, config: Config, pipeline: Pipeline, reports: Subscription) -> None:
    """Hand the reports to the sink that was asked for, until they end."""
    refresh = config.output.refresh.seconds
    if kind == "table":
        await table.run(reports, pipeline.statistics, refresh_s=refresh)
    elif kind == "log":
        await log.run(reports, pipeline.statistics, refresh_s=refresh)
    elif kind == "jsonl":
        await jsonl.run(reports, pipeline.statistics, refresh_s=refresh)
    else:
        async for _ in reports:
            pass


async def _stop_on_signal(pipeline: Pipeline, everything: trio.CancelScope) -> None:
    """First SIGINT or SIGTERM: end in order. Second: at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(signals)
        pipeline.stop()
        await anext(signals)
        everything.cancel()


async def _stop_after(seconds: float, pipeline: Pipeline) -> None:
    await trio.sleep(seconds)
    pipeline.stop()


async def _replay_task(
    config: Config, recording: Recording, speed: float | None, stderr: Console
) -> int:
    kind: str = config.output.kind
    if kind == "auto":
        kind = "none" if speed is None else _kind(config)
    every = kind != "table"  # the same reports on every run, so none is conflated
    started = trio.current_time()
    async with app.open_replay(config, recording, speed=speed) as pipeline:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, pipeline, nursery.cancel_scope)
            nursery.start_soon(_progress, recording, stderr, kind != "table")
            with pipeline.subscribe(every=every) as reports:
                await _show(kind, config, pipeline, reports)
            pipeline.stop()
            await pipeline.wait_ended()
            nursery.cancel_scope.cancel()
        elapsed = trio.current_time() - started
        _tell_replay(pipeline, elapsed, stderr)
    for path, loss in recording.cut_off.items():
        tell(stderr, f"rtre: {path}: {loss}")
    app.check_replayed(config, recording, pipeline)
    return 0


def _tell_replay(pipeline: Pipeline, elapsed: float, stderr: Console) -> None:
    last = pipeline.last_report
    tell(stderr, summary(pipeline.statistics(), last))
    if last is not None:
        tell(stderr, log.line(last))
    span = pipeline.data_span_s
    tell(
        stderr,
        f"replayed {span:,.1f} s of data in {elapsed:.2f} s: {span / elapsed:,.0f} times real time",
    )


async def _progress(recording: Recording, stderr: Console, wanted: bool) -> None:
    with Progress(
        console=stderr, transient=True, disable=not (wanted and stderr.is_terminal)
    ) as bar:
        task = bar.add_task("replaying", total=recording.size)
        while True:
            bar.update(task, completed=recording.position)
            await trio.sleep(0.1)


def _run_venue(**arguments: Any) -> int:
    return trio.run(_venue_task, arguments)


async def _venue_task(arguments: dict[str, Any]) -> int:
    async with trio.open_nursery() as nursery:
        try:
            venue: SimulatedVenue = await nursery.start(partial(serve_venue, **arguments))
        except (OSError, ExceptionGroup) as error:
            if isinstance(reason := app.sole(error), OSError):
                raise ConfigError((_not_listening(reason, **arguments),)) from None
            raise
        with printing():
            click.echo(
                f"simulated venue at {venue.url}\n"
                f"connect with: rtre --feed simulated --url {venue.url} --symbols AAPL,MSFT\n"
                f"Ctrl-C ends it",
            )
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await anext(signals)
        with printing():
            click.echo(_venue_summary(venue))
        nursery.cancel_scope.cancel()
    return 0


def _not_listening(error: OSError, *, host: str, port: int, **_: Any) -> str:
    what = f"cannot listen at {host}:{port}: {error.strerror}"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"--host: {what}; take an address of this machine, like 127.0.0.1"
    return f"--port: {what}; take another --port, or 0 for any free one"


def _venue_summary(venue: SimulatedVenue) -> str:
    done = venue.statistics()
    return (
        f"sent {done.trades:,} trades in {done.frames:,} frames to {done.server.accepted} "
        f"connections; {done.dropped:,} dropped for slow clients"
    )
