"""The public names; `rtre` finds them here too, and imports each when it is first used."""

from .app import open_pipeline, open_replay, serve
from .config import Config, FeedConfig, OutputConfig, RiskConfig, RunConfig
from .engine import RiskEngine
from .errors import (
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
from .figures import Horizon, LineReport, RiskEstimate, TickCounts
from .market import Quality, TickBatch, Universe
from .reading import read
from .report import RiskReport
from .units import Duration

__version__: str

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
