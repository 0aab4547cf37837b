"""A model of your own in one file: Laplace-distributed P&L.

python -m rtre --model examples.laplace_model:Laplace --duration 5s
python examples/laplace_model.py
"""

import math
from typing import ClassVar

import attrs
import numpy as np

from rtre.models.base import Model, Tail


@attrs.frozen
class Laplace(Model):
    """P&L with density exp(-|x - m| / b) / 2b; VaR = b ln(1 / 2 tail) - m, ES = VaR + b.

    Parameters of a model are its attributes: ``--parameter floor=0.01`` sets this one.
    """

    name: ClassVar[str] = "laplace"

    floor: float = 0.0  #: the scale b is never taken below this

    def estimate(self, pnl, confidences, fitted=None):
        median = float(np.median(pnl))
        b = max(float(np.mean(np.abs(pnl - median))), self.floor)
        tails = []
        for confidence in confidences:
            var = b * math.log(0.5 / (1.0 - confidence)) - median
            tails.append(Tail(var, var + b))
        return tails


if __name__ == "__main__":
    sample = np.random.default_rng(1).laplace(0.0, 2.0, 1000)
    for c, tail in zip((0.95, 0.99), Laplace().estimate(sample, (0.95, 0.99)), strict=True):
        print(f"{c:.0%} VaR {tail.var:.2f} ES {tail.es:.2f}")
