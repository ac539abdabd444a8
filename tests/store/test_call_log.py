"""The log's file: what is kept is found again, by several processes at once, for its owner alone."""

from __future__ import annotations

import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from trunkline.store.call_log import CallLog
from trunkline.store.logged import (
    LogFilter,
    Logged,
    LoggedAttempt,
    LoggedCall,
    LoggedContent,
)
from trunkline.store.seam import StoreError, StoreTooNewError, StoreValueError

DOCS = Path(__file__).parents[2] / "docs" / "log.md"


def call(number: int, **more: object) -> LoggedCall:
    facts = {
        "id": f"call_{number:06}",
        "started": f"2026-11-29T08:{number // 60:02}:{number % 60:02}.000000Z",
        "task": "chat",
        "model": "huggingface/groq/openai/gpt-oss-120b",
        "outcome": "ok",
        "seconds": 0.5,
        "request_id": f"request-{number}",
    }
    return LoggedCall(**{**facts, **more})


def attempt(call: int, **more: object) -> LoggedAttempt:
    facts = {
        "call": f"call_{call:06}", "number": 1, "provider": "groq", "model": "m", "url": "https://u",
        "status": 200, "error": None, "request_id": f"attempt-{call}", "started": 0.0, "seconds": 0.5,
    }  # fmt: skip
    return LoggedAttempt(**{**facts, **more})


def logged(number: int, **more: object) -> Logged:
    return Logged(call(number, **more), (attempt(number),))


@pytest.fixture
def log(tmp_path: Path):
    with closing(CallLog(tmp_path / "new" / "calls.db")) as log:
        yield log


def test_what_was_kept_comes_back_as_it_was(log: CallLog) -> None:
    whole = Logged(
        call(1, stream=True, cost="0.000123000001", route='{"policy":"x"}', input_tokens=3),
        (attempt(1), attempt(1, number=2, moved="it was busy", cost="0.1")),
        LoggedContent("call_000001", '{"messages":[]}', None),
    )
    log.add([whole])
    assert log.find("call_000001") == whole
    assert log.calls(LogFilter(), 10) == [whole.call]


@pytest.mark.parametrize(
    "wanted", ["call_000002", "request-2", "attempt-2", "job:x/y", "call_000002"[:-1] + "2"]
)
def test_a_call_is_found_by_whatever_a_user_has_of_it(log: CallLog, wanted: str) -> None:
    log.add([logged(1), logged(2, job="job:x/y"), logged(3)])
    found = log.find(wanted)
    assert found is not None
    assert found.call.id == "call_000002"


def test_the_beginning_of_an_id_finds_the_newest_that_begins_so(log: CallLog) -> None:
    log.add([logged(1), logged(2), logged(100000)])
    found = log.find("call_0000")
    assert found is not None
    assert found.call.id == "call_000002"
    assert log.find("call_") is None
    assert log.find("nothing like it") is None


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (LogFilter(), [4, 3, 2, 1]),
        (LogFilter(model="GPT-oss"), [4, 1]),
        (LogFilter(model="answered"), [3]),
        (LogFilter(provider="novita"), [2]),
        (LogFilter(task="text-to-image"), [3]),
        (LogFilter(failed=True), [4, 2]),
        (LogFilter(since="2026-11-29T08:00:03"), [4, 3]),
        (LogFilter(model="oss", failed=True, since="2026"), [4]),
        (LogFilter(model="oss", provider="novita"), []),
    ],
)
def test_calls_are_listed_newest_first_as_filters_say(
    log: CallLog, wanted: LogFilter, numbers: list[int]
) -> None:
    log.add([
        logged(1),
        logged(2, model="a/b", provider="novita", outcome="failed"),
        logged(3, model="c/d", task="text-to-image", answered_model="what-answered"),
        logged(4, outcome="left"),
    ])  # fmt: skip
    assert [int(one.id[5:]) for one in log.calls(wanted, 10)] == numbers
    assert [int(one.id[5:]) for one in log.calls(wanted, 1)] == numbers[:1]


