"""Models against each other: by their mean score over the periods that all of them forecast."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from rtre.backtest.scores import Comparison, diebold_mariano
from rtre.market import Float64


@attrs.frozen
class Entry:
    """One model in a tournament.

    Attributes
    ----------
    model : str
    mean : float
        Mean FZ0.
    against_best : Comparison or None
        Of this model (first) with the best (second): positive differences are a loss against it.
        None for the best itself.
    """

    model: str
    mean: float
    against_best: Comparison | None


def rank(scores: Mapping[str, Float64]) -> tuple[Entry, ...]:
    """Rank models by the mean of their scores, lowest first; equal means keep their order.

    Parameters
    ----------
    scores : mapping of model to (n,) float64
        Scores of the same periods, finite; n is at least 1.
    """
    means = {model: float(np.mean(values)) for model, values in scores.items()}
    order = sorted(means, key=lambda model: means[model])
    return tuple(
        Entry(
            model,
            means[model],
            None if model == order[0] else diebold_mariano(scores[model], scores[order[0]]),
        )
        for model in order
    )
