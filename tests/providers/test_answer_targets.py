"""Where the APIs beside chat go."""

from __future__ import annotations

import pytest

from trunkline import errors
from trunkline.model_id import parse, parse_served
from trunkline.providers.answer_targets import answer_target
from trunkline.providers.spec import Target
from trunkline.providers.targets import Places
from trunkline.types import Secret

ROUTER = "https://router.huggingface.co"
HF = Secret("hf_x", "the argument token=")
KEY = Secret("gsk_x", "the argument token=")
OWN = frozenset({"groq", "openai"})


def target(model: str, secret: Secret = HF, route: str = "responses", **more: str) -> Target:
    places = Places(ROUTER, secret=secret, explicit=True, **more)  # type: ignore[arg-type]
    read = parse_served if places.api_base else parse
    return answer_target(route, read(model), places, OWN, (("x-version", "1"),))


@pytest.mark.parametrize("route", ["responses", "messages"])
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("org/m", "org/m"),
        ("org/m:groq", "org/m:groq"),
        ("huggingface/groq/org/m", "org/m:groq"),
        ("org/m:cheapest", "org/m:cheapest"),
    ],
)
def test_routed_calls_name_the_provider_in_the_model(route: str, model: str, name: str) -> None:
    found = target(model, route=route, bill_to="acme")
    assert str(found.url) == f"{ROUTER}/v1/{route}"
    assert (found.model, found.via, found.secret) == (name, "router", HF)
    assert found.headers == (("x-hf-bill-to", "acme"), ("x-version", "1"))


@pytest.mark.parametrize(
    "api_base",
    [
        "http://box:8080",
        "http://box:8080/",
        "http://box:8080/v1",
        "http://box:8080/v1/",
        "http://box:8080/v1/chat/completions",
        "http://box:8080/v1/responses",
        "http://box:8080/v1/messages/",
    ],
)
def test_an_address_is_completed_whichever_route_it_names(api_base: str) -> None:
    assert str(target("tiny", api_base=api_base).url) == "http://box:8080/v1/responses"


def test_a_path_and_a_query_of_an_address_stay() -> None:
    found = target("tiny", api_base="http://box/api/v1/responses?version=2")
    assert str(found.url) == "http://box/api/v1/responses?version=2"


@pytest.mark.parametrize(
    ("model", "url", "name"),
    [
        ("openai/gpt-x", "https://api.openai.com/v1/responses", "gpt-x"),
        ("huggingface/groq/org/m", "https://api.groq.com/openai/v1/responses", "org/m"),
    ],
)
def test_a_providers_own_key_goes_to_those_that_serve_it(model: str, url: str, name: str) -> None:
    found = target(model, KEY)
    assert (str(found.url), found.model, found.via, found.secret) == (url, name, "direct", KEY)
    assert found.tune is None


def test_groqs_names_are_looked_up_as_for_a_chat() -> None:
    assert target("huggingface/groq/org/m", KEY).look_up == "org/m"


def test_a_provider_of_which_no_such_route_is_known_is_refused() -> None:
    with pytest.raises(errors.ModelNotSupportedError, match="cerebras has no responses API"):
        target("huggingface/cerebras/org/m", KEY)


def test_the_sandbox_is_in_process() -> None:
    found = target("sandbox/demo")
    assert (str(found.url), found.model) == ("sandbox://sandbox/v1/responses", "demo")


def test_without_a_token_it_says_so() -> None:
    with pytest.raises(errors.AuthenticationError, match="No Hugging Face token"):
        answer_target("responses", parse("org/m"), Places(ROUTER), OWN)
