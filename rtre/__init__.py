"""rtre: real-time market risk. VaR and Expected Shortfall per symbol and per book, on every tick.

The synchronous core is `RiskEngine`; `open_pipeline` and `serve` run it inside a Trio program.
"""

from __future__ import annotations

from rtre.app import open_pipeline, open_replay, serve
from rtre.config import Config, FeedConfig, OutputConfig, RiskConfig, RunConfig
from rtre.engine import RiskEngine
from rtre.errors import (
    ConfigError,
    ConnectFailedError,
    DataError,
    HandshakeFailedError,
    LinkClosedError,
    LinkError,
    RecordingError,
    RtreError,
    UnknownNameError,
)
from rtre.figures import Horizon, LineReport, RiskEstimate, TickCounts
from rtre.market import Quality, TickBatch, Universe
from rtre.reading import read
from rtre.report import RiskReport
from rtre.units import Duration

__version__ = "0.1.0"

__all__ = [
    "Config",
    "ConfigError",
    "ConnectFailedError",
    "DataError",
    "Duration",
    "FeedConfig",
    "HandshakeFailedError",
    "Horizon",
    "LineReport",
    "LinkClosedError",
    "LinkError",
    "OutputConfig",
    "Quality",
    "RecordingError",
    "RiskConfig",
    "RiskEngine",
    "RiskEstimate",
    "RiskReport",
    "RtreError",
    "RunConfig",
    "TickBatch",
    "TickCounts",
    "Universe",
    "UnknownNameError",
    "open_pipeline",
    "open_replay",
    "read",
    "serve",
]
