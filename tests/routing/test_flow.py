"""One chat carried to its target: what is sent, what is tried again, and what is told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hand import (
    OK,
    START,
    TOKEN,
    Hand,
    answers,
    chat,
    fails,
    journey,
    refusal,
    silent,
    stream,
    streams,
    target,
)

from trunkline import errors
from trunkline.errors import APIConnectionError, InvalidInputError, Timeout
from trunkline.providers.mapping import read_map
from trunkline.routing.carry import USER_AGENT
from trunkline.routing.flow import stream_flow
from trunkline.routing.needs import Renew, Reply, Send, Wait
from trunkline.types import Secret, Timeouts, TokenCount
from trunkline.wire.message import ResponseHead

FRESH = Secret("hf_second", "the file token")
KEY = Secret("gsk_key", "the argument token=")
BUSY = {"error": {"message": "Busy.", "type": "overloaded"}}
SAID = {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}


def headers(send: Send) -> dict[str, str]:
    return dict(send.request.headers)


def test_a_good_answer_comes_with_its_receipt() -> None:
    told = {"x_inference_provider": "groq", "x_request_id": "r-1"}
    answer = chat(Hand(answers(takes=1.5, **told)))
    receipt = answer.receipt
    assert answer.text == "Hello"
    assert receipt is not None
    assert (receipt.provider, receipt.model, receipt.request_id) == ("groq", "served-name", "r-1")
    assert (receipt.total_time, receipt.time_to_first_token) == (1.5, None)
    assert receipt.tokens == TokenCount(3, 2, "provider")
    (attempt,) = receipt.attempts
    assert (attempt.number, attempt.status, attempt.error) == (1, 200, None)
    assert (attempt.started, attempt.seconds, attempt.model) == (0.0, 1.5, "org/m:groq")
    assert attempt.url == "https://router.huggingface.co/v1/chat/completions"


def test_a_request_carries_the_chat_and_the_credential() -> None:
    hand = Hand(answers())
    at = target(bill_to="my-org")
    chat(hand, at, parameters={"seed": 1}, extra_body={"x": 2}, extra_headers={"x-mine": "y"})
    (send,) = hand.sends
    assert json.loads(send.request.body) == {
        "model": "org/m:groq",
        "messages": [{"role": "user", "content": "Say hello"}],
        "seed": 1,
        "x": 2,
    }
    assert headers(send) == {
        "user-agent": USER_AGENT,
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "authorization": "Bearer hf_first",
        "x-hf-bill-to": "my-org",
        "x-mine": "y",
    }


def test_a_call_may_replace_a_header_and_needs_no_credential() -> None:
    from trunkline.providers.spec import Target
    from trunkline.wire.message import parse_url

    hand = Hand(answers())
    chat(hand, Target(parse_url("http://h/v1"), "m", "served"), extra_headers={"user-agent": "me"})
    assert headers(hand.sends[0])["user-agent"] == "me"
    assert "authorization" not in headers(hand.sends[0])


def test_a_providers_own_form_and_greeting_are_used_directly() -> None:
    hand = Hand(answers(404), answers())
    at = target("together/org/m", KEY, explicit=True)
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    chat(hand, at, parameters={"response_format": wanted})
    sent = json.loads(hand.sends[1].request.body)["response_format"]
    assert sent == {"type": "json_schema", "schema": {"type": "object"}}
    hand = Hand(answers(404), answers())
    chat(hand, target("zai-org/org/m", KEY, explicit=True))
    assert headers(hand.sends[1])["x-source-channel"] == "hugging_face"


RETRIED: dict[str, Any] = {
    "429": answers(429, BUSY),
    "502": answers(502, b"<html>"),
    "503": answers(503, {"error": "Model is currently loading"}),
    "504": answers(504, b""),
    "408": answers(408, b""),
    "529": answers(529, b""),
    "no connection": fails(APIConnectionError("No route.")),
    "reset before the answer": fails(APIConnectionError("Reset."), sent=True),
    "no connection in time": fails(Timeout("Connecting took too long.")),
    "asked for by the server": answers(500, b"", x_should_retry="true"),
}


@pytest.mark.parametrize("outcome", RETRIED.values(), ids=RETRIED)
def test_what_may_pass_is_tried_again_with_jitter(outcome: Any) -> None:
    hand = Hand(outcome, outcome, answers())
    receipt = chat(hand).receipt
    assert receipt is not None
    assert [type(need) for need in hand.needs] == [Send, Wait, Send, Wait, Send]
    assert hand.waits == [0.25, 0.5]
    assert [attempt.number for attempt in receipt.attempts] == [1, 2, 3]
    assert [attempt.started for attempt in receipt.attempts] == [0.0, 1.25, 2.75]
    assert receipt.attempts[0].error is not None
    assert receipt.attempts[2].error is None
    assert receipt.total_time == 3.75


FINAL: dict[str, Any] = {
    "400": answers(400, {"error": "Wrong."}),
    "402": answers(402, {"error": "You have depleted your credits."}),
    "403": answers(403, b""),
    "404": answers(404, b""),
    "422": answers(422, b""),
    "424": answers(424, b""),
    "500": answers(500, b""),
    "429 without quota": answers(429, {"error": {"message": "m", "code": "insufficient_quota"}}),
    "503, not to be tried": answers(503, b"", x_should_retry="false"),
    "an hour to wait": answers(429, BUSY, retry_after="3600"),
    "broken off": fails(APIConnectionError("Cut."), sent=True, received=True),
    "silence": silent(),
    "no answer at all": lambda _, now: Reply(now, now + 1),
    "no JSON": answers(200, b"<html>"),
    "an error in a 200": answers(200, {"error": {"message": "m", "code": 400}}),
    "a redirect": answers(307, b"", location="https://elsewhere"),
}


@pytest.mark.parametrize("outcome", FINAL.values(), ids=FINAL)
def test_what_stays_is_not_tried_again(outcome: Any) -> None:
    hand = Hand(outcome)
    error = refusal(hand)
    assert len(hand.sends) == len(error.attempts) == 1
    assert error.attempts[0].error == type(error).__name__
    assert hand.waits == []
    assert (error.provider, error.model) == ("groq", "org/m:groq")


def test_an_error_in_a_200_may_pass_as_any_other() -> None:
    hand = Hand(answers(200, {"error": {"message": "m", "code": 503}}), answers())
    assert chat(hand).text == "Hello"


def test_a_redirect_is_not_followed_and_says_why() -> None:
    error = refusal(Hand(answers(302, b"")))
    assert isinstance(error, errors.InvalidResponseError)
    assert "token would go along" in error.message
    assert "api_base=" in (error.hint or "")


def test_all_attempts_are_on_the_error_with_where_it_happened() -> None:
    told = {"x_request_id": "r-9", "x_inference_provider": "together"}
    hand = Hand(
        fails(APIConnectionError("No route.")), answers(503, b""), answers(429, BUSY, **told)
    )
    error = refusal(hand)
    assert isinstance(error, errors.RateLimitError)
    assert [(a.status, a.error) for a in error.attempts] == [
        (None, "APIConnectionError"),
        (503, "ServiceUnavailableError"),
        (429, "RateLimitError"),
    ]
    assert (error.status, error.request_id, error.provider) == (429, "r-9", "together")
    assert "3 attempts" in str(error)


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_the_number_of_retries_is_as_asked(retries: int) -> None:
    hand = Hand(*[answers(503, b"")] * 9)
    refusal(hand, retries=retries)
    assert len(hand.sends) == retries + 1


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "7"}, 7.35),
        ({"retry_after_ms": "400"}, 0.42),
        ({"retry_after": "100"}, 100.5),
        ({"retry_after": "0"}, 0.0),
        ({"x_ratelimit_reset": "4"}, 4.2),
    ],
)
def test_what_the_server_asks_for_is_waited(headers: dict[str, str], wait: float) -> None:
    hand = Hand(answers(429, BUSY, **headers), answers())
    chat(hand)
    assert hand.waits == [pytest.approx(wait)]


def test_an_attempt_has_its_own_limit_and_never_more_than_the_deadline() -> None:
    hand = Hand(answers(503, b"", takes=50.0), answers())
    chat(hand, deadline=70.0)
    assert [send.until - START for send in hand.sends] == [60.0, 70.0]


def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    hand = Hand(answers(429, BUSY, retry_after="10", takes=1.0), answers())
    error = refusal(hand, deadline=11.0)
    assert isinstance(error, errors.RateLimitError)
    assert error.retry_after == 10.0
    assert hand.waits == []


def test_a_time_limit_that_was_the_deadline_says_so() -> None:
    error = refusal(Hand(silent()), deadline=5.0)
    assert isinstance(error, errors.DeadlineExceeded)
    assert "deadline" in error.message
    assert error.attempts[0].error == "DeadlineExceeded"
    assert not isinstance(refusal(Hand(silent()), deadline=500.0), errors.DeadlineExceeded)


def test_a_limit_on_connecting_that_met_the_deadline_is_not_tried_again() -> None:
    hand = Hand(fails(Timeout("Connecting took too long."), takes=5.0))
    assert isinstance(refusal(hand, deadline=5.0), errors.DeadlineExceeded)


def test_a_deadline_that_a_driver_has_named_stays_as_it_is() -> None:
    given = errors.DeadlineExceeded("Over.")
    assert refusal(Hand(fails(given, takes=5.0, sent=True, received=True)), deadline=5.0) is given


def test_a_refused_token_is_renewed_once_at_no_cost_of_a_retry() -> None:
    hand = Hand(answers(401, b""), answers(), fresh=FRESH)
    receipt = chat(hand, retries=0).receipt
    assert [type(need) for need in hand.needs] == [Send, Renew, Send]
    assert headers(hand.sends[0])["authorization"] == "Bearer hf_first"
    assert headers(hand.sends[1])["authorization"] == "Bearer hf_second"
    assert receipt is not None
    assert [a.status for a in receipt.attempts] == [401, 200]
    assert hand.needs[1] == Renew(TOKEN)


def test_a_token_that_stays_refused_is_not_renewed_again() -> None:
    hand = Hand(answers(401, b""), answers(401, b""), fresh=FRESH)
    error = refusal(hand)
    assert isinstance(error, errors.AuthenticationError)
    assert len(error.attempts) == 2
    hand = Hand(answers(401, b""), fresh=None)
    assert len(refusal(hand).attempts) == 1


def test_without_a_credential_there_is_nothing_to_renew() -> None:
    from trunkline.providers.spec import Target
    from trunkline.wire.message import parse_url

    hand = Hand(answers(401, b""))
    refusal(hand, Target(parse_url("http://h/v1"), "m", "served"))
    assert [type(need) for need in hand.needs] == [Send]


def test_a_refusal_that_may_be_about_the_provider_says_what_is_known_of_it() -> None:
    error = refusal(Hand(answers(400, {"error": "Model not supported by provider sambanova"})),
                    target("sambanova/org/m"))  # fmt: skip
    assert "dropped SambaNova" in (error.hint or "")
    assert "settings/inference-providers" in (error.hint or "")
    error = refusal(Hand(answers(404, b"")), target("togehter/org/m"))
    assert "Did you mean 'together'?" in (error.hint or "")
    assert "known here" not in (refusal(Hand(answers(404, b""))).hint or "")
    busy = refusal(Hand(answers(429, BUSY)), target("togehter/org/m"), retries=0)
    assert "Did you mean" not in (busy.hint or "")


@pytest.mark.parametrize(
    ("chat_options", "says"),
    [
        ({"extra_body": {"top_k": float("nan")}}, "top_k is not a finite number"),
        ({"extra_body": {"x": object()}}, "^The request cannot be written as JSON: x: "),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_sent(
    chat_options: dict[str, Any], says: str
) -> None:
    hand = Hand()
    with pytest.raises(InvalidInputError, match=says):
        chat(hand, **chat_options)
    assert hand.needs == []


MAPPING = {"inferenceProviderMapping": {"groq": {"providerId": "llama-8b"}}}


def test_a_providers_own_name_is_looked_up_first_and_without_the_key() -> None:
    hand = Hand(answers(200, MAPPING), answers())
    at = target("groq/org/m", KEY, explicit=True)
    receipt = chat(hand, at).receipt
    look, send = hand.sends
    assert str(look.request.url) == (
        "https://hub.example/api/models/org/m?expand=inferenceProviderMapping"
    )
    assert look.target.secret is None
    assert "authorization" not in headers(look)
    assert look.until == START + 10.0
    assert json.loads(send.request.body)["model"] == "llama-8b"
    assert str(send.request.url) == "https://api.groq.com/openai/v1/chat/completions"
    assert receipt is not None
    assert [a.number for a in receipt.attempts] == [1]


@pytest.mark.parametrize(
    "outcome",
    [answers(404, b""), answers(200, b"<html>"), answers(200, {}), fails(Timeout("No."))],
)
def test_a_hub_that_does_not_help_is_no_reason_to_fail(outcome: Any) -> None:
    hand = Hand(outcome, answers())
    chat(hand, target("groq/org/m", KEY, explicit=True))
    assert json.loads(hand.sends[1].request.body)["model"] == "org/m"


def test_a_look_up_ends_with_the_deadline() -> None:
    hand = Hand(answers(200, MAPPING), answers())
    chat(hand, target("groq/org/m", KEY, explicit=True), deadline=4.0)
    assert [send.until - START for send in hand.sends] == [4.0, 4.0]


def test_a_name_that_is_known_is_not_looked_up_again() -> None:
    trip = journey()
    known = read_map("org/m", ResponseHead(200), json.dumps(MAPPING).encode())
    assert known is not None
    trip.maps.keep(trip.maps.key("org/m", None), known, START)
    from trunkline.routing.flow import chat_flow

    hand = Hand(answers())
    hand.run(chat_flow(trip, target("groq/org/m", KEY, explicit=True)))
    assert json.loads(hand.sends[0].request.body)["model"] == "llama-8b"


def test_a_stream_opens_with_its_first_chunks() -> None:
    hand = Hand(answers(503, b""), streams(SAID, x_inference_provider="groq", x_request_id="r"))
    opened = stream(hand)
    assert [c.text for c in opened.reply.chunks] == ["Hel"]
    assert opened.reply.exchange == "exchange"
    assert headers(hand.sends[1])["accept"] == "text/event-stream"
    sent = json.loads(hand.sends[1].request.body)
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    assert hand.sends[0].reader is not hand.sends[1].reader
    whole = opened.whole(START + 9.0)
    assert whole.text == "Hel"
    assert whole.receipt is not None
    assert [a.status for a in whole.receipt.attempts] == [503, 200]
    assert whole.receipt.time_to_first_token == 2.25
    assert whole.receipt.total_time == 9.0
    assert whole.receipt.tokens == TokenCount(3, 1, "estimated")


def test_an_error_before_the_first_chunk_of_a_stream_is_tried_again() -> None:
    hand = Hand(streams({"error": {"message": "m", "type": "overloaded_error"}}), streams(SAID))
    assert len(stream(hand).before) == 1


def test_an_error_after_the_first_chunk_of_a_stream_is_told_with_its_place() -> None:
    hand = Hand(streams(SAID, {"error": {"message": "m", "code": 503}}, x_request_id="r-2"))
    opened = stream(hand)
    failure = opened.reader.failure
    assert failure is not None
    error = opened.explain(failure, START + 3.0)
    assert error is failure
    assert (error.provider, error.model, error.request_id) == ("groq", "org/m:groq", "r-2")
    assert error.attempts[0].seconds == 3.0
    assert error.attempts[0].error == "ServiceUnavailableError"


@pytest.mark.parametrize(("asked", "kept"), [(None, False), ({"include_usage": True}, True)])
def test_a_frame_of_usage_is_left_as_it_is_for_those_who_asked_for_it(
    asked: dict[str, Any] | None, kept: bool
) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 1}}
    parameters = {"stream_options": asked} if asked else {}
    opened = stream(Hand(streams(SAID, usage)), parameters=parameters)
    assert (opened.reply.chunks[1].choices == []) is kept


def test_a_stream_is_read_with_think_tags_where_asked() -> None:
    thought = {"choices": [{"delta": {"content": "<think>Hm</think>Hi"}}]}
    opened = stream(Hand(streams(thought)), think_tags=True)
    assert opened.reply.chunks[0].choices[0].delta.reasoning == "Hm"
    answer = json.loads(OK)
    answer["choices"][0]["message"]["content"] = "<think>Hm</think>Hi"
    assert chat(Hand(answers(200, answer)), think_tags=True).reasoning == "Hm"


def test_a_stream_flow_needs_a_chat_that_streams() -> None:
    hand = Hand(answers())
    with pytest.raises(errors.InvalidResponseError, match="No stream was asked for"):
        hand.run(stream_flow(journey(), target()))


def test_limits_of_each_stage_go_along() -> None:
    hand = Hand(answers())
    limits = Timeouts(connect=1.0, total=2.0)
    chat(hand, timeouts=limits)
    assert hand.sends[0].timeouts == limits
    assert hand.sends[0].until == START + 2.0


def test_a_status_comes_from_the_head_where_the_error_has_none() -> None:
    def cut(send: Send, now: float) -> Reply:
        error = APIConnectionError("Cut.")
        error.sent = error.received = True
        return Reply(now, now + 1, ResponseHead(500), error=error)

    assert refusal(Hand(cut)).status == 500


def test_an_error_does_not_repeat_the_credential_though_the_server_does() -> None:
    said = f"Incorrect API key provided: {TOKEN.value}."
    told = {"error": {"message": said, "code": f"bad {TOKEN.value}"}}
    error = refusal(Hand(answers(403, told)))
    assert TOKEN.masked in error.message
    assert TOKEN.value not in f"{error} {error!r} {error.body} {error.code} {error.args}"
