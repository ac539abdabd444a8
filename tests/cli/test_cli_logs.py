"""`trunkline logs` and `trunkline why`: what was logged, and the story of a call."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from terminals import Open, Run

from trunkline.cli import main
from trunkline.cli.log_file import since_text
from trunkline.store.call_log import CallLog
from trunkline.store.logged import Logged, LoggedAttempt, LoggedCall, LoggedContent
from trunkline.store.postgres import PostgresStore
from trunkline.store.records import Batch, Entry
from trunkline.store.sqlite import SqliteStore

Program = Callable[..., CompletedProcess[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A log with three calls."""
    path = tmp_path / "calls.db"
    with closing(CallLog(path)) as log:
        log.add(
            [
                made(1),
                made(2, outcome="failed", error="Timeout", message="\x1b[31mno answer"),
                made(3),
            ]
        )
    return path


def an_ended_entry(entry_id: str, **more: object) -> Entry:
    facts = {
        "id": entry_id, "boot": "b", "key": "key_1", "owner": None, "team": None, "endpoint": "chat",
        "model": "org/model", "stream": False, "started": 1796000000.0, "reserved": 9,
        "state": "settled", "ended": 1796000001.0, "status": 200, "outcome": "ok",
    }  # fmt: skip
    return Entry(**{**facts, **more})


def made(number: int, **more: object) -> Logged:
    facts = {
        "id": f"call_{number:012}", "started": f"2026-01-2{number}T08:00:00.000000Z", "task": "chat",
        "model": "huggingface/groq/org/model", "outcome": "ok", "seconds": 0.5, "attempts": 1,
        "provider": "groq", "request_id": f"r-{number}", "cost": "0.0000012", "route": None,
    }  # fmt: skip
    call = LoggedCall(**{**facts, **more})
    attempt = LoggedAttempt(
        call.id, 1, "groq", "model", "https://router", 200, call.error, f"r-{number}", 0.0, 0.5
    )
    return Logged(call, (attempt,), LoggedContent(call.id, '{"messages":[]}', None))


