"""Bounds of one connection, and its counters."""

from __future__ import annotations

from typing import Any

import attrs


def _positive(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not value > 0:
        raise ValueError(f"{attribute.name} must be positive, got {value!r}")


@attrs.frozen
class LinkLimits:
    """Bounds of one connection: times in seconds, sizes in bytes.

    `read_bytes` bounds a read of a busy link; a calm one is read 64 KiB at a time.
    """

    connect_s: float = attrs.field(default=5.0, validator=_positive)
    handshake_s: float = attrs.field(default=5.0, validator=_positive)
    close_s: float = attrs.field(default=2.0, validator=_positive)
    send_s: float = attrs.field(default=5.0, validator=_positive)
    message_bytes: int = attrs.field(default=1 << 20, validator=_positive)
    fragments: int = attrs.field(default=1024, validator=_positive)
    read_bytes: int = attrs.field(default=262_144, validator=_positive)
    queue_bytes: int = attrs.field(default=8 << 20, validator=_positive)


@attrs.frozen
class LinkStatistics:
    """What a connection has done so far.

    Attributes
    ----------
    bytes, reads, messages, control_frames : int
        Received from the peer after the handshake.
    partial : int
        Messages that had begun when the connection ended.
    pings_skipped : int
        Pings of a flood that were not answered one by one.
    stalls : int
        How often reading stopped because the consumer was too far behind.
    queued_bytes : int
        Waiting for the consumer now.
    last_byte : float
        When anything was last received, on the clock of `trio.current_time`.
    """

    bytes: int
    reads: int
    messages: int
    control_frames: int
    partial: int
    pings_skipped: int
    stalls: int
    queued_bytes: int
    last_byte: float
