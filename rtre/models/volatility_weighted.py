"""Volatility-weighted historical simulation (Hull and White 1998)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from rtre.checks import between, one_of
from rtre.errors import DataError
from rtre.kernels.garch import variance_path
from rtre.kernels.rescaled import rescaled_tails
from rtre.market import Float64, Int64
from rtre.models.base import Model, Tail
from rtre.models.historical import Historical
from rtre.models.rules import RULES, SHORTFALLS, Rule, Shortfall
from rtre.models.sample import deviation_of, invalid, mean_of, sample_problem
from rtre.order import rank_table
from rtre.windows.lines import Lines


def ewma_variances(values: Float64, decay: float, first: float | None = None) -> Float64:
    """Variance forecasts ``s[t+1] = decay s[t] + (1 - decay) values[t]^2``, shape (n+1,).

    ``s[t]`` is known before ``values[t]``; ``s[n]`` is the forecast for the next observation.

    Parameters
    ----------
    values : (n,) float64
        Oldest first.
    decay : float
        RiskMetrics' lambda.
    first : float, optional
        ``s[0]``; None takes the variance of the whole sample about its mean (ddof 1), as Hull and
        quarks do.
    """
    if first is None:
        first = deviation_of(values, mean_of(values), 1) ** 2
    out = np.empty(len(values) + 1)
    variance_path(
        np.ascontiguousarray(values, dtype=np.float64), 0.0, 1.0 - decay, 0.0, decay, first, out
    )
    return out


def volatility_scaled(values: Float64, decay: float, target: str = "next") -> Float64:
    """Rescale each return to today's volatility: ``values[t] * s_now / s[t]``.

    Hull and White, "Incorporating volatility updating into the historical simulation method for
    value at risk", Journal of Risk 1 (1998). For several assets, scale each column by itself
    and add up afterwards: the rows keep the cross-section of their date.

    Parameters
    ----------
    values : (n,) or (n, assets) float64
        Returns or P&L, oldest first.
    decay : float
        Of the EWMA variance, which starts at the sample variance.
    target : {"next", "last"}
        ``next``: s_now is the forecast for the next observation (Hull). ``last``: the volatility
        that belonged to the newest observation (quarks).

    Raises
    ------
    DataError
        A column whose volatility is zero somewhere, unless the column is all zeros.
    """
    if values.ndim == 2:
        columns = [volatility_scaled(column, decay, target) for column in values.T]
        return np.column_stack(columns)
    if not np.any(values):
        return np.zeros(len(values))
    variances = ewma_variances(values, decay)
    if not np.all(variances > 0.0):
        raise DataError("the volatility is zero: the observations do not vary")
    now = variances[-1] if target == "next" else variances[-2]
    return np.asarray(values * np.sqrt(now / variances[:-1]))


@attrs.frozen
class VolatilityWeighted(Model):
    """Historical simulation of P&L rescaled to the present volatility.

    Keeps the sample's shape and follows volatility up and down; extreme losses may exceed any in
    the sample. Interval and standard error are the order statistics' own and leave out the error
    of the volatility.

    Cost: on a tick, one recursion over each line's window and one selection of the tail, in a
    kernel; nothing more on a closed interval. Rules other than the default sort as well.

    Attributes
    ----------
    decay : float
        Of the EWMA variance.
    target : {"next", "last"}
        See `volatility_scaled`.
    rule, shortfall : str
        How VaR and ES are read off the rescaled sample; see `rtre.models.rules`.
    """

    name: ClassVar[str] = "volatility-weighted"
    min_obs: ClassVar[int] = 10

    decay: float = attrs.field(
        default=0.94, validator=between(0.0, 1.0, low_open=True, high_open=True)
    )
    target: Literal["next", "last"] = attrs.field(default="next", validator=one_of("next", "last"))
    rule: Rule = attrs.field(default=RULES[0], validator=one_of(*RULES))
    shortfall: Shortfall = attrs.field(default=SHORTFALLS[0], validator=one_of(*SHORTFALLS))

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES of the rescaled sample; cost: one recursion and one sort."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        unit = float(np.max(np.abs(pnl)))  # squares of small currencies must not vanish
        if unit == 0.0:
            unit = 1.0
        try:
            scaled = volatility_scaled(pnl / unit, self.decay, self.target) * unit
        except DataError as error:
            return invalid(str(error), confidences)
        if not math.isfinite(float(np.max(np.abs(scaled)))):
            return invalid("the rescaled losses overflow", confidences)
        return Historical(rule=self.rule, shortfall=self.shortfall).estimate(scaled, confidences)

    def evaluate(
        self,
        lines: Lines,
        which: Int64,
        confidences: tuple[float, ...],
        out: Float64,
        fitted: Mapping[int, Any] | None = None,
    ) -> dict[int, str]:
        """Rescale and select in one kernel call; what it cannot answer goes to `estimate`."""
        if self.rule != RULES[0] or self.shortfall != SHORTFALLS[0] or lines.closed:
            return super().evaluate(lines, which, confidences, out, fitted)
        ranks, m = rank_table(confidences, lines.window)
        good = np.empty(len(which), np.int64)
        rescaled_tails(
            lines.floats, lines.ints, which, float(self.decay), self.target == "last",
            ranks, m, out, good,
        )  # fmt: skip
        others = which[good == 0]
        return super().evaluate(lines, others, confidences, out, fitted) if len(others) else {}


MODEL = VolatilityWeighted
