"""`Frames`: the messages of one socket read, as one buffer and the bounds of each payload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import attrs
import numpy as np
import numpy.typing as npt

from rtre.market import Int64


@attrs.frozen(eq=False)
class Frames:
    """Payloads of complete WebSocket messages, in order of arrival.

    Attributes
    ----------
    buffer : (b,) uint8
        Holds every payload; valid until the next read from the link that gave it.
    starts, ends : (m,) int64
        Payload i is ``buffer[starts[i]:ends[i]]``.
    """

    buffer: npt.NDArray[np.uint8]
    starts: Int64
    ends: Int64

    @classmethod
    def of(cls, payloads: Sequence[bytes]) -> Self:
        """Pack separate payloads.

        >>> [bytes(p) for p in Frames.of([b"ab", b"", b"c"])]
        [b'ab', b'', b'c']
        """
        ends = np.cumsum([len(p) for p in payloads], dtype=np.int64)
        starts = np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]])
        return cls(np.frombuffer(b"".join(payloads), np.uint8), starts, ends)

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[memoryview]:
        view = self.buffer.data
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            yield view[start:end]
