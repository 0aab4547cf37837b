"""A few values kept in ascending order: a binary search finds the place, the rest moves by one.

Exact: the array holds the very values that went in, so every order statistic is a plain read.
"""

from __future__ import annotations

from rtre.kernels.jit import inlined
from rtre.market import Float64


@inlined
def lower_bound(values: Float64, n: int, x: float) -> int:
    """First index among ``values[:n]`` whose value is not below `x`; n if there is none."""
    low, high = 0, n
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def insert(values: Float64, n: int, x: float) -> None:
    """Put `x` in its place; the caller owns the count, which becomes n + 1."""
    place = lower_bound(values, n, x)
    for i in range(n, place, -1):
        values[i] = values[i - 1]
    values[place] = x


@inlined
def remove(values: Float64, n: int, x: float) -> None:
    """Take one value equal to `x` out. It must be there; the count becomes n - 1."""
    for i in range(lower_bound(values, n, x), n - 1):
        values[i] = values[i + 1]
