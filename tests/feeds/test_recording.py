"""Recordings: what was written is what is read, and damage is named by file and line."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from rtre.errors import RecordingError
from rtre.feeds.recording import _FLUSH_S, _SYNC_S, Entry, Recorder, Recording
from rtre.venues.frames import Frames


async def record(path: str, reads: list[tuple[int, list[bytes]]]) -> Recorder:
    recorder = Recorder(path, venue="finnhub", symbols=["AAPL", "MSFT"])
    recorder.mark(1, up=True, reason="subscribed")
    for ts_ns, payloads in reads:
        recorder.write(ts_ns, Frames.of(payloads))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    return recorder


@pytest.mark.parametrize("name", ["plain.rec", "packed.rec.gz"])
async def test_what_was_recorded_is_read_back(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    recorder = await record(path, [(10, [b'{"a":1}', b"[]"]), (20, [b'{"b":"\xc3\xa9"}'])])
    recording = Recording([path])
    assert recording.header.venue == "finnhub"
    assert recording.header.symbols == ("AAPL", "MSFT")
    assert list(recording) == [
        Entry(1, b"subscribed", up=True),
        Entry(10, b'{"a":1}'),
        Entry(10, b"[]"),
        Entry(20, b'{"b":"\xc3\xa9"}'),
    ]
    assert recording.position == recording.size
    assert recorder.messages == 3


@given(st.lists(st.tuples(st.integers(1, 2**62), st.binary(max_size=40)), max_size=30))
def test_any_payload_survives_but_for_its_line_breaks(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, bytes]]
) -> None:
    path = str(tmp_path_factory.mktemp("rec") / "x")
    trio.run(record, path, [(ts, [payload]) for ts, payload in lines])
    back = [e for e in Recording([path]) if e.up is None and not e.payload.startswith(b"!")]
    expected = [p.replace(b"\n", b" ").replace(b"\r", b" ") for _, p in lines]
    assert [e.payload for e in back] == [p for p in expected if not p.startswith(b"!")]


async def test_two_files_are_merged_by_time_of_receipt(tmp_path: Path) -> None:
    first, second = str(tmp_path / "a"), str(tmp_path / "b")
    await record(first, [(10, [b"a"]), (30, [b"c"])])
    await record(second, [(20, [b"b"]), (40, [b"d"])])
    entries = [e for e in Recording([first, second]) if e.up is None]
    assert [e.payload for e in entries] == [b"a", b"b", b"c", b"d"]


def test_a_disk_that_does_not_keep_up_costs_messages_that_are_counted(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path / "x"), venue="finnhub", symbols=["A"])
    big = Frames.of([b"x" * (1 << 20)])
    for _ in range(80):
        recorder.write(1, big)
    assert recorder.lost > 0
    assert recorder.messages + recorder.lost == 80


async def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    recorder = Recorder(str(tmp_path / "x"), venue="finnhub", symbols=["A"])
    recorder._file.close()
    recorder._file = Full()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        with trio.fail_after(1e6):  # the clock runs ahead while a thread finds the disk full
            while not recorder.failure:  # noqa: ASYNC110 - it tells nobody but the log
                await trio.sleep(_FLUSH_S)
        recorder.write(1, Frames.of([b"a", b"b"]))
        recorder.mark(2, up=False, reason="lost")
        await trio.sleep(2 * _FLUSH_S)
        nursery.cancel_scope.cancel()
    assert (recorder.messages, recorder.lost) == (0, 2)
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path / 'x'}: the recording ends here: No space left on device"
    ]


async def test_a_stop_while_a_write_waits_for_a_thread_loses_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = str(tmp_path / "x")
    recorder = Recorder(path, venue="finnhub", symbols=["A"])
    recorder.write(1, Frames.of([b"kept"]))
    threads = trio.to_thread.current_default_thread_limiter()
    threads.total_tokens = 1
    await threads.acquire_on_behalf_of("somebody else")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        await trio.sleep(2 * _FLUSH_S)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
        threads.release_on_behalf_of("somebody else")
    assert [entry.payload for entry in Recording([path])] == [b"kept"]
    assert (recorder.messages, recorder.lost) == (1, 0)


async def test_a_token_that_the_venue_repeats_does_not_reach_the_file(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path / "x"), venue="finnhub", symbols=["A"], secret="k3y")
    recorder.write(1, Frames.of([b'{"type":"error","msg":"bad token k3y"}']))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    content = (tmp_path / "x").read_text()
    assert "bad token ***" in content
    assert "k3y" not in content


LINES = [b'%d {"a":%d}\n' % (10 + i, i * i) for i in range(5000)]
PACKED = gzip.compress(b"".join(LINES))


@pytest.mark.parametrize("kept", [len(PACKED) - 1, len(PACKED) - 8, len(PACKED) - 20, 2000, 200])
def test_compressed_data_that_end_early_are_read_as_far_as_they_go(
    tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "cut.rec.gz"
    path.write_bytes(PACKED[:kept])
    recording = Recording([str(path)])
    found = list(recording)
    text = zlib.decompressobj(31).decompress(PACKED[:kept])
    assert len(found) == text.count(b"\n") > 10
    loss = f"it is cut off after line {len(found)}; what followed is lost"
    assert recording.cut_off == {str(path): loss}
    assert recording.position == recording.size


@pytest.mark.parametrize(
    ("last", "read"),
    [(b'20 {"b":', False), (b"2", False), (b"20 !do", False), (b'20 {"b":1}', True),
     (b"20 !down lost", True), (b"\r", True)],
)  # fmt: skip
def test_a_last_line_without_its_end_counts_where_it_is_whole(
    tmp_path: Path, last: bytes, read: bool
) -> None:
    path = tmp_path / "cut.rec"
    path.write_bytes(b'10 {"a":1}\n' + last)
    recording = Recording([str(path)])
    entries = list(recording)
    assert len(entries) == 1 + (read and last != b"\r")
    assert recording.cut_off == (
        {} if read else {str(path): "it ends within line 2, which is lost"}
    )


@pytest.mark.parametrize("name", ["x.rec", "x.rec.gz"])
async def test_what_was_recorded_is_on_the_disk_within_two_seconds(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def at_once(function: Callable[..., object], *arguments: object) -> object:
        await trio.lowlevel.checkpoint()  # virtual time would not wait for a thread
        return function(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)
    path = tmp_path / name
    recorder = Recorder(str(path), venue="finnhub", symbols=["A"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        await trio.sleep(1.0)
        recorder.write(1, Frames.of([b"{}"]))
        await trio.sleep(_SYNC_S + 2 * _FLUSH_S)
        killed = tmp_path / f"killed-{name}"  # as far as it has got, with the file still open
        killed.write_bytes(path.read_bytes())
        assert list(Recording([str(killed)])) == [Entry(1, b"{}")]
        nursery.cancel_scope.cancel()


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "day.rec"
    path.write_text("precious")
    with pytest.raises(RecordingError, match=r"day\.rec: is there already; name another file or"):
        Recorder(str(path), venue="x", symbols=[])
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"hello world\n", "line 1: is not a recorded line"),
        (b'10 {"a":1}\nnonsense\n', "line 2: is not a recorded line: 'nonsense'"),
        (b"9223372036854775808 {}\n", "line 1: is not a recorded line: '9223372036854775808 {}'"),
        (b'#rtre {"version": 9}\n', "version 9"),
        (b"#rtre " + b"[" * 100_000 + b"\n", "damaged header"),
        (b"#rtre {\n", "damaged header"),
        (b'#rtre {"version":1,"venue":"x","symbols":["\\u001b[31m"]}\n', "damaged header"),
        (PACKED[:1500] + bytes(50) + PACKED[1550:], "damaged"),
        (PACKED[:-8] + bytes(8), "damaged"),
        (PACKED[:5], "is cut off within its first line"),
        (b"", "is empty"),
    ],
)
def test_a_damaged_file_is_named_with_the_place(
    tmp_path: Path, content: bytes, wanted: str
) -> None:
    path = tmp_path / "bad.rec"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=wanted) as caught:
        list(Recording([str(path)]))
    assert "bad.rec" in str(caught.value)


def test_a_file_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        Recording([str(tmp_path / "none")])
    with pytest.raises(RecordingError, match="cannot be written"):
        Recorder(str(tmp_path / "no" / "such" / "folder"), venue="x", symbols=[])
