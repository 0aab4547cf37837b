"""Historical simulation: the sample is the distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from rtre.checks import one_of
from rtre.market import Float64, Int64
from rtre.models.base import Model, Tail
from rtre.models.rules import RULES, SHORTFALLS, Rule, Shortfall, apply_rule
from rtre.models.sample import invalid, sample_problem
from rtre.order import TailRanks, tail_ranks
from rtre.windows.lines import Lines


def tail_of_sorted(losses: Float64, ranks: TailRanks, n: int | None = None) -> Tail:
    """VaR, ES, interval and error from losses sorted worst first, by the order-statistic rule.

    With m = n * tail, k = ceil(m) and w = m - k + 1: VaR = L(k) and
    ES = (L(1) + ... + L(k-1) + w L(k)) / m (Rockafellar and Uryasev 2002, eq. 25). The standard
    error of ES is sqrt{[Var(L | tail) + (1 - tail)(ES - VaR)^2] / m}, with the variance taken
    under the same weights; a tail of one loss has no spread to estimate, so it is NaN there.

    `n` is the size of the sample where `losses` are only its worst; those that `ranks` names must
    be among them.
    """
    n = len(losses) if n is None else n
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

    Cost, for the default rules: on a tick O(tail) for a symbol, because the lowest and highest
    returns of its window are kept sorted (`rtre.kernels.ends`). Books are followed on candidate
    rows, about twice as many as the tail needs (`rtre.kernels.candidates`): a tick moves the
    candidates of the books that hold its symbol, O(tail), where every tick is evaluated (up to 16
    books), and is free where tails are worked out when asked for, from all candidates; now and then
    O(window) to choose them anew. On a closed interval O(end) a symbol and O(tail) a book. Other
    rules sort the sample of each line that is asked about, 0.1 ms for 500 observations, on each
    report.

    Attributes
    ----------
    rule, shortfall : str
        How VaR and ES are read off the sorted sample; see `rtre.models.rules`.
    """

    name: ClassVar[str] = "historical"

    rule: Rule = attrs.field(default=RULES[0], validator=one_of(*RULES))
    shortfall: Shortfall = attrs.field(default=SHORTFALLS[0], validator=one_of(*SHORTFALLS))

    @property
    def plain_ranks(self) -> bool:
        """The rules are those of the windows: `Lines` gives VaR and ES by itself."""
        return self.rule == RULES[0] and self.shortfall == SHORTFALLS[0]

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES as order statistics of the losses; see `tail_of_sorted`."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        losses = np.sort(0.0 - pnl)[::-1]  # not -pnl: no loss is minus zero
        tails = [tail_of_sorted(losses, tail_ranks(len(losses), c)) for c in confidences]
        if self.plain_ranks:
            return tails
        return [
            apply_rule(tail, losses, c, self.rule, self.shortfall)
            for tail, c in zip(tails, confidences, strict=True)
        ]

    def evaluate(
        self,
        lines: Lines,
        which: Int64,
        confidences: tuple[float, ...],
        out: Float64,
        fitted: Mapping[int, Any] | None = None,
    ) -> dict[int, str]:
        """Read the ends of the windows of symbols, and the candidate rows of books."""
        if not (self.plain_ranks and lines.confidences == confidences):
            return super().evaluate(lines, which, confidences, out, fitted)
        lines.tails(which, out)
        return {}


MODEL = Historical
