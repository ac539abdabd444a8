"""`trunkline replay`: a log's and a ledger's calls along another route, by the real program."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from in_process import quick
from terminals import Open, Run

from trunkline.store.call_log import CallLog
from trunkline.store.logged import Logged, LoggedAttempt, LoggedCall
from trunkline.store.records import Batch, Entry
from trunkline.store.sqlite import SqliteStore

__all__ = ["quick"]

MODEL = "openai/gpt-oss-120b"
PRICES = f'["{MODEL}".groq]\ninput = 10\noutput = 10\n'


def logged(number: int, provider: str, *, failed: bool = False) -> Logged:
    """Return a call of some minutes ago."""
    started = datetime.fromtimestamp(time.time() - 60 * (100 - number), UTC)
    error = "ServiceUnavailableError" if failed else None
    one = LoggedCall(
        id=f"call_{number:04}", started=started.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), task="chat",
        model=f"huggingface/{provider}/{MODEL}", outcome="failed" if failed else "ok",
        seconds=0.2 if failed else 3.0, stream=True, provider=provider, attempts=1, error=error,
        first_token=None if failed else 1.0, input_tokens=None if failed else 900,
        output_tokens=None if failed else 100, cost=None if failed else "0.01",
    )  # fmt: skip
    attempt = LoggedAttempt(
        one.id, 1, provider, MODEL, "u", 503 if failed else 200, error, None, 0.0, one.seconds
    )
    return Logged(one, (attempt,))


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "calls.db"
    rows = [logged(n, ("groq", "novita")[n % 2], failed=n % 10 == 1) for n in range(100)]
    with closing(CallLog(path)) as log:
        log.add(rows)
    return str(path)


def test_a_day_through_another_policy_is_a_table_with_how_far_to_trust_it(
    quick: Run, log: str
) -> None:
    done = quick("replay", "--log", log, "--policy", "groq,novita", "--offline")
    assert done.returncode == 0, done.stderr
    rows = {cells[0]: cells[1:] for cells in map(str.split, done.stdout.splitlines()) if cells}
    assert rows["failed"][:2] == ["10", "0"]
    assert rows["groq"] == [MODEL, "50", "100"]
    assert rows["novita"] == [MODEL, "40", "0"]
    assert "100 calls from 20" in done.stderr
    assert "50 of them answered elsewhere, the cost of 90 known on both sides." in done.stderr
    assert "50 calls are given what others got at their place" in done.stderr
    assert (
        quick("replay", "--log", log, "--policy", "groq,novita", "--offline").stdout == done.stdout
    )


def test_places_that_the_log_never_saw_are_said_and_fail_where_nothing_is_left(
    quick: Run, log: str
) -> None:
    done = quick("replay", "--log", log, "--route", "nscale", "--offline", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["compared"] == 0
    assert told["unknown"] == {f"nscale {MODEL}": 100}
    assert told["would"]["cost"] is None
    done = quick(
        "replay", "--log", log, "--route", "cheapest", "--offline", "--json", "--seen-only"
    )
    told = json.loads(done.stdout)
    assert (told["compared"], told["unknown"]) == (100, {})
    assert told["would"]["cost"] < told["was"]["cost"] == 0.9
    assert told["policy"] == "cheapest"


@pytest.mark.parametrize("form", ["toml", "json"])
def test_other_prices_alone_change_costs_alone(
    quick: Run, log: str, tmp_path: Path, form: str
) -> None:
    path = tmp_path / f"prices.{form}"
    rows = json.dumps({MODEL: {"groq": {"input": 10, "output": 10}}})
    path.write_text(PRICES if form == "toml" else rows)
    done = quick("replay", "--log", log, "--prices", str(path), "--offline", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["moved"], told["policy"], told["draws"]) == (0, None, 1)
    novita = 40 * (900 * 0.05 + 100 * 0.25) / 1e6
    assert told["would"]["cost"] == pytest.approx(50 * 0.01 + novita)
    assert told["would"]["failed"] == told["was"]["failed"] == 10
    assert told["prices"].startswith(f"the file {path}, else snapshot")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give --policy, or --prices FILE"),
        (("--policy", "quickest"), "one of these is expected"),
        (("--policy", "fastest", "--route", "cheapest"), "not both"),
        (("--policy", "fastest", "--since", "yesterday"), "no time"),
        (("--policy", "fastest", "--log", "nothing.db"), "There is no log of calls"),
    ],
)
def test_what_cannot_be_meant_is_told(quick: Run, arguments: tuple[str, ...], said: str) -> None:
    done = quick("replay", *arguments)
    assert done.returncode != 0
    assert said in done.stderr


def test_a_file_that_is_no_list_of_prices_is_told(quick: Run, log: str, tmp_path: Path) -> None:
    for text in ("{", "a = ", '["org/m".groq]\nin = 3\n'):
        (tmp_path / "odd").write_text(text)
        done = quick("replay", "--log", log, "--prices", str(tmp_path / "odd"))
        assert done.returncode == 1
        assert "odd" in done.stderr


def test_a_gateways_ledger_is_replayed_too(quick: Run, tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    now = time.time()
    entries = [
        Entry(
            id=f"req_{n:04}", boot="b", key="k", owner=None, team=None, endpoint="chat",
            model=MODEL, stream=True, started=now - 600 + n, reserved=0, state="settled",
            ended=now - 598 + n, status=200, outcome="ok", provider=("groq", "novita")[n % 2],
            attempts=1, input_tokens=900, output_tokens=100, cost=10**10, first_byte=0.5,
        )
        for n in range(40)
    ]  # fmt: skip
    with closing(SqliteStore(str(path))) as store:
        store.migrate()
        store.commit(Batch(entries, [], "b-000001", 9))
    asked = ("--store", str(path), "--policy", "novita", "--offline", "--json")
    told = json.loads(quick("replay", *asked).stdout)
    assert (told["calls"], told["compared"], told["moved"]) == (40, 40, 20)
    assert told["was"]["cost"] == pytest.approx(0.4)
    assert json.loads(quick("replay", *asked, "--since", "5m").stdout)["calls"] == 0


@pytest.mark.slow
def test_it_fits_a_terminal(terminal: Open, log: str) -> None:
    screen = terminal("replay", "--log", log, "--policy", "groq,novita", "--offline")
    assert screen.end() == 0
    assert "would be" in screen.text
    assert "first token p99" in screen.text
