"""The worst scenarios of one book whose P&L vector is touched by every tick.

A book that has fallen back (`rtre.kernels.choose`) moves its whole vector with each tick, by
`rtre.kernels.books.reprice`. `collect` then finds the `need` smallest values, at about the price of
another update. What makes that enough is that the worst scenarios of now are nearly those of the
last time: the state remembers which rows they were, a few more than needed (its members).

1. The members' values are put in order, by insertion: they are nearly in order already. Let v be
   the `need`-th of them.
2. One pass counts the rows below v. It has no branch and no store, so it vectorises.
3. If as many rows as members lie below v, no other row does: the members' `need` smallest are the
   `need` smallest of all. Otherwise the rows are counted again, without those in which a return is
   missing: they are no scenarios, but the first count does not look (a second array to read).
4. If that does not fit either, somebody else has come in, and `collect` says so. Then `settle`
   chooses the members afresh with a selection over all rows; straight after it `collect` answers.

So a stale state costs time and never exactness, and the result depends on the P&L vector alone: not
on how it came about, nor on what was asked before. That also holds after a trade, a new grid row or
a restored P&L vector, without a word to the state.

Experiments lost. Nanoseconds a tick, update included, for (W, need) of (1000, 11) and (10 000, 501)
on one busy core, where the update alone took 130 to 210 and 2400 to 3400, and `reprice` with
`collect` 310 to 420 and 4700 to 5400:

* count in the pass of the update, with the members' new values computed ahead of it: 260 to 310 and
  4900 to 7100. But a tick and a look at the tail are two things: the row of the open interval moves
  in between, and one look may do for many ticks. The next three were compared with this one;
* collect what lies below a threshold in the same pass, scanning the blocks of 16 to 64 rows that
  have a hit, then sort: 3400 to 5800 and 63 000 to 86 000. Half of the blocks have a hit; without
  vector masks the scan of a block costs 10 to 20 ns, and the sort starts from the order of rows;
* count and sum below a band, collect only what is in it: the first half of that alone, the sum in
  eight lanes, took 20 updates at W = 1000 and 6 at 10 000, since a conditional sum does not
  vectorise without fastmath; and its last bits would depend on where the band was before;
* twice as many members as needed, plus 16: 360 and 8100, against 310 and 5000. A quarter more plus
  8 was chosen afresh no more often (once in 50 000 ticks of 3 bp, 50 assets; as often at 90 bp);
* leave out incomplete rows in a single count: 1.0 to 1.35 times the time where no row is
  incomplete, 0.8 to 1.05 times where every third one is;
* spare members left unsorted, or all values gathered before they are sorted: no difference;
* returns with 0 in place of NaN, for the update: 0 to 15 % faster, for twice the memory.
"""

from __future__ import annotations

from rtre.kernels.jit import inlined, kernel
from rtre.kernels.tail import complete_rows, select_smallest
from rtre.market import Float64, Int64

MEMBERS, SELECTIONS, ROWS = 0, 1, 2
"""Entries of a state: count of members, times they were chosen afresh, and first of their rows."""

_SPARE = 8


@inlined
def members_for(need: int) -> int:
    """Members to choose so that `need` of them stay the smallest for a long while."""
    return need + need // 4 + _SPARE


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
def collect(pnl: Float64, missing: Int64, need: int, state: Int64, buffer: Float64) -> int:
    """Find the smallest values of a P&L vector, if they are among the members.

    Parameters
    ----------
    pnl : (W,) float64
        P&L scenarios of a book. No NaN where ``missing`` is 0.
    missing : (W,) int64
        0 in the rows that count, above 0 in the others.
    need : int
        Values wanted, 1 to W. Not checked.
    state : (>= ROWS + members_for(largest need),) int64
        The book's own, zeros at first; changed in place.
    buffer : (W + 1,) float64
        Working space; its front is the result.

    Returns
    -------
    int
        `need`: ``buffer[:need]`` holds the smallest values of complete rows, ascending. Or -1: the
        caller is to call `settle`, which finds them. It is not called from here because a call,
        even one not made, makes numba count the references of every array on the way to it: 150 ns
        a tick. Where `need` is at most the number of complete rows, the same vector gives -1 no
        more after `settle`.

    Notes
    -----
    Cost: 0.6 to 1.4 updates of the vector, and one count more while an incomplete row lies below
    the result.
    """
    n, gone = state[MEMBERS], 0
    for q in range(n):
        s = state[ROWS + q]
        gone |= missing[s]
        place(buffer, state, q, pnl[s], s)
    # with fewer members than `need` what is read here is anything, and not trusted below
    below = first_equal(buffer, need - 1)
    found = count_below(pnl, buffer[need - 1])
    if found != below:
        found = count_complete_below(pnl, missing, buffer[need - 1])
    if gone != 0:
        state[MEMBERS] = 0
    return need if found == below and gone == 0 and usable(n, need) else -1


@kernel
def settle(pnl: Float64, missing: Int64, need: int, state: Int64, buffer: Float64) -> int:
    """Choose the members afresh, where `collect` gave -1; parameters as there.

    Adds 1 to ``state[SELECTIONS]``.

    Returns
    -------
    int
        n, `need` or the number of complete rows if that is less: ``buffer[:n]`` holds the n
        smallest values of complete rows, ascending.

    Notes
    -----
    Cost: a selection, 5 to 30 updates of the vector.
    """
    n = complete_rows(pnl, missing, len(pnl), buffer)
    count = min(n, members_for(need))
    select_smallest(buffer, n, count)
    if count > 0:
        choose_rows(pnl, missing, buffer[count - 1], count, state)
    for q in range(count):
        buffer[q] = pnl[state[ROWS + q]]
    sort_members(buffer, state, count)
    state[MEMBERS] = count
    state[SELECTIONS] += 1
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
