"""Framing against a table of cases from RFC 6455, and against wsproto on each."""

from __future__ import annotations

import pytest
from framing_support import BINARY, CLOSE, CONT, PING, PONG, TEXT, assert_same, frame, ours

# where in RFC 6455 and name, bytes, close code or None if all is well
Case = tuple[str, bytes, int | None]
OK = None

KNOWN = (CONT, TEXT, BINARY, CLOSE, PING, PONG)
EDGES = (0, 1, 125, 126, 127, 65535, 65536)

UTF8_GOOD = [
    "",
    "a",
    "\x00",
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\ud7ff",
    "\ue000",
    "\ufffd",
    "\ufffe",
    "\uffff",
    "\U00010000",
    "\U0010ffff",
    "κόσμε",
    "日本語",
    "🙂🙂",
]
UTF8_BAD = [
    b"\x80",
    b"\xbf",
    b"\x80\xbf",
    b"\xc0",
    b"\xc0\x80",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xc2",
    b"\xc2a",
    b"\xdf",
    b"\xe0\x80\x80",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xe0\xa0",
    b"\xe1\x80",
    b"\xed\xa0\x80",
    b"\xed\xad\xbf",
    b"\xed\xae\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xef\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x90\x80",
    b"\xf4\x90\x80\x80",
    b"\xf4\x8f\xbf",
    b"\xf5\x80\x80\x80",
    b"\xf7\xbf\xbf\xbf",
    b"\xf8\x88\x80\x80\x80",
    b"\xfb\xbf\xbf\xbf\xbf",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    "κόσμε".encode() + b"\xf4\x90\x80\x80" + b"edited",
]
CODES_GOOD = [1000, 1001, 1002, 1003, *range(1007, 1014), 3000, 3999, 4000, 4999]
CODES_BAD = [0, 1, 999, 1004, 1005, 1006, 1014, *range(1015, 1030), 1100, 2000, 2999, 5000, 65535]


def header_cases() -> list[Case]:
    cases: list[Case] = []
    for opcode in KNOWN:
        for rsv in range(1, 8):
            for fin in (True, False):
                name = f"5.2 rsv {rsv} opcode {opcode} fin {fin}"
                cases.append((name, frame(opcode, rsv=rsv, fin=fin), 1002))
        for n in (0, 1, 125, 126, 65536):
            cases.append(
                (f"5.1 masked opcode {opcode}, {n}", frame(opcode, b"x" * n, masked=True), 1002)
            )
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for fin in (True, False):
            for n in (0, 1, 125, 126, 65536):
                name = f"5.2 reserved opcode {opcode} fin {fin}, {n} bytes"
                cases.append((name, frame(opcode, b"x" * n, fin=fin), 1002))
    for opcode in (TEXT, BINARY):
        for n in EDGES:
            cases.append((f"5.2 opcode {opcode} of {n} bytes", frame(opcode, b"x" * n), OK))
        for n in (0, 1, 2, 124, 125):
            cases.append((f"5.2 {n} in 2 bytes", frame(opcode, b"x" * n, size=2), 1002))
        for n in (0, 1, 125, 126, 127, 65535):
            cases.append((f"5.2 {n} in 8 bytes", frame(opcode, b"x" * n, size=8), 1002))
        for n in (1 << 63, (1 << 63) + 1, (1 << 64) - 1):
            cases.append((f"5.2 length {n}", frame(opcode, size=8, length=n), 1002))
    return cases


def control_cases() -> list[Case]:
    cases: list[Case] = []
    for opcode in (CLOSE, PING, PONG):
        for n in (0, 2, 125):
            payload = b"\x03\xe8" + b"x" * (n - 2) if n else b""
            cases.append((f"5.5 fragmented {opcode}, {n}", frame(opcode, payload, fin=False), 1002))
        for n in (126, 127, 200, 65535, 65536):
            cases.append((f"5.5 control {opcode} of {n}", frame(opcode, b"x" * n), 1002))
        for n in (0, 1, 125):
            cases.append((f"5.5 control {opcode}, {n} in 2", frame(opcode, b"x" * n, size=2), 1002))
            cases.append((f"5.5 control {opcode}, {n} in 8", frame(opcode, b"x" * n, size=8), 1002))
    for opcode in (PING, PONG):
        for n in (0, 1, 4, 124, 125):
            cases.append((f"5.5.2 {opcode} of {n}", frame(opcode, b"\xff" * n), OK))
        cases.append((f"5.5.2 ten of {opcode}", frame(opcode, b"p") * 10, OK))
    return cases


