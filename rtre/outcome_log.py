"""The log of live forecasts and losses: blocks that are filled from the front and then shared."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from rtre.market import Float64

BLOCK = 250  #: intervals of the "recent" traffic light, and in a block of the log at most


def locked(array: npt.NDArray[Any]) -> Any:
    """Return a view that cannot be written through."""
    view = array.view()
    view.setflags(write=False)
    return view


@attrs.frozen(eq=False)
class Block:
    """Some intervals of scores, filled from the front. All blocks of a log have one size.

    Attributes
    ----------
    scores : (B, S, M, C) float64, read-only
        FZ0; NaN where there is none.
    hits : (B, S, M, C) int8, read-only
        1 beyond VaR, 0 not, -1 no forecast or no outcome.
    losses : (B, S) float64, read-only
        NaN where there was no outcome.
    forecasts : (B, S, M, C, 2) float64, read-only
        VaR and ES; NaN where there was no forecast.
    """

    scores: Float64 = attrs.field(converter=locked)
    hits: npt.NDArray[np.int8] = attrs.field(converter=locked)
    losses: Float64 = attrs.field(converter=locked)
    forecasts: Float64 = attrs.field(converter=locked)


@attrs.frozen(eq=False)
class Log:
    """What a log held at one moment, whatever is written to it afterwards.

    Attributes
    ----------
    blocks : tuple of Block
    first, last : int
        Rows of the joined blocks that count.
    """

    blocks: tuple[Block, ...]
    first: int
    last: int

    def scored(self, slot: int, m: int, c: int) -> tuple[Float64, Float64, Float64]:
        """Losses, VaR and ES of the intervals in which a model was scored, oldest first."""
        if not self.blocks:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        rows = slice(self.first, self.last)
        losses = np.concatenate([block.losses[:, slot] for block in self.blocks])[rows]
        said = np.concatenate([block.forecasts[:, slot, m, c] for block in self.blocks])[rows]
        used = ~np.isnan(losses) & ~np.isnan(said).any(axis=1)
        return losses[used], said[used, 0], said[used, 1]

    def scores(self, slot: int, c: int) -> Float64:
        """FZ0 of one line at one confidence, (R, M)."""
        joined = np.concatenate([block.scores[:, slot, :, c] for block in self.blocks])
        return np.asarray(joined[self.first : self.last])

    def recent(self, slots: slice) -> tuple[Float64, Float64]:
        """Scored intervals and exceedances among the newest `BLOCK`, (lines, M, C) each."""
        size = len(self.blocks[0].hits)
        blocks = self.blocks[-(-(-BLOCK // size) + 1) :]  # one more: the newest is not full
        left_out = size * (len(self.blocks) - len(blocks))
        begin = max(self.first, self.last - BLOCK) - left_out
        newest = np.concatenate([block.hits[:, slots] for block in blocks])
        newest = newest[begin : self.last - left_out]
        return (newest >= 0).sum(axis=0).astype(float), (newest > 0).sum(axis=0).astype(float)
