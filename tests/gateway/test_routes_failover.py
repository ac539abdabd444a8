"""What follows a target of a route that fails, and what the ledger has of it."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from routes_side import (
    answering,
    refusing,
    resetting,
    routed,
    said,
    silent,
    text_of,
    turning,
    until,
)

from loopback import DONE, LAST, STREAM_HEAD, Visit, chunk, completion, whole

pytestmark = pytest.mark.slow


def roles(row: dict[str, object]) -> list[tuple[object, ...]]:
    tries = row["tries"]
    assert isinstance(tries, list)
    return [(one["target"], one["role"], one["status"], one["error"]) for one in tries]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_target_that_fails_is_asked_once_more_and_then_the_next_one(
    tmp_path: Path, streamed: bool
) -> None:
    with routed(tmp_path, "", refusing(500), answering()) as scene:
        answer = scene.ask(stream=streamed)
        assert (answer.status, text_of(answer)) == (200, "hello")
        assert answer.headers["x-inference-provider"] == "b"
        assert answer.headers["x-trunkline-model"] == "m-b"
        assert answer.headers["x-trunkline-attempts"] == "3"
        row = scene.row(answer)
        assert roles(row) == [
            ("a", "first", 500, "InternalServerError"),
            ("a", "retry", 500, "InternalServerError"),
            ("b", "failover", 200, None),
        ]
        assert row["attempts"] == 3
        assert [one["cost"] for one in row["tries"]][:2] == ["0", "0"]
        assert Decimal(row["cost"]) == Decimal(row["tries"][2]["cost"]) > 0
        assert row["charged"] == row["cost"]
        assert row["tries"][0]["moved"].startswith("it answered 500")
        assert [c["name"] for c in row["route"]["candidates"]] == ["a", "b"]


def failing_in_its_stream(visit: Visit) -> None:
    """Begin every stream with an error, and end it, all in one write."""
    told = chunk(b'data: {"error": {"message": "no", "code": 500}}\n\n')
    while True:
        visit.request()
        visit.send(STREAM_HEAD + told + chunk(DONE) + LAST)


def slowly(visit: Visit) -> None:
    while True:
        visit.request()
        visit.send(STREAM_HEAD)
        for piece in ("one ", "two ", "three ", "four ", "five"):
            time.sleep(0.1)
            visit.send(said(piece, finish="stop" if piece == "five" else None))
        visit.send(chunk(DONE) + LAST)


def test_an_error_that_comes_with_the_end_of_its_stream_is_followed_once(tmp_path: Path) -> None:
    with routed(tmp_path, "", failing_in_its_stream, slowly) as scene:
        answer = scene.ask(stream=True)
        assert text_of(answer) == "one two three four five"
        assert [role[1] for role in roles(scene.row(answer))] == ["first", "retry", "failover"]
        assert (scene.asked(0), scene.asked(1)) == (2, 1)


def test_a_busy_target_is_left_alone_for_as_long_as_it_says(tmp_path: Path) -> None:
    with routed(tmp_path, "", refusing(429, retry_after="30"), answering()) as scene:
        assert [text_of(scene.ask()) for _ in range(5)] == ["hello"] * 5
        assert scene.asked(0) == 1
        row = scene.row(scene.ask())
        assert roles(row) == [("b", "first", 200, None)]
        [left_out] = [c for c in row["route"]["candidates"] if c["excluded"]]
        assert left_out["name"] == "a"
        assert "without calls" in left_out["excluded"]


def test_the_last_target_is_waited_for_as_it_says(tmp_path: Path) -> None:
    with routed(tmp_path, "", refusing(503), turning(429)) as scene:
        answer = scene.ask()
        assert (answer.status, text_of(answer)) == (200, "hello")
        assert roles(scene.row(answer))[-2:] == [
            ("b", "failover", 429, "RateLimitError"),
            ("b", "retry", 200, None),
        ]


def test_a_silent_stream_is_asked_for_elsewhere_and_not_there_again(tmp_path: Path) -> None:
    with routed(tmp_path, "first_token_seconds = 0.5", silent, answering()) as scene:
        answer = scene.ask(stream=True)
        assert text_of(answer) == "hello"
        assert roles(scene.row(answer)) == [
            ("a", "first", None, "Timeout"),
            ("b", "failover", 200, None),
        ]


def test_the_callers_own_errors_and_having_to_pay_end_a_call(tmp_path: Path) -> None:
    with routed(tmp_path, "", turning(400, 402), answering()) as scene:
        assert scene.ask().status == 400
        answer = scene.ask()
        assert answer.status == 402
        assert len(scene.row(answer)["tries"]) == 1
        assert scene.asked(1) == 0


def test_a_context_that_is_too_short_leads_to_a_longer_one_alone(tmp_path: Path) -> None:
    full = {"error": {"message": "maximum context length", "code": "context_length_exceeded"}}
    with routed(
        tmp_path, "", refusing(400, full), answering("short"), answering("long"),
        contexts=(1000, 900, 4000),
    ) as scene:  # fmt: skip
        answer = scene.ask()
        assert text_of(answer) == "long"
        assert scene.asked(1) == 0


def test_everything_failing_is_told_of_each_target(tmp_path: Path) -> None:
    with routed(tmp_path, "", refusing(500), resetting) as scene:
        answer = scene.ask()
        assert (answer.status, answer.error["code"]) == (503, "no_target_left")
        assert "a  500 InternalServerError, then 500" in answer.error["message"]
        assert [one["target"] for one in answer.error["attempts"]] == ["a", "a", "b", "b"]
        for server in scene.servers:
            assert str(server.port) not in answer.body.decode()
        row = scene.row(answer)
        assert (row["status"], row["error"]) == (503, "no_target_left")


def test_a_target_that_fails_all_the_time_is_given_up_and_tried_by_one_call_at_a_time(
    tmp_path: Path,
) -> None:
    with routed(tmp_path, "", refusing(500), refusing(500)) as scene:
        calls = 0
        until = time.monotonic() + 20
        while True:
            began = time.monotonic()
            answer = scene.ask()
            calls += 1
            if "calls in a row failed" in answer.error["message"] and not answer.error["attempts"]:
                assert int(answer.headers["retry-after"]) >= 1
                assert time.monotonic() - began < 5
                break
            assert time.monotonic() < until
        before = scene.asked(0) + scene.asked(1)
        for _ in range(20):
            assert scene.ask().status == 503
        assert scene.asked(0) + scene.asked(1) <= before + 4


def test_an_endpoint_that_wakes_is_served_for_by_the_next_and_asked_again(tmp_path: Path) -> None:
    loading = {"error": {"message": "Model m is currently loading", "code": "model_loading"}}
    awake = threading.Event()

    def endpoint(visit: Visit) -> None:
        while True:
            visit.request()
            if awake.is_set():
                visit.answer(completion("endpoint"))
            else:
                visit.send(whole(json.dumps(loading).encode(), 503, retry_after="1"))

    with routed(tmp_path, "", endpoint, answering("next")) as scene:
        assert text_of(scene.ask()) == "next"
        awake.set()
        until(lambda: text_of(scene.ask()), lambda text: text == "endpoint")


def test_what_a_failing_upstream_costs_is_bounded_and_it_is_used_again_once_it_is_well(
    tmp_path: Path,
) -> None:
    well = threading.Event()

    def ill(visit: Visit) -> None:
        while True:
            visit.request()
            if well.is_set():
                visit.answer(completion("well"))
            else:
                visit.send(whole(b'{"error": {"message": "no"}}', 500))

    with routed(tmp_path, "", ill, ill) as scene:
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: scene.ask(), range(300)))
        seconds = time.monotonic() - began
        assert {answer.status for answer in answers} == {503}
        attempts = scene.asked(0) + scene.asked(1)
        assert attempts <= 300 + max(60, 10 * (seconds + 1))  # one in five, or ten a second
        well.set()
        until(lambda: scene.ask().status, lambda status: status == 200)


def test_tries_survive_the_process(tmp_path: Path) -> None:
    with routed(tmp_path, "", turning(500), answering()) as scene:
        answer = scene.ask()
        scene.row(
            answer
        )  # it is on record: what a process that is killed had not written is unknown
        scene.gateway.kill()
        scene.gateway.start()
        row = scene.row(answer)
        assert [one["role"] for one in row["tries"]] == ["first", "retry"]
        assert row["state"] == "settled"
