"""What the synthetic market knows about a symbol: a table of well-known ones, and a rule."""

from __future__ import annotations

import hashlib
import math

import attrs

from rtre.market import check_symbol

_MARKET_VOL = 0.17  # annual, of the common factor
_MAX_SHARE = 0.9  # of a symbol's variance that the factor may explain

# symbol: (price in 2025, annual volatility, beta). Round figures: plausible, not quotations.
_KNOWN = {
    "SPY": (590.0, 0.17, 1.00), "QQQ": (515.0, 0.22, 1.20), "IWM": (220.0, 0.23, 1.15),
    "DIA": (430.0, 0.15, 0.85), "GLD": (270.0, 0.16, 0.10), "TLT": (88.0, 0.14, -0.15),
    "AAPL": (230.0, 0.28, 1.20), "MSFT": (430.0, 0.24, 1.10), "NVDA": (135.0, 0.48, 2.00),
    "AMZN": (205.0, 0.31, 1.35), "GOOGL": (175.0, 0.29, 1.15), "GOOG": (177.0, 0.29, 1.15),
    "META": (600.0, 0.34, 1.35), "TSLA": (300.0, 0.58, 2.10), "AVGO": (200.0, 0.45, 1.70),
    "AMD": (120.0, 0.48, 1.80), "INTC": (22.0, 0.46, 1.30), "NFLX": (950.0, 0.33, 1.20),
    "ORCL": (165.0, 0.34, 1.20), "CRM": (290.0, 0.32, 1.20), "ADBE": (430.0, 0.32, 1.15),
    "CSCO": (60.0, 0.21, 0.85), "IBM": (240.0, 0.24, 0.75), "QCOM": (155.0, 0.36, 1.40),
    "PLTR": (90.0, 0.65, 2.10), "COIN": (240.0, 0.75, 2.50), "UBER": (75.0, 0.36, 1.30),
    "JPM": (255.0, 0.24, 1.05), "BAC": (44.0, 0.26, 1.10), "GS": (590.0, 0.28, 1.25),
    "V": (335.0, 0.19, 0.85), "MA": (540.0, 0.20, 0.90), "BRK.B": (490.0, 0.16, 0.65),
    "XOM": (110.0, 0.24, 0.60), "CVX": (150.0, 0.24, 0.65), "JNJ": (155.0, 0.17, 0.35),
    "PFE": (26.0, 0.24, 0.45), "UNH": (480.0, 0.30, 0.45), "LLY": (800.0, 0.34, 0.60),
    "WMT": (95.0, 0.21, 0.55), "COST": (950.0, 0.21, 0.75), "KO": (68.0, 0.15, 0.35),
    "PEP": (145.0, 0.17, 0.35), "PG": (168.0, 0.16, 0.35), "MCD": (295.0, 0.17, 0.45),
    "HD": (390.0, 0.22, 0.95), "DIS": (105.0, 0.27, 1.05), "NKE": (72.0, 0.32, 1.05),
    "BA": (180.0, 0.35, 1.15), "CAT": (360.0, 0.27, 1.10), "GE": (200.0, 0.30, 1.15),
    "BINANCE:BTCUSDT": (95_000.0, 0.50, 1.30), "BINANCE:ETHUSDT": (2_900.0, 0.68, 1.70),
    "BINANCE:SOLUSDT": (170.0, 0.85, 2.00), "BINANCE:BNBUSDT": (620.0, 0.55, 1.30),
    "BINANCE:XRPUSDT": (2.3, 0.85, 1.60), "BINANCE:DOGEUSDT": (0.22, 0.90, 1.90),
}  # fmt: skip


@attrs.frozen
class Instrument:
    """What the synthetic market knows about a symbol.

    Attributes
    ----------
    price : float
        At the start of the market.
    vol : float
        Annual volatility, as a fraction.
    beta : float
        To the common factor. Where beta would explain more than 90 % of the variance, it is
        cut to that, so that `vol` always holds.
    price_scale, size_scale : float
        Prices and sizes are whole multiples of one over these.
    """

    price: float
    vol: float
    beta: float
    price_scale: float
    size_scale: float

    @property
    def systematic(self) -> float:
        """Annual volatility that comes from the factor, with the sign of beta."""
        bound = self.vol * math.sqrt(_MAX_SHARE)
        return max(-bound, min(bound, self.beta * _MARKET_VOL))

    @property
    def idiosyncratic(self) -> float:
        """Annual volatility that is the symbol's own."""
        return math.sqrt(self.vol**2 - self.systematic**2)


def instrument(symbol: str) -> Instrument:
    """Look a symbol up, or make one up from its text: the same in every process and version.

    >>> instrument("AAPL").price, instrument("ZZZT") == instrument("ZZZT")
    (230.0, True)
    """
    crypto = ":" in check_symbol(symbol)
    if symbol in _KNOWN:
        price, vol, beta = _KNOWN[symbol]
    else:
        digest = hashlib.blake2b(symbol.encode(), digest_size=12).digest()
        a, b, c = (int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in (0, 4, 8))
        price = round(8.0 * 50.0**a, 2)
        vol = round((0.5 if crypto else 0.18) + 0.4 * b, 3)
        beta = round(0.6 + 1.2 * c, 2)
    if not crypto:
        return Instrument(price, vol, beta, 100.0, 1.0)
    magnitude = math.floor(math.log10(price))
    return Instrument(
        price, vol, beta, 10.0 ** max(2, 4 - magnitude), 10.0 ** max(0, magnitude + 1)
    )
