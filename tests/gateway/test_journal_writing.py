"""The journal as it is written: what a call may rely on when it is told that it is noted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from ledger_side import Caller, Taken, ended, run, sent, settle, small_files, until

from trunkline.gateway.journal import Journal
from trunkline.gateway.journal_files import Segment, segments
from trunkline.store.records import Entry


def frames_in(folder: Path) -> list[list[Entry]]:
    return [one.entries for path in segments(folder) for one in Segment(path).frames()]


def test_all_that_a_turn_of_the_loop_notes_is_one_frame(tmp_path: Path):
    taken, callers = Taken(), [Caller() for _ in range(50)]

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append)
        for number, caller in enumerate(callers):
            journal.intend(sent(number), caller)
        journal.ended(ended(99))
        assert not any(caller.told for caller in callers)
        await asyncio.sleep(0)
        assert all(caller.sent for caller in callers)
        journal.close()

    run(work)
    assert [len(entries) for entries in frames_in(tmp_path)] == [51]
    assert len(taken) == 1


def test_a_call_that_ends_in_the_turn_in_which_it_began_is_noted_as_both(tmp_path: Path):
    taken, caller, entry = Taken(), Caller(), sent(1)

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append)
        journal.intend(entry, caller)
        journal.ended(settle(entry))
        await asyncio.sleep(0)
        journal.close()

    run(work)
    assert frames_in(tmp_path)[0][-1] == ended(1)
    assert taken.ids() == [entry.id] * 2


@pytest.mark.parametrize("durable", [False, True])
def test_a_full_disk_leaves_no_half_frame_and_later_frames_are_whole(tmp_path: Path, durable: bool):
    taken, first, full, again = Taken(), Caller(), Caller(), Caller()

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append, durable=durable)
        journal.intend(sent(1), first)
        await until(lambda: bool(first.told))
        size = journal.size
        with small_files(size + 40):
            journal.intend(sent(2), full)
            journal.ended(ended(1))
            await until(lambda: bool(full.told))
            assert journal.trouble is not None
            assert segments(tmp_path)[0].stat().st_size == journal.size == size
        journal.intend(sent(3), again)
        await until(lambda: bool(again.told))
        assert journal.trouble is None
        journal.close()

    run(work)
    assert first.sent
    assert isinstance(full.told[0], OSError)
    assert again.sent
    # What had ended was kept and comes first; what was not noted is nowhere.
    assert frames_in(tmp_path) == [[sent(1)], [sent(3), ended(1)]]
    assert taken.ids() == ["req_000001", "req_000003", "req_000001"]


def test_a_disk_that_has_room_again_is_noticed_without_another_call(tmp_path: Path):
    taken, full = Taken(), Caller()

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append)
        with small_files(journal.size):
            journal.intend(sent(1), full)
            await asyncio.sleep(0)
            assert journal.trouble is not None
        await until(lambda: journal.trouble is None)
        journal.close()

    run(work)
    assert [written.sent + written.ended for written in taken] == [[]]
    assert frames_in(tmp_path) == [[]]


def test_a_segment_that_is_full_is_followed_by_another(tmp_path: Path):
    taken = Taken()

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append, segment=300)
        for number in range(10):
            journal.ended(ended(number))
            await asyncio.sleep(0)
        journal.close()

    run(work)
    assert len(segments(tmp_path)) > 2
    assert [e.id for entries in frames_in(tmp_path) for e in entries] == [
        f"req_{number:06}" for number in range(10)
    ]
    assert {written.segment for written in taken} <= {path.stem for path in segments(tmp_path)}


def test_a_next_segment_that_cannot_be_made_leaves_the_present_one_in_use(tmp_path: Path):
    taken, callers = Taken(), [Caller() for _ in range(6)]

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append, segment=300)
        (tmp_path / "boot-000002.journal").mkdir()
        for number, caller in enumerate(callers[:5]):
            journal.intend(sent(number), caller)
            await asyncio.sleep(0)
        (tmp_path / "boot-000002.journal").rmdir()
        journal.intend(sent(5), callers[5])
        await asyncio.sleep(0)
        journal.ended(ended(0))
        await asyncio.sleep(0)
        journal.close()

    run(work)
    assert all(caller.sent for caller in callers)
    assert [path.stem for path in segments(tmp_path)] == ["boot-000001", "boot-000002"]
    assert len(frames_in(tmp_path)) == 7


def test_a_segment_without_room_for_its_first_bytes_is_not_begun(tmp_path: Path):
    taken, callers = Taken(), [Caller() for _ in range(3)]

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append, segment=1)
        journal.intend(sent(0), callers[0])
        with small_files(0):
            await asyncio.sleep(0)  # neither the frame nor a file has room
        assert not callers[0].sent
        journal.intend(sent(1), callers[1])
        await asyncio.sleep(0)
        journal.close()

    run(work)
    assert callers[1].sent
    assert frames_in(tmp_path) == [[sent(1)]]


def test_with_power_durability_calls_wait_for_the_disk_and_share_its_syncs(tmp_path: Path):
    taken, callers = Taken(), [Caller() for _ in range(40)]

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append, durable=True)
        journal.intend(sent(0), callers[0])
        await asyncio.sleep(0)
        assert not callers[0].told  # written, and not synced
        assert not taken
        for number in range(1, 40):
            journal.intend(sent(number), callers[number])
            journal.flush()
        await until(lambda: all(caller.sent for caller in callers))
        journal.close()

    run(work)
    assert [len(entries) for entries in frames_in(tmp_path)] == [1, 39]


def test_closing_while_the_disk_syncs_gives_the_ledger_all_of_it(tmp_path: Path):
    taken = Taken()

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append, durable=True)
        journal.ended(ended(1))
        await asyncio.sleep(0)  # now it syncs
        journal.ended(ended(2))
        journal.close()
        journal.close()
        await asyncio.sleep(0.05)
        journal.flush()

    run(work)
    assert taken.ids() == ["req_000001", "req_000002"]
    assert frames_in(tmp_path) == [[ended(1)], [ended(2)]]


def test_a_sync_that_fails_takes_the_frame_back(tmp_path: Path):
    taken, callers = Taken(), [Caller() for _ in range(3)]
    failures = [OSError(5, "Input/output error")] * 2

    def sync(file: int) -> None:
        if failures:
            raise failures.pop()
        os.fdatasync(file)

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append, durable=True, sync=sync)
        journal.intend(sent(1), callers[0])
        journal.ended(ended(7))
        journal.flush()
        journal.intend(sent(2), callers[1])
        await until(lambda: bool(callers[1].told))
        journal.intend(sent(3), callers[2])
        await until(lambda: bool(callers[2].told))
        assert journal.trouble is None
        journal.close()

    run(work)
    assert [caller.sent for caller in callers] == [False, False, True]
    assert frames_in(tmp_path) == [[sent(3), ended(7)]]
    assert taken.ids() == ["req_000003", "req_000007"]


def test_what_the_disk_does_not_take_at_the_end_the_ledger_gets_all_the_same(tmp_path: Path):
    taken = Taken()

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append)
        journal.ended(ended(1))
        await asyncio.sleep(0)
        with small_files(journal.size):
            journal.ended(ended(2))
            journal.ended(ended(3))
            journal.close()
        assert journal.trouble is not None

    run(work)
    assert taken.ids() == ["req_000001", "req_000002", "req_000003"]
    # Behind all that stands in the file, and with a position for each entry.
    assert taken[1].position - taken[1].size == taken[0].position
    assert taken[1].size > 2


def test_a_call_that_fails_when_it_is_sent_strands_no_other(tmp_path: Path):
    class Broken(Caller):
        def noted(self) -> None:
            raise TypeError("a fault of its own")

    taken, other = Taken(), Caller()

    async def work() -> None:
        journal = Journal(tmp_path, "boot", taken.append)
        journal.intend(sent(1), Broken())
        journal.intend(sent(2), other)
        await asyncio.sleep(0)
        journal.close()

    run(work)
    assert other.sent


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Journal(tmp_path / "file", "boot", Taken().append)


@pytest.mark.parametrize("room", [0, 2])
def test_a_first_segment_without_room_is_an_error_and_leaves_no_file(tmp_path: Path, room: int):
    with small_files(room), pytest.raises(OSError, match="large|space"):
        Journal(tmp_path, "boot", Taken().append)
    assert segments(tmp_path) == []


def test_a_segment_that_cannot_be_followed_while_the_disk_is_full_serves_longer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    callers = [Caller() for _ in range(3)]

    async def work() -> None:
        journal = Journal(tmp_path, "boot", Taken().append, segment=1)
        (tmp_path / "boot-000002.journal").symlink_to("/dev/full")
        for number, caller in enumerate(callers):
            journal.intend(sent(number), caller)
            await asyncio.sleep(0)
            assert journal.trouble is None
        journal.close()

    run(work)
    assert all(caller.sent for caller in callers)
    assert "next file cannot be made" in caplog.text
    assert [e.id for entries in frames_in(tmp_path) for e in entries] == [
        "req_000000",
        "req_000001",
        "req_000002",
    ]
