"""`trunkline bench` from the outside: what it asks first, prints, writes and keeps."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import Open, Run

from trunkline import Client
from trunkline.sandbox import Sandbox, SandboxServer, serve_in_thread
from trunkline.settings import read_settings
from trunkline.types.route import Candidate

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
pytestmark = pytest.mark.slow


@pytest.fixture
def odd() -> Iterator[SandboxServer]:
    """A sandbox with a provider that drifts for as long as a round lasts, and one that fails."""
    with serve_in_thread(Sandbox(at={"novita": "drift-words", "groq": "503"})) as running:
        yield running


@pytest.fixture
def at_odds(env: dict[str, str], odd: SandboxServer, tmp_path: Path) -> dict[str, str]:
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    return {**env, **odd.environment, **cache, "HF_TOKEN": "hf_secret_of_the_test"}


def lines(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_it_measures_every_provider_and_says_who_stands_out(
    run: Run, at_odds: dict[str, str]
) -> None:
    done = run("bench", LLAMA, "--yes", "--context", "300", env=at_odds)
    assert done.returncode == 0, done.stderr
    head, *rows = lines(done.stdout)
    assert head[0] == "provider"
    assert [row[0] for row in rows] == ["deepinfra", "novita !", "cerebras"]
    assert {len(row) for row in rows} == {len(head)}
    assert "Not asked: featherless-ai, its price is not known." in done.stderr
    assert "10 prompts, 3 runs, at most 512 tokens an answer: 90 calls for about $" in done.stderr
    assert "! novita stands out:" in done.stderr
    assert "deepinfra, cerebras: [simulated]" in done.stderr
    assert "Spent: $" in done.stderr
    assert "hf_secret" not in done.stdout + done.stderr


def test_it_writes_a_run_a_sheet_and_a_report_and_compares_with_an_earlier_run(
    run: Run, at_odds: dict[str, str], tmp_path: Path
) -> None:
    asked = ("bench", LLAMA, "--yes", "--context", "0", "--runs", "1")
    first = run(*asked, "--json", "--csv", "r.csv", "--html", "r.html", env=at_odds)
    body = json.loads(first.stdout)
    assert body["form"] == "trunkline.bench/1"
    assert [place["provider"] for place in body["places"]] == [
        "deepinfra", "novita", "cerebras", "featherless-ai",
    ]  # fmt: skip
    assert len(body["samples"]) == len(body["prompts"]) * 3 == 27
    assert body["odd"][0]["provider"] == "novita"
    assert len(list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))) == 27
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    (tmp_path / "first.json").write_text(first.stdout)
    second = run(*asked, "--against", "first.json", "--html", "r.html", env=at_odds)
    assert second.returncode == 0, second.stderr
    table = lines(second.stdout.partition("\n\n")[2])
    assert table[0] == [
        "provider", "what", "before", "now", "change", "95 % interval", "moved",
    ]  # fmt: skip
    assert {row[0] for row in table[1:]} == {"deepinfra", "novita", "cerebras"}
    assert "Against 20" in (tmp_path / "r.html").read_text()


def test_prompts_of_ones_own_are_asked_and_judged(
    run: Run, at_odds: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "p.jsonl").write_text(
        '{"prompt": "Say pear.", "expect": "pear", "name": "fruit"}\n'
    )
    asked = ("bench", LLAMA, "--yes", "--prompts", "p.jsonl", "--providers", "novita,cerebras")
    done = run(*asked, env=at_odds)
    assert [row[8] for row in lines(done.stdout)[1:]] == ["0/3", "3/3"]
    assert "novita stands out: wrong where its peers are right: fruit" in done.stderr


def test_who_only_fails_makes_the_run_fail(run: Run, at_odds: dict[str, str]) -> None:
    model = "meta-llama/Llama-3.3-70B-Instruct"
    done = run("bench", model, "-y", "--providers", "groq", "--context", "0", env=at_odds)
    assert done.returncode == 1
    assert "27 x ServiceUnavailableError" in done.stderr
    assert "Spent: $0." in done.stderr


def test_nothing_is_spent_where_nobody_can_be_asked(
    run: Run, at_odds: dict[str, str], odd: SandboxServer
) -> None:
    done = run("bench", LLAMA, env=at_odds)
    assert done.returncode == 2
    assert "give --yes" in done.stderr
    assert "90 calls for about $" in done.stderr
    assert all(request.method == "GET" for request in odd.requests)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--providers", "groq,,novita"], "--providers takes names"),
        (["--spend", "much"], "'much' is no amount of dollars"),
        (["--spend", "-1"], "no amount of dollars"),
        (["--watch", "soon"], "'soon' is no span of time"),
        (["--prompts", "missing.txt"], "No such file or directory: missing.txt"),
        (["--against", "missing.json"], "No such file or directory: missing.json"),
        (["--providers", "grok"], "Did you mean groq"),
        (["--watch", "1h", "--yes"], "give --spend"),
        (["--watch", "1h", "--csv", "r.csv"], "--watch does not go with --csv"),
        (["--marks", "--json"], "--marks does not go with --json"),
        (["--marks", "--clear"], "--marks does not go with --clear"),
        (["--rounds", "2"], "--rounds is for --watch"),
        (["--html", "no/such/folder/r.html", "-y"], "cannot be written"),
    ],
)
def test_bad_input_is_said_before_anything_is_asked(
    run: Run, at_odds: dict[str, str], odd: SandboxServer, options: list[str], said: str
) -> None:
    done = run("bench", "meta-llama/Llama-3.3-70B-Instruct", *options, env=at_odds)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert all(request.method == "GET" for request in odd.requests)


def test_a_watch_marks_who_drifts_and_frees_who_agrees_again(
    run: Run, at_odds: dict[str, str], tmp_path: Path
) -> None:
    watch = (
        "bench",
        LLAMA,
        "--watch",
        "1s",
        "--rounds",
        "1",
        "--yes",
        "--spend",
        "1",
        "--context",
        "0",
    )
    done = run(*watch, env=at_odds)
    assert done.returncode == 0, done.stderr
    assert "54 calls, 0 failed, marked: novita, spent $" in done.stdout
    (kept,) = (tmp_path / "cache" / "trunkline").glob("marks-*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    (mark,) = json.loads(kept.read_text())["marks"]
    assert (mark["provider"], mark["model"]) == ("novita", LLAMA)
    assert set(mark["evidence"][0]["peers"]) == {"deepinfra", "cerebras"}
    shown = run("bench", LLAMA, "--marks", env=at_odds)
    assert shown.stdout.startswith("novita since ")
    assert "it said: [lumisdeta]" in shown.stderr

    with serve_in_thread() as mended:  # the same marks, though it has another port
        here = {**at_odds, **mended.environment}
        kept.rename(kept.with_name(f"marks-{mended.url.rpartition('/')[2].replace(':', '-')}.json"))
        again = run(*watch, env=here)
        assert "marked: nobody, agree again: novita" in again.stdout
        assert "No provider of" in run("bench", LLAMA, "--marks", env=here).stderr


def test_a_mark_can_be_lifted(run: Run, at_odds: dict[str, str]) -> None:
    watch = (
        "bench",
        LLAMA,
        "--watch",
        "9",
        "--rounds",
        "1",
        "-y",
        "--spend",
        "1",
        "--context",
        "0",
    )
    assert run(*watch, env=at_odds).returncode == 0
    other = run("bench", LLAMA, "--clear", "--providers", "groq", env=at_odds)
    assert "is marked" in other.stderr
    assert run("bench", LLAMA, "--clear", env=at_odds).stderr.strip() == "Lifted: novita."
    assert run("bench", LLAMA, "--marks", env=at_odds).stdout == ""


def test_a_watch_can_tell_its_rounds_as_json(run: Run, at_odds: dict[str, str]) -> None:
    watch = ("--watch", "1s", "--rounds", "2", "-y", "--spend", "1", "--context", "0", "--json")
    done = run("bench", LLAMA, *watch, env=at_odds)
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["calls"], one["failed"], one["freed"]) for one in rounds] == [(54, 0, [])] * 2
    assert rounds[1]["marked"][0]["provider"] == "novita"
    assert 0 < float(rounds[0]["spent"]) < float(rounds[1]["spent"])


def test_a_watch_ends_at_its_cap(run: Run, at_odds: dict[str, str]) -> None:
    watch = ("bench", LLAMA, "--watch", "1s", "--yes", "--spend", "0.0005", "--context", "0")
    done = run(*watch, env=at_odds)
    assert done.returncode == 1
    assert "The cap is reached; the watch ends." in done.stderr


def test_the_cap_is_asked_for_at_a_terminal(terminal: Open, at_odds: dict[str, str]) -> None:
    shown = terminal("bench", LLAMA, "--runs", "1", "--context", "0", env=at_odds)
    shown.expect("Spend at most, in dollars")
    shown.send("lots\n")
    shown.expect("no amount of dollars")
    shown.send("0.5\n")
    shown.expect("Spent: $")
    assert shown.end() == 0
    assert "novita !" in shown.text


def test_who_says_no_spends_nothing(
    terminal: Open, at_odds: dict[str, str], odd: SandboxServer
) -> None:
    shown = terminal("bench", LLAMA, "--spend", "0.5", env=at_odds)
    shown.expect("Spend up to $0.5?")
    shown.send("n\n")
    assert shown.end() == 1
    assert all(request.method == "GET" for request in odd.requests)


def test_ctrl_c_ends_a_run_and_shows_what_has_come(terminal: Open, env: dict[str, str]) -> None:
    at = {"novita": "slow;seconds=0.1", "cerebras": "stall-head", "deepinfra": "stall-head"}
    with serve_in_thread(Sandbox(at=at)) as server:
        here = {**env, **server.environment, "HF_TOKEN": "hf_secret_of_the_test"}
        shown = terminal("bench", LLAMA, "-y", "--context", "0", env=here)
        shown.expect("2/81")  # the only calls that are answered
        shown.interrupt()
        shown.expect("It was stopped before its end.")
        assert shown.end() == 130
    assert "novita" in shown.text


def test_ctrl_c_ends_a_watch_between_its_rounds(terminal: Open, at_odds: dict[str, str]) -> None:
    shown = terminal(
        "bench", LLAMA, "--watch", "1h", "-y", "--spend", "1", "--context", "0", env=at_odds
    )
    shown.expect("marked: novita")
    shown.interrupt_until("Stopped.")
    assert shown.end() == 0


def test_routing_counts_what_was_measured_and_goes_around_who_is_marked(
    run: Run, at_odds: dict[str, str]
) -> None:
    watch = ("--watch", "1h", "--rounds", "1", "-y", "--spend", "1", "--context", "0")
    assert run("bench", LLAMA, *watch, env=at_odds).returncode == 0

    def candidates() -> dict[str, Candidate]:
        with Client("hf_sandbox", settings=read_settings(at_odds)) as client:
            answer = client.chat(LLAMA, [{"role": "user", "content": "Hello"}], route="fastest")
        assert answer.receipt is not None and answer.receipt.route is not None
        return {candidate.name: candidate for candidate in answer.receipt.route.candidates}

    found = candidates()
    assert (found["novita"].excluded or "").startswith("marked since 20")
    assert found["deepinfra"].excluded is None
    assert found["deepinfra"].source == "measured"
    assert found["deepinfra"].first_token is not None
    assert found["featherless-ai"].source != "measured"  # it was not asked
    assert run("bench", LLAMA, "--clear", env=at_odds).returncode == 0
    assert candidates()["novita"].excluded is None
