"""Who may ask for what below `/hf`, what it is held and charged, and what the Hub is asked on the way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hf_front import GROQS, LLAMA, TOKEN, Front, front, hub_that, told_by_hub
from raw import Wire, ask, eventually, get, head, post

from loopback import Request, Visit, whole

CHAT = {"model": GROQS, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}
GROQ = "/hf/groq/openai/v1/chat/completions"
FLUX = "/hf/fal-ai/fal-ai/flux/dev?_subdomain=queue"
INFO = f"/hf/api/models/{LLAMA}?expand=inferenceProviderMapping"
POLL = "/hf/together/v2/videos/7"


def answered(visit: Visit, request: Request) -> None:
    if request.target.endswith("/chat/completions"):
        visit.answer()
    else:
        visit.send(whole(b'{"ok":true}'))


def hub(visit: Visit, request: Request) -> None:
    """Answer slowly once, so that others have to wait; and badly where a name asks for that."""
    if "slow" in request.target:
        visit.note("asked")
        visit.hold("answer")
    if "stranger" in request.target:
        told = {"x_error_code": "RepoNotFound"} if "gone" in request.target else {}
        visit.send(whole(b'{"error":"Invalid username or password."}', 401, **told))
    else:
        visit.send(told_by_hub(request))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("scopes")
    with front(folder, answered, hub=hub_that(hub)) as started:
        priced(started)
        yield started


def priced(there: Front) -> None:
    """Wait until the gateway has the router's prices, which it asks for in the background."""
    path = f"/v1/models/{LLAMA}"
    key = there.gateway.new_key()
    eventually(lambda: there.gateway.ask("GET", path, key=key)[0] == 200, "prices are there")


def scoped(there: Front, **scope: Any) -> str:
    return there.gateway.new_key(scope=scope)


def form(**fields: str) -> tuple[bytes, str]:
    parts = [
        f'--b\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'
        for n, v in fields.items()
    ]
    return "".join(parts).encode() + b"--b--\r\n", "content-type: multipart/form-data; boundary=b"


def sent(there: Front, key: str, path: str, body: Any) -> tuple[int, str | None]:
    """Send a body, or the fields of a form, and return status and code."""
    if isinstance(body, tuple):
        data, kind = body
        lines = [kind, f"content-length: {len(data)}"]
        answer = ask(there.gateway, head("POST", path, *lines, key=key) + b"\r\n" + data)
    else:
        answer = ask(there.gateway, post(body, key, path=path))
    return answer.status, answer.json.get("code")


TRANSCRIPTIONS = "/hf/deepinfra/v1/openai/audio/transcriptions"


@pytest.mark.parametrize(("models", "path", "body", "let_in"), [
    ("meta-llama/*", GROQ, CHAT, True),
    (f"{LLAMA}:groq", GROQ, CHAT, True),
    ("openai/*", GROQ, CHAT, False),
    ("openai/*", GROQ, {**CHAT, "model": "openai/gpt-oss-20b"}, True),
    (GROQS, GROQ, CHAT, False),  # a name of the provider's own says nothing of what it is
    ("meta-llama/*", GROQ, {**CHAT, "model": "meta-llama/made-up"}, False),
    ("meta-llama/*", GROQ, {"messages": CHAT["messages"]}, False),
    ("black-forest-labs/*", FLUX, {"prompt": "x"}, True),
    ("meta-llama/*", FLUX, {"prompt": "x"}, False),
    ("black-forest-labs/*", "/hf/fal-ai/fal-ai/lora", {"prompt": "x"}, False),
    ("org/*", "/hf/hf-inference/models/org/name", {"inputs": "x"}, True),
    ("org/*", "/hf/hf-inference/models/org/name/pipeline/feature-extraction", {"inputs": "x"}, True),
    ("org/*", "/hf/hf-inference/models/other/name", {"inputs": "x", "model": "org/name"}, False),
    ("org/*", "/hf/hf-inference/org/name", {"inputs": "x"}, False),
    ("black-forest-labs/*", "/hf/replicate/v1/models/black-forest-labs/flux-dev/predictions", {}, True),
    ("openai/*", "/hf/replicate/v1/predictions", {"version": "8099ab", "input": {}}, True),
    ("openai/*", "/hf/replicate/v1/predictions", {"version": "8099ac", "input": {}}, False),
    ("openai/*", "/hf/replicate/v1/predictions", {"model": "openai/whisper:8099ab"}, False),
    ("openai/*", TRANSCRIPTIONS, form(model="openai/whisper-large-v3", language="en"), True),
    ("openai/*", TRANSCRIPTIONS, form(language="en"), False),
    ("org/*", TRANSCRIPTIONS, form(model="openai/whisper-large-v3"), False),
    ("org/*", "/hf/together/v1/unheard-of", {"model": "org/name"}, False),
    ("black-forest-labs/*", "/hf/replicate/v1/deployments/a/b/predictions",
     {"model": "black-forest-labs/flux-dev"}, False),
    ("black-forest-labs/*", "/hf/replicate/v1/trainings", {"version": "8099ab"}, False),
    ("black-forest-labs/*", "/hf/fal-ai/fal-ai/other", {"model": "fal-ai/flux/dev"}, False),
])  # fmt: skip
def test_a_keys_models_are_the_hubs_names_of_what_a_request_asks_for(
    there: Front, models: str, path: str, body: Any, let_in: bool
) -> None:
    before = len(there.seen)
    status, code = sent(there, scoped(there, models=[models]), path, body)
    if let_in:
        assert status == 200
    else:
        assert (status, code) == (403, "model_not_allowed")
    assert len(there.seen) == before + let_in


