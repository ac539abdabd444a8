"""The log's thread: what is put is written, whatever the file, the threads and the forks do to it."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from trunkline.log_settings import Keep
from trunkline.logbook.writer import WAITING, WITH_CONTENT, LogWriter, oldest_kept, utc_text
from trunkline.store.call_log import CallLog
from trunkline.store.logged import LogFilter, Logged, LoggedCall, LoggedContent

PATIENCE = 30.0


def row(number: int) -> Logged:
    if number == 13:
        raise ZeroDivisionError("a row that cannot be made")
    started = utc_text(time.time() + number / 1000)
    tokens = 2**70 if number == 666 else 1
    call = LoggedCall(f"call_{number:06}", started, "chat", "m", "ok", 0.1, input_tokens=tokens)
    return Logged(call, content=LoggedContent(call.id, "{}", None))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.db"


@pytest.fixture
def writer(path: Path):
    writer: LogWriter[int] = LogWriter(path, row, Keep(), busy_seconds=0.05)
    yield writer
    writer.flush()


def numbers(path: Path) -> list[int]:
    with closing(CallLog(path, busy_seconds=PATIENCE)) as log:
        return sorted(int(call.id[5:]) for call in log.calls(LogFilter(), 99999))


def until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_put_is_written_without_being_asked(writer: LogWriter[int], path: Path) -> None:
    writer.put(1)
    until(lambda: path.exists() and numbers(path) == [1])
    writer.put(2)
    until(lambda: numbers(path) == [1, 2])


def test_flushing_writes_it_now(writer: LogWriter[int], path: Path) -> None:
    for number in (1, 2, 3):
        writer.put(number)
    writer.flush()
    assert numbers(path) == [1, 2, 3]


def test_nothing_is_opened_before_something_is_put(writer: LogWriter[int], path: Path) -> None:
    writer.flush()
    assert not path.exists()


def test_many_threads_lose_nothing(writer: LogWriter[int], path: Path) -> None:
    def put(first: int) -> None:
        for number in range(first, first + 200):
            writer.put(number)

    threads = [threading.Thread(target=put, args=(1000 * n,)) for n in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.flush()
    assert len(numbers(path)) == 1000


def test_a_row_that_cannot_be_made_or_kept_takes_no_other_along(
    writer: LogWriter[int], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (12, 13, 14, 666, 667):
        writer.put(number)
    writer.flush()
    assert numbers(path) == [12, 14, 667]
    assert len(caplog.records) == 1


def locked(path: Path) -> sqlite3.Connection:
    """Hold the file as another process does that is in the middle of writing."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    return holder


