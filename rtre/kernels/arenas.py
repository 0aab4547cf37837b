"""Building the two arenas of `rtre.kernels.layout`."""

from __future__ import annotations

import numpy as np

from rtre.errors import DataError
from rtre.kernels import layout
from rtre.kernels.layout import (
    AMENDED,
    C_BASE_INTERVAL,
    C_INTERVAL,
    CHOSEN,
    CLOCKS,
    H_ASSETS,
    H_BOOKS,
    H_ENDS,
    H_F_ENDS,
    H_F_EXPECTED,
    H_F_EXTREMES,
    H_F_HOLDINGS,
    H_F_LIMITS,
    H_F_MOVING,
    H_F_NET,
    H_F_PACKED,
    H_F_PEAKS,
    H_F_PNL,
    H_F_PRICES,
    H_F_RETURNS,
    H_F_SCRATCH,
    H_F_TAILS,
    H_F_VALUES,
    H_HEAD,
    H_I_BOOK,
    H_I_BOUNDS,
    H_I_CLOCKS,
    H_I_COLUMNS,
    H_I_COMPLETE,
    H_I_COUNTS,
    H_I_DIRTY,
    H_I_FIRST,
    H_I_FLAGS,
    H_I_HELD,
    H_I_MISSING,
    H_I_NEED,
    H_I_ORDER,
    H_I_RANKS,
    H_I_ROWS,
    H_I_WATCH,
    H_INTERVAL_NS,
    H_OPEN,
    HEADER,
    HEADER_F,
    HF_JUMP,
    HOLDING,
    KEPT,
    LIMITS,
    NEVER,
    PRICES,
    SHOWN,
    SPARE_PLACES,
    UNITS,
    VERDICTS,
    W_FRESH,
    W_STALE,
    W_TOUCHED,
    WATCHED,
    State,
)
from rtre.market import Float64, Int64
from rtre.sheet import RESULTS