def test_calls_are_read_with_their_attempts(log: CallLog) -> None:
    rows = [
        Logged(call(n), tuple(attempt(n, number=k) for k in range(1, n % 3 + 1)))
        for n in range(1, 1201)
    ]
    log.add(rows)
    assert log.with_attempts(LogFilter(), 9999) == rows[::-1]
    assert log.with_attempts(LogFilter(failed=True), 9999) == []


def test_a_call_that_is_there_already_stays_as_it_is(log: CallLog) -> None:
    log.add([logged(1)])
    log.add([logged(1, outcome="failed"), logged(2)])
    assert [(one.id, one.outcome) for one in log.calls(LogFilter(), 9)] == [
        ("call_000002", "ok"),
        ("call_000001", "ok"),
    ]


def test_pruned_calls_take_their_attempts_and_content_with_them(log: CallLog) -> None:
    rows = [logged(number) for number in range(30)]
    log.add([Logged(r.call, r.attempts, LoggedContent(r.call.id, "{}", "{}")) for r in rows])
    assert log.prune(before="2026-11-29T08:00:10") == 10
    assert log.prune(keep=5) == 15
    assert log.prune(keep=5) == 0
    with closing(sqlite3.connect(log.path)) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("calls", "attempts", "contents")
        ]
    assert counts == [5, 5, 5]


def test_many_are_pruned_in_slices(log: CallLog) -> None:
    log.add([Logged(call(number)) for number in range(3300)])
    assert log.prune(keep=200) == 3100
    assert len(log.calls(LogFilter(), 9999)) == 200


def test_the_files_are_this_users_alone(log: CallLog) -> None:
    log.add([logged(1)])
    files = sorted(log.path.parent.iterdir())
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700


def test_one_that_was_closed_opens_again(log: CallLog) -> None:
    log.add([logged(1)])
    log.close()
    log.add([logged(2)])
    assert len(log.calls(LogFilter(), 9)) == 2


def test_a_value_that_cannot_be_kept_is_told_apart(log: CallLog) -> None:
    with pytest.raises(StoreValueError):
        log.add([logged(1), logged(2, input_tokens=2**70)])
    assert log.calls(LogFilter(), 9) == []


@pytest.mark.parametrize("schema", ["CREATE TABLE notes (text TEXT)"])
def test_another_programs_database_is_left_alone(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(schema)
    with closing(CallLog(path)) as log, pytest.raises(StoreError, match="another program"):
        log.add([logged(1)])


def test_a_newer_programs_log_is_refused(log: CallLog) -> None:
    log.add([logged(1)])
    with closing(sqlite3.connect(log.path)) as connection:
        connection.execute(
            "INSERT INTO migrations (number, name, checksum) VALUES (2, 'later', 'x')"
        )
        connection.commit()
    with closing(CallLog(log.path)) as other, pytest.raises(StoreTooNewError):
        other.calls(LogFilter(), 1)


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_call_log import logged
from trunkline.store.call_log import CallLog
log = CallLog(Path(sys.argv[1]), busy_seconds=60)
first = int(sys.argv[2])
for number in range(first, first + 50):
    log.add([logged(number)])
log.close()
"""


@pytest.mark.slow
def test_several_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    here = str(Path(__file__).parent)
    writers = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(path), str(start), here])
        for start in (0, 100, 200)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with closing(CallLog(path)) as log:
        assert len(log.calls(LogFilter(), 999)) == 150


def documented(table: str) -> list[str]:
    """Return the columns that the page explains, in its order."""
    section = DOCS.read_text().split(f"### `{table}`")[1].split("\n#")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


@pytest.mark.parametrize("table", ["calls", "attempts", "contents"])
def test_the_page_explains_every_column(log: CallLog, table: str) -> None:
    log.migrate()
    with closing(sqlite3.connect(log.path)) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    assert columns
    assert documented(table) == columns


def test_the_page_explains_every_table(log: CallLog) -> None:
    log.migrate()
    with closing(sqlite3.connect(log.path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows if not name.startswith("sqlite_")}
    told = set(re.findall(r"^### `(\w+)`", DOCS.read_text(), re.MULTILINE))
    assert told == tables - {"migrations"}
