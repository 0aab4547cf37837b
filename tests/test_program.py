"""The program as a user meets it: real processes, real sockets, real signals."""

from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ENV = {k: v for k, v in os.environ.items() if k != "FINNHUB_TOKEN"}
RECORDED = str(Path(__file__).parent / "data" / "header_only.rec")
TSLA = str(Path(__file__).parent / "data" / "tsla.toml")
TOKEN = "canary-token-8c1f"  # it must be found nowhere


def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rtre", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENV | env,
    )


def run(*arguments: str, **env: str) -> tuple[int, str, str]:
    process = start(*arguments, **env)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_the_first_command_prints_var_and_es_and_says_the_data_are_simulated() -> None:
    code, out, err = run("--symbols", "AAPL,MSFT", "--duration", "3s")
    assert code == 0, err
    lines = [line for line in out.splitlines() if "VaR99" in line and "ES99" in line]
    assert lines
    assert all(name in lines[-1] for name in ("AAPL", "MSFT", "portfolio"))
    assert "SIMULATED" in err
    assert "0 rejected" in err


def test_jsonl_is_one_object_a_line_and_every_tick_gives_each_its_own() -> None:
    code, out, err = run("-o", "jsonl", "--every-tick", "--max-ticks", "1100", "--rate", "200")
    assert code == 0, err
    reports = [json.loads(line) for line in out.splitlines()]
    assert [r["sequence"] for r in reports] == list(range(1, len(reports) + 1))
    applied = [r["counts"]["applied"] for r in reports]
    assert applied[-1] == 1100
    assert set(applied) == set(range(1101))
    assert {"schema", "as_of_ns", "quality", "symbols", "books", "horizon"} <= reports[-1].keys()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_with_a_summary_and_code_zero(number: signal.Signals) -> None:
    process = start("--output", "log")
    assert process.stdout is not None
    assert any("VaR99" in process.stdout.readline() for _ in range(5))
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "ticks in" in err
    assert "Traceback" not in err


def without_peaks(estimates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in e.items() if not k.endswith("_peak")} for e in estimates]


def test_a_live_run_recorded_and_replayed_ends_with_the_same_numbers(tmp_path: Path) -> None:
    file = str(tmp_path / "run.rec.gz")
    code, out, err = run("-o", "jsonl", "--duration", "3s", "--record", file, "--rate", "100")
    assert code == 0, err
    live = json.loads(out.splitlines()[-1])
    code, out, err = run("replay", file, "-o", "jsonl")
    assert code == 0, err
    assert "times real time" in err
    again = json.loads(out.splitlines()[-1])
    assert again["counts"]["applied"] == live["counts"]["applied"] > 1000
    for section in ("symbols", "books"):
        for was, now in zip(live[section], again[section], strict=True):
            # peaks are since the report before, and the two did not report at the same moments
            assert without_peaks(now["estimates"]) == without_peaks(was["estimates"])