def new_state(
    *,
    n_assets: int,
    window: int,
    interval_ns: int,
    lead_ns: int,
    jump: float,
    confirm: int,
    holdings: list[tuple[int, int, float]],
    n_books: int,
    ranks: Int64 | None = None,
    expected: Float64 | None = None,
    min_obs: int = 1,
    every_tick: bool = False,
    candidates: bool = False,
) -> State:
    """Build the two arenas of an empty engine.

    Parameters
    ----------
    holdings : list of (asset, book, quantity)
        In any order; quantities in units of the asset, negative for short.
    ranks, expected : (C, W + 1, 3) int64, (C, W + 1) float64
        `rtre.order.rank_table` of the confidences whose tails will be asked for.
    min_obs : int
        Observations below which `every_tick` keeps no tail.
    every_tick : bool
        Keep `tails` and `peaks` current after each tick.
    candidates : bool
        Keep candidates for the tails of the books; without, all rows are looked at when asked.
    """
    if every_tick and not candidates:
        raise DataError("to evaluate every tick takes candidates")
    holdings = sorted(holdings)
    levels = 0 if ranks is None else len(ranks)
    wanted = np.zeros((2, window + 1), np.int64)
    if ranks is not None:
        n = np.arange(window + 1)
        wanted[SHOWN] = np.maximum(ranks[:, :, 0], np.minimum(ranks[:, :, 2], n)).max(axis=0)
        wanted[KEPT] = ranks[:, :, 0].max(axis=0) if every_tick else wanted[SHOWN]
    places = 2 * int(wanted[KEPT].max()) + 16 + SPARE_PLACES if candidates else 0
    header = np.zeros(HEADER, np.int64)
    header[:H_HEAD] = (
        n_assets, window, n_books, len(holdings), levels, places,
        interval_ns, lead_ns, confirm, min_obs, int(every_tick),
    )  # fmt: skip
    header[H_OPEN] = NEVER
    most = int(wanted.max())
    header[H_ENDS] = min(most + max(8, most // 2), window) if most else 0
    floats = np.zeros(_lay_out(header, _float_blocks(header), HEADER_F))
    floats[HF_JUMP] = jump
    ints = np.zeros(_lay_out(header, _int_blocks(header), HEADER), np.int64)
    ints[:HEADER] = header
    layout.need(ints)[:] = wanted
    if ranks is not None and expected is not None:
        layout.rank_table(ints)[:] = ranks
        layout.expected_losses(floats, ints)[:] = expected
    _fill(floats, ints, holdings, candidates)
    return floats, ints


Blocks = tuple[tuple[int, int], ...]


def _lay_out(header: Int64, blocks: Blocks, start: int) -> int:
    """Write where each block begins to its place in the header; returns the size of the arena."""
    for name, size in blocks:
        header[name], start = start, start + size
    return start


def _float_blocks(header: Int64) -> Blocks:
    """Offset in the header and size of each block of F."""
    assets, window, books, held, levels, places = header[:H_INTERVAL_NS].tolist()
    lines = assets + books
    return (
        (H_F_PRICES, PRICES * assets),
        (H_F_NET, assets),
        (H_F_RETURNS, assets * window),
        (H_F_ENDS, 2 * assets * int(header[H_ENDS])),
        (H_F_EXTREMES, 2 * assets),
        (H_F_PNL, books * window),
        (H_F_MOVING, books * window),
        (H_F_HOLDINGS, HOLDING * held),
        (H_F_VALUES, books * places),
        (H_F_PACKED, held * places),
        (H_F_LIMITS, LIMITS * books),
        (H_F_EXPECTED, levels * (window + 1)),
        (H_F_TAILS, lines * levels * RESULTS),
        (H_F_PEAKS, lines * levels * 2),
        (H_F_SCRATCH, 2 * (window + 1)),
    )


def _int_blocks(header: Int64) -> Blocks:
    """Offset in the header and size of each block of I."""
    assets, window, books, held, levels, places = header[:H_INTERVAL_NS].tolist()
    return (
        (H_I_CLOCKS, CLOCKS * assets),
        (H_I_FLAGS, assets),
        (H_I_ROWS, window),
        (H_I_FIRST, assets + 1),
        (H_I_BOOK, held),
        (H_I_HELD, 2 * held),
        (H_I_BOUNDS, books + 1),
        (H_I_MISSING, books * window),
        (H_I_COMPLETE, books),
        (H_I_COLUMNS, books * places),
        (H_I_ORDER, books * places),
        (H_I_WATCH, WATCHED * books),
        (H_I_RANKS, levels * (window + 1) * 3),
        (H_I_NEED, 2 * (window + 1)),
        (H_I_DIRTY, assets + books),
        (H_I_COUNTS, VERDICTS),
    )


def _fill(floats: Float64, ints: Int64, of: list[tuple[int, int, float]], candidates: bool) -> None:
    """Write what an empty engine starts from."""
    layout.prices(floats, ints)[:] = np.nan
    layout.returns(floats, ints)[:] = np.nan
    layout.tails(floats, ints)[:] = np.nan
    layout.peaks(floats, ints)[:] = np.nan
    layout.clocks(ints)[:, (C_INTERVAL, C_BASE_INTERVAL)] = NEVER
    layout.rows(ints)[:] = NEVER
    assets = np.array([h[0] for h in of], np.int64)
    books = np.array([h[1] for h in of], np.int64)
    layout.first(ints)[1:] = np.cumsum(np.bincount(assets, minlength=ints[H_ASSETS]))
    layout.bounds(ints)[1:] = np.cumsum(np.bincount(books, minlength=ints[H_BOOKS]))
    layout.book(ints)[:] = books
    by_book = np.argsort(books, kind="stable")
    layout.held(ints)[:, 0], layout.held(ints)[:, 1] = by_book, assets[by_book]
    layout.holdings(floats, ints)[:, UNITS] = [h[2] for h in of]
    layout.holdings(floats, ints)[:, CHOSEN] = np.nan
    layout.watch(ints)[:, W_STALE] = AMENDED
    layout.watch(ints)[:, W_FRESH] = 1
    layout.watch(ints)[:, W_TOUCHED] = int(not candidates)
    for asset, holding_book, units in of:
        layout.missing(ints)[holding_book] += 1
        layout.net(floats, ints)[asset] += units
