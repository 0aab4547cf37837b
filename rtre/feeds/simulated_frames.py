"""What the simulated venue says and hears: Finnhub's messages, and one of our own for history."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import parse_qs

import msgspec
import numpy as np

from rtre.feeds.synthetic import Trades

PING = '{"type":"ping"}'
TOO_MANY = "Subscribing to too many symbols"


class _Trade(msgspec.Struct, gc=False):
    p: float
    s: str
    t: int
    v: float | int


class _Frame(msgspec.Struct, gc=False):
    data: list[_Trade]
    type: str


class Request(msgspec.Struct):
    type: str
    symbol: str = ""
    interval_ms: int = 1000
    intervals: int = 500


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Request)


def frame_cuts(count: int, rng: np.random.Generator) -> list[int]:
    """Cut `count` trades into frames: geometric sizes of up to 8, and of up to 50 under load.

    >>> frame_cuts(0, np.random.default_rng(1)), frame_cuts(1, np.random.default_rng(1))
    ([0], [0, 1])
    """
    mean = min(40.0, max(3.0, count / 16))
    cuts = np.cumsum(np.minimum(rng.geometric(1.0 / mean, count), 8 if mean == 3.0 else 50))
    return [0, *cuts[cuts < count].tolist(), *([count] if count else [])]


def trade_frames(
    trades: Trades, symbols: Sequence[str], cuts: Sequence[int], kind: str = "trade"
) -> list[str]:
    """Frames of type `kind`, each with the trades between two cuts.

    Sizes that are whole are written as integers, as the real venue does.
    """
    columns = (c.tolist() for c in (trades.price, trades.asset, trades.ts_ms, trades.size))
    rows = [
        _Trade(price, symbols[asset], ts_ms, int(size) if size.is_integer() else size)
        for price, asset, ts_ms, size in zip(*columns, strict=True)
    ]
    return [
        _ENCODER.encode(_Frame(rows[start:end], kind)).decode() for start, end in pairwise(cuts)
    ]


def error_frame(problem: str) -> str:
    """An error message with at most 200 characters of `problem`."""
    return _ENCODER.encode({"msg": problem[:200], "type": "error"}).decode()


def read_request(message: str | bytes) -> Request:
    """What a client wants.

    Raises
    ------
    ValueError, RecursionError
        For a message that is not JSON, not an object, or has fields of a wrong type.
    """
    return _DECODER.decode(message)


def token_of(path: str) -> str | None:
    """The token in the query of a request; "" where there is none, None for a query gone wrong.

    >>> token_of("/?token=abc"), token_of("/")
    ('abc', '')
    """
    try:
        fields = parse_qs(path.partition("?")[2], max_num_fields=16)
    except ValueError:
        return None
    return fields.get("token", [""])[0]
