"""The wiring: from a configuration to running feeds, engine and pipeline.

Everything above this file talks to people (`rtre.program`), everything below knows nothing of its
neighbours. Three ways in: `open_pipeline` and `serve` for a Trio program that embeds rtre, and
`open_replay` for a recording.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

from rtre import names
from rtre.config import Config, RiskConfig
from rtre.engine import RiskEngine
from rtre.errors import (
    ConfigError,
    ConnectFailedError,
    ModelError,
    RecordingError,
    RtreError,
    UnknownNameError,
)
from rtre.feeds.base import Feed
from rtre.feeds.recording import TAKEN, Recorder, Recording
from rtre.feeds.replay import ReplayFeed, sniff
from rtre.feeds.simulated import serve_venue
from rtre.feeds.transport import check_url
from rtre.feeds.websocket import WebSocketFeed
from rtre.lineup import check_models
from rtre.market import Universe
from rtre.pipeline.pipeline import Pipeline
from rtre.venues.base import Venue
from rtre.warm import Progress, WarmUp, warm_up

log = logging.getLogger("rtre")

_CLOSE_S = 5.0  #: for the last report to reach the subscribers when a pipeline is left


def check(config: Config, *, live: bool = True) -> list[tuple[str, str]]:
    """Return (key, problem) for names that no file provides and parameters no model takes.

    With `live`, also for a token that is missing and a URL that can never be opened.
    """
    found = check_models(config.risk)
    try:
        venue = find_venue(config)
    except UnknownNameError as error:
        found.append(("feed.name", str(error)))
    else:
        found += _check_symbols(config, venue)
        if live and venue.token_env:
            found += [("feed.name", text) for text in _token_problems(venue)]
    if live and config.feed.url is not None:
        try:
            check_url(config.feed.url)
        except ConnectFailedError as error:
            found.append(("feed.url", str(error)))
    record = config.output.record
    if live and record is not None:
        if os.path.lexists(record):
            found.append(("output.record", f"{record}: {TAKEN}"))
        elif not os.path.isdir(folder := os.path.dirname(record) or "."):
            found.append(("output.record", f"{record}: there is no folder {folder}"))
    return found


def _token_problems(venue: type[Venue]) -> list[str]:
    token = _token(venue)
    if not token:
        return [
            f"{venue.name} needs a token: set {venue.token_env} in the environment, or leave the "
            f"feed out to run on simulated data"
        ]
    if not token.isprintable():  # bytes that are no text are not either
        return [f"{venue.token_env} holds what no token has: line breaks, or bytes not of a text"]
    return []


def _check_symbols(config: Config, venue: type[Venue]) -> list[tuple[str, str]]:
    tables = {"symbols": config.symbols, "positions": config.positions}
    tables |= {f"books.{name}": positions for name, positions in config.books.items()}
    return [
        (key, problem)
        for key, symbols in tables.items()
        for symbol in symbols
        if (problem := venue.symbol_problem(symbol))
    ]


def find_venue(config: Config) -> type[Venue]:
    """Return the venue that `config` means; ``auto`` is Finnhub with a token, else simulated."""
    name = config.feed.name
    if name == "auto":
        name = "finnhub" if os.environ.get("FINNHUB_TOKEN") else "simulated"
    venue: type[Venue] = names.find("venues", name)
    return venue


def make_engine(config: Config, *, inline_fits: bool) -> RiskEngine:
    """Build the engine of a configuration: its symbols and its books.

    With `inline_fits` a model is fitted where a grid interval closes, so that a replay is the same
    each time; without, the pipeline fits it in a worker thread, so that no tick waits.
    """
    return RiskEngine(
        Universe(config.universe),
        config.holdings,
        config.risk,
        inline_fits=inline_fits,
    )


def make_ready(risk: RiskConfig, progress: Progress | None = None) -> WarmUp:
    """Compile or load the kernels, see `warm_up`.

    Where a model of the user's own raises it does so on a made-up market; whether it does on the
    real one, and on which line, the run will tell. What all models share is made ready then.
    """
    try:
        return warm_up(risk, progress)
    except ModelError:
        return warm_up(RiskConfig(), progress)


def make_recorder(config: Config) -> Recorder | None:
    """Open the recording that `config` asks for, if it does."""
    if config.output.record is None:
        return None
    venue = find_venue(config)
    return Recorder(
        config.output.record, venue=venue.name, symbols=config.universe, secret=_token(venue)
    )


def _token(venue: type[Venue]) -> str | None:
    return os.environ.get(venue.token_env) if venue.token_env else None


@asynccontextmanager
async def open_pipeline(config: Config, *, feeds: Sequence[Feed] = ()) -> AsyncIterator[Pipeline]:
    """Run a pipeline for as long as the block lasts.

        async with rtre.open_pipeline(config) as pipeline:
            with pipeline.subscribe() as reports:
                async for report in reports:
                    ...

    Kernels are compiled first, in a worker thread; then the feeds connect. Leaving the block stops
    the feeds, works off what was received, and ends all tasks. What the block raises comes out as
    it is.

    Parameters
    ----------
    config : Config
    feeds : sequence of Feed, optional
        Instead of the feed that `config` names.

    Raises
    ------
    ConfigError
        An unknown model or venue, a missing token, a wrong parameter.
    """
    if problems := check(config) if not feeds else []:
        raise ConfigError(tuple(f"{key}: {text}" for key, text in problems))
    engine = make_engine(config, inline_fits=False)
    await _warm_up(config)
    recorder = make_recorder(config)
    block = _CallersBlock()
    async with trio.open_nursery() as nursery:
        if recorder is not None:
            nursery.start_soon(recorder.run)
        if not feeds:
            feeds = (await _start_feed(nursery, config, engine.universe, recorder),)
        pipeline = Pipeline(
            engine, feeds, every_tick=config.output.every_tick, max_ticks=config.run.max_ticks
        )
        async with _running(pipeline):
            with block:
                yield pipeline
        nursery.cancel_scope.cancel()
    if recorder is not None and recorder.lost:
        why = recorder.failure or "slow disk"
        log.warning("%s: %d messages were not recorded: %s", recorder.path, recorder.lost, why)
    block.raise_again()


async def serve(
    config: Config, *, task_status: trio.TaskStatus[Pipeline] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run a pipeline in the caller's nursery: ``pipeline = await nursery.start(serve, config)``.

    Ends when the feeds do, when `Pipeline.stop` is called, or when cancelled.
    """
    async with open_pipeline(config) as pipeline:
        task_status.started(pipeline)
        await pipeline.wait_ended()