def test_a_keys_providers_hold_for_work_and_for_polls(there: Front) -> None:
    key = scoped(there, providers=["fal-ai"])
    assert sent(there, key, FLUX, {"prompt": "x"}) == (200, None)
    assert sent(there, key, GROQ, CHAT) == (403, "provider_not_allowed")
    answer = ask(there.gateway, get(POLL, key=key))
    assert (answer.status, answer.json["code"]) == (403, "provider_not_allowed")


def test_a_keys_endpoints_hold_each_by_its_name(there: Front) -> None:
    hf, chat = scoped(there, endpoints=["hf"]), scoped(there, endpoints=["chat"])
    assert sent(there, hf, GROQ, CHAT) == (200, None)
    assert sent(there, chat, GROQ, CHAT) == (403, "not_allowed")
    unified = {**CHAT, "model": f"{LLAMA}:groq"}
    assert ask(there.gateway, post(unified, chat, path="/hf/v1/chat/completions")).status == 200
    assert ask(there.gateway, post(unified, hf, path="/hf/v1/chat/completions")).status == 403


def test_a_priced_chat_is_held_and_charged_by_the_price_of_its_provider(there: Front) -> None:
    key = there.gateway.new_key(budgets=[{"amount": "0.01", "period": "day"}])
    answer = ask(there.gateway, post(CHAT, key, path=GROQ))
    assert answer.status == 200
    told = there.gateway.entry(answer.headers["x-request-id"])
    assert float(told["cost"]) == pytest.approx((3 * 0.5 + 1 * 1.0) / 1e6)
    assert told["charged"] == told["cost"]
    assert float(told["reserved"]) > float(told["cost"])
    assert told["price_source"].startswith("router as of")
    poor = there.gateway.new_key(budgets=[{"amount": "0.00000001", "period": "day"}])
    assert sent(there, poor, GROQ, CHAT) == (402, "budget_exceeded")


def test_what_nobody_prices_is_refused_to_callers_with_a_budget_and_its_polls_are_not(
    there: Front,
) -> None:
    key = there.gateway.new_key(budgets=[{"amount": "10", "period": "day"}])
    before = len(there.seen)
    for path, body in ((FLUX, {"prompt": "x"}), (GROQ, {**CHAT, "model": "openai/gpt-oss-20b"})):
        assert sent(there, key, path, body) == (402, "price_unknown")
    assert len(there.seen) == before
    answer = ask(there.gateway, get(POLL, key=key))
    assert answer.json == {"ok": True}


