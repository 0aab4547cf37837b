"""Every example runs and shows what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = {
    "one_asset.py": ["portfolio", "99%", "VaR", "ES", "LIVE"],
    "embedding.py": ["99% VaR", "served"],
    "laplace_model.py": ["95% VaR", "99% VaR"],
    "ndjson_venue.py": ["rejected not a trade", "price=array([190.5])"],
    "record_and_replay.py": ["portfolio: VaR99", "the same as live: True"],
}


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_every_example_is_run_here() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_shows_what_it_promises(name: str) -> None:
    out = run(f"examples/{name}")
    for text in EXPECTED[name]:
        assert text in out
    assert "the same as live: False" not in out


def test_a_model_in_a_file_of_your_own_runs_live() -> None:
    arguments = ["--model", "examples.laplace_model:Laplace", "--duration", "2s", "-o", "log"]
    assert "VaR99" in run("-m", "rtre", *arguments)


def test_a_model_of_your_own_takes_parameters() -> None:
    arguments = ["--model", "examples.laplace_model:Laplace", "--parameter", "floor=1.0"]
    assert "floor = 1.0" in run("-m", "rtre", *arguments, "--print-config")