def test_a_locked_file_is_told_once_and_what_waited_comes_later(
    writer: LogWriter[int], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer.put(1)
    writer.flush()
    with closing(locked(path)):
        for number in (2, 3):
            writer.put(number)
            writer.flush()
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text
    writer.put(4)
    writer.flush()
    assert numbers(path) == [1, 2, 3, 4]
    assert len(caplog.records) == 1


def test_a_folder_that_cannot_be_made_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    writer: LogWriter[int] = LogWriter(tmp_path / "file" / "calls.db", row, Keep())
    for number in (1, 2, 3):
        writer.put(number)
        writer.flush()
    assert len(caplog.records) == 1


def test_what_waits_for_a_file_that_never_comes_is_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    writer: LogWriter[int] = LogWriter(tmp_path / "file" / "calls.db", row, Keep())
    for number in range(1000, 1000 + WAITING + 50):
        writer.put(number)
    writer.flush()
    here = writer._here
    assert len(here._ready) + len(here._waiting) <= WAITING
    kept = [one.content is not None for one in here._ready]
    assert kept == [False] * (len(kept) - WITH_CONTENT) + [True] * WITH_CONTENT


def test_a_child_writes_its_own_and_its_parent_what_it_had(path: Path) -> None:
    writer: LogWriter[int] = LogWriter(path, row, Keep())
    writer.put(1)
    writer.flush()
    writer.put(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
        child = os.fork()
    if child == 0:
        try:
            writer.put(3)
            writer.flush()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    writer.put(4)
    writer.flush()
    assert numbers(path) == [1, 2, 3, 4]


def _works(writer: LogWriter[int], number: int) -> None:
    writer.put(number)


def test_a_process_of_multiprocessing_writes_before_it_ends(path: Path) -> None:
    writer: LogWriter[int] = LogWriter(path, row, Keep())
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        children = [context.Process(target=_works, args=(writer, n)) for n in (1, 2, 3)]
        for child in children:
            child.start()
    for child in children:
        child.join(PATIENCE)
        assert child.exitcode == 0
        child.close()
    assert numbers(path) == [1, 2, 3]


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_log_writer import row
from trunkline.log_settings import Keep
from trunkline.logbook.writer import LogWriter
def within():
    LogWriter(Path(sys.argv[1]), row, Keep()).put(1)
    writer = LogWriter(Path(sys.argv[1]), row, Keep())
    writer.put(2)
    return writer
kept = within()
"""


def test_a_program_that_ends_writes_what_waits(path: Path) -> None:
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM, str(path), here],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert numbers(path) == [1, 2]


def test_a_writer_that_nobody_holds_still_writes(path: Path) -> None:
    writer: LogWriter[int] = LogWriter(path, row, Keep())
    writer.put(1)
    del writer
    gc.collect()
    until(lambda: path.exists() and numbers(path) == [1])


def test_the_thread_ends_when_nothing_comes_and_begins_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.logbook.writer.LINGER", 0.01)
    writer: LogWriter[int] = LogWriter(path, row, Keep())
    for number in (1, 2, 3):
        writer.put(number)
        until(lambda: not writer._here._leading.locked())
    assert numbers(path) == [1, 2, 3]


def test_what_is_kept_too_long_goes(path: Path) -> None:
    now = time.time()
    old = Logged(LoggedCall("call_old", utc_text(now - 2 * 86400), "chat", "m", "ok", 0.1))
    with closing(CallLog(path)) as log:
        log.add([old])
    writer: LogWriter[int] = LogWriter(path, row, Keep(days=1))
    writer.put(1)
    writer.flush()
    assert numbers(path) == [1]
    few: LogWriter[int] = LogWriter(path, row, Keep(calls=2))
    for number in (2, 3, 4):
        few.put(number)
    few.flush()
    assert numbers(path) == [3, 4]


@pytest.mark.parametrize(
    ("keep", "text"),
    [(Keep(), None), (Keep(calls=3), None), (Keep(days=1), "1970-01-02T00:00:00.000000Z")],
)
def test_days_that_are_kept_are_counted_back_from_now(keep: Keep, text: str | None) -> None:
    assert oldest_kept(keep, 2 * 86400.0) == text


FULL = """
import logging, resource, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_log_writer import row
from trunkline.log_settings import Keep
from trunkline.logbook.writer import LogWriter
logging.basicConfig(format="%(message)s")
writer = LogWriter(Path(sys.argv[1]), row, Keep())
writer.put(1)
writer.flush()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
for number in range(1000, 1300):
    writer.put(number)
    if number % 100 == 0:
        writer.flush()
print("calls go on")
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
writer.put(2000)
"""


def test_a_full_disk_is_told_once_and_nothing_is_lost_when_there_is_room_again(path: Path) -> None:
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-W", "error", "-c", FULL, str(path), here],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "calls go on\n"
    (told,) = done.stderr.splitlines()
    assert "is not complete" in told
    assert len(numbers(path)) == 302


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_log_writer import row
from trunkline.log_settings import Keep
from trunkline.logbook.writer import LogWriter
writer = LogWriter(Path(sys.argv[1]), row, Keep())
number = 1000
while True:
    writer.put(number)
    number += 1
    if number % 50 == 0:
        writer.flush()
        print(number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_program_leaves_a_log_that_is_whole(path: Path) -> None:
    here = str(Path(__file__).parent)
    program = subprocess.Popen([sys.executable, "-c", KILLED, str(path), here],
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    with program:
        assert program.stdout is not None
        told = [int(program.stdout.readline()) for _ in range(3)]
        program.kill()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(numbers(path)) >= told[-1] - 1000
