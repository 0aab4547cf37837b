"""The bytes of one client of a server: bounds on what comes in, a time limit on what goes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import trio

MAX_HEAD_BYTES = 8192
MAX_FRAGMENTS = 64

End = Literal["done", "full", "malformed", "timeout", "slow", "flood", "failed"]

_HEAD_END = re.compile(rb"\n\r?\n")


class FragmentGuard:
    """Watches what a client sends, without keeping it: bounds on the head and on fragments.

    trio-websocket counts the size of a fragmented message and not its parts, so empty fragments
    would pile up without end.
    """

    def __init__(self) -> None:
        self.in_head = True
        self._head_bytes = 0
        self._rest = b""  # the beginning of a frame header, or the end of the head
        self._skip = 0  # payload bytes to come
        self._fragments = 0

    def exceeds(self, data: bytes | bytearray) -> bool:
        """Take the next bytes of the stream; True once a bound is exceeded."""
        data = self._rest + data
        self._rest = b""
        if self.in_head:
            end = _HEAD_END.search(data)
            if end is None:
                self._head_bytes += max(0, len(data) - 3)
                self._rest = data[-3:]
                return self._head_bytes > MAX_HEAD_BYTES
            if self._head_bytes + end.end() > MAX_HEAD_BYTES:
                return True
            self.in_head = False
            data = data[end.end() :]
        return self._count(data)

    def _count(self, data: bytes | bytearray) -> bool:
        """Walk over frames (RFC 6455, section 5.2), counting those of the open message."""
        at = min(self._skip, len(data))
        self._skip -= at
        while len(data) - at >= 2:
            short = data[at + 1] & 0x7F
            extended = {126: 2, 127: 8}.get(short, 0)
            header = 2 + extended + (4 if data[at + 1] & 0x80 else 0)
            if len(data) - at < header:
                break
            if data[at] & 0x08 == 0:  # control frames may come between fragments
                self._fragments += 1
                if self._fragments > MAX_FRAGMENTS:
                    return True
                if data[at] & 0x80:
                    self._fragments = 0
            size = int.from_bytes(data[at + 2 : at + 2 + extended], "big") if extended else short
            at += header
            step = min(size, len(data) - at)
            self._skip = size - step
            at += step
        self._rest = bytes(data[at:])
        return False


class GuardedStream(trio.abc.Stream):
    """A stream with a write timeout and bounds on what comes in; knows how it ended."""

    def __init__(self, stream: trio.SocketStream, write_timeout_s: float) -> None:
        self._stream = stream
        self._write_timeout_s = write_timeout_s
        self._guard = FragmentGuard()
        self._held: bytearray | None = None
        self.verdict: End | None = None
        self.requested = False
        self.ended = False
        self.on_end: Callable[[], None] = lambda: None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._held is not None:
            self._held += data
            return
        with trio.move_on_after(self._write_timeout_s) as patience:
            await self._stream.send_all(data)
        if patience.cancelled_caught:
            await self._cut("slow")

    def hold(self) -> None:
        """Keep what is sent, until `take`: many small writes become one."""
        self._held = bytearray()

    def take(self) -> bytearray:
        held, self._held = self._held, None
        return held or bytearray()

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError:
            self._end()
            raise
        if not data:
            self._end()
        elif self._guard.exceeds(data):
            await self._cut("malformed" if self._guard.in_head else "flood")
        return data

    async def aclose(self) -> None:
        self._end()
        await self._stream.aclose()

    def _end(self) -> None:
        self.ended = True
        self.on_end()

    async def _cut(self, verdict: End) -> None:
        self.verdict = verdict
        self._end()
        await trio.aclose_forcefully(self._stream)
        raise trio.BrokenResourceError(verdict)