def test_a_fixed_reserve_is_charged_where_the_cost_stays_unknown(tmp_path: Path) -> None:
    config = '[money]\nunknown_price = "reserve"\nfixed_reserve = "0.25"\n'
    with front(tmp_path, answered, config) as there:
        key = there.gateway.new_key(budgets=[{"amount": "0.30", "period": "day"}])
        answer = ask(there.gateway, post({"prompt": "x"}, key, path=FLUX))
        assert answer.status == 200
        told = there.gateway.entry(answer.headers["x-request-id"])
        assert (told["cost"], told["charged"], told["reserved"]) == (None, "0.25", "0.25")
        assert (told["model"], told["target_model"]) == (
            "black-forest-labs/FLUX.1-dev",
            "fal-ai/flux/dev",
        )
        assert sent(there, key, FLUX, {"prompt": "x"}) == (402, "budget_exceeded")


def test_polls_and_look_ups_count_against_the_limit_on_requests(there: Front) -> None:
    key = there.gateway.new_key(limits={"requests_per_minute": 3})
    answers = [ask(there.gateway, get(path, key=key)) for path in (POLL, INFO, INFO, POLL, INFO)]
    assert [a.status for a in answers] == [200, 200, 200, 429, 429]
    assert answers[3].json["code"] == "requests_exceeded"
    assert "requests a minute" in answers[4].json["error"]
    assert int(answers[3].headers["retry-after"]) > 0
    assert answers[3].headers["x-ratelimit-remaining-requests"] == "0"
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "2"


def test_bytes_of_files_count_as_no_tokens(there: Front) -> None:
    key = there.gateway.new_key(limits={"tokens_per_minute": 100})
    assert sent(there, key, FLUX, {"prompt": "x", "image_url": "x" * 10_000}) == (200, None)
    assert sent(there, key, GROQ, {**CHAT, "max_tokens": 5000}) == (429, "tokens_exceeded")


def test_metrics_count_work_and_polls_by_provider(there: Front) -> None:
    key = there.gateway.new_key()
    assert sent(there, key, FLUX, {"prompt": "x"}) == (200, None)
    assert ask(there.gateway, get("/hf/zai-org/api/paas/v4/async-result/7", key=key)).status == 200
    told = ask(there.gateway, get("/metrics")).body.decode()
    lines = [line for line in told.splitlines() if line.startswith("trunkline_requests_total")]
    assert any('endpoint="hf"' in line and 'provider="fal-ai"' in line for line in lines)
    assert any('endpoint="hf"' in line and 'provider="zai-org"' in line for line in lines)
    assert "trunkline_inflight_requests 0.0" in told


# the Hub's look-ups


def test_a_look_up_is_made_with_the_gateways_token_and_kept(there: Front) -> None:
    key = there.gateway.new_key()
    answers = [ask(there.gateway, get(INFO, key=key)) for _ in range(3)]
    assert {a.status for a in answers} == {200}
    assert answers[0].json["inferenceProviderMapping"]["groq"]["providerId"] == GROQS
    asked = [r for r in there.hub.requests if r.target == INFO.removeprefix("/hf")]
    assert len(asked) == 1
    assert asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert key not in str([r.headers for r in there.hub.requests])


def test_of_look_ups_at_the_same_time_one_asks(there: Front) -> None:
    key = there.gateway.new_key()
    path = "/hf/api/models/org/slow"
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, there.gateway, get(path, key=key)) for _ in range(8)]
        there.hub.wait("asked")
        there.hub.say("answer")
        answers = [one.result(20) for one in asking]
    assert {a.status for a in answers} == {404}
    assert {a.headers["x-error-code"] for a in answers} == {"RepoNotFound"}
    assert [r.target for r in there.hub.requests].count("/api/models/org/slow") == 1


def test_each_providers_list_is_asked_for_once(there: Front) -> None:
    key = there.gateway.new_key()
    for _ in range(3):
        assert sent(there, key, FLUX, {"prompt": "x"}) == (200, None)
    targets = [r.target for r in there.hub.requests]
    assert targets.count("/api/partners/fal-ai/models?status=live") == 1


