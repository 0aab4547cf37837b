"""Refill a tail that runs low: at once, or in small pieces ahead of time.

Both begin with a guess of a bound that enough values are below, from how dense the tail is.

**At once.** O(W), about once in 1000 ticks of a short window and seldom of a long one. The values
below the bound are copied out without a branch, and the smallest of them selected and sorted. Where
the guess is too low twice, or there is none, all are offered one by one to a sorted buffer, or for
a large tail selected from. One by one from the start took a quarter of all time for windows of 250
and 1000. Where values age this is the only way: a silence ends with thousands of evictions in one
tick anyway.

**A buffer with a bound**: *it holds every value scanned so far that is below ``T_BELOW``*, and some
of those equal to it. When full it drops its largest value and lowers the bound to the new one, so
the rule holds whatever the bound was at first; a good guess only saves work. With no guess (inf) a
buffer for c of W values in random order takes c (1 + ln(W / c)) insertions, with one about c.

**In pieces** (`spread`). When half of a tail's slack is gone, the other buffer is filled over
many ticks, about `PACE` slots in each, faster if evictions eat up the slack: the scan is never less
advanced than the share of the slack that is gone, so it ends in time for any input. A slot that was
scanned and is then overwritten is kept true on the spot (`follow`). At the end the buffers change
places. With s = half the slack a tick scans ``max(PACE, W / s)`` slots at the most, instead of W.
"""

from __future__ import annotations

import math

from rtre.kernels import tail_layout as lay
from rtre.kernels.blocks import first_not_below, move
from rtre.kernels.jit import inlined, kernel
from rtre.kernels.tail import select_smallest, sort_part
from rtre.market import Float64, Int64

PACE = 128  #: slots scanned in a tick when there is no hurry
GENTLE = 8  #: finds after which an unhurried tick stops scanning
STRIDE = 16  #: slots scanned between two looks at that
BY_SELECTION = 512  #: from so many values on, selecting them beats inserting them one by one


@inlined
def offer(A: Float64, I: Int64, at: int, t: int, buffer: int, x: float, cap: int) -> None:  # noqa: E741
    """Insert `x`, which is below the bound, into the buffer being filled."""
    n = I[t + lay.T_FOUND]
    if n >= cap:
        n = cap - 1
    spot = buffer + n
    if n > 0 and x < A[spot - 1]:
        spot = first_not_below(A, buffer, n, x)
        move(A, spot + 1, spot, buffer + n - spot)
        I[at + lay.S_TOUCHED] += buffer + n - spot
    A[spot] = x
    I[t + lay.T_FOUND] = n + 1
    if n + 1 == cap:
        A[t + lay.T_BELOW] = A[buffer + n]


@kernel
def scan(A: Float64, I: Int64, at: int, which: int) -> None:  # noqa: E741
    """Offer all slots of the ring, one by one."""
    t, ring, slots = lay.side(at, which), I[at + lay.S_AT_RING], I[at + lay.S_RING]
    buffer, cap = lay.tail(I, at, which, 1), I[at + lay.S_CAP]
    sign = lay.sign_of(I, which)
    below, slot = A[t + lay.T_BELOW], I[t + lay.T_START]
    for _ in range(I[at + lay.S_SLOTS]):
        x = sign * A[ring + slot]
        if x < below:  # NaN is not
            offer(A, I, at, t, buffer, x, cap)
            below = A[t + lay.T_BELOW]
        slot += 1
        if slot == slots:
            slot = 0
    I[at + lay.S_TOUCHED] += I[at + lay.S_SLOTS]


@kernel
def gather(A: Float64, I: Int64, at: int, which: int, goal: int, least: int) -> int:  # noqa: E741
    """Collect values below the bound from further slots, until `goal` are done; returns how many.

    They go to the scratch. Stops earlier, but not before `least`, when it has `GENTLE`, which it
    looks at every `STRIDE` slots.
    """
    t, ring, slots = lay.side(at, which), I[at + lay.S_AT_RING], I[at + lay.S_RING]
    scratch, sign = I[lay.H_AT_SCRATCH], lay.sign_of(I, which)
    below, begun, found = A[t + lay.T_BELOW], I[t + lay.T_DONE], 0
    done, slot = begun, (I[t + lay.T_START] + begun) % slots
    while done < goal and (found < GENTLE or done < least):
        count = min(STRIDE, goal - done, slots - slot)
        for place in range(ring + slot, ring + slot + count):
            x = sign * A[place]
            A[scratch + found] = x
            found += int(x < below)
        done += count
        slot = slot + count if slot + count < slots else 0
    I[t + lay.T_DONE] = done
    I[at + lay.S_TOUCHED] += done - begun
    return found


