"""The worst scenarios of one book, kept current by touching every scenario once a tick.

`touch` adds a tick's change to the whole P&L vector and hands back its `need` smallest values, in
one pass over memory. What makes one pass enough is that the worst scenarios of this tick are nearly
those of the last: the state remembers which rows they were, a few more than needed (its members).

1. The members' new values are computed ahead of the rest and put in order, by insertion: they are
   nearly in order already. Let v be the `need`-th of them.
2. The pass updates every row and counts the rows below v. It has no branch and no store but the
   update, so it vectorises, and costs what the update alone costs.
3. If as many rows as members lie below v, no other row does: the members' `need` smallest are the
   `need` smallest of all. Otherwise `settle` counts again without the rows in which a return is
   missing, which do not count but which the pass does not look at (a third array to read: 1.1 to
   1.3 times the time). If that does not fit either, somebody else has come in, and the members are
   chosen afresh with a selection over all rows.

So a stale state costs time and never exactness, and the result depends on the P&L vector alone: not
on how it came about, nor on what was asked before. That also holds after a trade, a new grid row or
a restored P&L vector, without a word to the state.

Experiments lost. Nanoseconds a tick, update included, for (W, need) of (1000, 11) and (10 000, 501)
on one busy core, where the update alone took 130 to 210 and 2500 to 2800, this module 310 and 5000:

* collect what lies below a threshold in the same pass, scanning the blocks of 16 to 64 rows that
  have a hit, then sort: 3400 to 5800 and 63 000 to 86 000. Half of the blocks have a hit; without
  vector masks the scan of a block costs 10 to 20 ns, and the sort starts from the order of rows;
* count and sum below a band, collect only what is in it: the first half of that alone, the sum in
  eight lanes, took 20 updates at W = 1000 and 6 at 10 000, since a conditional sum does not
  vectorise without fastmath; and its last bits would depend on where the band was before;
* twice as many members as needed, plus 16: 360 and 8100. A quarter more plus 8 was chosen afresh no
  more often (once in 50 000 ticks of 3 bp, 50 assets; as often at 90 bp);
* spare members left unsorted, or all values gathered before they are sorted: no difference;
* returns with 0 in place of NaN: 0 to 15 % faster, for twice the memory.
"""

from __future__ import annotations

from rtre.kernels.jit import inlined, kernel
from rtre.kernels.tail import complete_rows, select_smallest
from rtre.market import Float64, Int64

MEMBERS, CHOSEN, ROWS = 0, 1, 2
"""Entries of a state: count of members, times they were chosen afresh, and first of their rows."""

_SPARE = 8


@inlined
def members_for(need: int) -> int:
    """Members to choose so that `need` of them stay the smallest for a long while."""
    return need + need // 4 + _SPARE


def state_size(need: int) -> int:
    """Entries of the int64 state for up to `need` values; all zero, it is a state that knows none.

    >>> state_size(11)
    23
    """
    return ROWS + members_for(need)


@inlined
def usable(n: int, need: int) -> bool:
    """Whether `n` members are enough for `need` values, and not a burden."""
    return need <= n <= 2 * members_for(need)


@inlined
def place(buffer: Float64, state: Int64, q: int, x: float, row: int) -> None:
    """Insert value and row of member `q` among the sorted ones before it."""
    j = q - 1
    while j >= 0 and buffer[j] > x:
        buffer[j + 1] = buffer[j]
        state[ROWS + j + 1] = state[ROWS + j]
        j -= 1
    buffer[j + 1] = x
    state[ROWS + j + 1] = row


@inlined
def first_equal(values: Float64, last: int) -> int:
    """First index of the run of equal values, ascending, that ends at `last`."""
    while last > 0 and values[last - 1] == values[last]:
        last -= 1
    return last


@inlined
def reprice_and_count(pnl: Float64, column: Float64, change: float, bound: float) -> int:
    """`rtre.kernels.books.reprice`, to the bit; returns how many rows lie below `bound` then."""
    n = 0
    for s in range(len(pnl)):
        r = column[s]
        x = pnl[s] + (change * r if r == r else 0.0)  # noqa: PLR0124 - the NaN test that vectorises
        pnl[s] = x
        n += int(x < bound)
    return n


@inlined
def count_below(pnl: Float64, bound: float) -> int:
    """Rows below `bound`, incomplete ones too."""
    n = 0
    for s in range(len(pnl)):
        n += int(pnl[s] < bound)
    return n


@inlined
def count_complete_below(pnl: Float64, missing: Int64, bound: float) -> int:
    """Complete rows below `bound`."""
    n = 0
    for s in range(len(pnl)):
        n += int(pnl[s] < bound) & int(missing[s] == 0)
    return n


