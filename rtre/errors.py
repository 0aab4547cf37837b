"""Every exception that rtre raises on purpose, in one tree.

Foreign exceptions (sockets, TLS, WebSocket, JSON) are translated once, at the seam where they
enter, so that callers need to know this file only.
"""

from __future__ import annotations

import traceback
from pathlib import Path


class RtreError(Exception):
    """Root of the tree: `except RtreError` catches what rtre raises on purpose."""


class ConfigError(RtreError):
    """The configuration cannot be used. Carries every problem found, not only the first.

    Attributes
    ----------
    problems : tuple of str
        One readable line each: where (file and key, or option), the value, what would be right.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DataError(RtreError, ValueError):
    """A value handed to rtre has the wrong shape, type or range."""


class RecordingError(RtreError):
    """A recording cannot be read: not one, or damaged. Names the file and the line."""


class UnknownNameError(RtreError, LookupError):
    """A model, venue, feed or sink was asked for by a name that stands for none."""


class OutputError(RtreError, OSError):
    """What a program writes cannot be written, on a full disk say. Readers that leave are none."""


class ModelError(RtreError):
    """A model raised, or gave what is no answer, where it was to estimate or to fit.

    Names the model, the line and the place in its source. A bug in the model, not in the data: a
    model says that it cannot answer with `rtre.models.base.Tail.invalid`.
    """


def in_words(error: BaseException) -> str:
    """Return an exception of somebody else's code as a line: kind, text, and the place in a file.

    >>> try:
    ...     int("x")
    ... except ValueError as error:
    ...     in_words(error)[:24]
    'ValueError: invalid lite'
    """
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    at = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    at = [place for place in at if not place[0].startswith("<")]  # <frozen importlib...>
    if isinstance(error, SyntaxError) or not at:  # its text has the place already
        return said
    return f"{said} ({Path(at[-1][0]).name}:{at[-1][1]})"


class LinkError(RtreError):
    """A connection to a venue failed or ended. The text never holds a token."""


class ConnectFailedError(LinkError):
    """No connection: refused, unreachable, timed out, TLS not trusted."""


class HandshakeFailedError(LinkError):
    """The peer is there but does not complete the WebSocket handshake.

    Attributes
    ----------
    status : int or None
        HTTP status of the refusal, where there was one.
    retry_after_s : float or None
        Seconds that the peer asks us to stay away, where it says so.
    """

    def __init__(
        self, message: str, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message)


class LinkClosedError(LinkError):
    """An open connection ended: closed by the peer, lost, or cut for a protocol violation.

    Attributes
    ----------
    code : int
        WebSocket close code (RFC 6455, section 7.4); 1006 where none was received.
    """

    def __init__(self, message: str, code: int = 1006) -> None:
        self.code = code
        super().__init__(message)