@asynccontextmanager
async def open_replay(
    config: Config, recording: Recording, *, speed: float | None = None
) -> AsyncIterator[Pipeline]:
    """Run a recording through the pipeline of `config`: same frames, same engine, same reports.

    Time is what the recording says, every batch gives one report, and nothing is conflated, so two
    replays give identical reports.

    Parameters
    ----------
    recording : Recording
    speed : float, optional
        1.0 is the recording's own pace; None: as fast as it goes.
    """
    engine = make_engine(config, inline_fits=True)
    await _warm_up(config)
    feed = ReplayFeed(
        recording,
        names.find("venues", config.feed.name),
        engine.universe,
        interval_ns=config.risk.interval,
        speed=speed,
        every_message=config.output.every_tick,
    )
    pipeline = Pipeline(engine, (feed,), clock_ns=None, max_ticks=config.run.max_ticks)
    block = _CallersBlock()
    async with _running(pipeline):
        with block:
            yield pipeline
    block.raise_again()


def replay_config(config: Config, recording: Recording, *, symbols_given: bool) -> Config:
    """Fill in what the recording knows: its venue, and its symbols where none were asked for.

    Raises
    ------
    RecordingError
        The recording holds no trades of a known venue, and the configuration does not help; or
        its header says that it holds none of the symbols.
    """
    venue, symbols = config.feed.name, config.symbols
    if venue == "auto" or not symbols_given:
        found_venue, found_symbols = sniff(recording)
        if venue == "auto" and found_venue not in names.available("venues"):
            # not imported either: a file of data does not say which code is run
            raise RecordingError(
                f"{', '.join(recording.paths)}: holds messages of {found_venue!r}, no venue of "
                f"rtre's own; say --feed package.module:Class"
            )
        venue = found_venue if venue == "auto" else venue
        symbols = symbols if symbols_given else found_symbols
    feed = attrs.evolve(config.feed, name=venue)
    config = attrs.evolve(config, feed=feed, symbols=symbols)
    if recording.header.symbols:
        _check_held(config, recording.header.symbols)
    return config


