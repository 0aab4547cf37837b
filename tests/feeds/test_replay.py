"""Replay: the same frames give the same reports, and a capture tells what it holds."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from rtre import Config, FeedConfig, RiskConfig, open_replay
from rtre.app import check_replayed, replay_config
from rtre.errors import RecordingError
from rtre.feeds.recording import Recording
from rtre.feeds.replay import sniff

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SECOND = 10**9
START = 1_700_000_000 * SECOND


def trade(second: float, price: float, symbol: str = "AAPL") -> str:
    ms = (START + int(second * SECOND)) // 1_000_000
    body = {"data": [{"p": price, "s": symbol, "t": ms, "v": 1}], "type": "trade"}
    return f"{START + int(second * SECOND)} {json.dumps(body)}"


def capture(tmp_path: Path, seconds: int = 40) -> str:
    lines = [trade(s + 0.25, 100 + (s * 7 % 11) / 10) for s in range(seconds)]
    lines += [trade(s + 0.5, 50 + (s * 5 % 13) / 10, "MSFT") for s in range(seconds)]
    path = tmp_path / "capture.txt"
    path.write_text("\n".join(sorted(lines)) + "\n\n")
    return str(path)


CONFIG = Config(risk=RiskConfig(window=30, min_obs=5))


async def lines_of(path: str, config: Config = CONFIG, speed: float | None = None) -> list[str]:
    with Recording([path]) as recording:
        config = replay_config(config, recording, symbols_given=False)
        async with open_replay(config, recording, speed=speed) as pipeline:
            with pipeline.subscribe(every=True) as reports:
                return [json.dumps(report.to_dict(), sort_keys=True) async for report in reports]


async def test_two_replays_give_identical_reports_one_for_each_interval(tmp_path: Path) -> None:
    path = capture(tmp_path)
    first, second = await lines_of(path), await lines_of(path)
    assert first == second
    assert len(first) == 40 + 1  # and the last report


async def test_its_pace_changes_no_number(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = capture(tmp_path)
    fast = await lines_of(path)
    started = autojump_clock.current_time()
    slow = await lines_of(path, speed=2.0)
    assert slow == fast
    assert autojump_clock.current_time() - started == pytest.approx(39.25 / 2.0, abs=0.5)


async def test_every_message_can_have_its_own_report(tmp_path: Path) -> None:
    from rtre import OutputConfig

    config = Config(risk=CONFIG.risk, output=OutputConfig(every_tick=True))
    assert len(await lines_of(capture(tmp_path), config)) == 80 + 1


def test_a_recorded_loss_of_the_link_masks_the_return_across_it(tmp_path: Path) -> None:
    path = Path(capture(tmp_path))
    whole = json.loads(trio.run(lines_of, str(path))[-1])["symbols"][0]["n_obs"]
    rows = path.read_text().splitlines()
    down = f"{START + int(39.9 * SECOND)} !down reset"
    cut = tmp_path / "cut.txt"
    more = [trade(40.25, 101.0), trade(41.25, 101.5), trade(41.5, 50.0, "MSFT")]
    cut.write_text("\n".join([*rows[:80], down, f"{START + 40 * SECOND} !up", *more]))
    last = json.loads(trio.run(lines_of, str(cut))[-1])["symbols"][0]
    assert last["n_obs"] == whole - 1  # rolled twice, one return masked
    assert last["change"] is not None


def test_a_raw_capture_tells_its_venue_and_symbols(tmp_path: Path) -> None:
    assert sniff(Recording([capture(tmp_path)])) == ("finnhub", ("AAPL", "MSFT"))


def test_a_message_nested_without_end_is_no_trade_and_no_whole_line(tmp_path: Path) -> None:
    deep = b"1 " + b"[" * 100_000
    path = tmp_path / "deep.rec"
    path.write_bytes(deep + b"\n" + Path(capture(tmp_path)).read_bytes() + deep)
    recording = Recording([str(path)])
    assert sniff(recording) == ("finnhub", ("AAPL", "MSFT"))
    list(recording)
    assert list(recording.cut_off) == [str(path)]


def test_a_file_without_trades_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text('1 {"type":"ping"}\n2 [1]\n3 null\n')
    with pytest.raises(RecordingError, match=r"/x: no trades of a known venue .* --feed and --sym"):
        sniff(Recording([str(path)]))


HEADER = '#rtre {"version":1,"venue":"finnhub","symbols":["AAPL","MSFT"]}\n'


def test_a_recording_of_other_symbols_says_which_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(HEADER)
    config = Config(symbols=("TSLA",))
    with pytest.raises(RecordingError, match="the recording holds AAPL, MSFT, not TSLA"):
        replay_config(config, Recording([str(path)]), symbols_given=True)
    some = Config(symbols=("TSLA", "MSFT"))
    kept = replay_config(some, Recording([str(path)]), symbols_given=True)
    assert kept.symbols == ("TSLA", "MSFT")


@pytest.mark.parametrize("venue", ["ndjson", "this:Zen", "finnhub "])
def test_a_recording_does_not_say_which_code_is_imported(tmp_path: Path, venue: str) -> None:
    path = tmp_path / "x"
    path.write_text(HEADER.replace("finnhub", venue))
    sys.modules.pop("this", None)
    with pytest.raises(RecordingError, match=r"x: holds messages of '.*; say --feed package"):
        replay_config(Config(), Recording([str(path)]), symbols_given=False)
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    ("symbols", "rows", "wanted"),
    [
        (("TSLA",), [trade(1, 10.0), trade(2, 20.0, "MSFT")], "holds AAPL, MSFT, not TSLA"),
        (("AAPL",), [trade(1, -10.0)], "x: holds no usable trade; rejected: "),
        (("AAPL",), [HEADER.strip(), f'{START} {{"type":"ping"}}'], "x: holds no trades"),
        (("AAPL",), [trade(1, 10.0)], ""),
    ],
)
async def test_a_replay_without_a_tick_of_what_was_asked_for_is_an_error(
    tmp_path: Path, symbols: tuple[str, ...], rows: list[str], wanted: str
) -> None:
    path = tmp_path / "x"
    path.write_text("\n".join(rows) + "\n")
    recording = Recording([str(path)])
    config = attrs.evolve(CONFIG, symbols=symbols, feed=FeedConfig(name="finnhub"))
    async with open_replay(config, recording) as pipeline:
        await pipeline.wait_ended()
    if not wanted:
        check_replayed(config, recording, pipeline)
        return
    with pytest.raises(RecordingError, match=wanted):
        check_replayed(config, recording, pipeline)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared folder with real captures is absent")
async def test_a_real_capture_gives_the_trades_that_a_plain_parse_counts() -> None:
    name = "binance_spot_btcusdt_20240808.gz"
    facts = json.loads((SHARED / "oracles" / "capture_facts.json").read_text())["facts"][name]
    last = json.loads((await lines_of(str(SHARED / "captures" / name)))[-1])
    assert last["counts"]["applied"] == last["counts"]["received"] == facts["trades"]
    assert last["symbols"][0]["price"] == float(facts["last_trade"][0])
    assert last["books"][0]["estimates"][1]["es"] >= last["books"][0]["estimates"][1]["var"] > 0


@pytest.mark.skipif(not SHARED.exists(), reason="the shared folder with real captures is absent")
async def test_historical_var_of_a_real_capture_equals_a_plain_recomputation() -> None:
    path = SHARED / "captures" / "binance_spot_btcusdt_20240808.gz"
    closes: dict[int, float] = {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            data = json.loads(line.partition(" ")[2]).get("data", {})
            if data.get("e") == "trade":
                closes[data["T"] // 1000] = float(data["p"])
    losses = sorted(
        (-(closes[s] / closes[s - 1] - 1.0) for s in closes if s - 1 in closes), reverse=True
    )
    last = json.loads((await lines_of(str(path), Config()))[-1])["symbols"][0]
    assert last["n_obs"] == len(losses) < 500
    rank = -(-len(losses) // 100)  # ceil of 1 %
    scale = 23_400**0.5 * last["price"]
    # a handful of roundings separate the two orders of the same product
    assert last["estimates"][1]["var"] == pytest.approx(scale * losses[rank - 1], rel=1e-14)
