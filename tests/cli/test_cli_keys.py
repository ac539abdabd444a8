"""`trunkline keys` and `trunkline spend`: on the store's file, with the rules of an admin."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from terminals import Open, Run

from trunkline.cli import main
from trunkline.cli.given import read_budget, read_length, read_moment, shown_moment
from trunkline.gateway.keyring import digest_of
from trunkline.store.records import Batch, Budget, Limits, Scope, Spend
from trunkline.store.sqlite import SqliteStore

SECRET = re.compile(r"tl-[A-Za-z0-9_-]{43}\n")
Keys = Callable[..., CompletedProcess[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "gateway.db"


@pytest.fixture
def keys(file: Path, capsys: pytest.CaptureFixture[str]) -> Keys:
    """Run `trunkline keys` on it, in this process: there are many of them."""

    def keys(*arguments: str, fails: bool = False) -> CompletedProcess[str]:
        capsys.readouterr()
        code = main(["keys", *arguments, "--store", str(file)])
        out, err = capsys.readouterr()
        assert (code != 0) is fails, err
        return CompletedProcess(arguments, code, out, err)

    return keys


@pytest.fixture
def store(file: Path) -> SqliteStore:
    """The same store, as a gateway has it open."""
    store = SqliteStore(file)
    store.migrate()
    return store


def made(keys: Keys, *arguments: str) -> dict[str, Any]:
    """Make a key and return what is told of it."""
    told: dict[str, Any] = json.loads(keys("create", "--json", *arguments).stdout)
    return told


def test_a_made_key_works_and_its_secret_is_printed_once(keys: Keys, file: Path) -> None:
    done = keys("create", "--name", "first", "-q")
    assert SECRET.fullmatch(done.stdout)
    assert done.stderr == ""
    assert file.stat().st_mode & 0o777 == 0o600
    store = SqliteStore(file)
    (key,), (kept,) = store.keys(), store.secrets()
    assert kept.digest == digest_of(done.stdout.strip())
    assert (key.name, key.role) == ("first", "caller")
    everything = "".join(
        keys(*words).stdout
        for words in (("list",), ("list", "--json"), ("show", key.id), ("show", key.id, "--json"))
    )
    assert done.stdout.strip() not in everything
    assert kept.digest.hex() not in everything
    assert f"...{kept.hint}" in everything


def test_without_quiet_the_secret_is_still_all_there_is_on_stdout(keys: Keys) -> None:
    done = keys("create")
    assert SECRET.fullmatch(done.stdout)
    assert "shown this once" in done.stderr


def test_every_option_is_kept(keys: Keys, store: SqliteStore) -> None:
    told = made(
        keys, "--name", "n", "--role", "team-admin", "--owner", "ann@example.org", "--team", "red",
        "--model", "org/*", "--model", "b", "--provider", "groq", "--endpoint", "chat",
        "--rpm", "60", "--tpm", "1000", "--concurrency", "4",
        "--budget", "$2.50/day", "--budget", "50/month", "--expires", "2099-01-31",
        "--priority", "batch", "--deadline", "90s",
    )  # fmt: skip
    (key,) = store.keys()
    assert (key.name, key.role, key.owner, key.team) == (
        "n",
        "team-admin",
        "ann@example.org",
        "red",
    )
    assert key.scope == Scope(("org/*", "b"), ("groq",), ("chat",))
    assert key.limits == Limits(60, 1000, 4)
    assert (key.priority, key.deadline_seconds) == ("batch", 90.0)
    assert key.budgets == (Budget(25 * 10**11, "day"), Budget(5 * 10**13, "month"))
    assert shown_moment(key.expires) == "2099-01-31 00:00Z"
    assert told["key"]["budgets"][0] == {"amount": "2.5", "period": "day"}
    shown = keys("show", key.id).stdout
    for words in (
        "org/*, b",
        "60 requests/min, 1000 tokens/min, 4 at a time",
        "$2.5/day, $50/month",
        "batch",
        "90 s",
    ):
        assert words in shown


def test_a_change_keeps_the_rest(keys: Keys, store: SqliteStore) -> None:
    key_id = made(keys, "--rpm", "5", "--model", "a", "--budget", "1/day", "--expires", "30d")[
        "key"
    ]["id"]
    keys("change", key_id, "--tpm", "9", "--provider", "groq")
    (key,) = store.keys()
    assert (key.limits, key.scope) == (Limits(5, 9), Scope(("a",), ("groq",)))
    assert key.budgets == (Budget(10**12, "day"),)
    keys("change", key_id, "--deadline", "5m")
    assert store.keys()[0].deadline_seconds == 300.0
    keys("change", key_id, "--budget", "none", "--expires", "never", "--deadline", "none")
    (key,) = store.keys()
    assert (key.budgets, key.expires, key.deadline_seconds) == ((), None, None)
    assert "Say what is to change" in keys("change", key_id, fails=True).stderr


def test_rotating_expiring_and_revoking(keys: Keys, store: SqliteStore) -> None:
    first = made(keys)
    key_id = first["key"]["id"]
    version = store.version()
    second = keys("rotate", key_id, "--overlap", "1h", "-q").stdout
    assert SECRET.fullmatch(second)
    assert store.version() > version  # which is how a running gateway takes note
    ends = {secret.digest: secret.expires for secret in store.secrets()}
    old = ends[digest_of(first["secret"])]
    assert old is not None
    assert 3500 < old - first["key"]["created"] < 3700
    assert ends[digest_of(second.strip())] is None
    assert " ends 2099-01-31 00:00Z." in keys("expire", key_id, "--at", "2099-01-31").stdout
    keys("expire", key_id)
    assert json.loads(keys("show", key_id, "--json").stdout)["state"] == "expired"
    assert "expired" in keys("rotate", key_id, fails=True).stderr
    assert "is revoked" in keys("revoke", key_id).stdout
    assert "for good" in keys("rotate", key_id, fails=True).stderr


def test_lists_hide_what_is_over_unless_asked(keys: Keys) -> None:
    live, over = (made(keys, "--team", team)["key"]["id"] for team in ("red", "blue"))
    keys("revoke", over)
    head, *lines = keys("list").stdout.splitlines()
    assert head.split("\t")[:2] == ["id", "name"]
    assert [line.split("\t")[0] for line in lines] == [live]
    everything = json.loads(keys("list", "--all", "--json").stdout)
    assert {key["id"]: key["state"] for key in everything} == {live: "live", over: "revoked"}
    assert json.loads(keys("list", "--team", "blue", "--json").stdout) == []
    assert "--all" in keys("list", "--team", "blue").stderr


@pytest.mark.parametrize("words", [("show",), ("rotate",), ("expire",), ("revoke",), ("change",)])
def test_an_unknown_id_gets_near_ones(keys: Keys, words: tuple[str, ...]) -> None:
    key_id = made(keys, "--name", "batch")["key"]["id"]
    more = ("--name", "x") if words == ("change",) else ()
    for meant in (key_id[:-1], "batch"):
        done = keys(*words, meant, *more, fails=True)
        assert f"There is no key {meant!r}. Did you mean {key_id} (batch)?" in done.stderr
    assert "Did you mean" not in keys(*words, "zzzzzzzz", *more, fails=True).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "fifty"), "50/month"),
        (("--budget", "5/year"), "50/month"),
        (("--budget", "1/day", "--budget", "2/day"), "one budget for each period"),
        (("--budget", "9999999999/day"), "may be $9000000 at most"),
        (("--expires", "tomorrow"), "30d, or never"),
        (("--expires", "2020-01-01"), "in the future"),
        (("--rpm", "0"), "limits.requests_per_minute"),
        (("--team", "a/b"), "team"),
        (("--role", "team-admin"), "needs a team"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_made(
    keys: Keys, store: SqliteStore, words: tuple[str, ...], said: str
) -> None:
    done = keys("create", *words, fails=True)
    assert said in done.stderr
    assert done.stdout == ""
    assert store.keys() == []


def test_reading_makes_no_store(run: Run, keys: Keys, file: Path) -> None:
    assert "There is no store at" in keys("list", fails=True).stderr
    assert "There is no store at" in run("spend", "--store", str(file)).stderr
    assert not file.exists()


def test_a_file_that_is_no_store_is_said_to_be_none(keys: Keys, file: Path) -> None:
    file.write_bytes(b"nothing of the kind" * 100)
    assert str(file) in keys("list", fails=True).stderr
    assert file.read_bytes() == b"nothing of the kind" * 100


def test_the_configured_store_is_the_one(run: Run, env: dict[str, str], tmp_path: Path) -> None:
    env = {**env, "XDG_DATA_HOME": str(tmp_path / "data")}
    assert run("keys", "create", env=env).returncode == 0
    assert (tmp_path / "data" / "trunkline" / "gateway.db").exists()
    named = {**env, "TRUNKLINE_STORE": str(tmp_path / "other.db")}
    assert run("keys", "create", env=named).returncode == 0
    assert (tmp_path / "other.db").exists()


def test_budgets_are_set_listed_and_removed(keys: Keys, store: SqliteStore) -> None:
    done = keys("budget", "set", "team", "red", "--budget", "50/month", "--rpm", "9")
    assert done.stdout == "red: $50/month: 9 requests/min\n"
    (account,) = store.accounts()
    assert (account.kind, account.name, account.limits) == ("team", "red", Limits(9))
    listed = keys("budget", "list").stdout.splitlines()
    assert listed[1].split("\t") == ["team", "red", "$50/month", "9 requests/min"]
    assert json.loads(keys("budget", "list", "--json").stdout)[0]["name"] == "red"
    missed = keys("budget", "remove", "team", "rde", fails=True)
    assert "Did you mean 'red'?" in missed.stderr
    keys("budget", "remove", "team", "red")
    assert store.accounts() == []
    assert "Give a --budget or a limit" in keys("budget", "set", "team", "a", fails=True).stderr
    assert "no slash" in keys("budget", "set", "team", "a/b", "--rpm", "1", fails=True).stderr


@pytest.fixture
def spent(store: SqliteStore) -> None:
    """Two days of spend."""
    rows = [
        Spend("2026-11-28", "key_1", "", "red", "org/a", "groq", 2, 1, 0, 10, 20, 10**12, 10**12),
        Spend("2026-11-29", "key_2", "", "blue", "=1+1", "groq", 1, 0, 1, 1, 2, 1, 1),
    ]
    store.commit(Batch([], rows, "journal", 1))


def test_spend_is_added_up_and_unknown_prices_are_said(run: Run, file: Path, spent: None) -> None:
    days = ("--since", "2026-11-01", "--until", "2026-11-30", "--store", str(file))
    done = run("spend", *days)
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        ["day", "calls", "failed", "input", "output", "cost", "charged"],
        ["2026-11-28", "2", "0", "10", "20", "$1", "$1"],
        ["2026-11-29", "1", "1", "1", "2", "$0.000000000001", "$0.000000000001"],
        ["total", "3", "1", "11", "22", "$1.000000000001", "$1.000000000001"],
    ]
    assert "1 of the calls have no known cost" in done.stderr
    told = json.loads(run("spend", *days, "--by", "team", "--team", "red", "--json").stdout)
    assert [(row["team"], row["cost"]) for row in told["data"]] == [("red", "1")]
    table = list(csv.reader(io.StringIO(run("spend", *days, "--by", "model", "--csv").stdout)))
    assert [row[0] for row in table] == ["model", "'=1+1", "org/a"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "2026-13-01"), "since is no day"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "is after until"),
        (("--by", "day,colour"), "'colour' is none of them"),
        (("--json", "--csv"), "not both"),
    ],
)
def test_a_question_about_spend_that_makes_no_sense(
    run: Run, file: Path, spent: None, words: tuple[str, ...], said: str
) -> None:
    done = run("spend", *words, "--store", str(file))
    assert done.returncode != 0
    assert said in done.stderr


def test_at_a_terminal_columns_are_aligned(
    terminal: Open, file: Path, env: dict[str, str], spent: None
) -> None:
    wide = {**env, "NO_COLOR": "1"}
    words = ("spend", "--since", "2026-11-01", "--until", "2026-11-30", "--by", "team")
    shown = terminal(*words, "--store", str(file), env=wide)
    shown.expect("total")
    assert shown.end() == 0
    text = shown.text
    assert "\t" not in text
    assert "red        2       0     10      20" in text


def test_moments_and_lengths_are_read_as_written() -> None:
    assert read_length("90s") == 90
    assert read_length("2w") == 14 * 86400
    assert read_moment("now", 5.0) == 5.0
    assert read_moment("1h", 5.0) == 3605.0
    assert read_moment("1970-01-02", 0) == 86400.0
    assert read_moment("1970-01-01T01:00+01:00", 9) == 0.0
    assert read_moment("Never", 5.0) is None
    assert shown_moment(1e11) == "5138-11-16 09:46Z"
    assert str(read_budget("$0.10/day")["amount"]) == "0.10"
