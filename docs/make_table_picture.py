"""Draw ``docs/table.svg``: the live table after some seconds of a real run.

    python docs/make_table_picture.py

Runs the whole pipeline against the simulated venue, so everything in the picture was measured.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import trio
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from rtre import Config, FeedConfig, RiskReport, open_pipeline
from rtre.pipeline.pipeline import PipelineStatistics
from rtre.sinks.table import render

WIDTH, HEIGHT = 145, 30
POSITIONS = {"AAPL": 400.0, "MSFT": 250.0, "NVDA": 600.0, "SPY": -300.0, "BINANCE:BTCUSDT": 0.75}
SECONDS = 20.0
RATE = 250.0

THEME = TerminalTheme(
    background=(16, 20, 28),
    foreground=(205, 213, 224),
    normal=[
        (16, 20, 28), (239, 108, 117), (126, 199, 138), (229, 192, 106),
        (108, 166, 240), (198, 134, 220), (104, 190, 200), (205, 213, 224),
    ],
)  # fmt: skip


async def run() -> tuple[RiskReport, PipelineStatistics]:
    """Let the pipeline run; return its state near the end, while it is still connected."""
    config = Config(
        symbols=tuple(POSITIONS), positions=POSITIONS, feed=FeedConfig(seed=11, rate=RATE)
    )
    async with open_pipeline(config) as pipeline:
        with pipeline.subscribe() as reports:
            with trio.move_on_after(SECONDS):
                async for report in reports:
                    latest = report, pipeline.statistics()
    return latest


def main() -> None:
    report, statistics = trio.run(run)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(render(report, statistics, WIDTH, HEIGHT))
    svg = console.export_svg(title="rtre", theme=THEME, unique_id="rtre")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # nothing from the network
    Path(__file__).with_name("table.svg").write_text(svg + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
