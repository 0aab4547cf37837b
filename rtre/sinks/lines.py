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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Self, TextIO

import trio

from rtre.errors import OutputError
from rtre.sinks.base import Paced

if TYPE_CHECKING:
    from rtre.pipeline.fanout import Subscription
    from rtre.report import RiskReport

_PENDING = 64  #: reports that wait for a writer thread; beyond, the risk task waits
_GONE = {errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.EIO}  # EIO: a terminal that hung up


class StreamWriter:
    """Writes text to a stream in a worker thread, in order, also across a cancelled write.

    Use it as a context manager. A thread that was given up may outlive the block and still write
    what it had; it has a descriptor of its own for that, so that it can never hit another file that
    was given the number of a closed stream.

    Parameters
    ----------
    stream : text file or None
        None: ``sys.stdout``, which may be absent too; then nobody reads.
    encoding : str, optional
        Instead of the stream's own. What it cannot express becomes ``?``.

    Raises
    ------
    OutputError
        The stream takes no more, though it has a reader: a full disk.
    """

    def __init__(self, stream: TextIO | None, encoding: str | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._encoding = encoding or getattr(self._stream, "encoding", None) or "utf-8"
        self._lock = threading.Lock()
        self._is_gone = self._stream is None
        self._is_left = False
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        with self._noticing_the_end():
            if not self._is_gone and not self._stream.closed:
                with suppress(AttributeError, io.UnsupportedOperation):
                    self._descriptor = os.dup(self._stream.fileno())
        return self

    def __exit__(self, *error: object) -> None:
        self._is_left = True
        self._tidy()

    async def write(self, text: Callable[[], str]) -> bool:
        """Write what `text` gives, called in the thread; False says that nobody reads any more."""
        if not self._is_gone:
            await trio.to_thread.run_sync(self._write, text, abandon_on_cancel=True)
        return not self._is_gone

    def _write(self, text: Callable[[], str]) -> None:
        try:
            with self._lock, self._noticing_the_end():
                self._write_now(text())
        finally:
            if self._is_left:
                self._tidy()

    def _write_now(self, text: str) -> None:
        if self._is_gone or self._stream.closed:
            self._is_gone = True
            return
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        self._stream.flush()  # what others left there comes first
        data = memoryview(text.encode(self._encoding, "replace"))
        while data:
            data = data[os.write(self._descriptor, data) :]

    @contextmanager
    def _noticing_the_end(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._is_gone = True
            if error.errno not in _GONE:
                why = error.strerror or error
                raise OutputError(f"the output cannot be written: {why}") from None

    def _tidy(self) -> None:
        """Close the descriptor, unless a thread is still at it, which then does so itself."""
        if self._lock.acquire(blocking=False):
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None
            self._is_gone = True
            self._lock.release()


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
    with reports, writer:
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

    That took 250 us a report of two symbols where a thread call for each took 340 us; making the
    line is 80 to 100 us of it. Made in the thread, lines would not come sooner: loop and thread
    take turns at the interpreter, 5 ms each, and the risk task would wait its turn at every step.
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