def test_a_closed_pipe_ends_it_quietly() -> None:
    process = start("-o", "log", "--every-tick", "--rate", "500")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=20) == 0
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--window", "abc"], ["--window: must be a whole number; got 'abc'"]),
        (["--model", "magic"], ["--model: no model named 'magic'; there is", "historical"]),
        (["-m", "ewma,magic,ewma"], ["--model: no model named 'magic'", "ewma is there already"]),
        (["-m", "ewma,fhs(decay=9)"], ["--model: ", "decay", "9"]),
        (["--track", "some"], ["--track: must be one of books, all, off; got 'some'"]),
        (["--feed", "nyse"], ["--feed: no venue named 'nyse'; there is binance, finnhub"]),
        (["--feed", "finnhub"], ["--feed: finnhub needs a token: set FINNHUB_TOKEN"]),
        (
            ["-p", "AAPL", "-c", "99", "--horizon", "5"],
            [
                "--position: 'AAPL' is not SYMBOL=UNITS, like AAPL=100",
                "like 0.95,0.99 (99 % is 0.99); got 99",
                "--horizon: must be a holding period like 1d, 10d or 30m; got '5'",
            ],
        ),
        (["-p", "AAPL=abc"], ["--position: 'AAPL=abc' is not SYMBOL=UNITS, like AAPL=100"]),
        (["--parameter", "decay"], ["--parameter: 'decay' is not NAME=VALUE, like decay=0.97"]),
        (
            ["-m", "ewma", "--parameter", "decai=0.9"],
            ["--parameter: ewma has no parameter 'decai'; it has decay"],
        ),
        (["-m", "os:path"], ["--model: 'os:path' is not a model: it must be a class derived from"]),
        (["-s", "AA PL"], ["--symbols: 'AA PL' is not a symbol: 1 to 32 letters"]),
        (["-s", "btcusdt", "-f", "binance"], ["--symbols: 'btcusdt'", "write BTCUSDT"]),
        (["--record", "no/such/x.rec"], ["--record: no/such/x.rec: there is no folder no/such"]),
        (["--record", __file__], [f"{__file__}: is there already; name another file or remove"]),
        (["replay", os.devnull], [f"{os.devnull}: is empty"]),
        (["replay", RECORDED, "--feed", "nyse"], ["--feed: no venue named 'nyse'; there is"]),
        (["replay", RECORDED, "-s", "TSLA"], ["the recording holds AAPL, MSFT, not TSLA"]),
        (["replay", RECORDED, "--config", TSLA], ["the recording holds AAPL, MSFT, not TSLA"]),
        (["simulate", "--host", "host.invalid"], ["--host: cannot listen at host.invalid:8765: "]),
        (["--model", "ewma", "--parameter", "decay=2"], ["--parameter: ", "decay"]),
        (["--url", "http://x"], ["--url: a venue's URL must be wss://"]),
        (["--url", "ws://192.0.2.1/?token=k3y"], ["--url: ws://192.0.2.1: ws:// is not encrypted"]),
        (["--config", "/no/such.toml"], ["/no/such.toml: cannot be read"]),
        (["replay", "/no/such.rec"], ["/no/such.rec: cannot be read"]),
        (["replay", __file__], ["line 1: is not a recorded line"]),
        (["--symbols", "AAPL,AAPL", "--min-obs", "900"], ["--symbols: names a symbol twice"]),
        (["-p", "AAPL=1", "-p", "AAPL=2"], ["AAPL is given twice: AAPL=1 and AAPL=2"]),
        (["--nonsense"], ["No such option"]),
        (["-w", "50", "replay", "x.rec"], ["--window: options of replay stand after it"]),
    ],
)
def test_wrong_input_is_named_with_what_would_be_right(
    arguments: list[str], wanted: list[str]
) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    for text in wanted:
        assert text in err
    assert "Traceback" not in err
    assert "k3y" not in err


def test_several_problems_are_told_in_one_run() -> None:
    code, _, err = run("--window", "abc", "--confidence", "2", "--horizon", "soon")
    assert code == 2
    assert err.count("rtre: --") == 3


def test_the_printed_configuration_can_be_fed_back(tmp_path: Path) -> None:
    typed = ("--print-config", "-p", "AAPL=-3", "--window", "99", "--interval", "5s")
    code, first, _ = run(*typed)
    assert code == 0
    file = tmp_path / "rtre.toml"
    file.write_text(first)
    assert run("--config", str(file), "--print-config")[1] == first
    assert "window = 99" in first


def test_several_models_run_side_by_side_and_the_tournament_ends_the_run(tmp_path: Path) -> None:
    file = tmp_path / "rtre.toml"
    file.write_text(
        'symbols = ["AAPL"]\n[risk]\nmodel = "gaussian"\nwindow = 60\nmin_obs = 20\n'
        "interval = '100ms'\n[risk.book_models]\nhedge = 'historical'\n"
        "[books.tech]\nAAPL = 5\n[books.hedge]\nMSFT = -2\n"
    )
    typed = ("--config", str(file), "-m", "gaussian,ewma(decay=0.9)", "--rate", "200")
    code, out, err = run(*typed, "-o", "jsonl", "--duration", "4s")
    assert code == 0, err
    last = json.loads(out.splitlines()[-1])
    assert [book["name"] for book in last["books"]] == ["tech", "hedge"]
    assert [book["model"] for book in last["books"]] == ["gaussian", "historical"]
    assert list(last["books"][0]["beside"]) == ["ewma(decay=0.9)"]
    tracked = {line["name"]: line["standings"] for line in last["track"]["lines"]}
    assert {s["model"] for s in tracked["hedge"]} == {"historical", "gaussian", "ewma(decay=0.9)"}
    assert max(s["n"] for s in tracked["tech"]) > 10
    assert "models on tech, 0.1s ahead, 99%, best by FZ0 first" in err
    printed = run(*typed, "--print-config")[1]
    file.write_text(printed)
    assert run("--config", str(file), "--print-config")[1] == printed
    assert 'beside = [\n    "ewma(decay=0.9)",\n]' in printed


