"""Where a task goes, driven by hand: pinned, chosen, direct, on a server of one's own, and not at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hand import TOKEN, Hand, Outcome, answers, fails, silent
from task_hand import HUB, KEY, asked, carry_task, header, task_ask

from trunkline import errors
from trunkline.errors import APIConnectionError, APIError, InvalidInputError
from trunkline.providers.engines import Engines, Seekers
from trunkline.providers.mapping import Serving
from trunkline.providers.task_table import providers_of
from trunkline.routing.task_flow import ask_flow
from trunkline.types import Secret

INFO = f"GET {HUB}/api/models/org/m?expand=inferenceProviderMapping"
VECTORS = answers(
    body={"data": [{"index": 0, "embedding": [0.5, 1.0]}], "model": "m", "usage": None}
)
PIPELINE_VECTORS = answers(body=[[0.5, 1.0]])
EMBEDDERS = ("deepinfra", "scaleway", "together")


def row(task: str = "feature-extraction", status: str = "live", own: str = "own/name") -> Any:
    return {"providerId": own, "status": status, "task": task}


def hub(**rows: Any) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in rows.items()}
    return answers(body={"id": "org/m", "inferenceProviderMapping": named})


def embed(hand: Hand, model: str = "org/m", **options: Any) -> Any:
    return carry_task(hand, "feature-extraction", ["a"], model=model, **options)


def refusal(hand: Hand, model: str = "org/m", **options: Any) -> APIError:
    with pytest.raises(APIError) as caught:
        embed(hand, model, **options)
    return caught.value


# through the router


@pytest.mark.parametrize("provider", EMBEDDERS)
def test_a_named_provider_is_asked_under_its_own_name_of_the_model(provider: str) -> None:
    hand = Hand(hub(**{provider: row()}), VECTORS)
    embed(hand, f"huggingface/{provider}/org/m")
    first, second = asked(hand)
    assert first == INFO
    assert second.startswith(f"POST https://router.example/{provider}/")
    assert json.loads(hand.sends[1].request.body)["model"] == "own/name"
    assert header(hand.sends[1], "authorization") == f"Bearer {TOKEN.value}"


def test_without_a_provider_the_hubs_first_that_is_live_and_known_is_taken() -> None:
    hand = Hand(
        hub(
            newcomer=row(),
            scaleway=row("conversational"),
            together=row(status="staging"),
            deepinfra=row(),
        ),
        VECTORS,
    )
    assert embed(hand).receipt.provider == "deepinfra"


def test_a_provider_whose_check_failed_is_taken_where_no_other_is_left() -> None:
    hand = Hand(hub(together=row(status="error"), deepinfra=row(status="staging")), VECTORS)
    assert embed(hand).receipt.provider == "together"
    hand = Hand(hub(together=row(status="error"), deepinfra=row()), VECTORS)
    assert embed(hand).receipt.provider == "deepinfra"


def test_a_provider_in_staging_is_asked_where_it_is_named() -> None:
    hand = Hand(hub(together=row(status="staging")), VECTORS)
    assert embed(hand, "huggingface/together/org/m").receipt.provider == "together"


def test_hf_inference_needs_neither_the_hub_nor_a_token() -> None:
    hand = Hand(PIPELINE_VECTORS)
    result = embed(hand, "huggingface/hf-inference/org/m", secret=None)
    assert result.data[0].embedding == [0.5, 1.0]
    assert asked(hand) == [
        "POST https://router.example/hf-inference/models/org/m/pipeline/feature-extraction"
    ]
    assert header(hand.sends[0], "authorization") is None


@pytest.mark.parametrize("model", ["org/m", "huggingface/together/org/m"])
def test_every_other_provider_needs_a_token(model: str) -> None:
    hand = Hand()
    error = refusal(hand, model, secret=None)
    assert isinstance(error, errors.AuthenticationError)
    assert "HF_TOKEN" in str(error)


def test_a_name_that_is_not_the_hubs_is_sent_as_it_is() -> None:
    hand = Hand(VECTORS)
    embed(hand, "huggingface/together/a/b/c")
    assert len(hand.sends) == 1
    assert json.loads(hand.sends[0].request.body)["model"] == "a/b/c"


# what cannot be


@pytest.mark.parametrize("policy", ["fastest", "cheapest"])
def test_the_routers_choice_by_price_or_speed_is_for_chat(policy: str) -> None:
    error = refusal(Hand(), f"org/m:{policy}")
    assert isinstance(error, InvalidInputError)
    assert policy in error.message and "huggingface/<provider>" in str(error)


def test_the_accounts_preference_is_what_the_hub_tells_anyway() -> None:
    hand = Hand(hub(deepinfra=row(), together=row()), VECTORS)
    assert embed(hand, "org/m:preferred").receipt.provider == "deepinfra"


@pytest.mark.parametrize("provider", ["groq", "replicate", "nowhere"])
def test_a_provider_without_the_task_names_those_who_have_it(provider: str) -> None:
    error = refusal(Hand(), f"huggingface/{provider}/org/m")
    assert isinstance(error, errors.ModelNotSupportedError)
    assert error.hint is not None
    assert all(name in error.hint for name in providers_of("feature-extraction"))


@pytest.mark.parametrize(
    ("answer", "model", "kind", "said"),
    [
        (hub(), "org/m", errors.ModelNotSupportedError, "No provider serves org/m"),
        (
            hub(groq=row("conversational")),
            "org/m",
            errors.ModelNotSupportedError,
            "use completion()",
        ),
        (hub(together=row("text-to-image")), "org/m", errors.APIError, "use image_generation()"),
        (hub(newcomer=row()), "org/m", errors.ModelNotSupportedError, "newcomer alone serves"),
        (hub(together=row(status="staging")), "org/m", errors.ModelNotSupportedError, "staging"),
        (
            hub(deepinfra=row()),
            "huggingface/together/org/m",
            errors.ModelNotSupportedError,
            "served by deepinfra",
        ),
        (
            answers(404, {"error": "Repository not found"}, x_error_code="RepoNotFound"),
            "org/m",
            errors.NotFoundError,
            "no model org/m",
        ),
        (
            answers(401, {"error": "Invalid username or password."}, x_error_code="RepoNotFound"),
            "org/m",
            errors.NotFoundError,
            "no model org/m",
        ),
        (
            answers(403, {"error": "gated"}, x_error_code="GatedRepo"),
            "huggingface/together/org/m",
            errors.PermissionDeniedError,
            "gated",
        ),
    ],
)
def test_why_no_provider_will_do(
    answer: Outcome, model: str, kind: type[APIError], said: str
) -> None:
    hand = Hand(answer)
    error = refusal(hand, model)
    assert isinstance(error, kind)
    assert said in str(error)
    assert asked(hand) == [INFO]


def test_a_renamed_model_is_found() -> None:
    there = "/api/models/new/m?expand=inferenceProviderMapping"
    hand = Hand(answers(307, b"", location=there), hub(deepinfra=row()), VECTORS)
    assert embed(hand).receipt.provider == "deepinfra"


DOWN = [
    fails(APIConnectionError("refused")),
    silent(),
    answers(503, b""),
    answers(429, b""),
    answers(200, b"<html>"),
]


@pytest.mark.parametrize("down", DOWN)
def test_with_the_hub_down_a_named_provider_is_asked_all_the_same(down: Outcome) -> None:
    hand = Hand(down, VECTORS)
    assert embed(hand, "huggingface/together/org/m").receipt.provider == "together"
    assert json.loads(hand.sends[1].request.body)["model"] == "org/m"


@pytest.mark.parametrize("down", DOWN)
def test_with_the_hub_down_nobody_can_be_chosen(down: Outcome) -> None:
    hand = Hand(down)
    error = refusal(hand)
    assert isinstance(error, APIConnectionError)
    assert "name a provider" in str(error)
    assert len(hand.sends) == 1


# at the provider itself


def test_a_key_that_is_not_hugging_faces_goes_to_the_provider() -> None:
    hand = Hand(hub(together=row()), VECTORS)
    embed(hand, "huggingface/together/org/m", secret=KEY, places={"explicit": True})
    assert asked(hand)[1] == "POST https://api.together.xyz/v1/embeddings"
    assert header(hand.sends[0], "authorization") is None or KEY.value not in str(hand.sends[0])
    assert header(hand.sends[1], "authorization") == f"Bearer {KEY.value}"
    assert json.loads(hand.sends[1].request.body)["model"] == "own/name"


@pytest.mark.parametrize("known", [hub(), hub(deepinfra=row()), answers(404, b""), *DOWN])
def test_with_its_own_key_a_provider_may_have_models_that_the_hub_does_not_know(
    known: Outcome,
) -> None:
    hand = Hand(known, VECTORS)
    embed(hand, "huggingface/together/org/m", secret=KEY, places={"explicit": True})
    assert json.loads(hand.sends[1].request.body)["model"] == "org/m"


@pytest.mark.parametrize(
    ("model", "places", "kind"),
    [
        ("org/m", {"explicit": True}, InvalidInputError),
        ("huggingface/together/org/m", {"direct": True}, errors.AuthenticationError),
    ],
)
def test_what_cannot_go_to_a_provider_itself(
    model: str, places: dict[str, Any], kind: type[APIError]
) -> None:
    secret = KEY if places.get("explicit") else TOKEN
    assert isinstance(refusal(Hand(), model, secret=secret, places=places), kind)


# on a server of one's own

TEI = {"model_id": "org/e", "model_type": {"embedding": {}}, "max_client_batch_size": 32}
TGI = {"model_id": "org/t", "max_total_tokens": 4096, "max_input_tokens": 4000}
MINE = "http://10.0.0.5:8080"


def served(hand: Hand, base: str = MINE, **options: Any) -> Any:
    places = {"api_base": base, **options.pop("places", {})}
    return embed(hand, "org/m", places=places, **options)


@pytest.mark.parametrize(
    ("info", "route", "answer"),
    [
        (answers(body=TEI), "embed", answers(body=[[0.5, 1.0]])),
        (answers(404, b"no"), "v1/embeddings", VECTORS),
        (answers(body={"something": "else"}), "v1/embeddings", VECTORS),
        (answers(500, b"no"), "v1/embeddings", VECTORS),
        (fails(APIConnectionError("refused")), "v1/embeddings", VECTORS),
    ],
)
def test_an_address_is_asked_what_runs_there(info: Outcome, route: str, answer: Outcome) -> None:
    hand = Hand(info, answer)
    assert served(hand).data[0].embedding == [0.5, 1.0]
    assert asked(hand) == [f"GET {MINE}/info", f"POST {MINE}/{route}"]


def test_tgi_is_asked_in_its_own_way() -> None:
    hand = Hand(answers(body=TGI), answers(body={"generated_text": "there"}))
    made = carry_task(hand, "text-generation", "Hi", model="m", places={"api_base": MINE})
    assert made.text == "there"
    assert asked(hand)[1] == f"POST {MINE}/generate"


def test_a_task_that_engines_have_no_route_for_goes_to_the_address_itself() -> None:
    hand = Hand(answers(404, b""), answers(body=[{"label": "cat", "score": 0.5}]))
    labels = carry_task(
        hand, "text-classification", "Hi", model="m", places={"api_base": f"{MINE}/models/m"}
    )
    assert labels[0].label == "cat"
    assert asked(hand)[1] == f"POST {MINE}/models/m"


@pytest.mark.parametrize(
    ("engine", "url", "answer"),
    [
        ("tei", f"{MINE}/embed", answers(body=[[0.5, 1.0]])),
        ("openai", f"{MINE}/v1/embeddings", VECTORS),
        ("tgi", f"{MINE}/v1/embeddings", VECTORS),
        ("pipeline", MINE + "/", PIPELINE_VECTORS),
    ],
)
def test_an_engine_that_is_named_is_not_asked_for(engine: str, url: str, answer: Outcome) -> None:
    hand = Hand(answer)
    assert served(hand, places={"engine": engine}).data[0].embedding == [0.5, 1.0]
    assert asked(hand) == [f"POST {url}"]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (f"{MINE}/v1", f"{MINE}/v1/embeddings"),
        (f"{MINE}/v1/embeddings?key=1", f"{MINE}/v1/embeddings?key=1"),
    ],
)
def test_an_address_that_names_its_route_is_not_asked_either(base: str, url: str) -> None:
    hand = Hand(VECTORS)
    served(hand, base)
    assert asked(hand) == [f"POST {url}"]


@pytest.mark.parametrize(
    ("base", "explicit", "sent"),
    [
        (MINE, False, False),
        (MINE, True, True),
        ("https://x.endpoints.huggingface.cloud", False, True),
        ("http://x.endpoints.huggingface.cloud", False, False),
        ("https://huggingface.co.evil.example", False, False),
        ("https://evil-huggingface.co", False, False),
    ],
)
def test_a_token_that_was_found_goes_to_hugging_faces_servers_only(
    base: str, explicit: bool, sent: bool
) -> None:
    hand = Hand(answers(404, b""), VECTORS)
    served(hand, base, places={"explicit": explicit})
    told = [header(send, "authorization") for send in hand.sends]
    assert told == ([f"Bearer {TOKEN.value}"] * 2 if sent else [None] * 2)


def test_who_pays_is_told_to_strangers_only_when_the_caller_says_so() -> None:
    for explicit, sent in ((False, None), (True, "org")):
        hand = Hand(answers(404, b""), VECTORS)
        served(hand, places={"bill_to": "org", "bill_to_explicit": explicit})
        assert header(hand.sends[1], "x-hf-bill-to") == sent


def test_a_task_that_no_server_of_ones_own_serves_says_who_does() -> None:
    hand = Hand(answers(body=TEI))
    with pytest.raises(errors.ModelNotSupportedError) as caught:
        carry_task(hand, "image-text-to-image", "a cat", model="m", places={"api_base": MINE})
    assert all(name in str(caught.value) for name in providers_of("image-text-to-image"))


# asked once


def test_the_hub_and_an_engine_are_asked_once_and_per_token() -> None:
    seekers = Seekers(Engines(), HUB)
    first = task_ask("feature-extraction", ["a"], model="org/m")
    other = Secret("hf_another", "a test")
    hand = Hand(hub(deepinfra=row()), VECTORS, VECTORS, hub(together=row()), VECTORS)
    hand.run(ask_flow(first, seekers))
    hand.run(ask_flow(first, seekers))
    theirs = task_ask("feature-extraction", ["a"], model="org/m", secret=other)
    journey = msgspec.structs.replace(theirs.journey, maps=first.journey.maps)
    again = msgspec.structs.replace(theirs, journey=journey)
    assert hand.run(ask_flow(again, seekers)).receipt.provider == "together"
    assert [line == INFO for line in asked(hand)] == [True, False, False, True, False]
    mine = task_ask("feature-extraction", ["a"], model="m", places={"api_base": MINE})
    hand = Hand(answers(body=TEI), *[answers(body=[[0.5]])] * 3)
    for _ in range(3):
        hand.run(ask_flow(mine, seekers))
    assert asked(hand) == [f"GET {MINE}/info", *[f"POST {MINE}/embed"] * 3]


# the sandbox


def test_the_sandbox_is_asked_at_once_in_a_providers_manner() -> None:
    hand = Hand(PIPELINE_VECTORS)
    embed(hand, "sandbox/any", secret=None)
    assert asked(hand) == [
        "POST sandbox://sandbox/hf-inference/models/any/pipeline/feature-extraction"
    ]
    hand = Hand(VECTORS)
    embed(hand, "sandbox/together/org/m", secret=None)
    assert asked(hand) == ["POST sandbox://sandbox/together/v1/embeddings"]


def test_a_serving_that_is_known_needs_no_hub() -> None:
    hand = Hand(VECTORS)
    embed(hand, served=(Serving("together", "theirs", "feature-extraction", "live"),))
    assert json.loads(hand.sends[0].request.body)["model"] == "theirs"
