"""What a start finds of processes that died: every call once, whatever was torn and however often it is begun."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from ledger_side import (
    BadStore,
    Caller,
    check_books,
    ended,
    new_store,
    sent,
    settle,
)

from trunkline.gateway.journal import Journal
from trunkline.gateway.journal_files import segments
from trunkline.gateway.ledger import Ledger
from trunkline.gateway.recovery import Recovered, recover
from trunkline.store.seam import StoreError
from trunkline.store.sqlite import SqliteStore

EXPECTED = {
    **{f"req_{n:06}": ("settled", 7) for n in (0, 1, 2, 3, 10)},
    **{f"req_{n:06}": ("unknown", 10) for n in (4, 5, 11)},
}


def leave_behind(folder: Path, store: SqliteStore) -> None:
    """Be two processes that died: one with several segments, half of them in the store, a frame torn."""

    async def work(boot: str, first: int, calls: int, open_at_the_end: int, committed: int) -> None:
        ledger = Ledger(store, folder)
        journal = Journal(folder, boot, ledger.take, segment=400)
        entries = [sent(first + n, boot=boot) for n in range(calls)]
        for number, entry in enumerate(entries):
            journal.intend(entry, Caller())
            await asyncio.sleep(0)
            if number < calls - open_at_the_end:
                journal.ended(settle(entry))
                await asyncio.sleep(0)
            if number == committed:
                ledger._commit_waiting()
        journal.close()

    asyncio.run(work("dead1", 0, 6, 2, 2))
    asyncio.run(work("dead2", 10, 2, 1, 99))
    with segments(folder)[-1].open("ab") as file:
        file.write(b"\x50\0\0\0torn")


def test_what_was_in_the_journal_is_in_the_store_and_what_was_open_is_unknown_at_its_reserve(
    tmp_path: Path,
):
    with closing(new_store(tmp_path)) as store:
        leave_behind(tmp_path, store)
        found = recover(store, tmp_path, 1_796_000_100.0)
        assert found.unknown == 3
        assert found.replayed >= 4
        check_books(store, EXPECTED)
        unknown = [row for row in store.entries() if row.state == "unknown"]
        assert {row.outcome for row in unknown} == {"unknown"}
        assert {row.cost for row in unknown} == {None}
        assert {row.ended for row in unknown} == {1_796_000_100.0}
        assert sum(row.unpriced for row in store.charged("")) == 3
        assert segments(tmp_path) == []
        assert recover(store, tmp_path, 2.0) == Recovered(0, 0)
        check_books(store, EXPECTED)


def test_a_recovery_that_is_broken_off_at_any_step_and_begun_again_counts_nothing_twice(
    tmp_path: Path,
):
    number = 0
    while True:
        number += 1
        for when in ("before", "after"):
            folder = tmp_path / f"{when}-{number}"
            folder.mkdir()
            with closing(new_store(folder)) as store:
                leave_behind(folder, store)
                bad = BadStore(store)
                bad.fails = lambda _, call, n=number, w=when: w if call == n else None
                try:
                    recover(bad, folder, 1.0)
                except StoreError:
                    recover(store, folder, 2.0)
                check_books(store, EXPECTED)
                assert segments(folder) == []
        if bad.calls["all"] < number:
            break
    assert number > 10


def test_a_damaged_segment_is_kept_under_another_name_and_the_rest_of_it_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with closing(new_store(tmp_path)) as store:

        async def work() -> None:
            journal = Journal(tmp_path, "dead", lambda _: None)
            for number in range(3):
                journal.intend(sent(number), Caller())
                await asyncio.sleep(0)
                journal.ended(ended(number))
                await asyncio.sleep(0)
            journal.close()

        asyncio.run(work())
        (path,) = segments(tmp_path)
        data = bytearray(path.read_bytes())
        size = (len(data) - 4) // 6
        data[4 + size + size // 2] ^= 0xFF  # about the second frame: how the first call ended
        path.write_bytes(data)
        assert recover(store, tmp_path, 1.0).unknown == 1
        check_books(
            store,
            {
                "req_000000": ("unknown", 10),
                "req_000001": ("settled", 7),
                "req_000002": ("settled", 7),
            },
        )
        assert [p.name for p in tmp_path.glob("*.damaged")] == [f"{path.stem}.damaged"]
        assert "cannot be read" in caplog.text


def test_a_journal_that_cannot_be_opened_stops_the_start_and_says_so(tmp_path: Path):
    with closing(new_store(tmp_path)) as store:
        (tmp_path / "dead-000001.journal").mkdir()
        with pytest.raises(StoreError, match=r"dead-000001.*cannot be read .*move it away"):
            recover(store, tmp_path, 1.0)


def test_empty_and_begun_segments_are_cleared_away(tmp_path: Path):
    with closing(new_store(tmp_path)) as store:
        for number, data in enumerate((b"", b"TL", b"TLJ1")):
            (tmp_path / f"dead-{number:06}.journal").write_bytes(data)
        assert recover(store, tmp_path, 1.0) == Recovered(0, 0)
        assert segments(tmp_path) == []
