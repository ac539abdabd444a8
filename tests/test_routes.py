"""Calls with a route: who is asked, what follows a failure, and what the receipt and errors say."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from loopback import DONE, LAST, STREAM_HEAD, Upstream, Visit, chunk
from routed_side import ASK, MINE, MODEL, SMALL, WAKING, Serve, chats, sandboxed, steps, whole
from trunkline import errors
from trunkline.errors import DeadlineExceeded, RouteExhaustedError
from trunkline.marked import marks_file, save_marks
from trunkline.measured import load_measures, measures_file
from trunkline.routing.marks import Mark
from trunkline.routing.measures import place_of
from trunkline.routing.policy import Policy
from trunkline.settings import read_settings
from trunkline.types import Timeouts

__all__ = ["sandboxed"]


@pytest.mark.parametrize(
    ("route", "first"),
    [
        ("fastest", "groq"),
        ("cheapest", "nscale"),
        (["novita", "groq"], "novita"),
        (Policy(order="fastest", deny=frozenset({"groq"})), "cerebras"),
        ({"order": "cheapest", "needs": ["tools"]}, "novita"),
        (
            {
                "order": "weighted",
                "weights": {"groq": 0, "novita": 1},
                "places": ["groq", "novita"],
            },
            "novita",
        ),
    ],
)
def test_a_route_decides_who_is_asked_first_and_the_receipt_says_why(
    sandboxed: Serve, route: Any, first: str
):
    with sandboxed() as (client, server):
        answer = whole(client, route)
        assert answer.receipt is not None
        assert answer.receipt.provider == first
        assert chats(server) == {first: 1}
        report = answer.receipt.route
    assert report is not None
    assert report.order[0].name == first
    assert all(c.excluded for c in report.candidates[len(report.order) :])
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None


@pytest.mark.parametrize(
    ("fault", "attempts", "error"),
    [
        ("500", 2, "InternalServerError"),
        ("503-loading", 1, "ModelLoadingError"),
        ("429-int", 1, "RateLimitError"),
        ("408", 2, "Timeout"),
        ("400-provider", 1, "ModelNotSupportedError"),
        ("reset-at-once", 2, "APIConnectionError"),
        ("no-answer", 2, "APIConnectionError"),
        ("error-first", 2, "ServiceUnavailableError"),
        ("cut", 2, "StreamTruncated"),
        ("html-200", 2, "InvalidResponseError"),
    ],
)
def test_what_fails_before_anything_is_delivered_is_asked_for_elsewhere(
    sandboxed: Serve, fault: str, attempts: int, error: str
):
    with sandboxed({"together": fault}) as (client, _):
        answer = whole(client, ["together", "groq"])
    assert answer.receipt is not None
    assert answer.receipt.provider == "groq"
    made = steps(answer.receipt)
    assert len(made) == attempts + 1
    assert all(p == "together" for p, _, _ in made[:-1])
    assert made[-1] == ("groq", "failover", None)
    assert made[0][1:] == ("first", error)
    assert all(a.moved for a in answer.receipt.attempts[:-1])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("402", errors.PaymentRequiredError),
        ("400", errors.BadRequestError),
        ("401", errors.AuthenticationError),
        ("400-context", errors.ContextWindowExceededError),
    ],
)
def test_the_callers_own_errors_and_having_to_pay_end_the_call(
    sandboxed: Serve, fault: str, kind: type[Exception]
):
    with sandboxed({"together": fault}) as (client, server):
        with pytest.raises(kind) as caught:
            whole(client, ["together", "groq"])
        assert chats(server)["groq"] == 0
    assert isinstance(caught.value, errors.APIError)
    assert caught.value.route is not None


def test_a_silent_place_is_left_when_the_next_one_may_be_asked(sandboxed: Serve):
    with sandboxed({"together": "stall-head"}) as (client, _):
        answer = whole(client, {"places": ["together", "groq"], "first_token_seconds": 0.3})
    assert [row[0] for row in steps(answer.receipt)] == ["together", "groq"]


def test_a_place_that_stalls_in_a_whole_answer_is_not_asked_again(sandboxed: Serve):
    with sandboxed({"together": "stall"}) as (client, _):
        answer = whole(client, ["together", "groq"], timeout=Timeouts(idle=0.3))
    assert [row[0] for row in steps(answer.receipt)] == ["together", "groq"]


def test_a_deadline_that_passes_in_a_whole_answer_is_called_so(sandboxed: Serve):
    with sandboxed({"together": "stall"}) as (client, _):
        for _ in range(6):  # as often as would have a failing place given up
            with pytest.raises(DeadlineExceeded) as caught:
                whole(client, ["together"], deadline=0.1)  # none else, which lateness would lead to
            assert [attempt.provider for attempt in caught.value.attempts] == ["together"]


def test_silence_takes_half_of_a_deadline_at_most(sandboxed: Serve):
    with sandboxed({"together": "stall-head"}) as (client, _):
        answer = whole(client, ["together", "groq"], deadline=2.0)
    assert [row[0] for row in steps(answer.receipt)] == ["together", "groq"]


def test_a_place_that_does_well_is_moved_to_when_no_retry_is_left(sandboxed: Serve):
    """Many calls at once find the first place failing: the budget is a fraction of what they want."""
    with (
        sandboxed({"together": "503"}) as (client, server),
        ThreadPoolExecutor(30) as pool,
    ):
        found = list(pool.map(lambda _: whole(client, ["together", "groq"]), range(60)))
        assert chats(server)["groq"] == 60
    assert {steps(one.receipt)[-1][0] for one in found} == {"groq"}


@pytest.mark.slow
def test_the_last_place_may_be_as_slow_as_the_call_allows(sandboxed: Serve):
    with sandboxed({"groq": "slow;seconds=0.6"}) as (client, _):
        answer = whole(client, {"places": ["groq"], "first_token_seconds": 0.1})
    assert len(steps(answer.receipt)) == 1


def test_when_all_fail_the_error_says_of_each_place_why(sandboxed: Serve):
    route = {"places": ["together", "groq", "nscale"], "deny": ["nscale"]}
    failing = sandboxed({"together": "503", "groq": "429-long"})
    with failing as (client, _), pytest.raises(RouteExhaustedError) as caught:
        whole(client, route)
    said = str(caught.value)
    assert "together  503 ServiceUnavailableError, then 503" in said
    assert "groq      429 RateLimitError" in said
    assert "nscale    the route denies it" in said
    assert [a.provider for a in caught.value.attempts] == ["together", "together", "groq"]


def test_a_route_that_leaves_nobody_sends_nothing_and_says_why(sandboxed: Serve):
    with sandboxed() as (client, server):
        with pytest.raises(RouteExhaustedError) as caught:
            whole(client, {"order": "cheapest", "max_price": 0.001})
        assert not chats(server)
    assert "its price of input is $0.59 for a million tokens, above $0.001" in str(caught.value)
    assert caught.value.attempts == ()


def test_a_context_that_is_too_short_leads_to_a_longer_one_only(sandboxed: Serve):
    longer = "Qwen/Qwen3-VL-30B-A3B-Instruct:deepinfra"
    with sandboxed({"together": "400-context"}) as (client, server):
        client.catalog()
        answer = whole(client, {"places": ["together", "groq"], "fallbacks": [longer]})
        assert answer.receipt is not None
        assert steps(answer.receipt) == [
            ("together", "first", "ContextWindowExceededError"),
            ("deepinfra", "failover", None),
        ]
        assert chats(server)["groq"] == 0, "its context is no longer"


def test_fallback_models_come_after_the_calls_own(sandboxed: Serve):
    with sandboxed({"together": "503"}) as (client, _):
        answer = whole(
            client, {"places": ["together"], "fallbacks": [f"{SMALL}:novita", "sandbox/demo"]}
        )
        assert answer.receipt is not None
        assert answer.receipt.provider == "novita"
        assert answer.model is not None
        assert answer.model.lower() == SMALL.lower()


def test_a_server_of_ones_own_comes_first_and_a_provider_stands_in_while_it_wakes(sandboxed: Serve):
    awake = threading.Event()

    def answers(visit: Visit) -> None:
        while True:
            visit.request()
            if awake.is_set():
                visit.send(STREAM_HEAD, chunk(MINE + DONE), LAST)
            else:
                visit.send(WAKING)

    with sandboxed() as (client, _):
        mine = Upstream(answers)
        try:
            for provider, server_is_awake in (("novita", False), (None, True)):
                if server_is_awake:
                    awake.set()
                answer = client.chat(MODEL, ASK, api_base=mine.url, route=["novita"], temperature=0)
                assert answer.receipt is not None
                assert answer.receipt.provider == provider
                assert answer.receipt.route is not None
                assert {c.name for c in answer.receipt.route.candidates} == {"endpoint", "novita"}
        finally:
            mine.close()


def test_a_mark_is_routed_around(sandboxed: Serve):
    with sandboxed() as (client, _):
        path = marks_file(read_settings())
        assert path is not None
        save_marks(path, [Mark("groq", MODEL, "its answers drift")])
        answer = whole(client, ["groq", "together"])
        assert answer.receipt is not None
        assert answer.receipt.provider == "together"
        assert answer.receipt.route is not None
        assert "its answers drift" in (answer.receipt.route.candidates[-1].excluded or "")


def test_what_was_measured_is_kept_for_the_next_program(sandboxed: Serve):
    with sandboxed() as (client, _):
        for _ in range(4):
            whole(client, ["groq"])
        path = measures_file(read_settings())
    seen = load_measures(path).tracks[place_of("groq", MODEL)]
    assert seen.good == pytest.approx(4, abs=0.1)
    with sandboxed() as (client, _):
        answer = whole(client, ["groq"])
        assert answer.receipt is not None
        assert answer.receipt.route is not None


def test_retries_have_a_budget_of_all_calls(sandboxed: Serve):
    calls = 150
    with sandboxed({"together": "503"}) as (client, server):

        def ask() -> None:
            with pytest.raises(errors.ServiceUnavailableError):
                whole(client, ["together"], deadline=20)

        threads = [
            threading.Thread(target=lambda: [ask() for _ in range(calls // 10)]) for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert chats(server)["together"] <= 1.2 * calls


def test_a_session_stays_where_it_was(sandboxed: Serve):
    with sandboxed() as (client, _):
        firsts = {
            str(n): {whole(client, "sticky", session_id=f"s{n}").receipt.provider for _ in range(3)}  # type: ignore[union-attr]
            for n in range(6)
        }
    assert all(len(found) == 1 for found in firsts.values())
    assert len({name for found in firsts.values() for name in found}) > 1


def test_a_client_has_a_route_for_all_its_chats(sandboxed: Serve):
    with sandboxed(route=["novita"]) as (client, server):
        client.chat(MODEL, ASK)
        client.chat(MODEL, ASK, route=["groq"])
        assert chats(server) == {"novita": 1, "groq": 1}


@pytest.mark.parametrize("wrong", ["fastet", [], {"order": "weighted", "weights": {"groq": -1}}])
def test_a_route_that_cannot_be_meant_is_refused_before_anything_is_sent(
    sandboxed: Serve, wrong: Any
):
    with sandboxed() as (client, server):
        with pytest.raises(errors.InvalidInputError):
            client.chat(MODEL, ASK, route=wrong)
        with pytest.raises(errors.InvalidInputError):
            client.stream(MODEL, ASK, route=wrong)
        with pytest.raises(errors.InvalidInputError):
            client.chat(f"{MODEL}:fastest", ASK, route="cheapest")
        with pytest.raises(errors.InvalidInputError):
            client.chat(MODEL, ASK, route={"fallbacks": [MODEL]})
        assert not chats(server)


def test_tools_may_be_functions_and_what_is_no_text_is_told(sandboxed: Serve):
    def find_fox(place: str) -> str:
        """Find a fox."""
        return place

    wrong: Any = [3]
    with sandboxed() as (client, server):
        answer = client.chat(MODEL, ASK, route="cheapest", tools=[find_fox], tool_choice="required")
        assert answer.choices[0].message.tool_calls
        sent = len(server.requests)
        with pytest.raises(errors.InvalidInputError, match="JSON"):
            client.chat(MODEL, [{"role": "user", "content": "\ud800"}], route="cheapest")
        with pytest.raises(errors.InvalidInputError):
            client.chat(MODEL, ASK, route="cheapest", tools=wrong)
        assert len(server.requests) == sent
