"""What every model asks of a sample first, and the moments that several of them use."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rtre.market import Float64
from rtre.models.base import Tail
from rtre.order import tail_probability


def sample_problem(pnl: Float64, min_obs: int) -> str:
    """Return why no model may use `pnl`, or "" when it may be used.

    A sample is refused when it holds fewer than `min_obs` observations, a value that is not finite
    (masking is the caller's work: a NaN here is a bug upstream, and must not become a number), or
    values so large that their squares overflow.
    """
    if pnl.ndim != 1:
        return f"a sample of P&L has one axis, got shape {pnl.shape}"
    if len(pnl) < min_obs:
        return f"{len(pnl)} observations, needs at least {min_obs}"
    bad = len(pnl) - int(np.count_nonzero(np.isfinite(pnl)))
    if bad:
        return f"{bad} of {len(pnl)} observations are not finite"
    if float(np.max(np.abs(pnl), initial=0.0)) > 1e150:
        return "observations beyond 1e150 in size: their squares overflow"
    return ""


def invalid(problem: str, confidences: Sequence[float]) -> list[Tail]:
    """Return the same refusal at each confidence (which is checked all the same)."""
    for confidence in confidences:
        tail_probability(confidence)
    return [Tail.invalid(problem) for _ in confidences]


def mean_of(values: Float64) -> float:
    """Mean in two passes: the mean of the deviations corrects the rounding of the first pass.

    A sample that does not vary gives its value exactly, so that its deviation is exactly zero.
    """
    if float(np.min(values)) == float(np.max(values)):
        return float(values[0])
    first = float(np.mean(values))
    return first + float(np.mean(values - first))


def deviation_of(values: Float64, mean: float, ddof: int) -> float:
    """Root of the sum of squared deviations from `mean` over ``n - ddof``.

    Scaled by the largest deviation, so that neither tiny nor huge currencies lose the squares.
    """
    deviations = values - mean
    scale = float(np.max(np.abs(deviations)))
    if scale == 0.0:
        return 0.0
    squares = float(np.sum((deviations / scale) ** 2))
    return scale * math.sqrt(squares / (len(values) - ddof))
