"""What the stand-alone windows take from outside, checked: a DataError names what it got.

A kernel reads what it is given, and looks at nothing; numpy, where it is asked to, makes a whole
number of 0.5, of NaN and of 2^63, and a real one of 1j.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from rtre.errors import DataError
from rtre.market import Float64, Int64

LATEST_NS = 2**63 - 1


def whole(name: str, value: int, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if not low <= number <= high:
        raise DataError(f"{name} must be a whole number from {low} to {high}; got {value!r}")
    return number


def number(name: str, value: Any) -> float:
    """Return a number, which may be NaN or infinite; text is none."""
    try:
        if isinstance(value, str | bytes):
            raise TypeError("text")
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{name} must be a number, got {value!r}") from error


def share(name: str, value: float) -> float:
    """Return a number between 0 and 1, both excluded."""
    found = number(name, value)
    if not 0.0 < found < 1.0:
        raise DataError(f"{name} must lie between 0 and 1, got {value!r}")
    return found


def time_ns(value: int) -> int:
    """Return a time, of int64."""
    return whole("a time in ns", value, -LATEST_NS - 1, LATEST_NS)


def _array(name: str, values: npt.ArrayLike, kinds: str) -> npt.NDArray[Any]:
    try:
        given = np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{name} must be numbers: {error}") from error
    if given.dtype.kind not in kinds:
        raise DataError(f"{name} must be numbers, got an array of {given.dtype}")
    return given


def floats(name: str, values: npt.ArrayLike) -> Float64:
    """Return `values` as a C-contiguous, writeable array of float64 of at least one axis."""
    given = _array(name, values, "biufO")
    try:
        found = np.ascontiguousarray(given, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{name} must be numbers: {error}") from error
    # a read-only array is another type to numba: it would compile a second time
    return found if found.flags.writeable else found.copy()


def column(values: npt.ArrayLike) -> Float64:
    """Return `values` as `floats` of one axis."""
    found = floats("values", values)
    if found.ndim != 1:
        raise DataError(f"values must have one dimension, got shape {found.shape}")
    return found


def whole_numbers(name: str, values: npt.ArrayLike) -> Int64:
    """Return `values` as a C-contiguous, writeable array of int64 of at least one axis."""
    given = _array(name, values, "biuf")
    with np.errstate(invalid="ignore"):
        found = np.ascontiguousarray(given, np.int64)
    # what int64 does not hold comes back as something else; 2^63 does as itself, in float64
    if given.dtype.kind in "uf" and not np.all((found == given) & (given < 2.0**63)):
        raise DataError(f"{name} must be whole numbers of 64 bits, got {values!r}")
    return found if found.flags.writeable else found.copy()


def check_out(out: object, shape: tuple[int, ...]) -> None:
    """Raise unless a kernel may write its results, of this shape, to `out`."""
    what = f"a C-contiguous, writeable float64 array of shape {shape}"
    if not isinstance(out, np.ndarray):
        raise DataError(f"out must be {what}, got {out!r:.60}")
    if out.dtype != np.float64 or out.shape != shape or not out.flags.carray:
        raise DataError(f"out must be {what}, got {out.dtype} of shape {out.shape}")