def _check_held(config: Config, held: Sequence[str]) -> None:
    """Raise RecordingError if a recording of the symbols `held` has none that were asked for."""
    asked = config.universe
    if not set(asked) & set(held):
        raise RecordingError(f"the recording holds {_some(held)}, not {_some(asked)}")


def _some(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - 8:,} more" if len(symbols) > 8 else ""
    return ", ".join(symbols[:8]) + more


def check_replayed(config: Config, recording: Recording, pipeline: Pipeline) -> None:
    """Look back at a replay that has ended: were there ticks of the symbols asked for?

    Raises
    ------
    RecordingError
        There was none at all, and nobody cut the replay short.
    """
    feeds = pipeline.statistics().feeds
    refused = sum(feed.counts.received for feed in feeds)
    if sum(feed.received for feed in feeds) > refused or recording.position < recording.size:
        return
    where = ", ".join(recording.paths)
    if not refused:
        raise RecordingError(f"{where}: holds no trades")
    _check_held(config, sniff(recording)[1])
    raise RecordingError(f"{where}: holds no usable trade; {feeds[0].notice}")


async def _warm_up(config: Config) -> None:
    """Compile in a worker thread. Cancelled, that is left behind and ends before its next step.

    Waiting for the step would take up to a minute. It does no harm: it holds numba's lock, so that
    another warm-up waits for it, and what it compiles is kept. The interpreter does not wait for
    Trio's threads when it exits, and numba puts files into its cache whole or not at all.
    """
    await trio.to_thread.run_sync(
        partial(make_ready, config.risk, _check_cancelled), abandon_on_cancel=True
    )


def _check_cancelled(what: str, done: int, total: int) -> None:
    trio.from_thread.check_cancelled()


class _CallersBlock:
    """Keeps what the caller's block raises until no nursery is left that would wrap it."""

    def __init__(self) -> None:
        self._error: Exception | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self._error = error
        return self._error is not None

    def raise_again(self) -> None:
        """Raise it, as it was."""
        if self._error is not None:
            raise self._error


@asynccontextmanager
async def _running(pipeline: Pipeline) -> AsyncIterator[None]:
    """Run the pipeline's tasks around a block; on leaving, let the last report through."""
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        yield
        pipeline.stop()
        with trio.move_on_after(_CLOSE_S):
            await pipeline.wait_ended()
        nursery.cancel_scope.cancel()


async def _start_feed(
    nursery: trio.Nursery, config: Config, universe: Universe, recorder: Recorder | None
) -> Feed:
    venue = find_venue(config)
    url = config.feed.url
    if venue.name == "simulated" and url is None:
        simulated = await nursery.start(
            partial(serve_venue, seed=config.feed.seed, rate=config.feed.rate, symbol_limit=None)
        )
        url = simulated.url
    wants_history = config.feed.history and venue.offers_history
    return WebSocketFeed(
        venue,
        universe,
        config.universe,
        url=url,
        token=_token(venue),
        history=(config.risk.interval, config.risk.window) if wants_history else None,
        recorder=recorder,
        clock_ns=time.time_ns,
    )


def explain(error: BaseException) -> str | None:
    """Return the text of the one `RtreError` that ended a program, or None for anything else."""
    error = sole(error)
    return str(error) if isinstance(error, RtreError) else None


def sole(error: BaseException) -> BaseException:
    """Return the one exception that a group, and groups in it, hold; else what it was given."""
    inner = error
    while isinstance(inner, BaseExceptionGroup):
        if len(inner.exceptions) != 1:
            return error
        inner = inner.exceptions[0]
    return inner
