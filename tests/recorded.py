"""Ticks out of the recorded streams: trades, and quotes as their mid prices.

The recordings lie in a folder `shared/data/captures` beside the checkout, and are read with `json`
alone.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oracle_support import DATA

FOLDER = DATA / "captures"
SPOT = ("binance_spot_btcusdt_20240808.gz", "binance_spot_ethusdt_20240808.gz")
FUTURES = "binance_usdm_btcusdt_20240808.gz"
OTHERS = ("COINBASE.ws.28.0", "BITMEX.ws.1.0", "KUCOIN.ws.1.0", "BINANCE.ws.1.0", "KRAKEN.ws.49.0")
OTHER_FILES = tuple(f"cryptofeed_{name}.gz" for name in OTHERS)
FILES = (*SPOT, FUTURES, *OTHER_FILES)

Tick = tuple[int, str, float]  #: time of receipt in ns, symbol, price
Prices = Iterator[tuple[str, float]]  #: of each trade and each quote in a message


def missing() -> list[str]:
    """Recordings that are not there."""
    return [name for name in FILES if not (FOLDER / name).exists()]


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Receipt time and payload of each message; subscriptions and connections are passed over."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        stamp, _, payload = line.partition(b" ")
        if stamp.endswith(b":"):
            yield round(float(stamp[:-1]) * 1e9), payload
        elif stamp.isdigit():
            yield int(stamp), payload


def mid(bid: Any, ask: Any) -> float:
    return (float(bid) + float(ask)) / 2.0


def binance(message: Any) -> Prices:
    data = message.get("data", message)
    if {"b", "a", "s"} <= data.keys() and isinstance(data["b"], str):
        yield data["s"] + "-mid", mid(data["b"], data["a"])
    elif data.get("e") in ("trade", "aggTrade") and float(data["p"]) > 0.0:
        yield data["s"], float(data["p"])


def coinbase(message: Any) -> Prices:
    if message["type"] in ("match", "last_match"):
        yield message["product_id"], float(message["price"])
    elif message["type"] == "ticker":
        yield message["product_id"] + "-mid", mid(message["best_bid"], message["best_ask"])


def bitmex(message: Any) -> Prices:
    for row in message.get("data", ()):
        if message["table"] == "trade":
            yield row["symbol"], float(row["price"])
        elif message["table"] == "quote" and row.get("bidPrice") and row.get("askPrice"):
            yield row["symbol"] + "-mid", mid(row["bidPrice"], row["askPrice"])


def kucoin(message: Any) -> Prices:
    kind, _, symbol = message.get("topic", "").rpartition(":")
    if kind == "/market/match":
        yield symbol, float(message["data"]["price"])
    elif kind == "/market/ticker":
        yield symbol + "-mid", mid(message["data"]["bestBid"], message["data"]["bestAsk"])


def kraken(message: Any) -> Prices:
    if isinstance(message, list) and message[2] == "ticker":
        _, fields, _, symbol = message
        yield symbol + "-mid", mid(fields["b"][0], fields["a"][0])


def ticks(name: str) -> list[Tick]:
    """All ticks of one recording, in the order of receipt."""
    venues = (binance, coinbase, bitmex, kucoin, kraken)
    (read,) = (venue for venue in venues if venue.__name__ in name.lower())
    prefix = "perp-" if name == FUTURES else ""
    return [
        (stamp, prefix + symbol, price)
        for stamp, payload in lines(FOLDER / name)
        for symbol, price in read(json.loads(payload))
    ]