@pytest.mark.parametrize(("path", "status", "code"), [
    ("/hf/api/models/stranger/gone", 404, None),
    ("/hf/api/models/stranger/x", 502, "upstream_credential_refused"),
    ("/hf/api/whoami-v2", 404, "not_found"),
    ("/hf/api/models", 404, "not_found"),
    ("/hf/api/models/a/b/c", 404, "not_found"),
    ("/hf/api/models/a/../b", 400, "bad_path"),
    ("/hf/api/models/a%2fb", 400, "bad_path"),
    ("/hf/api/models/a?x=%0a%", 400, "bad_path"),
    ("/hf/api/partners/groq/models", 404, "not_found"),
])  # fmt: skip
def test_of_the_hubs_api_only_look_ups_are_served(
    there: Front, path: str, status: int, code: str | None
) -> None:
    answer = ask(there.gateway, get(path, key=there.gateway.new_key()))
    assert (answer.status, answer.json.get("code")) == (status, code)
    assert answer.json["error"]


def test_a_renamed_model_is_found_below_hf(there: Front) -> None:
    answer = ask(there.gateway, get("/hf/api/models/old/name", key=there.gateway.new_key()))
    assert (answer.status, answer.headers["location"]) == (
        307,
        "/hf/api/models/new/name?expand=x",
    )


def test_a_look_up_needs_a_key_and_keeps_to_its_models(there: Front) -> None:
    assert ask(there.gateway, get(INFO)).status == 401
    key = scoped(there, models=["openai/*"])
    answer = ask(there.gateway, get(INFO, key=key))
    assert (answer.status, answer.json["code"]) == (403, "model_not_allowed")


def test_without_a_hub_work_goes_on_under_the_providers_name(tmp_path: Path) -> None:
    def down(visit: Visit, request: Request) -> None:
        visit.reset()

    with front(tmp_path, answered, hub=hub_that(down)) as there:
        key, narrow = there.gateway.new_key(), scoped(there, models=["meta-llama/*"])
        answer = ask(there.gateway, post(CHAT, key, path=GROQ))
        assert answer.status == 200
        told = there.gateway.entry(answer.headers["x-request-id"])
        assert (told["model"], told["cost"]) == (GROQS, None)
        assert sent(there, narrow, GROQ, CHAT) == (403, "model_not_allowed")
        answer = ask(there.gateway, get(INFO, key=key))
        assert (answer.status, answer.json["code"]) == (502, "upstream_unreachable")


def test_a_client_that_leaves_while_the_hub_is_asked_sends_nothing(tmp_path: Path) -> None:
    def slow(visit: Visit, request: Request) -> None:
        visit.note("asked")
        visit.hold("answer")
        visit.send(told_by_hub(request))

    with front(tmp_path, answered, hub=hub_that(slow)) as there:
        key = there.gateway.new_key()
        with Wire(there.gateway) as wire:
            wire.send(post(CHAT, key, path=GROQ))
            there.hub.wait("asked")
        eventually(lambda: alone(there), "the gateway has seen it leave")
        there.hub.say("answer")
        assert ask(there.gateway, post(CHAT, key, path=GROQ)).status == 200
        assert len(there.seen) == 1


def alone(there: Front) -> bool:
    """Tell whether whoever asks for the metrics is the only client."""
    return b"trunkline_open_connections 1.0" in ask(there.gateway, get("/metrics")).body


def test_a_gateway_without_the_router_says_so(tmp_path: Path) -> None:
    config = """
default_upstream = "mine"
[upstreams.mine]
base_url = "http://127.0.0.1:9/v1"
"""
    with front(tmp_path, answered, config) as there:
        status, code = sent(there, there.gateway.new_key(), GROQ, CHAT)
        assert (status, code) == (404, "not_found")


def test_two_processes_share_what_work_polls_and_look_ups_count_against(tmp_path: Path) -> None:
    with front(tmp_path, answered, "", None, "--workers", "2") as there:
        key = there.gateway.new_key(limits={"requests_per_minute": 12})
        listed = get("/v1/models", key=key)
        eventually(
            lambda: all(ask(there.gateway, listed).status == 200 for _ in range(8)),
            "both processes know the key",
        )
        asked = [get(POLL, key=key), get(INFO, key=key), post({"prompt": "x"}, key, path=FLUX)] * 6
        answers = [ask(there.gateway, one) for one in asked]
        statuses = [answer.status for answer in answers]
        assert statuses.count(200) == 12
        assert statuses.count(429) == 6
        assert {a.json["code"] for a in answers if a.status == 429} == {"requests_exceeded"}
