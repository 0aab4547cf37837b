"""TLS over a Trio stream, many records a read.

Theory of operation. TLS sends records of at most 16 KiB. `trio.SSLStream` hands on one record a
call, and a call costs a pass through the scheduler, a wake of the consumer and the fixed price of
each stage behind it. Nor does it tell whether a further record has come whole (`pending` knows of
the present one only), so nothing around it can gather them. Here each socket read goes into a
memory BIO, and everything that can be decrypted of it comes out in one piece. What is used of `ssl`
is public: `MemoryBIO` and `SSLObject`, which does the cryptography, the certificates and the
protocol; this file moves bytes.

Measured, 98-byte frames to tick columns over loopback, the same run: plain 0.67 us, this 0.77 us a
frame (87 % of the plain rate) with reads of 256 KiB; with reads of 64 KiB 0.81 and 1.03; over
`trio.SSLStream` 1.30 (51 %). Receiving and decrypting alone take 0.22 us in each of the three.

Nothing is awaited between the read of the socket and the return, so a cancelled `receive_some` has
taken nothing. A send that was cut off half-way leaves half a record on the wire, and nothing can
follow it: all later sends fail.
"""

from __future__ import annotations

import contextlib
import ssl

import trio

READ_BYTES = 65536
_RECORD_BYTES = 16384  #: plaintext of the largest record (RFC 8446, section 5.1)


class TlsStream(trio.abc.Stream):
    """The client's end of a TLS connection; one task may receive while others send.

    Parameters
    ----------
    transport : trio.abc.Stream
        Closed by `aclose`.
    context : ssl.SSLContext
        Decides what is verified.
    server_hostname : str
        Name or address that the certificate must be for.

    Notes
    -----
    An end without TLS's own goodbye counts as an end: WebSocket has a close frame of its own, and
    a connection that ends without one is a lost one. A peer of TLS 1.2 cannot renegotiate.
    """

    def __init__(
        self, transport: trio.abc.Stream, context: ssl.SSLContext, server_hostname: str
    ) -> None:
        self._transport = transport
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=False, server_hostname=server_hostname
        )
        self._sending = trio.Lock()
        self._broken = self._ended = self._closed = False

    async def do_handshake(self) -> None:
        """Shake hands; to be called once, before anything else.

        Raises
        ------
        trio.BrokenResourceError
            The peer cannot be talked to, or its certificate is not trusted; the cause says why.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._feed(await self._transport.receive_some(READ_BYTES))
            except ssl.SSLError as error:
                await self._flush()  # tells the peer what is wrong
                self._broken = True
                raise trio.BrokenResourceError from error
            else:
                await self._flush()
                return

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Wait for one socket read, and decrypt all there is; b"" at the end.

        Raises
        ------
        trio.BrokenResourceError
            The connection broke, or someone meddled with it.
        """
        room = max_bytes or READ_BYTES
        self._check_open()
        if self._incoming.pending or self._tls.pending():
            await trio.lowlevel.checkpoint()
        while True:
            if self._outgoing.pending:  # what the peer asked TLS for, such as new keys
                await self._flush()
            data = self._decrypt(room)
            if data is not None:
                return data
            self._feed(await self._transport.receive_some(room))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        self._check_open()
        rest = memoryview(data)
        if not rest:
            await trio.lowlevel.checkpoint()
        while rest:
            try:
                rest = rest[self._tls.write(rest) :]
            except ssl.SSLError as error:
                self._broken = True
                raise trio.BrokenResourceError from error
        await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """As the transport's."""
        self._check_open()
        await self._transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Say goodbye, without waiting for an answer, and close the transport."""
        try:
            if not (self._closed or self._broken):
                self._closed = True
                with contextlib.suppress(ssl.SSLError):  # the peer's own is not there yet
                    self._tls.unwrap()
                await self._flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._closed = True
            await self._transport.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("closed by us")
        if self._broken:
            raise trio.BrokenResourceError("the TLS connection broke earlier")

    def _feed(self, data: bytes | bytearray) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _decrypt(self, room: int) -> bytes | None:
        """All that can be decrypted now, up to `room` bytes; b"" at the end; None: read more."""
        parts: list[bytes] = []
        try:
            while room > 0 and not self._ended:
                parts.append(self._tls.read(min(room, _RECORD_BYTES)))
                room -= len(parts[-1])
                self._ended = not parts[-1]
        except ssl.SSLWantReadError:
            if not parts:
                return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._ended = True
        except ssl.SSLError as error:
            self._broken = True
            if not parts:
                raise trio.BrokenResourceError from error
        return b"".join(parts)

    async def _flush(self) -> None:
        """Send what waits to be sent. In the order of encryption: whoever has the lock, all."""
        async with self._sending:
            data = self._outgoing.read()
            if not data:
                return
            if self._broken:
                raise trio.BrokenResourceError("an earlier send was cut off")
            self._broken = True
            await self._transport.send_all(data)
            self._broken = False
