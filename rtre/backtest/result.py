"""What every test of a forecast answers, and the checks of what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs
import numpy as np
import numpy.typing as npt

from rtre.errors import DataError
from rtre.market import Float64

Bool = npt.NDArray[np.bool_]

#: What the data say of the forecast: losses beat it too often or too far ("too low"), too seldom
#: or too little ("too high"), or they are in line with it.
Direction = Literal["too low", "too high", "in line"]


@attrs.frozen
class BacktestResult:
    """One test of one forecast.

    Attributes
    ----------
    test : str
        Name of the test.
    statistic : float
        Never NaN.
    p_value : float
        Probability of a statistic at least as far out if the forecast is right; in [0, 1].
    law : str
        The law of the statistic behind the p-value, like ``chi2(1)``.
    direction : {"too low", "too high", "in line"}
        Which way the forecast errs on this sample, significant or not: a likelihood ratio rejects
        in both directions, and a VaR without a single exceedance is no danger.
    inputs : mapping
        The numbers that went in, for the record.
    note : str
        Empty, or why the answer is by definition rather than by formula (no exceedance and the
        like).
    """

    test: str
    statistic: float
    p_value: float
    law: str
    direction: Direction
    inputs: Mapping[str, float] = attrs.field(factory=dict)
    note: str = ""

    def rejects(self, level: float = 0.05) -> bool:
        """Whether the forecast is rejected at a test of size `level`."""
        return self.p_value < level


def direction_of(observed: float, expected: float) -> Direction:
    """Direction of a forecast whose exceedances (number or size) should be `expected`."""
    if observed > expected:
        return "too low"
    return "too high" if observed < expected else "in line"


def as_series(**columns: npt.ArrayLike) -> tuple[Float64, ...]:
    """Return the columns as float64 arrays of one length.

    Raises
    ------
    DataError
        Another shape, no row at all, or a NaN: a period without a forecast or an outcome must be
        left out by the caller, in the open.
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) != 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise DataError(f"one value a period is needed in each of {shapes}")
    for name, array in arrays.items():
        if not len(array):
            raise DataError(f"{name} is empty: there is nothing to test")
        missing = int(np.count_nonzero(np.isnan(array)))
        if missing:
            raise DataError(f"{missing} of {len(array)} values of {name} are NaN: leave them out")
    return tuple(arrays.values())


def check_count(n: int, x: int) -> None:
    """Raise DataError unless `x` exceedances in `n` periods are possible."""
    if n < 1 or not 0 <= x <= n:
        raise DataError(f"{x} exceedances in {n} periods are not possible")
