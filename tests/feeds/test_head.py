"""The judgement of a handshake's answer; over sockets it is tested with the transport."""

from __future__ import annotations

import pytest

from rtre.feeds.head import LONGEST_WAIT_S, Refusal, ResponseHead

GOOD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
DATE = b"Date: Wed, 21 Oct 2015 07:28:00 GMT\r\n"


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"])
def test_a_whole_head_comes_apart_from_what_follows_wherever_it_is_cut(end: bytes) -> None:
    head = GOOD[:-4] + end
    for cut in range(1, len(head)):
        gathered = ResponseHead()
        assert gathered.feed(head[:cut]) is None
        assert gathered.feed(head[cut:] + b"rest") == (head, b"rest")


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (b"", None),
        (b"Retry-After: 120\r\n", 120.0),
        (b"retry-AFTER:\t7 \r\nServer: x\r\n", 7.0),
        (b"Retry-After: 0\r\n", 0.0),
        (b"Retry-After: 99999999\r\n", LONGEST_WAIT_S),
        (DATE + b"Retry-After: Wed, 21 Oct 2015 07:30:30 GMT\r\n", 150.0),
        (DATE + b"Retry-After: Wed, 21 Oct 2015 07:00:00 GMT\r\n", 0.0),
        (DATE + b"Retry-After: Wed, 21 Oct 2065 07:00:00 GMT\r\n", LONGEST_WAIT_S),
        (DATE + b"Retry-After: Wed, 21 Oct 2015 07:30:30\r\n", None),
        (b"Retry-After: Wed, 21 Oct 2015 07:30:30 GMT\r\n", None),
        (b"Retry-After: -5\r\n", None),
        (b"Retry-After: 1e3\r\n", None),
        (b"Retry-After: nan\r\n", None),
        (b"Retry-After: \xb2\r\n", None),
        (b"X: Retry-After: 5\r\n", None),
    ],
)
def test_a_refusal_says_how_long_to_stay_away_where_it_is_plain(
    headers: bytes, wait: float | None
) -> None:
    with pytest.raises(Refusal) as caught:
        ResponseHead().feed(b"HTTP/1.1 429 Too Many Requests\r\n" + headers + b"\r\n")
    assert (caught.value.status, caught.value.retry_after_s) == (429, wait)
