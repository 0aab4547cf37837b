from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from panels import as_csv, make_panel, write_csv

import rtre.backtest.command as module
from rtre.backtest.command import backtest, parse_model, parse_pairs
from rtre.errors import ConfigError, DataError
from rtre.models.ewma import Ewma

MAIN = "from rtre.backtest.command import backtest; backtest()"
ROOT = Path(__file__).resolve().parents[2]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(backtest, list(arguments))


def test_a_run_prints_a_summary_and_ends_with_0(tmp_path: Path) -> None:
    path = write_csv(tmp_path, make_panel(300))
    found = call(path, "-m", "historical,ewma(decay=0.9),fhs", "-c", "0.99,0.95", "-w", "100")
    assert found.exit_code == 0, found.output
    assert "one share of each symbol" in found.stdout
    assert "ewma(decay=0.9)" in found.stdout
    assert "fhs" in found.stdout
    assert "Kupiec" in found.stdout
    # a machine's first run says what it waits for
    assert found.stderr in ("", "rtre: compiling kernels; later starts are fast\n")


def test_the_examples_of_the_help_are_lines_of_their_own() -> None:
    lines = [line.strip() for line in call("--help").stdout.splitlines()]
    examples = [line for line in lines if line.startswith("rtre backtest prices.csv")]
    assert len(examples) == 2
    assert all(line.endswith(end) for line, end in zip(examples, ("500", "out.html"), strict=True))
    assert "\\b" not in lines


BROKEN = """
from rtre.models.base import Model
class Broken(Model):
    name = "broken"
    def estimate(self, pnl, confidences, fitted=None):
        raise ValueError("oops")
"""


def test_a_model_that_raises_is_named_with_the_book_and_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_model.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    found = call(write_csv(tmp_path, make_panel(240)), "-w", "100", "-m", "broken_model:Broken")
    assert found.exit_code == 1
    wanted = "rtre: model 'broken' failed on portfolio: ValueError: oops (broken_model.py:6)\n"
    assert found.stderr.endswith(wanted)
    assert "Traceback" not in found.output


def test_the_first_run_of_some_models_says_that_it_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(module, "is_warm", lambda risk: False)
    monkeypatch.setattr(module, "warm", lambda risk, stderr: asked.append(risk))
    found = call(
        write_csv(tmp_path, make_panel(240)), "-w", "100", "-m", "ewma(decay=0.9),historical"
    )
    assert found.exit_code == 0
    assert [(risk.model, risk.beside) for risk in asked] == [("ewma(decay=0.9)", ("historical",))]


def test_the_report_and_json_are_written(tmp_path: Path) -> None:
    path = write_csv(tmp_path, make_panel(240))
    html, data = tmp_path / "out.html", tmp_path / "out.json"
    found = call(path, "-w", "100", "--report", str(html), "--json", str(data))
    assert found.exit_code == 0, found.output
    assert html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads(data.read_text())["settings"]["window"] == 100


def test_json_alone_takes_the_standard_output(tmp_path: Path) -> None:
    found = call(write_csv(tmp_path, make_panel(240)), "-w", "100", "--json", "-")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["lines"][0]["name"] == "portfolio"
    assert "Kupiec" in found.stderr


