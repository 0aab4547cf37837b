"""Sums of the first values of long tails, carried along instead of added up anew.

Where values do not age and the window is full, ES needs ``L(1) + ... + L(k - 1)`` again after each
change of the tail, and for k - 1 above `SHORT` numbers the adding up costs more than the move. The
sum is then carried along: plus the value that comes among the first k - 1, minus the one that goes.

Each sum has two parts. Knuth's exact addition (TwoSum: The Art of Computer Programming, vol. 2,
4.2.2, theorem B) gives what the first part rounds off, and the second collects it. So N changes
leave an error of about ``(N eps)^2 peak`` at most, `peak` being the largest value of the first part
on the way. Both are bounded: the sum is made anew after k - 1 changes, which is an addition a
change, and as soon as it is a `LOST`-th of its peak, as it is after a spike of 1e300 has left.

Nothing here depends on when results are asked for: the sums move with the tail.
"""

from __future__ import annotations

from rtre.kernels import tail_layout as lay
from rtre.kernels.blocks import total
from rtre.kernels.jit import inlined, kernel
from rtre.market import Float64, Int64

SHORT = 192  #: so many numbers are added up anew each time
LOST = 1024.0  #: a sum this many times smaller than it was is made anew


@kernel
def sum_anew(A: Float64, I: Int64, at: int, which: int) -> None:  # noqa: E741
    """Add up the first values of a side's tail for each level."""
    tail = lay.tail(I, at, which, 0)
    for c in range(I[lay.H_LEVELS]):
        u, count = lay.running(I, at, which, c), I[lay.level(I, at, c) + lay.R_K] - 1
        I[u + lay.U_LEFT] = count
        if count > SHORT:
            A[u + lay.U_HIGH], A[u + lay.U_LOW] = total(A, tail, count), 0.0
            A[u + lay.U_PEAK] = abs(A[u + lay.U_HIGH])
            I[at + lay.S_TOUCHED] += count


@inlined
def add(A: Float64, u: int, x: float) -> None:
    """Add `x` to the sum at `u`, exactly but for the rounding of its second part."""
    before = A[u + lay.U_HIGH]
    after = before + x
    part = after - before
    A[u + lay.U_LOW] += (before - (after - part)) + (x - part)
    A[u + lay.U_HIGH] = after
    A[u + lay.U_PEAK] = max(A[u + lay.U_PEAK], abs(after))


@inlined
def carry(
    A: Float64, I: Int64, at: int, which: int,  # noqa: E741
    i: int, j: int, old: float, new: float,
) -> bool:  # fmt: skip
    """Change a side's sums for a change of its tail that is about to be made.

    Parameters
    ----------
    i, j : int
        First place of the tail that is not below `old`, and not below `new`, 0-based; the number of
        its values where there is none.

    Returns
    -------
    bool
        Whether they must be made anew once the change is made.
    """
    again, tail = False, lay.tail(I, at, which, 0)
    for c in range(I[lay.H_LEVELS]):
        count = I[lay.level(I, at, c) + lay.R_K] - 1
        if count <= SHORT or (i >= count and j >= count):
            continue
        u = lay.running(I, at, which, c)
        gone = old if i < count else A[tail + count - 1]
        # with the old value gone, the place of the new one is one less
        come = new if j - int(i < j) < count else A[tail + count]
        add(A, u, come)
        add(A, u, -gone)
        I[u + lay.U_LEFT] -= 1
        low = A[u + lay.U_PEAK] / LOST > abs(A[u + lay.U_HIGH])
        again |= low or I[u + lay.U_LEFT] <= 0
    return again
