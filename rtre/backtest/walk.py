"""Walk a model through a history: each forecast from the past alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from rtre.errors import DataError
from rtre.market import Float64
from rtre.models.base import Model


@attrs.frozen(eq=False)
class Forecasts:
    """Forecasts of one model and the losses that followed.

    Attributes
    ----------
    losses : (m,) float64
        Of the periods that have a forecast, oldest first.
    var, es : (m, C) float64
        Forecast for each period, one column a confidence.
    confidences : tuple of float
    skipped : dict of str to int
        Reason to number of periods in which the model gave no number; they are not among the m.
    """

    losses: Float64
    var: Float64
    es: Float64
    confidences: tuple[float, ...]
    skipped: dict[str, int]


def walk_forward(
    model: Model,
    pnl: Float64,
    window: int,
    confidences: Sequence[float],
    *,
    refit_every: int = 20,
) -> Forecasts:
    """Forecast every period after the first `window` from the `window` periods before it.

    No forecast sees its own period or a later one; parameters are fitted on the window of the
    period in which they are fitted and kept for `refit_every` periods.

    Parameters
    ----------
    model : Model
    pnl : (n,) float64
        Gains positive, oldest first.
    window : int
        Observations a forecast is made from; less than n.
    confidences : sequence of float
    refit_every : int
        Periods between two fits, for models that have something to fit.

    Returns
    -------
    Forecasts
        A period in which the model refuses any of the confidences is left out and counted.
    """
    n = len(pnl)
    if not 1 <= window < n:
        raise DataError(f"the window must be at least 1 and less than {n} periods, got {window}")
    if refit_every < 1:
        raise DataError(f"refit_every must be at least 1, got {refit_every}")
    rows: list[tuple[float, list[float], list[float]]] = []
    skipped: dict[str, int] = {}
    fitted: Any = None
    for t in range(window, n):
        past = pnl[t - window : t]
        if (t - window) % refit_every == 0:
            fitted = model.fit(past)
        tails = model.estimate(past, confidences, fitted)
        problem = next((tail.problem for tail in tails if tail.problem), "")
        if problem:
            skipped[problem] = skipped.get(problem, 0) + 1
            continue
        rows.append((-float(pnl[t]), [tail.var for tail in tails], [tail.es for tail in tails]))
    shape = (len(rows), len(confidences))
    return Forecasts(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]).reshape(shape),
        np.array([row[2] for row in rows]).reshape(shape),
        tuple(confidences),
        skipped,
    )
