"""Stories of calls: a table of what happened and of what is said of it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from trunkline.cli.ledger_calls import entry_of
from trunkline.cli.past_calls import from_ledger, from_log
from trunkline.cli.story import ENDS, PastAttempt, PastCall, story
from trunkline.gateway.admin.views import entry_view
from trunkline.store.logged import Logged, LoggedAttempt, LoggedCall
from trunkline.store.records import Entry
from trunkline.store.tries import Try, write_report, write_tries
from trunkline.types.route import Candidate, RouteReport

CALL = PastCall(
    id="call_1", record="the log of this machine", started="2026-11-29 08:11:18 UTC", what="a chat",
    model="org/model", outcome="ok", seconds=1.5, provider="together", answered_model="model-fp8",
    request_id="r-2", input_tokens=1200, output_tokens=34, token_source="provider",
    cost=Decimal("0.000120000001"), cost_detail="Prices of together",
)  # fmt: skip
FIRST = PastAttempt(1, "groq", "gpt", 503, "ServiceUnavailableError", 0.0, 0.3)
SECOND = PastAttempt(2, "together", "gpt", 200, None, 0.31, 1.2, role="failover")
ROUTE = RouteReport(
    "fastest by first token",
    (
        Candidate("groq", "groq", "gpt", score=0.2, first_token=0.21, cost=Decimal("0.00012"),
                  error_rate=0.05, throughput=410.4, source="measured"),
        Candidate("together", "together", "gpt"),
        Candidate("novita", "novita", "gpt", excluded="it asked for 12.0 s without calls"),
    ),
    ("nothing was measured of together",),
)  # fmt: skip


def told(**more: object) -> str:
    return "\n".join(story(replace(CALL, **more)))


def test_a_story_has_four_parts_in_their_order() -> None:
    lines = story(replace(
        CALL, route=ROUTE, attempt_count=2, stream=True, first_token=0.8, account="It was paid by us.",
        attempts=(replace(FIRST, moved="it failed, and another place remains"), SECOND),
    ))  # fmt: skip
    assert lines == [
        "call_1, 2026-11-29 08:11:18 UTC, from the log of this machine.",
        "A chat with org/model was asked for, streamed. It was paid by us.",
        "",
        "Its route: fastest by first token. Of 3 candidates 2 could be asked:",
        "  1. groq      $0.00012 expected, first token in 0.21 s, 410 tokens/s, 5% errors, score 0.2 "
        "(measured here)",
        "  2. together  nothing was known of it",
        "  -  novita    not asked: it asked for 12.0 s without calls",
        "  Note: nothing was measured of together",
        "",
        "   0.00 s  Attempt 1 went to groq as gpt: ServiceUnavailableError, HTTP 503 after 0.30 s.",
        "           The call moved on: it failed, and another place remains.",
        "   0.31 s  Attempt 2 (the next place on the route) went to together as gpt: "
        "HTTP 200 after 1.20 s.",
        "",
        "It ended well, 1.50 s after it began; its first token came at 0.80 s.",
        "together answered as model-fp8. Its request id is r-2.",
        "Tokens: 1,200 in, 34 out, as the provider counted.",
        "It cost $0.000120000001. Prices of together.",
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"choice": "There was one place to ask."}, "There was one place to ask."),
        ({"route": RouteReport("fixed order", ())}, "Of 0 candidates 0 could be asked."),
        ({"attempts": (replace(FIRST, provider=None, status=None, error="Timeout"),)},
         "Attempt 1 went to the router, which chose the provider itself, as gpt: "
         "Timeout, without an answer after 0.30 s."),
        ({"attempts": (replace(SECOND, role="retry", number=2),)}, "Attempt 2 (the same place again) went"),
        ({"attempts": (replace(SECOND, role="hedge"),)}, "(a second place beside the one that was slow)"),
        ({"attempts": (replace(FIRST, error="cancelled", status=None),)},
         "nobody waited for it any more after 0.30 s"),
        ({"attempts": (FIRST,), "attempt_count": 3}, "Of 2 further attempts no more is known."),
        ({"attempts": (replace(FIRST, cost=Decimal("0.1")),)}, "           It used $0.1."),
        ({"attempts": (replace(FIRST, cost=Decimal("0.1"), input_tokens=3, output_tokens=4000),)},
         "           It used 3 tokens in, 4,000 tokens out for $0.1."),
        ({"attempts": (replace(FIRST, moved="it failed"), replace(SECOND, role="retry"))},
         "           It was asked again: it failed."),
        ({"attempts": (replace(FIRST, moved="it was cut"), replace(SECOND, role="restart"))},
         "The whole answer was asked for anew: it was cut."),
        ({"attempt_count": 3}, "There were 3 attempts; no more is known of the first 2."),
        ({"outcome": "failed", "error": "RateLimitError", "status": 429, "message": "slow down"},
         "RateLimitError (status 429): slow down."),
        ({"outcome": "failed"}, "The last that was asked is together. Its request id is r-2."),
        ({"outcome": "cancelled", "provider": None, "request_id": None},
         "The caller did not wait for the answer, 1.50 s after it began."),
        ({"outcome": "left"}, "The caller stopped reading before the end"),
        ({"outcome": "nobody knows this word"}, "It ended as 'nobody knows this word'"),
        ({"outcome": "open", "seconds": None, "cost": None}, "It has not ended yet."),
        ({"provider": None}, "Who answered nobody said; the router chose. The answer came as model-fp8."),
        ({"token_source": "estimated"}, "1,200 in, 34 out, estimated here from the text."),
        ({"output_tokens": None}, "Tokens: 1,200 in, an unknown number of out"),
        ({"cost": None, "cost_detail": "The catalog has no model 'x'."},
         "What it cost is unknown. The catalog has no model 'x'."),
        ({"cost": Decimal(0)}, "It cost $0."),
        ({"job": "job:a/b/c"}, "resume_job('job:a/b/c')"),
        ({"remarks": ("And so on.",)}, "And so on."),
    ],
)  # fmt: skip
def test_what_is_known_is_said(more: dict[str, object], said: str) -> None:
    assert said in told(**more)


@pytest.mark.parametrize(
    ("more", "unsaid"),
    [
        ({"input_tokens": None, "output_tokens": None}, "Tokens"),
        ({"outcome": "open", "cost": None}, "What it cost"),
        ({}, "route"),
        ({}, "Attempt"),
        ({"outcome": "failed"}, "answered"),
        ({"request_id": None}, "request id"),
    ],
)
def test_what_is_not_known_is_not_made_up(more: dict[str, object], unsaid: str) -> None:
    assert unsaid not in told(**more)


@pytest.mark.parametrize("outcome", ["ok", "failed", "broken", "left", "cancelled", "truncated",
                                     "refused", "unknown", "open"])  # fmt: skip
def test_every_outcome_of_the_log_and_the_ledger_has_its_words(outcome: str) -> None:
    assert outcome in ENDS


LOGGED = LoggedCall(
    "call_1", "2026-11-29T08:11:18.480700Z", "chat", "huggingface/org/model", "ok", 0.5
)
ROUTER = LoggedAttempt("call_1", 1, "groq", "org/model", "https://router/v1/chat/completions", 200,
                       None, "r", 0.0, 0.5)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "url", "choice"),
    [
        ("huggingface/org/model", ROUTER.url, "The router chose the provider"),
        ("huggingface/groq/org/model", ROUTER.url, "The model string names groq"),
        ("openai/model", "http://127.0.0.1/v1/chat/completions", "There was one place to ask."),
        ("sandbox/demo", "sandbox://sandbox/v1/chat/completions", "The sandbox answered"),
    ],
)
def test_a_call_without_a_route_says_who_chose(model: str, url: str, choice: str) -> None:
    attempt = replace(ROUTER, url=url)
    past = from_log(Logged(replace(LOGGED, model=model, attempts=1), (attempt,)))
    assert past.choice.startswith(choice)


def test_a_logged_call_says_on_whose_account_it_was() -> None:
    call = replace(
        LOGGED, bill_to="us", credential="the environment variable HF_TOKEN", cost="0.10"
    )
    past = from_log(Logged(call))
    assert (
        past.account
        == "It was paid by us, with the credential from the environment variable HF_TOKEN."
    )
    assert past.cost == Decimal("0.10")
    assert past.started == "2026-11-29 08:11:18 UTC"


ENTRY = Entry(
    id="01ab", boot="b", key="key_1", owner="ann", team="red", endpoint="chat", model="fast",
    stream=True, started=1796026278.0, reserved=5 * 10**9, state="settled", ended=1796026280.5,
    status=200, outcome="ok", upstream="hf", provider="groq", target_model="gpt:groq", attempts=2,
    input_tokens=10, output_tokens=20, token_source="provider", cost=123 * 10**6,
    charged=123 * 10**6, input_price=10**12, output_price=None, price_source="router, 2026-11-29",
    first_byte=0.4, upstream_id="u-1", note="usage clamped", client_request_id="mine",
)  # fmt: skip


def test_a_ledgers_entry_is_a_story_too() -> None:
    said = "\n".join(story(from_ledger(ENTRY)))
    for part in (
        "01ab, 2026-11-30 08:11 UTC, from the gateway's ledger.",
        "A chat with fast was asked for, streamed. It was made with key key_1 (owner ann, team red).",
        "There were 2 attempts; no more is known of the first 1.",
        "It ended well, 2.50 s after it began; its first token came at 0.40 s.",
        "groq (through the upstream hf) answered as gpt:groq. Its request id is u-1.",
        "It cost $0.000123. Prices of a million tokens: $1 in, unknown out, from router, 2026-11-29.",
        "What was odd: usage clamped.",
        "Its client called it mine.",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"state": "open", "outcome": "", "ended": None, "cost": None},
            "At most $0.005 is held for it.",
        ),
        ({"cost": None}, "Budgets were charged $0.000123 for it."),
        (
            {"outcome": "failed", "status": 502, "error": "upstream_error"},
            "upstream_error (status 502).",
        ),
        ({"state": "unknown", "outcome": "unknown"}, "Nobody knows how it ended"),
        ({"owner": None, "team": None}, "It was made with key key_1."),
        ({"queued": 1.5}, "It waited 1.50 s for an upstream to let it in, before it began."),
    ],
)
def test_an_entry_that_is_otherwise_is_told_otherwise(
    changes: dict[str, object], said: str
) -> None:
    assert said in "\n".join(story(from_ledger(replace(ENTRY, **changes))))


def test_a_ledgers_call_with_a_route_is_told_with_its_tries_and_candidates() -> None:
    tries = [
        Try("fast", "hf", "gpt:groq", "groq", status=503, error="upstream_error", seconds=0.3,
            moved="it answered 503", input_tokens=10, cost=10**6),
        Try("near", "near", "gpt", status=200, role="failover", started=0.31, seconds=1.0),
    ]  # fmt: skip
    entry = replace(ENTRY, tries=write_tries(tries), route=write_report(ROUTE))
    said = "\n".join(story(from_ledger(entry)))
    for part in (
        "Of 3 candidates 2 could be asked:",
        "Attempt 1 went to groq (through the upstream hf) as gpt:groq: upstream_error, HTTP 503",
        "           It used 10 tokens in for $0.000001.",
        "           The call moved on: it answered 503.",
        "Attempt 2 (the next place on the route) went to near as gpt: HTTP 200 after 1.00 s.",
    ):
        assert part in said
    assert "no more is known" not in said
    assert "Who else" not in said


def test_what_the_admin_api_shows_of_a_route_is_told_alike() -> None:
    tries = [Try("fast", "hf", "gpt:groq", "groq", status=200, seconds=0.3, cost=10**6)]
    entry = replace(ENTRY, tries=write_tries(tries), route=write_report(ROUTE))
    row = msgspec.json.decode(msgspec.json.encode(entry_view(entry)))
    assert story(from_ledger(entry_of(row))) == story(from_ledger(entry))
