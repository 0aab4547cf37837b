"""The head of the answer to a WebSocket handshake: judged before the library sees it.

The library would wait for its timeout where the answer cannot become a success any more, and keeps
no header of a refusal.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

_END = re.compile(rb"\n\r?\n")  # where the library's own HTTP parser ends a head
_MOST_BYTES = 16384
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r?\n)")
_HEADER = re.compile(rb"^(retry-after|date):[ \t]*([ -~]{1,64}?)[ \t]*\r?$", re.I | re.M)
LONGEST_WAIT_S = 3600.0  #: a peer cannot keep us away for longer with one answer


class Refusal(Exception):  # noqa: N818 - becomes a HandshakeFailedError in `WireStream`
    """The handshake cannot succeed any more."""

    def __init__(
        self, text: str, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.retry_after_s = retry_after_s


class ResponseHead:
    """Gathers the head until it is whole."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Take more bytes; the head and what follows it once it is whole and says 101.

        Raises
        ------
        Refusal
            It is not HTTP, too long, or another status.
        """
        self._data += data
        found = _END.search(self._data)
        start = bytes(self._data[:7])
        too_long = found is None and len(self._data) > _MOST_BYTES
        if start != b"HTTP/1."[: len(start)] or too_long:
            raise Refusal("answered the handshake with something that is not HTTP/1.1")
        if found is None:
            return None
        head = bytes(self._data[: found.end()])
        status = _STATUS.match(head)
        if status is None or status[1] != b"101":
            code = int(status[1]) if status else None
            wait = _retry_after_s(head)
            raise Refusal(f"refused the handshake with HTTP status {code}", code, wait)
        return head, bytes(self._data[found.end() :])


def _retry_after_s(head: bytes) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, section 10.2.3), from 0 to an hour.

    A date is measured against the answer's own Date, so that our clock does not matter; without
    one it is not understood.
    """
    found = {name.lower(): value.decode() for name, value in _HEADER.findall(head)}
    text = found.get(b"retry-after")
    if text is None:
        return None
    if text.isdigit():
        return min(float(text), LONGEST_WAIT_S)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(found[b"date"])
    except (KeyError, ValueError, TypeError):  # TypeError: one has a zone and the other has none
        return None
    return min(max(wait.total_seconds(), 0.0), LONGEST_WAIT_S)
