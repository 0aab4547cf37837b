"""Historical simulation: the sample is the distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.order import TailRanks, tail_ranks


def tail_of_sorted(losses: Float64, ranks: TailRanks) -> Tail:
    """VaR, ES, interval and error from losses sorted worst first, by the order-statistic rule.

    With m = n * tail, k = ceil(m) and w = m - k + 1: VaR = L(k) and
    ES = (L(1) + ... + L(k-1) + w L(k)) / m (Rockafellar and Uryasev 2002, eq. 25). The standard
    error of ES is sqrt{[Var(L | tail) + (1 - tail)(ES - VaR)^2] / m}, with the variance taken
    under the same weights; a tail of one loss has no spread to estimate, so it is NaN there.
    """
    n = len(losses)
    var = float(losses[ranks.k - 1])
    weights = np.ones(ranks.k)
    weights[-1] = ranks.weight
    es = max(float(weights @ losses[: ranks.k]) / ranks.m, var)
    se = math.nan
    if ranks.k > 1:
        spread = float(weights @ (losses[: ranks.k] - es) ** 2) / ranks.m
        se = math.sqrt((spread + (1.0 - ranks.m / n) * (es - var) ** 2) / ranks.m)
    high = float(losses[ranks.high - 1]) if ranks.high else math.inf
    low = float(losses[ranks.low - 1]) if ranks.low <= n else -math.inf
    return Tail(var, es, low, high, se)


@attrs.frozen
class Historical(Model):
    """Historical simulation of the present positions over the window.

    Cost: one selection of the tail per report; the sorted window of a symbol makes it O(tail).
    """

    name: ClassVar[str] = "historical"

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES as order statistics of the losses; see `tail_of_sorted`."""
        losses = np.sort(-pnl)[::-1]
        return [tail_of_sorted(losses, tail_ranks(len(losses), c)) for c in confidences]


MODEL = Historical
