"""The stream between the socket and the WebSocket library: data frames leave it here.

Theory of operation. The library (trio-websocket) does the handshake, answers pings and closes. Its
own framing costs twenty to forty microseconds a message, so it gets to see control frames only:

* Its reader task calls `WireStream.receive_some`. That call reads the socket, cuts what came
  (`rtre.feeds.framing`), puts the messages of the read into a queue, and goes on reading until
  there are control bytes to return. So pings are answered as long as the socket is read, whatever
  the consumer does.
* The consumer calls `receive` and gets everything that waits, as one `Frames`. It is woken once per
  read, not once per message. Or it calls `deliver` once, and its function gets the messages of each
  read at once, in the task that reads: no wake at all, which is 40 us of the 270 us that a tick
  took from its sender to its report on a calm link and a busy machine.
* The socket is read until the queue holds `queue_bytes`; only then reading stops, which is counted
  as a stall.
* During the handshake bytes pass through, but only once the whole response head is there and says
  101. An early end, another status or bytes that are no HTTP end the attempt at once: the library
  itself would wait for its timeout.
* A violation is answered by our own close frame (the library marks itself closed without sending
  one), then the peer gets `close_s` to read it and to hang up.

The connection ends for the consumer with `LinkClosedError`, after all messages were handed out.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import trio

from rtre.errors import HandshakeFailedError, LinkClosedError
from rtre.feeds.framing import End, MessageCutter
from rtre.feeds.head import Refusal, ResponseHead
from rtre.feeds.limits import LinkLimits, LinkStatistics
from rtre.feeds.tls import TlsStream
from rtre.venues._codec import printable
from rtre.venues.frames import Frames

_OVERHEAD = 1024  # charged per queued read, so that many tiny reads are bounded as well
_LOST = 1006

# The buffer of a read is allocated anew, and from 128 KiB on the C library maps and unmaps pages
# for it: a read of 100 bytes took 2 us with 64 KiB and 22 us with 256 KiB. A saturated link gains
# more than that from fewer, larger reads (0.81 against 0.67 us a frame to columns).
_CALM_BYTES = 65536


def _close_frame(code: int, reason: str) -> bytes:
    payload = code.to_bytes(2, "big") + reason.encode()[:123]
    key = secrets.token_bytes(4)
    masked = bytes(b ^ key[i % 4] for i, b in enumerate(payload))
    return bytes([0x88, 0x80 | len(payload)]) + key + masked


class WireStream(trio.abc.Stream):
    """See the module's text.

    Parameters
    ----------
    inner : trio.abc.Stream
        TCP or TLS, at the start of the handshake. Closed by `aclose`.
    name : str
        What errors call the peer: no path, no query.
    redact : callable
        Takes secrets out of what the peer said before it becomes part of an error.
    """

    def __init__(
        self,
        inner: trio.abc.Stream,
        limits: LinkLimits,
        name: str,
        redact: Callable[[str], str] = str,
    ) -> None:
        self.name = name
        self.refusal: HandshakeFailedError | None = None
        self._on_refused: Callable[[], None] | None = None
        self._redact = redact
        self._inner = inner
        self._limits = limits
        self._cutter = MessageCutter(limits.message_bytes, limits.fragments)
        self._head: ResponseHead | None = ResponseHead()  # None once the handshake is through
        self._through = bytearray()  # for the library: the head, then control frames
        self._queue: deque[Frames] = deque()
        self._queued = 0
        self._end: End | None = None
        self._over = trio.Event()
        self._ready = trio.Event()
        self._room = trio.Event()
        self._sending = trio.Lock()
        self._close_sent = False
        self._torn = False  # a frame was sent in part: nothing may follow it
        self._parting = False  # our last frame is on its way: nothing may follow it either
        self._listening = True
        self._busy = False
        self._taker: Callable[[Frames], None] | None = None
        self._crash: BaseException | None = None
        self._bytes = self._reads = self._partial_dropped = self._stalls = 0
        self._last_byte_s = trio.current_time()

    # ---- for the consumer

    async def receive(self) -> Frames:
        """All messages that have come, at least one. Raises LinkClosedError after the last."""
        if self._queue:
            await trio.lowlevel.checkpoint()
        while not self._queue:
            if self._end is not None:
                raise self.closed_error()
            self._ready = trio.Event()
            await self._ready.wait()
        return self._take_queue()

    def _take_queue(self) -> Frames:
        waiting = list(self._queue)
        self._queue.clear()
        self._queued = 0
        self._room.set()
        return waiting[0] if len(waiting) == 1 else _join(waiting)

    async def deliver(self, take: Callable[[Frames], None]) -> NoReturn:
        """Have `take` called with the messages of each read, until the connection ends.

        Cancelling loses nothing: what comes afterwards waits for `receive`. What `take` raises ends
        the delivery and comes out of here; the messages it was given count as taken.

        Raises
        ------
        LinkClosedError
            The connection has ended, and `take` got everything received before.
        """
        await trio.lowlevel.checkpoint()
        if self._queue and self._crash is None:
            take(self._take_queue())
        self._taker = take
        try:
            while self._end is None and self._crash is None:
                self._ready = trio.Event()
                await self._ready.wait()
        finally:
            self._taker = None
        crash, self._crash = self._crash, None  # it comes out once: the link lives on
        raise crash or self.closed_error()

    def closed_error(self) -> LinkClosedError:
        """What to raise now that the connection has ended."""
        end = self._end or End(_LOST, "closed by us", violation=False)
        if end.violation:
            text = f"{self.name} broke the WebSocket protocol: {end.text}"
        else:
            said = printable(self._redact(end.text), 120)
            text = f"{self.name} ended the connection: {said or 'no reason given'}"
        return LinkClosedError(f"{text} ({end.code})", end.code)

    def stop_listening(self) -> None:
        """Throw away what waits and what comes; from now on only the close handshake matters."""
        self._listening = False
        self._queue.clear()
        self._queued = 0
        self._room.set()

    async def wait_over(self) -> None:
        """Wait until the farewell is done: nothing more needs to be sent or read."""
        await self._over.wait()

    def statistics(self) -> LinkStatistics:
        """A snapshot of the counters."""
        return LinkStatistics(
            bytes=self._bytes,
            reads=self._reads,
            messages=self._cutter.messages,
            control_frames=self._cutter.control_frames,
            partial=self._partial_dropped,
            pings_skipped=self._cutter.pings_skipped,
            stalls=self._stalls,
            queued_bytes=self._queued,
            last_byte=self._last_byte_s,
        )

    def on_refused(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the handshake cannot succeed any more; see `refusal`."""
        self._on_refused = callback

    def refuse(
        self, text: str, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        """Note why the handshake failed; the first reason stands."""
        if self.refusal is None:
            self.refusal = HandshakeFailedError(f"{self.name} {text}", status, retry_after_s)
            if self._on_refused is not None:
                self._on_refused()

    @property
    def end(self) -> End | None:
        """Why the connection ended, once it has."""
        return self._end

    # ---- for the library: trio.abc.Stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Read and cut the socket until there is something for the library. b"" at the end."""
        while not self._through:
            if self.refusal is not None or self._over.is_set():
                return b""
            if self._end is not None:
                await self._say_farewell(self._end)
                return b""
            if self._queued >= self._limits.queue_bytes:
                await self._wait_room()
            data = await self._read()
            if not data:
                return b""
            if self._head is not None:
                data = self._take_head(data)
            if data:
                self._take(data)
            if not (self._busy or self._end or self._through):
                # Whoever waits for these ticks goes first, before a read that finds nothing and
                # sleeps: at 1,000 reads a second that held a report up by 30 us. Tasks of a pass
                # run in any order, so it takes two passes to be behind them.
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
        part = bytes(self._through[:max_bytes])
        del self._through[:max_bytes]
        return part

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send one frame, or the request; `send_s` bounds it, and a cut off send ends the link."""
        if self._parting:
            raise trio.BrokenResourceError("the connection is being ended")
        await self._send(data)
        if self._head is None and data[0] & 0x0F == 8:  # the library sends one frame at a time
            self._close_sent = True
            if self._end is not None:
                self._over.set()  # that was the answer to the peer's close frame

    async def wait_send_all_might_not_block(self) -> None:
        """As the inner stream's."""
        await self._inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the inner stream."""
        self._finish("closed by us", 1000)
        await self._inner.aclose()

    # ---- inside

    async def _read(self) -> bytes:
        """One read of the socket; b"" if it has ended, however it did."""
        size = self._limits.read_bytes if self._busy else min(_CALM_BYTES, self._limits.read_bytes)
        try:
            data = bytes(await self._inner.receive_some(size))
        except trio.ClosedResourceError:
            data, text = b"", "closed by us"
        except trio.BrokenResourceError:
            data, text = b"", "the connection broke"
        else:
            text = "the peer hung up without a close frame"
            if isinstance(self._inner, TlsStream) and self._inner.truncated:
                text += ", and without TLS's goodbye"
        self._last_byte_s = trio.current_time()
        self._busy = len(data) > _CALM_BYTES // 2
        if not data:
            if self._head is not None:
                self.refuse("hung up during the handshake")
            self._finish(text, _LOST)
        return data

    def _take_head(self, data: bytes) -> bytes:
        """Hold the response head back until it is whole; returns the bytes that follow it."""
        assert self._head is not None
        try:
            found = self._head.feed(data)
        except Refusal as refusal:
            self.refuse(refusal.text, refusal.status, refusal.retry_after_s)
            return b""
        if found is None:
            return b""
        self._head = None
        self._through += found[0]
        return found[1]

    def _take(self, data: bytes) -> None:
        self._bytes += len(data)
        self._reads += 1
        frames = self._cutter.feed(data)
        if self._cutter.control:
            self._through += self._cutter.control
            self._cutter.control.clear()
        if frames is not None and self._listening:
            self._hand_on(frames)
        if self._cutter.end is not None and self._end is None:
            self._partial_dropped += self._cutter.partial
            self._end = self._cutter.end
            self._ready.set()

    def _hand_on(self, frames: Frames) -> None:
        if self._taker is None:
            self._queue.append(frames)
            bounds = frames.starts.nbytes + frames.ends.nbytes
            self._queued += frames.buffer.nbytes + bounds + _OVERHEAD
            self._ready.set()
            return
        try:
            self._taker(frames)
        except BaseException as error:  # noqa: BLE001 - raised in the consumer's task, by `deliver`
            self._taker, self._crash = None, error
            self._ready.set()

    async def _wait_room(self) -> None:
        self._stalls += 1
        while self._queued >= self._limits.queue_bytes:
            self._room = trio.Event()
            await self._room.wait()

    async def _send(self, data: bytes | bytearray | memoryview) -> None:
        async with self._sending:
            if self._torn:
                raise trio.BrokenResourceError("an earlier send was cut off")
            self._torn = True
            try:
                with trio.move_on_after(self._limits.send_s):
                    await self._inner.send_all(data)
                    self._torn = False
            finally:
                if self._torn:
                    self._finish("could not send", _LOST)
            if self._torn:
                raise trio.BrokenResourceError(f"no room to send for {self._limits.send_s:g} s")

    async def _say_farewell(self, end: End) -> None:
        """After a violation, or the peer's close: say so, and let the peer hang up first.

        Closing at once, with bytes unread, would reset the connection and could destroy our close
        frame before the peer reads it.
        """
        with trio.move_on_after(self._limits.close_s):
            try:
                if end.violation and not self._close_sent:
                    self._parting = True
                    await self._send(_close_frame(end.code, end.text))
                while await self._inner.receive_some(self._limits.read_bytes):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
        self._over.set()

    def _finish(self, text: str, code: int) -> None:
        """There will be nothing more to receive."""
        if self._end is None:
            self._partial_dropped += self._cutter.partial
            self._end = End(code, text, violation=False)
        self._over.set()
        self._ready.set()


def _join(parts: list[Frames]) -> Frames:
    """Several reads as one."""
    offsets = np.cumsum([0, *(p.buffer.size for p in parts[:-1])])
    return Frames(
        np.frombuffer(b"".join(p.buffer.data for p in parts), np.uint8),
        np.concatenate([p.starts + o for p, o in zip(parts, offsets, strict=True)]),
        np.concatenate([p.ends + o for p, o in zip(parts, offsets, strict=True)]),
    )