@pytest.fixture
def program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Program:
    """Run the program, in this process."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "TRUNKLINE_LOG"):
        monkeypatch.delenv(name, raising=False)

    def program(*arguments: str, fails: bool = False) -> CompletedProcess[str]:
        capsys.readouterr()
        code = main([*arguments])
        out, err = capsys.readouterr()
        assert (code != 0) is fails, err
        return CompletedProcess(arguments, code, out, err)

    return program


def ids(done: CompletedProcess[str]) -> list[int]:
    return [int(line.split("\t")[1][5:]) for line in done.stdout.splitlines()[1:]]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ((), [3, 2, 1]),
        (("-n", "2"), [3, 2]),
        (("--failed",), [2]),
        (("--since", "2026-01-22"), [3, 2]),
        (("--model", "ORG/"), [3, 2, 1]),
        (("--provider", "groq", "--task", "chat"), [3, 2, 1]),
    ],
)
def test_calls_are_listed_newest_first(program: Program, file: Path, options, numbers) -> None:
    done = program("logs", "--log", str(file), *options)
    assert ids(done) == numbers
    assert done.stdout.startswith("started\tid\ttask\tmodel\tprovider\toutcome\ttries\t")


def test_none_like_that_is_said(program: Program, file: Path) -> None:
    done = program("logs", "--log", str(file), "--provider", "nobody")
    assert done.stdout == ""
    assert "No calls like that" in done.stderr


def test_json_is_an_object_a_line_with_every_column(program: Program, file: Path) -> None:
    lines = program("logs", "--log", str(file), "--json").stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert [one["request_id"] for one in told] == ["r-3", "r-2", "r-1"]
    assert set(told[0]) == set(LoggedCall.__struct_fields__)
    assert told[0]["cost"] == "0.0000012"


def test_one_is_shown_with_all_that_is_kept_of_it(program: Program, file: Path) -> None:
    told = json.loads(program("logs", "show", "r-2", "--json", "--log", str(file)).stdout)
    assert told["id"] == "call_000000000002"
    assert told["attempts"][0]["error"] == "Timeout"
    assert told["asked"] == {"messages": []}
    text = program("logs", "--log", str(file), "show", "r-2").stdout
    assert "message: no answer" in text
    assert "attempt 1: provider groq, model model" in text


def test_a_call_that_is_not_there_is_an_error(program: Program, file: Path) -> None:
    assert "no call 'r-9'" in program("logs", "show", "r-9", "--log", str(file), fails=True).stderr
    assert "no call 'r-9'" in program("why", "r-9", "--log", str(file), fails=True).stderr


def test_calls_are_pruned_by_age_or_number(program: Program, file: Path) -> None:
    log = ("--log", str(file))
    assert "2 calls deleted" in program("logs", "prune", "--keep", "1", *log).stderr
    assert "1 call deleted" in program("logs", "prune", "--older", "0s", *log).stderr
    assert "--older" in program("logs", "prune", *log, fails=True).stderr
    assert "length" in program("logs", "prune", "--older", "2026-11-01", *log, fails=True).stderr


def test_where_the_log_is_follows_the_settings(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = tmp_path / ".local/state/trunkline/calls.db"
    assert program("logs", "path").stdout.strip() == str(usual)
    missing = program("logs", fails=True).stderr
    assert str(usual) in missing
    assert "TRUNKLINE_LOG=1" in missing
    monkeypatch.setenv("TRUNKLINE_LOG", "~/elsewhere.db")
    assert program("logs", "path").stdout.strip() == str(tmp_path / "elsewhere.db")


def test_what_is_no_log_is_a_clear_error(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no database at all, but a text of some length, as long as it has to be" * 9)
    assert "no SQLite database" in program("logs", "--log", str(path), fails=True).stderr


def test_the_last_call_is_told_unless_one_is_named(program: Program, file: Path) -> None:
    log = ("--log", str(file))
    assert program("why", *log).stdout.startswith("call_000000000003, ")
    assert program("why", "call_000000000002", *log).stdout.startswith("call_000000000002, ")
    said = program("why", "r-2", *log).stdout
    assert "Timeout: no answer." in said
    assert "\x1b" not in said


def test_a_story_is_values_for_machines(program: Program, file: Path) -> None:
    told = json.loads(program("why", "r-1", "--json", "--log", str(file)).stdout)
    assert told["id"] == "call_000000000001"
    assert told["attempts"][0]["provider"] == "groq"
    assert told["cost"] == "0.0000012"
    assert told["story"][0].startswith("call_000000000001, ")


def test_an_empty_log_has_no_last_call(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    with closing(CallLog(path)) as log:
        log.migrate()
    assert "No call is in the log" in program("why", "--log", str(path), fails=True).stderr


def test_a_gateways_call_is_told_from_its_store(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    with closing(SqliteStore(path)) as store:
        store.migrate()
        entries = [
            an_ended_entry("01a", upstream_id="u-1"),
            an_ended_entry("01b", client_request_id="c-2"),
        ]
        store.commit(Batch(entries, [], "journal", 1))
    store_option = ("--store", str(path))
    for wanted, found in (("01a", "01a"), ("u-1", "01a"), ("c-2", "01b")):
        assert program("why", wanted, *store_option).stdout.startswith(f"{found}, ")
    assert program("why", *store_option).stdout.startswith("01b, ")
    assert "no call 'x'" in program("why", "x", *store_option, fails=True).stderr
    both = program("why", "--log", "x", *store_option, fails=True).stderr
    assert "Give one of --log" in both


@pytest.mark.slow
def test_a_gateways_call_is_told_from_its_database(program: Program, postgres_url: str) -> None:
    with closing(PostgresStore(postgres_url)) as store:
        store.migrate()
        store.commit(Batch([an_ended_entry("01a", upstream_id="u-1")], [], "journal", 1))
    for wanted in (("01a",), ("u-1",), ()):
        assert program("why", *wanted, "--store", postgres_url).stdout.startswith("01a, ")


def test_a_call_that_no_log_has_is_looked_for_at_the_gateway_that_is_configured_here(
    program: Program, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trunkline.toml").write_text('[store]\npath = "gateway.db"\n')
    missing = program("why", "01a", fails=True).stderr
    assert "There is no log of calls" in missing
    with closing(SqliteStore(tmp_path / "gateway.db")) as store:
        store.migrate()
        store.commit(Batch([an_ended_entry("01a")], [], "journal", 1))
    assert program("why", "01a").stdout.startswith("01a, ")
    assert program("why", "--gateway").stdout.startswith("01a, ")
    monkeypatch.setenv("TRUNKLINE_LOG", str(file))
    assert program("why", "01a").stdout.startswith("01a, ")
    assert program("why", "r-1").stdout.startswith("call_000000000001, ")
    assert "no call 'r-9'" in program("why", "r-9", fails=True).stderr


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1h", "1970-01-02T00:00:00.000000Z"),
        ("2026-11-29", "2026-11-29T00:00:00.000000Z"),
        ("2026-11-29T10:00+02:00", "2026-11-29T08:00:00.000000Z"),
        ("now", "1970-01-02T01:00:00.000000Z"),
    ],
)
def test_since_when_is_a_length_ago_a_day_or_a_time(text: str, found: str) -> None:
    assert since_text(text, 25 * 3600.0) == found


def test_a_chat_on_the_command_line_is_logged_and_told(run: Run, env: dict[str, str]) -> None:
    logging = {**env, "TRUNKLINE_LOG": "1"}
    assert run("chat", "sandbox/demo", "Hello.", env=logging).returncode == 0
    told = run("why", env=env)
    assert told.returncode == 0, told.stderr
    assert "A chat with sandbox/demo was asked for, streamed." in told.stdout
    assert "It ended well" in told.stdout


def test_a_terminal_shows_a_table(terminal: Open, file: Path) -> None:
    shown = terminal("logs", "--log", str(file))
    shown.expect("started")
    shown.expect("groq")