@kernel
def merge(A: Float64, I: Int64, at: int, which: int, found: int) -> None:  # noqa: E741
    """Merge the `found` values of the scratch into the buffer being filled, each part moved once.

    A falling series inserts at the front each time: one by one, 133 values in a tick moved 53,000.
    """
    t, cap, first = lay.side(at, which), I[at + lay.S_CAP], I[lay.H_AT_SCRATCH]
    if found > 16:
        sort_part(A, first, found)
    else:
        for i in range(first + 1, first + found):
            x, j = A[i], i
            while j > first and A[j - 1] > x:
                A[j] = A[j - 1]
                j -= 1
            A[j] = x
    buffer, i, j = lay.tail(I, at, which, 1), I[t + lay.T_FOUND], found
    while i + j > cap:  # drop the largest
        if j == 0 or (i > 0 and A[buffer + i - 1] > A[first + j - 1]):
            i -= 1
        else:
            j -= 1
    n, moved = i + j, found * 8  # 8: a sort's comparisons per value
    while j > 0:
        x = A[first + j - 1]
        spot = first_not_below(A, buffer, i, x)
        move(A, spot + j, spot, buffer + i - spot)
        moved += buffer + i - spot
        i = spot - buffer
        j -= 1
        A[spot + j] = x
    I[t + lay.T_FOUND] = n
    if n == cap:
        A[t + lay.T_BELOW] = A[buffer + n - 1]
    I[at + lay.S_TOUCHED] += moved


@kernel
def start(A: Float64, I: Int64, at: int, which: int, below: float) -> None:  # noqa: E741
    """Begin to fill the second buffer of a side with values smaller than `below`."""
    t = lay.side(at, which)
    I[t + lay.T_FILLING] = 1
    I[t + lay.T_START] = (I[at + lay.S_POS] - I[at + lay.S_SLOTS]) % I[at + lay.S_RING]
    I[t + lay.T_DONE] = I[t + lay.T_FOUND] = 0
    I[t + lay.T_FROM] = I[t + lay.T_COUNT]
    A[t + lay.T_BELOW] = below


@inlined
def guess(A: Float64, I: Int64, at: int, which: int, reach: float) -> float:  # noqa: E741
    """Guess a bound that about ``S_CAP`` values are below; inf where nothing is known.

    Goes on from the tail's inner half with its density, `reach` times as far. Data that are denser
    towards the middle fill the buffer early, which only lowers the bound.
    """
    n = I[lay.side(at, which) + lay.T_COUNT]
    half = n // 2
    if n < 2:
        return math.inf
    tail = lay.tail(I, at, which, 0)
    spread = float(A[tail + n - 1] - A[tail + half])
    if not spread > 0.0:
        return math.inf
    more = reach * (I[at + lay.S_CAP] - n) / (n - 1 - half)
    return float(A[tail + n - 1] + more * spread)


@inlined
def adopt(I: Int64, at: int, which: int) -> None:  # noqa: E741
    """Make the filled buffer the tail."""
    t = lay.side(at, which)
    I[t + lay.T_WHICH] ^= 1
    I[t + lay.T_COUNT] = min(I[t + lay.T_FOUND], I[at + lay.S_CAP])
    I[t + lay.T_FILLING] = I[at + lay.S_SUMMED] = 0


@kernel
def select(A: Float64, I: Int64, at: int, which: int) -> None:  # noqa: E741
    """Rebuild a large tail: copy the numbers out, select the smallest, sort them."""
    scratch = A[I[lay.H_AT_SCRATCH] : I[lay.H_AT_SCRATCH] + I[at + lay.S_SLOTS]]
    ring, slots = I[at + lay.S_AT_RING], I[at + lay.S_RING]
    sign = lay.sign_of(I, which)
    slot = (I[at + lay.S_POS] - I[at + lay.S_SLOTS]) % slots
    n = 0
    for _ in range(len(scratch)):
        x = sign * A[ring + slot]
        scratch[n] = x
        n += int(not math.isnan(x))  # NaN is overwritten
        slot += 1
        if slot == slots:
            slot = 0
    count = min(n, I[at + lay.S_CAP])
    select_smallest(scratch, n, count)
    tail = lay.tail(I, at, which, 0)
    for j in range(count):
        A[tail + j] = scratch[j]
    t = lay.side(at, which)
    I[t + lay.T_COUNT] = count
    I[t + lay.T_FILLING] = I[at + lay.S_SUMMED] = 0
    I[at + lay.S_TOUCHED] += len(scratch) + count


