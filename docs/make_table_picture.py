"""Draw ``docs/table.svg``: the live table, over a seeded market of ten minutes.

    python docs/make_table_picture.py

The same picture comes out every time: prices, times and latencies are all made up, the last two by
this file, since neither clock nor load of the machine that draws has a place in it.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.feeds.base import FeedStatistics
from rtre.feeds.synthetic import SyntheticMarket
from rtre.market import TickBatch, Universe
from rtre.pipeline.pipeline import PipelineStatistics
from rtre.report import RiskReport
from rtre.sinks.table import render

WIDTH, HEIGHT = 145, 30
POSITIONS = {"AAPL": 400.0, "MSFT": 250.0, "NVDA": 600.0, "SPY": -300.0, "BINANCE:BTCUSDT": 0.75}
START_NS = 1_772_461_800_000_000_000  # Monday 2026-03-02, 14:30 UTC
SECONDS = 605
RATE = 250.0

THEME = TerminalTheme(
    background=(16, 20, 28),
    foreground=(205, 213, 224),
    normal=[
        (16, 20, 28), (239, 108, 117), (126, 199, 138), (229, 192, 106),
        (108, 166, 240), (198, 134, 220), (104, 190, 200), (205, 213, 224),
    ],
)  # fmt: skip


def run_engine() -> tuple[RiskReport, int]:
    """Feed the trades to an engine; return its last report, and how many reports it made."""
    market = SyntheticMarket(seed=11, start_ns=START_NS, rate=RATE)
    for symbol in POSITIONS:
        market.add(symbol)
    engine = RiskEngine(Universe(market.symbols), {"portfolio": POSITIONS}, RiskConfig(window=500))
    step_ns = 20_000_000
    end_ns = START_NS + SECONDS * 1_000_000_000 + 480_000_000
    reports = 0
    for now_ns in range(START_NS + step_ns, end_ns + 1, step_ns):
        trades = market.advance(now_ns)
        if len(trades):
            ts_ns = trades.ts_ms * 1_000_000
            engine.update(TickBatch.of(trades.asset, trades.price, ts_ns, size=trades.size))
            report = engine.report(now_ns)
            reports += 1
    return report, reports


def make_statistics(report: RiskReport, reports: int) -> PipelineStatistics:
    """Dress the run up as one of a pipeline with one feed."""
    received = report.counts.received
    return PipelineStatistics(
        uptime_s=float(SECONDS),
        counts=report.counts,
        waiting=0,
        batches=reports,
        reports=reports,
        conflated_reports=reports - 2 * SECONDS,
        ticks_per_s=received / SECONDS,
        latency_us={"p50": 96.0, "p90": 148.0, "p99": 312.0, "max": 1840.0},
        feeds=(FeedStatistics("simulated", connected=True, received=received),),
    )


def main() -> None:
    report, reports = run_engine()
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(render(report, make_statistics(report, reports), WIDTH, HEIGHT))
    svg = console.export_svg(title="rtre", theme=THEME, unique_id="rtre")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # nothing from the network
    Path(__file__).with_name("table.svg").write_text(svg + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