def test_the_token_reaches_no_output_whatever_happens(tmp_path: Path) -> None:
    file = tmp_path / "x.rec"
    code, out, err = run(
        "--url", "ws://127.0.0.1:9", "--feed", "finnhub", "--duration", "2s", "--record",
        str(file), "-o", "jsonl", FINNHUB_TOKEN=TOKEN,
    )  # fmt: skip
    assert code == 0
    assert "127.0.0.1:9" in err  # it did try, and says where
    _, printed, _ = run("--print-config", FINNHUB_TOKEN=TOKEN)
    for text in (out, err, printed, file.read_text()):
        assert TOKEN not in text


def test_the_venue_alone_serves_a_second_program() -> None:
    venue = start("simulate", "--port", "0", "--rate", "100")
    assert venue.stdout is not None
    url = venue.stdout.readline().split()[-1]
    assert url.startswith("ws://127.0.0.1:")
    code, out, err = run("--feed", "simulated", "--url", url, "--duration", "2s", "-s", "NVDA,ZZZ")
    assert code == 0, err
    assert "NVDA" in out
    venue.send_signal(signal.SIGINT)
    out, err = venue.communicate(timeout=20)
    assert venue.returncode == 0
    assert "1 connections" in out
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, out, err = run("simulate", "--port", port)
    assert (code, out) == (2, "")
    assert err == (
        f"rtre: --port: cannot listen at 127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}; "
        "take another --port, or 0 for any free one\n"
    )


def test_a_recording_that_is_cut_off_is_replayed_with_a_warning(tmp_path: Path) -> None:
    lines = [
        f'{10**18 + k * 10**9} {{"data":[{{"p":{100 + k % 7},"s":"AAPL","t":{10**12 + k * 1000},'
        f'"v":1}}],"type":"trade"}}\n'
        for k in range(200)
    ]
    file = tmp_path / "cut.rec.gz"
    file.write_bytes(gzip.compress("".join(lines).encode())[:-40])
    code, _, err = run("replay", str(file), "-o", "none")
    assert code == 0, err
    assert f"rtre: {file}: it is cut off after line " in err
    assert "times real time" in err
    assert "Traceback" not in err


def test_with_a_warm_cache_the_first_var_comes_within_seconds() -> None:
    run("--max-ticks", "1")  # warms the cache
    started = time.monotonic()
    process = start("--output", "jsonl")
    assert process.stdout is not None
    while not json.loads(process.stdout.readline())["books"][0]["estimates"]:
        pass
    waited = time.monotonic() - started
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    # 3 s on an idle machine; the rest is room for a loaded one
    assert waited < 10.0


def test_help_teaches_by_example() -> None:
    code, out, _ = run("--help")
    assert code == 0
    for text in ("rtre --symbols AAPL,MSFT", "replay", "simulate", "backtest", "historical"):
        assert text in out


def into(out: int | None, err: int | None, *arguments: str) -> int:
    """Run with these for the standard streams, None for one that is closed; the exit code."""

    def close() -> None:
        for number, stream in ((1, out), (2, err)):
            if stream is None:
                os.close(number)

    process = subprocess.Popen(
        [sys.executable, "-m", "rtre", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        env=ENV,
        preexec_fn=close,  # noqa: PLW1509 - no thread is running
    )
    return process.wait(timeout=120)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk to be had")
@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--print-config",), ("-o", "log"), ("-o", "jsonl", "--every-tick"),
     ("-o", "table", "--max-ticks", "1000"), ("simulate", "--port", "0"),
     ("replay", RECORDED, "-o", "jsonl")],
)  # fmt: skip
def test_a_full_disk_under_the_output_is_one_clear_line_and_code_one(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    with open("/dev/full", "wb") as full, (tmp_path / "err").open("w+b") as err:
        assert into(full.fileno(), err.fileno(), *arguments) == 1
        err.seek(0)
        told = err.read().decode().splitlines()
    assert told[-1] == "rtre: the output cannot be written: No space left on device"
    assert "Traceback" not in "\n".join(told)


def test_closed_standard_streams_are_readers_that_left(tmp_path: Path) -> None:
    with (tmp_path / "err").open("w+b") as err:
        assert into(None, err.fileno()) == 0
        err.seek(0)
        assert b"Traceback" not in err.read()
    assert into(None, None) == 0


def test_messages_that_nobody_takes_end_nothing(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with (tmp_path / "out").open("w+b") as out:
        assert into(out.fileno(), write, "-o", "jsonl", "--max-ticks", "1000") == 0
        out.seek(0)
        assert json.loads(out.read().splitlines()[-1])["counts"]["applied"] == 1000
    os.close(write)


INTERRUPTED_IMPORT = """
import sys
class Interrupt:
    def find_spec(self, name, *rest):
        if name == "rtre.program":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from rtre.__main__ import main
main()
"""


def test_an_interruption_of_the_imports_is_like_any_other() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "rtre: interrupted\n")