@kernel
def collect(A: Float64, I: Int64, at: int, which: int, below: float) -> int:  # noqa: E741
    """Copy all values below a bound, in any order, to the scratch; returns how many.

    Without a branch to mispredict: 2 cycles a slot.
    """
    ring, scratch, sign = I[at + lay.S_AT_RING], I[lay.H_AT_SCRATCH], lay.sign_of(I, which)
    used, slots = I[at + lay.S_SLOTS], I[at + lay.S_RING]
    begun, found = (I[at + lay.S_POS] - used) % slots, 0
    for piece in range(2):
        first = ring if piece else ring + begun
        end = ring + begun + used - slots if piece else ring + min(begun + used, slots)
        for slot in range(first, end):
            x = sign * A[slot]
            A[scratch + found] = x
            found += int(x < below)  # NaN is not
    I[at + lay.S_TOUCHED] += used
    return found


@kernel
def rebuild(A: Float64, I: Int64, at: int, which: int) -> None:  # noqa: E741
    """Fill a tail anew from the whole ring, at once."""
    I[at + lay.S_REBUILDS] += 1
    t, need, cap = lay.side(at, which), I[at + lay.S_NEED], I[at + lay.S_CAP]
    wanted = min(I[at + lay.S_VALID], need + (cap - need) // 2)
    below = guess(A, I, at, which, 1.0)
    found = collect(A, I, at, which, below) if below < math.inf else 0
    if found < wanted and below < math.inf:
        below = guess(A, I, at, which, 4.0)
        found = collect(A, I, at, which, below)
    if found >= wanted:
        count = min(found, cap)
        scratch = A[I[lay.H_AT_SCRATCH] : I[lay.H_AT_SCRATCH] + found]
        select_smallest(scratch, found, count)
        tail = lay.tail(I, at, which, 0)
        for j in range(count):
            A[tail + j] = scratch[j]
        I[t + lay.T_COUNT] = count
        I[t + lay.T_FILLING] = I[at + lay.S_SUMMED] = 0
        I[at + lay.S_TOUCHED] += count
    elif cap >= BY_SELECTION:
        select(A, I, at, which)
    else:
        start(A, I, at, which, math.inf)
        scan(A, I, at, which)
        adopt(I, at, which)


@kernel
def advance(A: Float64, I: Int64, at: int, which: int) -> None:  # noqa: E741
    """One tick's work on a refill in pieces; call it before the ring moves on."""
    t, slots = lay.side(at, which), I[at + lay.S_SLOTS]
    begun, count, need = I[t + lay.T_FROM], I[t + lay.T_COUNT], I[at + lay.S_NEED]
    # one more value may leave with this tick
    least = min(slots, slots * (begun - count + 1) // max(begun - need + 1, 1))
    goal = min(slots, max(I[t + lay.T_DONE] + PACE, least))
    found = gather(A, I, at, which, goal, least)
    merge(A, I, at, which, found)
    if I[t + lay.T_DONE] < slots:
        return
    if I[t + lay.T_FOUND] > count:
        adopt(I, at, which)
        I[at + lay.S_REFILLS] += 1
    else:  # the guess was too low
        start(A, I, at, which, math.inf)


@inlined
def follow(A: Float64, I: Int64, at: int, which: int, old: float, new: float) -> None:  # noqa: E741
    """Keep the buffer being filled true: slot ``S_POS`` changes from `old` to `new` (signed)."""
    t = lay.side(at, which)
    slots = I[at + lay.S_RING]
    if (I[at + lay.S_POS] - I[t + lay.T_START]) % slots >= I[t + lay.T_DONE]:
        return  # not scanned yet
    buffer, n = lay.tail(I, at, which, 1), I[t + lay.T_FOUND]
    if n > 0 and old <= A[buffer + n - 1]:
        spot = first_not_below(A, buffer, n, old)
        move(A, spot, spot + 1, buffer + n - 1 - spot)
        I[at + lay.S_TOUCHED] += buffer + n - 1 - spot
        I[t + lay.T_FOUND] = n - 1
    if new < A[t + lay.T_BELOW]:
        offer(A, I, at, t, buffer, new, I[at + lay.S_CAP])
