"""Streams on routes that break after their first token: told, begun anew, gone on with, kept back."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from routes_side import (
    Script,
    answering,
    cutting,
    holding,
    refusing,
    routed,
    said,
    text_of,
)

from loopback import DONE, LAST, STREAM_HEAD, Visit, chunk, whole

pytestmark = pytest.mark.slow


def events_of(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]


def test_a_cut_is_an_error_in_the_stream_unless_the_route_says_otherwise(tmp_path: Path) -> None:
    with routed(tmp_path, "", cutting("Once |upon"), answering("Once |upon |a time")) as scene:
        answer = scene.ask(stream=True)
        assert events_of(answer.body)[-1]["error"]["code"] == "upstream_truncated"
        row = scene.row(answer)
        assert (row["outcome"], len(row["tries"])) == ("truncated", 1)
        assert scene.asked(1) == 0


def test_a_second_answer_that_begins_alike_is_delivered_on(tmp_path: Path) -> None:
    with routed(
        tmp_path, 'on_cut = "restart"', cutting("Once |upon"), answering("On|ce upon| a time")
    ) as scene:
        answer = scene.ask(stream=True)
        assert text_of(answer) == "Once upon a time"
        assert answer.body.endswith(b"data: [DONE]\n\n")
        row = scene.row(answer)
        assert (row["outcome"], row["upstream"]) == ("ok", "b")
        assert [one["role"] for one in row["tries"]] == ["first", "restart"]
        costs = [Decimal(one["cost"]) for one in row["tries"]]
        assert min(costs) > 0
        assert Decimal(row["cost"]) == sum(costs)
        assert row["tries"][0]["output_tokens"] > 0
        assert row["output_tokens"] == 5  # the first's are apart


def test_a_second_answer_that_begins_otherwise_ends_with_the_first_error(tmp_path: Path) -> None:
    with routed(
        tmp_path, 'on_cut = "restart"', cutting("Once |upon"), answering("Long ago |in")
    ) as scene:
        answer = scene.ask(stream=True)
        told = events_of(answer.body)
        assert told[-1]["error"]["code"] == "upstream_truncated"
        assert b"Long" not in answer.body
        row = scene.row(answer)
        assert (row["outcome"], len(row["tries"])) == ("truncated", 2)
        assert "began otherwise" in row["route"]["notes"][-1]
        assert Decimal(row["cost"]) == sum(Decimal(one["cost"]) for one in row["tries"])


def test_where_the_second_target_fails_the_first_error_is_told(tmp_path: Path) -> None:
    with routed(tmp_path, 'on_cut = "restart"', cutting("Once |upon"), refusing(400)) as scene:
        answer = scene.ask(stream=True)
        assert events_of(answer.body)[-1]["error"]["code"] == "upstream_truncated"
        row = scene.row(answer)
        assert [one["status"] for one in row["tries"]] == [200, 400]
        assert Decimal(row["cost"]) == Decimal(row["tries"][0]["cost"]) > 0


def test_a_target_that_takes_a_prefix_goes_on_from_it(tmp_path: Path) -> None:
    rules = 'on_cut = "continue"\ntakes_prefix = ["b"]'
    with routed(tmp_path, rules, cutting("Once |upon"), answering(" a time")) as scene:
        answer = scene.ask(stream=True)
        assert text_of(answer) == "Once upon a time"
        sent = scene.servers[1].requests[0].json
        assert sent["messages"][-1] == {"role": "assistant", "content": "Once upon"}
        assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)
        assert [one["role"] for one in scene.row(answer)["tries"]] == ["first", "continue"]


def test_one_that_refuses_the_prefix_is_asked_for_the_whole(tmp_path: Path) -> None:
    def picky(visit: Visit) -> None:
        while True:
            request = visit.request()
            if request.json["messages"][-1]["role"] == "assistant":
                visit.send(whole(b'{"error": {"message": "no prefix"}}', 400))
            else:
                visit.send(STREAM_HEAD, said("Once upon a time"), chunk(DONE), LAST)

    rules = 'on_cut = "continue"\ntakes_prefix = ["b"]'
    with routed(tmp_path, rules, cutting("Once |upon"), picky) as scene:
        answer = scene.ask(stream=True)
        assert text_of(answer) == "Once upon a time"
        assert [one["role"] for one in scene.row(answer)["tries"]] == [
            "first",
            "continue",
            "restart",
        ]


@pytest.mark.parametrize("rules", ["", "hold_tokens = 100"])
def test_what_is_kept_back_fails_over_unseen(tmp_path: Path, rules: str) -> None:
    with routed(
        tmp_path, f'on_cut = "hold"\n{rules}', cutting("Long |ago"), answering("Once |upon")
    ) as scene:
        answer = scene.ask(stream=True)
        assert text_of(answer) == "Once upon"
        row = scene.row(answer)
        assert row["outcome"] == "ok"
        assert row["tries"][0]["output_tokens"] > 0
        assert Decimal(row["cost"]) == sum(Decimal(one["cost"]) for one in row["tries"])


@pytest.mark.parametrize("rules", ["hold_tokens = 2", "hold_seconds = 0.2"])
def test_so_much_and_no_more_is_kept_back(tmp_path: Path, rules: str) -> None:
    held = routed(tmp_path, f'on_cut = "hold"\n{rules}', holding("Once |upon"))
    with held as scene, scene.streaming() as wire:
        assert b"[DONE]" not in wire.until(b"upon")  # the server says no more until then
        scene.servers[0].say("go on")
        assert b"error" not in wire.until(b"[DONE]")


@pytest.mark.parametrize("second", [answering("On|ce upon| a time")])
def test_clients_of_another_api_get_one_answer_too(tmp_path: Path, second: Script) -> None:
    with routed(tmp_path, 'on_cut = "restart"', cutting("Once |upon"), second) as scene:
        answer = scene.ask_for_a_response(stream=True)
        done = [e for e in events_of(answer.body) if e["type"] == "response.completed"]
        text = done[0]["response"]["output"][0]["content"][0]["text"]
        assert text == "Once upon a time"
