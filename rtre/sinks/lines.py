"""Text to a stream whose reader may be slow or gone, without the Trio loop waiting for it.

Writing to a pipe, or to a terminal that was stopped, blocks for as long as its reader likes. So
writes are made by a worker thread. One costs 60 to 170 us, most of it spent waiting, so a chunk
is as much as there is to write. The descriptor could be watched for room instead, without a
thread, but a pipe with "room" takes 4096 bytes and not a line, and a shared descriptor cannot be
made non-blocking without doing it to the parent's shell too.

The thread writes to the descriptor, not to the buffered stream: a thread that was given up in the
middle of a write would hold the buffer's lock, and the interpreter aborts when it cannot flush
``sys.stdout`` at its end.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TextIO

import trio

from rtre.sinks.base import Paced

if TYPE_CHECKING:
    from rtre.pipeline.fanout import Subscription
    from rtre.report import RiskReport

_PENDING = 64  #: reports that wait for a writer thread; beyond, the risk task waits
_GONE = {errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.EIO}  # EIO: a terminal that hung up


class StreamWriter:
    """Writes text to a stream in a worker thread, in order, also across a cancelled write.

    Parameters
    ----------
    stream : text file or None
        None: ``sys.stdout``, which may be absent too; then nobody reads.
    encoding : str, optional
        Instead of the stream's own. What it cannot express becomes ``?``.
    """

    def __init__(self, stream: TextIO | None, encoding: str | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._encoding = encoding or getattr(self._stream, "encoding", None) or "utf-8"
        self._lock = threading.Lock()
        self._is_gone = self._stream is None

    async def write(self, text: Callable[[], str]) -> bool:
        """Write what `text` gives, called in the thread; False says that nobody reads any more."""
        if not self._is_gone:
            await trio.to_thread.run_sync(self._write, text, abandon_on_cancel=True)
        return not self._is_gone

    def _write(self, text: Callable[[], str]) -> None:
        with self._lock:
            try:
                self._write_now(text())
            except ValueError:
                if not self._stream.closed:
                    raise
                self._is_gone = True
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                self._is_gone = True

    def _write_now(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except (AttributeError, io.UnsupportedOperation):
            self._stream.write(text)
            self._stream.flush()
            return
        self._stream.flush()  # what others left there comes first
        data = memoryview(text.encode(self._encoding, "replace"))
        while data:
            data = data[os.write(descriptor, data) :]


async def write_lines(
    reports: Subscription,
    prepare: Callable[[RiskReport], Callable[[], str]],
    writer: StreamWriter,
    period_s: float,
) -> None:
    """Write a line a report: the newest in each period, or all to a subscription to `every` one.

    Ends with the subscription or when nobody reads any more, and closes the subscription.

    Parameters
    ----------
    prepare : callable
        Called in the loop with a report; what it returns is called for the line, without its end,
        in a worker thread perhaps, and so must not use Trio.
    """
    with reports:
        if reports.every:
            await _write_every(reports, prepare, writer)
        else:
            await _write_newest(Paced(reports, period_s), prepare, writer)


async def _write_newest(
    reports: Paced, prepare: Callable[[RiskReport], Callable[[], str]], writer: StreamWriter
) -> None:
    def text(report: RiskReport) -> Callable[[], str]:
        line = prepare(report)
        return lambda: line() + "\n"

    with suppress(trio.EndOfChannel):
        # A report never changes, so its line may be made in the thread: as JSON, 5,000 symbols take
        # 170 ms, and the loop should not stand still for so long.
        while await writer.write(text(await reports.receive())):
            pass


async def _write_every(
    reports: Subscription,
    prepare: Callable[[RiskReport], Callable[[], str]],
    writer: StreamWriter,
) -> None:
    """Make lines in the loop, and hand all that have piled up to the thread at once.

    Made in the thread, they would not come sooner: loop and thread take turns at the interpreter,
    5 ms each, and the risk task would wait its turn at every step.
    """
    send, receive = trio.open_memory_channel[str](_PENDING)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_write_piled, receive, writer, nursery.cancel_scope)
        async with send:
            async for report in reports:
                await send.send(prepare(report)() + "\n")


async def _write_piled(
    receive: trio.MemoryReceiveChannel[str], writer: StreamWriter, whole: trio.CancelScope
) -> None:
    async for first in receive:
        lines = [first]
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                lines.append(receive.receive_nowait())
        if not await writer.write(partial("".join, lines)):
            whole.cancel()
            return