@inlined
def touch(
    pnl: Float64,
    column: Float64,
    missing: Int64,
    change: float,
    need: int,
    state: Int64,
    buffer: Float64,
) -> int:
    """Add `change` of exposure times each return to a P&L vector, and find its smallest values.

    Parameters
    ----------
    pnl : (W,) float64
        P&L scenarios of a book; changed in place, to the same bits as by `reprice`. No NaN where
        ``missing`` is 0.
    column : (W,) float64
        Returns of one asset; NaN is masked and adds nothing.
    missing : (W,) int64
        0 in the rows that count, above 0 in the others.
    change : float
        Change of exposure, in currency.
    need : int
        Values wanted, 1 to W. Not checked.
    state : (>= state_size(need),) int64
        The book's own, zeros at first. ``state[CHOSEN]`` counts selections.
    buffer : (W + 1,) float64
        Working space; its front is the result.

    Returns
    -------
    int
        `need`: ``buffer[:need]`` holds the smallest values of complete rows, ascending. Or -1: the
        P&L is up to date, but the caller is to call `settle`, which finds the values. It is not
        called from here because a call, even one not made, makes numba count the references of
        every array on the way to it: 150 ns a tick.

    Notes
    -----
    Cost: 1.2 to 3 updates of the vector.
    """
    n, gone = state[MEMBERS], 0
    for q in range(n):
        s = state[ROWS + q]
        r = column[s]
        x = pnl[s] + (change * r if r == r else 0.0)  # noqa: PLR0124
        gone |= missing[s]
        place(buffer, state, q, x, s)
    # with fewer members than `need` what is read here is anything, and not trusted below
    below = first_equal(buffer, need - 1)
    found = reprice_and_count(pnl, column, change, buffer[need - 1])
    if gone != 0:
        state[MEMBERS] = 0
    return need if found == below and gone == 0 and usable(n, need) else -1


@inlined
def collect(pnl: Float64, missing: Int64, need: int, state: Int64, buffer: Float64) -> int:
    """Find the smallest values of a P&L vector as it is; parameters and result as in `touch`.

    Notes
    -----
    Cost: 0.4 to 2 updates of the vector.
    """
    n, gone = state[MEMBERS], 0
    for q in range(n):
        s = state[ROWS + q]
        gone |= missing[s]
        place(buffer, state, q, pnl[s], s)
    below = first_equal(buffer, need - 1)
    found = count_below(pnl, buffer[need - 1])
    if gone != 0:
        state[MEMBERS] = 0
    return need if found == below and gone == 0 and usable(n, need) else -1


@kernel
def settle(pnl: Float64, missing: Int64, need: int, state: Int64, buffer: Float64) -> int:
    """Find the smallest values where `touch` or `collect` gave -1; parameters as there.

    Returns
    -------
    int
        n, `need` or the number of complete rows if that is less: ``buffer[:n]`` holds the n
        smallest values of complete rows, ascending.

    Notes
    -----
    Cost: a count over all rows; if that does not fit, a selection, 5 to 30 updates of the vector.
    """
    if usable(state[MEMBERS], need):
        below = first_equal(buffer, need - 1)
        if count_complete_below(pnl, missing, buffer[need - 1]) == below:
            return need
    n = complete_rows(pnl, missing, len(pnl), buffer)
    count = min(n, members_for(need))
    select_smallest(buffer, n, count)
    if count > 0:
        choose_rows(pnl, missing, buffer[count - 1], count, state)
    for q in range(count):
        buffer[q] = pnl[state[ROWS + q]]
    sort_members(buffer, state, count)
    state[MEMBERS] = count
    state[CHOSEN] += 1
    return min(need, count)


@kernel
def choose_rows(pnl: Float64, missing: Int64, largest: float, count: int, state: Int64) -> None:
    """Make members of the `count` complete rows up to `largest`, and of ties the first."""
    taken = 0
    for s in range(len(pnl)):
        if pnl[s] < largest and missing[s] == 0:
            state[ROWS + taken] = s
            taken += 1
    s = 0
    while taken < count:
        if pnl[s] == largest and missing[s] == 0:
            state[ROWS + taken] = s
            taken += 1
        s += 1


@kernel
def sort_members(values: Float64, state: Int64, n: int) -> None:
    """Sort ``values[:n]`` ascending and the members' rows along with it, by Shell's method."""
    gap = n // 2
    while gap > 0:
        for i in range(gap, n):
            x, row = values[i], state[ROWS + i]
            j = i - gap
            while j >= 0 and values[j] > x:
                values[j + gap] = values[j]
                state[ROWS + j + gap] = state[ROWS + j]
                j -= gap
            values[j + gap] = x
            state[ROWS + j + gap] = row
        gap = gap * 4 // 9 if gap > 2 else gap - 1
