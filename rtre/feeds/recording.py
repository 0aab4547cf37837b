r"""Recordings: what was received, when, line by line; and how to read them again.

A line is ``<receipt time, ns since the epoch> <raw message>``. The first line of rtre's own
recordings is ``#rtre`` and a JSON object that names the venue and the symbols. What happened to the
connection stands between the messages: ``<ns> !up subscribed``, ``<ns> !down <reason>``. Raw
captures of other recorders that use the same plain lines, without the extras, read just as well. A
name that ends in ``.gz`` is compressed.
"""

from __future__ import annotations

import gzip
import heapq
import json
import logging
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Self

import attrs
import trio

from rtre.errors import RecordingError
from rtre.market import check_symbol
from rtre.venues.frames import Frames

log = logging.getLogger("rtre.feed")

_FLUSH_S = 0.25
_SYNC_S = 1.0  #: a program that is killed loses no more than this and `_FLUSH_S` of a recording
TAKEN = "is there already; name another file or remove it"
_LAST_NS = 2**63 - 1  #: times are int64
_MAX_PENDING = 64 << 20  #: bytes that may wait for a slow disk before messages are not recorded


class Recorder:
    """Writes a recording next to a live feed, without ever holding it up.

    Lines are gathered in memory and written by a worker thread; `run` is its task. Should the disk
    be so slow that more than 64 MiB wait, further messages are left out, and counted. Should a
    venue repeat the token (`secret`) in a message, it is blotted out. A disk that takes no more
    ends the recording with a warning, and nothing else: what comes after counts as left out.

    Attributes
    ----------
    messages, lost : int
        Messages recorded, and left out.
    failure : str
        Empty, or why the disk took no more.

    Raises
    ------
    RecordingError
        The file is there already (a recording is never overwritten), or cannot be written.
    """

    def __init__(
        self, path: str, *, venue: str, symbols: Sequence[str], secret: str | None = None
    ) -> None:
        self.path = path
        self._secret = secret.encode() if secret else None
        self.messages = self.lost = 0
        self.failure = ""
        self._pending: list[bytes] = []
        self._size = 0
        try:
            self._file = _open(path, "xb")
        except FileExistsError:
            raise RecordingError(f"{path}: {TAKEN}") from None
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written: {error.strerror}") from None
        header = json.dumps({"version": 1, "venue": venue, "symbols": list(symbols)})
        self._add(f"#rtre {header}\n".encode())

    def write(self, ts_ns: int, frames: Frames) -> None:
        """Record the messages of one read. Line breaks in a message become spaces."""
        stamp = b"%d " % ts_ns
        for payload in frames:
            if self.failure or self._size > _MAX_PENDING:
                self.lost += 1
                continue
            text = bytes(payload)
            if self._secret is not None and self._secret in text:
                text = text.replace(self._secret, b"***")
            if b"\n" in text or b"\r" in text:
                text = text.replace(b"\n", b" ").replace(b"\r", b" ")
            self._add(stamp + text + b"\n")
            self.messages += 1

    def mark(self, ts_ns: int, *, up: bool, reason: str) -> None:
        """Record that the connection went up or down."""
        words = " ".join(reason.split())
        self._add(f"{ts_ns} !{'up' if up else 'down'} {words}\n".encode())

    def _add(self, line: bytes) -> None:
        if self.failure:
            return
        self._pending.append(line)
        self._size += len(line)

    async def run(self) -> None:
        """Write what gathers up, until cancelled; then write the rest and close the file."""
        synced = -math.inf  # the header gets to the disk at once
        try:
            while True:
                await trio.sleep(_FLUSH_S)
                now = trio.current_time()
                sync = now - synced >= _SYNC_S
                synced = now if sync else synced
                await self._flush(sync)
        finally:
            with trio.CancelScope(shield=True):
                await self._flush()
                await self._on_disk(self._file.close)

    async def _flush(self, sync: bool = False) -> None:
        lines, self._pending, self._size = self._pending, [], 0
        if lines or sync:
            # Shielded: one cancelled while it waits for a thread would lose the lines.
            with trio.CancelScope(shield=True):
                await self._on_disk(partial(self._write, b"".join(lines), sync))

    async def _on_disk(self, work: Callable[[], None]) -> None:
        try:
            await trio.to_thread.run_sync(work)
        except OSError as error:
            if not self.failure:
                self.failure = error.strerror or str(error)
                log.warning("%s: the recording ends here: %s", self.path, self.failure)

    def _write(self, lines: bytes, sync: bool) -> None:
        self._file.write(lines)
        if sync:
            # Of a .gz too (Z_SYNC_FLUSH), or minutes lie in the compressor. Once a second this adds
            # 2 % to the size at 100 messages a second.
            self._file.flush()


@attrs.frozen
class Entry:
    """One line of a recording: a message, or a change of the link (then `up` is not None)."""

    ts_ns: int
    payload: bytes
    up: bool | None = None