def test_positions_and_weights_make_the_book(tmp_path: Path) -> None:
    path = write_csv(tmp_path, make_panel(240))
    by_units = call(path, "-w", "100", "-p", "S0=10,S1=-5", "-p", "S2=1", "--json", "-")
    assert json.loads(by_units.stdout)["books"] == {"portfolio": {"S0": 10, "S1": -5, "S2": 1}}
    by_weight = call(path, "-w", "100", "--weights", "S0=0.6,S2=0.4", "--json", "-")
    book = json.loads(by_weight.stdout)["books"]["portfolio"]
    prices = make_panel(240).prices[100]
    assert book == {"S0": 600_000 / prices[0], "S2": 400_000 / prices[2]}
    assert "0.6 in S0" in by_weight.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-m", "magic"], "--model: no model named 'magic'; there is age-weighted"),
        (["-m", "ewma(decay=2)"], "decay must be more than 0 and at most 1; got 2"),
        (["-m", "ewma(x=1)"], "--model: ewma has no parameter 'x'; it has decay"),
        (["-m", "garch", "-w", "50"], "--window: garch needs at least 100 observations; got 50"),
        (["-m", "ewma(1)"], "'1' in 'ewma(1)' is not a parameter"),
        (["-m", "ewma)"], "is not a model"),
        (["-m", ","], "--model: names none; there is"),
        (["-c", "99"], "--confidence: must be 1 to 8 different levels"),
        (["-c", "high"], "--confidence: must be a number; got 'high'"),
        (["-w", "1"], "--window: must be a whole number, from 2"),
        (["-w", "x"], "--window: must be a whole number; got 'x'"),
        (["-w", "239"], "--window: 239 returns need at least 241 rows;"),
        (["--min-obs", "101"], "--min-obs: must be at most the window, 100; got 101"),
        (["--refit", "0"], "--refit: must be a whole number, at least 1; got '0'"),
        (["--seed", "-1"], "--seed: must be a whole number, at least 0; got '-1'"),
        (["-p", "S0"], "--positions: 'S0' is not SYMBOL=UNITS, like AAPL=100"),
        (["-p", "S0=1,S0=2"], "--positions: S0 is named twice"),
        (["-p", "S0=0"], "--positions: holds nothing"),
        (["-p", "S0=nan"], "--positions: 'S0=nan' is not"),
        (["-p", "TSLA=1"], "--positions: 'TSLA': no such column; there is S0, S1, S2"),
        (["--weights", "TSLA=1"], "--weights: 'TSLA': no such column"),
        (["-p", "S0=1", "--weights", "S0=1"], "--weights: is instead of --positions"),
        (["--report", "/no/such/folder/x.html"], "--report: /no/such/folder/x.html: there is no"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_input_ends_with_2_and_says_what(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    path = write_csv(tmp_path, make_panel(240))
    found = call(path, "-w", "100", *arguments)
    assert found.exit_code == 2
    assert told in found.stderr
    assert "Traceback" not in found.output
    assert found.stdout == ""


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("date,A\n2024-01-02,x\n2024-01-03,0\n")
    found = call(str(path), "-m", "foo,bar", "-c", "2", "-w", "0", "--refit", "x", "-p", "A")
    assert found.exit_code == 2
    lines = found.stderr.splitlines()
    assert len(lines) == 8
    assert all(line.startswith("rtre: ") for line in lines)
    assert f"rtre: {path}, line 3, column A: '0': a price is a positive number" in found.stderr


def test_ctrl_c_ends_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_backtest", interrupted)
    found = call(write_csv(tmp_path, make_panel(240)), "-w", "100")
    assert found.exit_code == 130
    assert found.stderr == "rtre: interrupted\n"


def test_models_and_pairs_are_read_as_typed() -> None:
    assert parse_model("ewma") == Ewma()
    assert parse_model("ewma( decay = 0.97 )") == Ewma(decay=0.97)
    assert parse_model("rtre.models.ewma:Ewma(decay=0.9)") == Ewma(decay=0.9)
    assert parse_pairs("-p", ["A=1, B=-2.5", "BINANCE:X=3"], "UNITS") == {
        "A": 1.0, "B": -2.5, "BINANCE:X": 3.0,
    }  # fmt: skip
    with pytest.raises(ConfigError) as found:
        parse_pairs("-p", ["A,B=x", "=3"], "UNITS")
    assert len(found.value.problems) == 3
    with pytest.raises(DataError):
        parse_model("ewma(decay=0.9)(")


def start(
    folder: Path, *arguments: str, rows: int = 240, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    (folder / "prices.csv").write_text(as_csv(make_panel(rows)))
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, "prices.csv", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def test_a_real_process_writes_json_and_nothing_else_to_a_pipe(tmp_path: Path) -> None:
    process = start(tmp_path, "-w", "100", "--json", "-")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["schema"] == 1
    assert "\x1b" not in err  # no colours and no progress bar where nobody looks


def read_until(terminal: int, wanted: Callable[[str], bool], seconds: float) -> str:
    """What a process writes to its terminal, up to what is `wanted` or until it hangs up."""
    text, end = "", time.monotonic() + seconds
    while not wanted(text):
        left = end - time.monotonic()
        ready, _, _ = select.select([terminal], [], [], max(left, 0.0))
        assert ready, f"not written in {seconds} s; there is {text[-500:]!r}"
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not data:
            break
        text += data.decode(errors="replace")
    return text


@pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals")
def test_a_real_process_can_be_interrupted(tmp_path: Path) -> None:
    terminal, theirs = os.openpty()
    # a fit a row takes a minute in all: it is at work when the signal comes, as its progress shows
    rows, window = 3000, 100
    process = start(
        tmp_path, "-w", str(window), "-m", "garch", "--refit", "1", rows=rows, stderr=theirs
    )
    os.close(theirs)

    def forecasting(text: str) -> bool:
        return any(int(done) > window for done in re.findall(rf"(\d+)/{rows}", text))

    try:
        read_until(terminal, forecasting, 120.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        told = read_until(terminal, lambda text: False, 60.0)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.communicate()
        os.close(terminal)
    assert told.endswith("rtre: interrupted\r\n")
    assert "Traceback" not in told