def fragment_cases() -> list[Case]:
    start = {op: frame(op, b"a", fin=False) for op in (TEXT, BINARY)}
    more, last = frame(CONT, b"b", fin=False), frame(CONT, b"c")
    ping = frame(PING, b"p")
    cases: list[Case] = [
        ("5.4 continuation first", more, 1002),
        ("5.4 last continuation first", last, 1002),
        ("5.4 empty continuation first", frame(CONT), 1002),
        ("5.4 continuation after a message", frame(TEXT, b"a") + last, 1002),
        ("5.4 continuation after a ping", ping + last, 1002),
        ("5.4 continuation after a fragmented message", start[TEXT] + last + last, 1002),
    ]
    for op, first in start.items():
        for op2 in (TEXT, BINARY):
            for fin in (True, False):
                name = f"5.4 opcode {op2} fin {fin} inside opcode {op}"
                cases.append((name, first + frame(op2, b"x", fin=fin), 1002))
                cases.append((f"{name}, later", first + more + frame(op2, b"x", fin=fin), 1002))
        for k in (0, 1, 2, 7, 100):
            cases.append((f"5.4 opcode {op} in {k + 2}", first + more * k + last, OK))
            cases.append(
                (f"5.4 opcode {op} in {k + 2}, pings", first + (ping + more) * k + ping + last, OK)
            )
        empty = frame(op, fin=False) + frame(CONT, fin=False) * 3
        cases.append((f"5.4 opcode {op}, empty fragments", empty + frame(CONT), OK))
        cases.append((f"5.4 opcode {op}, one full at last", empty + last, OK))
        cases.append((f"5.4 opcode {op}, big parts", frame(op, b"x" * 70000, fin=False) + last, OK))
        cases.append((f"5.4 opcode {op}, two", (first + last) * 2 + frame(op, b"whole"), OK))
    return cases


def text_cases() -> list[Case]:
    cases: list[Case] = []
    for word in UTF8_GOOD:
        data = word.encode()
        cases.append((f"8.1 good {data!r}", frame(TEXT, data), OK))
        cases.append(
            (f"8.1 good {data!r} among 300", frame(TEXT, b"x" * 150 + data + b"y" * 150), OK)
        )
        for i in range(len(data) + 1):
            parts = frame(TEXT, data[:i], fin=False) + frame(CONT, data[i:])
            cases.append((f"8.1 good {data!r} cut at {i}", parts, OK))
    for data in UTF8_BAD:
        cases.append((f"8.1 bad {data!r}", frame(TEXT, data), 1007))
        cases.append(
            (f"8.1 bad {data!r} among 300", frame(TEXT, b"x" * 150 + data + b"y" * 150), 1007)
        )
        cases.append((f"5.6 binary {data!r}", frame(BINARY, data), OK))
        for i in {0, 1, len(data) - 1, len(data)}:
            parts = frame(TEXT, data[:i], fin=False) + frame(CONT, data[i:])
            cases.append((f"8.1 bad {data!r} cut at {i}", parts, 1007))
    return cases


def close_cases() -> list[Case]:
    def close(code: int, reason: bytes = b"") -> bytes:
        return frame(CLOSE, code.to_bytes(2, "big") + reason)

    cases: list[Case] = [("5.5.1 no code", frame(CLOSE), 1005)]
    for byte in (0, 3, 255):
        cases.append((f"5.5.1 one byte {byte}", frame(CLOSE, bytes([byte])), 1002))
    for code in CODES_GOOD:
        cases.append((f"7.4 code {code}", close(code), code))
        cases.append((f"7.4 code {code}, reason", close(code, "größer".encode()), code))
        cases.append((f"7.4 code {code}, long reason", close(code, b"r" * 123), code))
        cases.append((f"7.4 code {code}, then data", close(code) + frame(TEXT, b"late"), code))
    for code in CODES_BAD:
        cases.append((f"7.4 bad code {code}", close(code), 1002))
        cases.append((f"7.4 bad code {code}, reason", close(code, b"because"), 1002))
    for data in UTF8_BAD:
        cases.append((f"5.5.1 bad reason {data!r}", close(1000, data), 1007))
    return cases


TABLE = [*header_cases(), *control_cases(), *fragment_cases(), *text_cases(), *close_cases()]


def test_the_table_has_at_least_five_hundred_cases() -> None:
    assert len({data for _, data, _ in TABLE}) >= 500
    assert sum(code == 1002 for *_, code in TABLE) >= 250
    assert sum(code == 1007 for *_, code in TABLE) >= 100


@pytest.mark.parametrize(("name", "data", "code"), TABLE, ids=[name for name, *_ in TABLE])
def test_a_case_of_the_table_ends_as_the_rfc_says(name: str, data: bytes, code: int | None) -> None:
    before = frame(TEXT, b"before")
    got = ours([before + data])
    assert got.messages[0] == b"before"
    assert got.code == code, name
    assert got.violation == (code in (1002, 1007) and not name.startswith("7.4 code"))
    assert_same([before + data])
    if len(data) < 400:
        assert ours([bytes([b]) for b in before + data]) == got