@attrs.frozen
class Header:
    """What a recording says of itself; empty for a raw capture."""

    venue: str | None = None
    symbols: tuple[str, ...] = ()


class Recording:
    """One or more recorded files, read in one pass, merged by time of receipt.

    Parameters
    ----------
    paths : sequence of str

    Attributes
    ----------
    header : Header
        Venue and symbols that the files name.
    size : int
        Bytes on disk.
    position : int
        Bytes of them read so far, for progress.
    paths : tuple of str
    cut_off : dict of str to str
        Path to what is known of its loss, for each file that was found to end in the middle of a
        line or of the compressed data, as a recorder that was killed leaves it. All before that is
        read. Complete once the recording has been read through.

    Raises
    ------
    RecordingError
        A file cannot be read, is not a recording, or is damaged before its end; names the file and
        the line.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        self.cut_off: dict[str, str] = {}
        self._raw: list[IO[bytes]] = []
        self.size = 0
        headers = []
        for path in self.paths:
            try:
                self.size += Path(path).stat().st_size
                headers.append(_read_header(path))
            except OSError as error:
                raise RecordingError(f"{path}: cannot be read: {error.strerror or error}") from None
        venues = {h.venue for h in headers if h.venue}
        if len(venues) > 1:
            raise RecordingError(f"recordings of different venues: {', '.join(sorted(venues))}")
        symbols = dict.fromkeys(s for h in headers for s in h.symbols)
        self.header = Header(next(iter(venues), None), tuple(symbols))

    @property
    def position(self) -> int:
        """Bytes on disk read so far."""
        return sum(file.tell() for file in self._raw if not file.closed) + self._done

    _done = 0

    def __iter__(self) -> Iterator[Entry]:
        """Entries in order of receipt."""
        self._done = 0
        self._raw = []
        streams = [self._entries(path) for path in self.paths]
        if len(streams) == 1:
            return streams[0]
        return heapq.merge(*streams, key=lambda entry: entry.ts_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._raw:
            file.close()

    def _entries(self, path: str) -> Iterator[Entry]:
        number = 0
        with open(path, "rb") as raw:
            self._raw.append(raw)
            try:
                for line in _decompressed(raw):
                    if not line.endswith(b"\n") and not _is_whole(line):
                        self.cut_off[path] = f"it ends within line {number + 1}, which is lost"
                        break
                    number += 1
                    if entry := _entry(path, number, line):
                        yield entry
            except EOFError:
                self.cut_off[path] = f"it is cut off after line {number}; what followed is lost"
            except (OSError, zlib.error) as error:
                raise RecordingError(f"{path}: damaged after line {number}: {error}") from None
            self._done += raw.tell()


def _open(path: str, mode: str) -> IO[bytes]:
    if path.endswith(".gz"):
        return gzip.open(path, mode, compresslevel=1)  # type: ignore[return-value]
    return open(path, mode)


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(2)
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if magic == b"\x1f\x8b" else raw  # type: ignore[return-value]


def _is_whole(line: bytes) -> bool:
    """Whether a line without a line break is all there: what begins a JSON message is no JSON."""
    rest = line.partition(b" ")[2]
    if line.startswith(b"#") or not line.strip() or rest.startswith((b"!up", b"!down")):
        return True
    try:
        json.loads(rest)
    except (ValueError, RecursionError):
        return False
    return True


def _entry(path: str, number: int, line: bytes) -> Entry | None:
    if line.startswith(b"#") or not line.strip():
        return None
    stamp, space, rest = line.rstrip(b"\r\n").partition(b" ")
    if not space or not stamp.isdigit() or len(stamp) > 19 or int(stamp) > _LAST_NS:
        shown = line.rstrip()[:60].decode("utf-8", "replace")
        raise RecordingError(
            f"{path}, line {number}: is not a recorded line: {shown!r}; it should be "
            f"'<nanoseconds> <message>'"
        )
    if rest.startswith((b"!up", b"!down")):
        return Entry(int(stamp), rest[1:].partition(b" ")[2], up=rest.startswith(b"!up"))
    return Entry(int(stamp), rest)


def _read_header(path: str) -> Header:
    with open(path, "rb") as raw:
        try:
            line = _decompressed(raw).readline(1 << 20)
        except EOFError:
            raise RecordingError(f"{path}: is cut off within its first line") from None
        except (OSError, zlib.error) as error:
            raise RecordingError(f"{path}: damaged: {error}") from None
    if not line:
        raise RecordingError(f"{path}: is empty")
    if not line.startswith(b"#rtre "):
        _entry(path, 1, line)  # complains when this is no recording at all
        return Header()
    try:
        fields = json.loads(line[len(b"#rtre ") :])
        if fields["version"] != 1:
            raise RecordingError(
                f"{path}: a recording of version {fields['version']!r}; this rtre reads version 1"
            )
        return Header(str(fields["venue"]), tuple(check_symbol(s) for s in fields["symbols"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordingError(f"{path}, line 1: damaged header: {error}") from None
