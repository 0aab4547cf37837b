"""What enters and what leaves a tail: one value for another, or each by itself.

In a full window whose values do not age a tick is an exchange of two numbers, and most of them that
reach the tail at all change one end of it: `exchange` is one move between the two places.
"""

from __future__ import annotations

from rtre.kernels import tail_layout as lay
from rtre.kernels.blocks import first_not_below, move
from rtre.kernels.jit import inlined
from rtre.kernels.tail_sums import carry, sum_anew
from rtre.market import Float64, Int64


@inlined
def exchange(A: Float64, I: Int64, at: int, which: int, old: float, new: float) -> int:  # noqa: E741
    """Value `old` (signed) leaves the window and `new` enters it; returns the tail's new count.

    For a tail of at least one value. No branch that depends on which of the two is in the tail: the
    place of a value above all is the end, which is also where the hole is then.
    """
    t = lay.side(at, which)
    n, tail, cap = I[t + lay.T_COUNT], lay.tail(I, at, which, 0), I[at + lay.S_CAP]
    i = first_not_below(A, tail, n, old) - tail
    j = first_not_below(A, tail, n, new) - tail
    leaves = int(i < n)
    # to let an equal of the largest in is as right as to leave it out
    enters = int(j < n) | (leaves & int(n == I[at + lay.S_VALID]))
    if leaves + enters == 0:
        return int(n)
    again = I[at + lay.S_SUMMED] != 0 and carry(A, I, at, which, i, j, old, new)
    if min(i, j) < I[at + lay.S_NEED]:
        I[at + lay.S_STALE] = 1
    hole = i if leaves else min(n, cap - 1)  # a full tail drops its largest
    goal = j - int(i < j) if enters else n - 1
    right = int(goal < hole)
    first, moved = tail + min(hole, goal), abs(hole - goal)
    move(A, first + right, first + 1 - right, moved)
    A[tail + goal] = new  # beyond the tail's end where it does not enter
    n = min(n + enters - leaves, cap)
    I[t + lay.T_COUNT] = n
    I[at + lay.S_TOUCHED] += moved
    if again:
        sum_anew(A, I, at, which)
    return int(n)


@inlined
def drop(A: Float64, I: Int64, at: int, which: int, x: float) -> None:  # noqa: E741
    """Value `x` (signed) leaves the window: take it from the tail if it is there."""
    t = lay.side(at, which)
    n, tail = I[t + lay.T_COUNT], lay.tail(I, at, which, 0)
    if n > 0 and x <= A[tail + n - 1]:
        spot = first_not_below(A, tail, n, x)
        move(A, spot, spot + 1, tail + n - 1 - spot)
        I[t + lay.T_COUNT] = n - 1
        I[at + lay.S_SUMMED] = 0
        I[at + lay.S_TOUCHED] += tail + n - 1 - spot
        if spot - tail < I[at + lay.S_NEED]:
            I[at + lay.S_STALE] = 1


@inlined
def admit(A: Float64, I: Int64, at: int, which: int, x: float) -> None:  # noqa: E741
    """Value `x` (signed) enters the window, of ``S_VALID`` numbers before it."""
    t = lay.side(at, which)
    n, tail, cap = I[t + lay.T_COUNT], lay.tail(I, at, which, 0), I[at + lay.S_CAP]
    inside = n > 0 and x < A[tail + n - 1]
    if not inside and (n != I[at + lay.S_VALID] or n >= cap):
        return
    if n >= cap:  # dropping the largest is always allowed
        n = cap - 1
    spot = first_not_below(A, tail, n, x)
    move(A, spot + 1, spot, tail + n - spot)
    A[spot] = x
    I[t + lay.T_COUNT] = n + 1
    I[at + lay.S_SUMMED] = 0
    I[at + lay.S_TOUCHED] += tail + n - spot
    if spot - tail < I[at + lay.S_NEED]:
        I[at + lay.S_STALE] = 1
