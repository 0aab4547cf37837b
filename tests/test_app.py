"""Embedding: the pipeline inside somebody else's Trio program."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import rtre
from rtre import app
from rtre.app import explain, sole
from rtre.errors import ModelError
from rtre.feeds.recording import Recording
from rtre.models.base import Model, Tail

CONFIG = rtre.Config(
    symbols=("AAPL", "MSFT"),
    positions={"AAPL": 100.0, "MSFT": -50.0},
    risk=rtre.RiskConfig(window=100, min_obs=20),
    feed=rtre.FeedConfig(name="simulated", rate=500.0),
)


async def test_reports_arrive_in_a_block_and_leaving_it_ends_everything() -> None:
    with trio.fail_after(60):
        async with rtre.open_pipeline(CONFIG) as pipeline:
            with pipeline.subscribe() as reports:
                async for report in reports:
                    if report["portfolio"].estimates:
                        break
    estimate = report["portfolio"].estimates[-1]
    assert estimate.es >= estimate.var > 0
    statistics = pipeline.statistics()
    assert not statistics.feeds[0].connected
    assert statistics.counts.received + statistics.waiting == statistics.feeds[0].received


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with trio.fail_after(60):
        with pytest.raises(KeyError, match="mine"):
            async with rtre.open_pipeline(CONFIG):
                raise KeyError("mine")


async def test_cancelling_the_block_is_prompt_and_leaves_no_socket_open() -> None:
    with trio.move_on_after(60) as scope:
        async with rtre.open_pipeline(CONFIG) as pipeline:
            with pipeline.subscribe() as reports:
                await reports.receive()
            started = trio.current_time()
            scope.cancel()
            await trio.sleep_forever()
    assert trio.current_time() - started < 2.0
    with pytest.raises(trio.EndOfChannel):
        await pipeline.subscribe().receive()


async def test_serve_runs_in_the_callers_nursery_and_stops_when_told() -> None:
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            pipeline = await nursery.start(rtre.serve, CONFIG)
            with pipeline.subscribe() as reports:
                await reports.receive()
            pipeline.stop()
    assert pipeline.last_report is not None


async def test_two_pipelines_in_one_program_share_nothing() -> None:
    with trio.fail_after(60):
        async with rtre.open_pipeline(CONFIG) as one, rtre.open_pipeline(CONFIG) as other:
            with one.subscribe() as first, other.subscribe() as second:
                await first.receive()
                await second.receive()
            assert one.engine is not other.engine


@pytest.mark.parametrize("replayed", [False, True])
async def test_cancelling_while_kernels_compile_is_prompt_and_ends_the_warm_up_at_its_next_step(
    replayed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiling, compiled, left = threading.Event(), threading.Event(), threading.Event()
    steps: list[str] = []

    def warm_up(risk: rtre.RiskConfig, progress: Callable[[str, int, int], None]) -> None:
        try:
            for done, what in enumerate(("ticks", "grid")):
                progress(what, done, 2)
                steps.append(what)
                compiling.set()
                compiled.wait(60)
        finally:
            left.set()

    monkeypatch.setattr(app, "warm_up", warm_up)
    recording = tmp_path / "one.rec"
    recording.write_bytes(b"1 {}\n")
    block = (
        rtre.open_replay(CONFIG, Recording([str(recording)]))
        if replayed
        else rtre.open_pipeline(CONFIG)
    )
    with trio.fail_after(30), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def cancel() -> None:
                await trio.to_thread.run_sync(compiling.wait, 30)
                scope.cancel()

            nursery.start_soon(cancel)
            async with block:
                raise AssertionError("it started")
    assert scope.cancelled_caught, "and did not wait for the compiler, which is still at it"
    assert not left.is_set()
    compiled.set()
    assert await trio.to_thread.run_sync(left.wait, 30)
    assert steps == ["ticks"]


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (rtre.Config(risk=rtre.RiskConfig(model="magic")), "risk.model: no model named"),
        (rtre.Config(feed=rtre.FeedConfig(name="nyse")), "feed.name: no venue named"),
        (rtre.Config(feed=rtre.FeedConfig(name="finnhub")), "set FINNHUB_TOKEN"),
        (rtre.Config(risk=rtre.RiskConfig(parameters={"x": 1})), "risk.parameters: "),
        (
            rtre.Config(output=rtre.OutputConfig(record=__file__)),
            "output.record: .*test_app.py: is there already; name another file or remove it",
        ),
        (
            rtre.Config(
                symbols=("BTCUSDT",),
                positions={"ethusdt": 1.0},
                books={"b": {"bnbusdt": 1.0}},
                feed=rtre.FeedConfig(name="binance"),
            ),
            "positions: 'ethusdt' .* write ETHUSDT\nbooks.b: 'bnbusdt' .* write BNBUSDT",
        ),
    ],
)
async def test_a_configuration_that_cannot_run_is_refused_before_anything_starts(
    config: rtre.Config, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FINNHUB_TOKEN", raising=False)
    with pytest.raises(rtre.ConfigError, match=wanted):
        async with rtre.open_pipeline(config):
            raise AssertionError("it started")


class Broken(Model):
    name = "broken"

    def estimate(self, pnl: Any, confidences: Any, fitted: Any = None) -> list[Tail]:
        raise ValueError("oops")


class BrokenFit(Broken):
    def fit(self, pnl: Any) -> Any:
        raise KeyError("fit")


@pytest.mark.parametrize(
    ("model", "wanted"),
    [("Broken", r"ValueError: oops"), ("BrokenFit", r"KeyError: 'fit'")],
)
async def test_a_model_that_raises_ends_the_pipeline_with_one_error_in_words(
    model: str, wanted: str
) -> None:
    config = attrs.evolve(CONFIG, risk=attrs.evolve(CONFIG.risk, model=f"test_app:{model}"))

    async def watch() -> None:
        async with rtre.open_pipeline(config) as pipeline:
            with pipeline.subscribe() as reports:
                async for _ in reports:
                    pass
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(60):
        await watch()
    said = explain(caught.value)
    assert said is not None
    assert re.fullmatch(rf"model 'broken' failed on AAPL: {wanted} \(test_app.py:\d+\)", said)
    assert isinstance(sole(caught.value), ModelError)


async def test_a_venue_that_is_not_there_is_tried_again_and_said_to_be_disconnected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{free.getsockname()[1]}"
    feed = rtre.FeedConfig(name="simulated", url=url)
    caplog.set_level(logging.WARNING)
    with trio.fail_after(60):
        async with rtre.open_pipeline(rtre.Config(feed=feed)) as pipeline:
            with pipeline.subscribe() as reports:
                report = await reports.receive()
            while not pipeline.statistics().feeds[0].notice:  # noqa: ASYNC110
                await trio.sleep(0.02)
    assert rtre.Quality.DISCONNECTED in report.quality
    assert report["AAPL"].estimates == ()
    assert "next attempt in" in caplog.text


async def test_a_recording_made_on_the_way_replays_to_the_same_numbers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = str(tmp_path_factory.mktemp("rec") / "run.rec")
    config = rtre.Config(
        symbols=("AAPL", "MSFT"),
        risk=CONFIG.risk,
        feed=rtre.FeedConfig(name="simulated", rate=1000.0),
        output=rtre.OutputConfig(record=path),
    )
    with trio.fail_after(60):
        async with rtre.open_pipeline(config) as pipeline:
            while pipeline.statistics().counts.applied < 1500:  # noqa: ASYNC110
                await trio.sleep(0.02)
        live = pipeline.last_report
        async with rtre.open_replay(config, Recording([path])) as replay:
            await replay.wait_ended()
    again = replay.last_report
    assert live is not None
    assert again is not None
    assert again.counts == live.counts
    assert [line.estimates for line in again] == [line.estimates for line in live]


@pytest.mark.parametrize("token", ["k3y\n", "k3y\udcff"])
async def test_a_token_that_can_be_none_is_refused_without_being_shown(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINNHUB_TOKEN", token)
    with pytest.raises(rtre.ConfigError, match="FINNHUB_TOKEN holds what no token has") as caught:
        async with rtre.open_pipeline(rtre.Config()):
            pass
    assert "k3y" not in str(caught.value)
