"""`trunkline plan`: the table, the JSON and the exit code of the real program."""

from __future__ import annotations

import asyncio
import json

import pytest
from in_process import quick
from terminals import Open, Run

from trunkline import AsyncClient, Client, Plan
from trunkline.sandbox import SandboxServer

__all__ = ["quick"]

MODEL = "openai/gpt-oss-120b"


def test_a_plan_is_a_table_in_which_the_first_is_asked_first(quick: Run) -> None:
    done = quick("plan", MODEL, "--offline", "--route", "cheapest", "--tokens-out", "100")
    assert done.returncode == 0, done.stderr
    head, *lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert head[:3] == ["-", "place", "$ expected"]
    assert [line[0] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
    costs = [float(line[2]) for line in lines]
    assert costs == sorted(costs)
    assert "the best: $" in lines[0][-1]
    assert "1000 tokens in, 100 out. Offers: snapshot shipped" in done.stderr


def test_no_place_is_a_table_of_why_not_and_fails(quick: Run) -> None:
    done = quick("plan", MODEL, "--offline", "--max-price", "0.000001")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "not asked\twhy"
    assert "above $0.000001" in done.stdout
    assert "No place may be asked:" in done.stderr


def test_a_plan_is_values_in_json_and_asks_nobody_but_for_the_list(
    run: Run, routed: dict[str, str], server: SandboxServer
) -> None:
    before = len(server.requests)
    model = "meta-llama/Llama-3.3-70B-Instruct"
    done = run("plan", model, "--json", "--route", '{"order": "balanced"}', env=routed)
    assert done.returncode == 0, done.stderr
    assert {r.path.rpartition("/")[2] for r in list(server.requests)[before:]} == {"models"}
    plan = json.loads(done.stdout)
    assert plan["policy"] == "balanced by first token"
    assert plan["places"][0]["number"] == 1
    assert plan["places"][0]["place"]["cost"] > 0
    assert plan["source"] == "router"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--route", "quickest"), "one of these is expected"),
        (("--route", "{"), "--route is no JSON"),
        (("--route", '{"oder": "fastest"}'), "no field 'oder'"),
        (("--route", "cheapest", "--allow", "groq", "--deny", "groq"), "allows and denies 'groq'"),
        (("--needs", "wings"), "'wings'"),
        (("--tokens-in", "-1"), "--tokens-in"),
    ],
)
def test_what_cannot_be_meant_is_told(quick: Run, arguments: tuple[str, ...], said: str) -> None:
    done = quick("plan", MODEL, "--offline", *arguments)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.slow
def test_a_plan_fits_a_terminal(terminal: Open) -> None:
    screen = terminal("plan", MODEL, "--offline", "--route", "groq,novita")
    assert screen.end() == 0
    assert "groq" in screen.text
    assert "as the route has" in screen.text


def test_both_clients_plan_alike() -> None:
    with Client("hf_x") as client:
        one = client.plan(MODEL, route="cheapest", input_tokens=10, offline=True)

    async def awaited() -> Plan:
        async with AsyncClient("hf_x") as other:
            return await other.plan(MODEL, route="cheapest", input_tokens=10, offline=True)

    assert asyncio.run(awaited()) == one
    assert one.input_tokens == 10
