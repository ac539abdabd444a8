"""Every task at every provider that serves it: through the router, and with the provider's own key."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from task_rows import LISTED, ROWS, Call, is_image

from faces import Face
from trunkline.errors import (
    AuthenticationError,
    BadRequestError,
    ModelNotSupportedError,
    NotFoundError,
)
from trunkline.providers.queued import QUEUED
from trunkline.providers.table import PROVIDERS
from trunkline.providers.task_table import tasks_of
from trunkline.sandbox import AsyncInProcessTransport, InProcessTransport, SandboxServer
from trunkline.sandbox.models import MODELS
from trunkline.settings import read_settings
from trunkline.types.tasks import FUNCTIONS

PAIRS = [
    (row.name, task)
    for row in PROVIDERS.values()
    if not row.dropped and row.name != "openai"  # which the Hub maps nothing to
    for task in tasks_of(row)
]
ELSEWHERE = [
    (row.name, task)
    for row in PROVIDERS.values()
    for task in tasks_of(row)
    if (row.name, task) not in PAIRS
]
"""Those that Hugging Face does not route to, so that the sandbox has no part of theirs."""
OWN_NAMES = {
    (model.name, offer.provider): offer.own_name
    for model in MODELS.values()
    for offer in model.served
}


def arguments(task: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    row = ROWS[FUNCTIONS[task]]
    return FUNCTIONS[task], row.arguments, row.keywords


@pytest.mark.parametrize(("provider", "task"), PAIRS)
def test_a_named_provider_serves_the_task_under_its_own_name_of_the_model(
    call: Call, server: SandboxServer, provider: str, task: str
) -> None:
    model = LISTED[provider, task][0]
    function, args, keywords = arguments(task)
    found = call(function, f"huggingface/{provider}/{model}", *args, **keywords)
    ROWS[function].holds(found)
    receipt = found.receipt
    assert receipt.provider == provider
    assert receipt.called == f"huggingface/{provider}/{model}"
    assert [a.model for a in receipt.attempts] == [OWN_NAMES[model, provider]]
    asked = [seen.path for seen in server.requests if seen.path.startswith("/api/")]
    assert asked == ([] if provider == "hf-inference" else [f"/api/models/{model}"])
    call(function, f"{model}:{provider}", *args, **keywords)  # the router's way to name one
    again = [seen.path for seen in server.requests if seen.path.startswith("/api/")]
    assert again == asked


@pytest.mark.parametrize("task", sorted({task for _, task in PAIRS}))
def test_without_a_provider_the_first_of_the_hubs_serves(call: Call, task: str) -> None:
    first = next(names[0] for (_, served), names in LISTED.items() if served == task)
    expected = next(
        offer.provider
        for offer in MODELS[first].served
        if (offer.task or MODELS[first].task) == task and offer.status == "live"
    )
    function, args, keywords = arguments(task)
    assert call(function, first, *args, **keywords).receipt.provider == expected


LORAS = {
    ("fal-ai", "alvdansen/frosting_lane_flux"): ("loras", "flux_lora_frosting_lane_flux"),
    ("fal-ai", "nerijs/pixel-art-xl"): ("loras", "pixel-art-xl.safetensors"),
    ("replicate", "openfree/flux-chatgpt-ghibli-lora"): ("lora_weights", "flux-chatgpt-ghibli"),
    ("wavespeed", "openfree/flux-chatgpt-ghibli-lora"): ("loras", "openfree/flux-chatgpt-ghibli"),
}


@pytest.mark.parametrize(("provider", "model"), LORAS)
def test_a_lora_goes_with_its_weights_to_the_model_that_it_adapts(
    call: Call, server: SandboxServer, provider: str, model: str
) -> None:
    found = call("image_generation", f"huggingface/{provider}/{model}", "a cat")
    is_image(found)
    field, weights = LORAS[provider, model]
    (posted,) = [seen for seen in server.requests if seen.method == "POST"]
    body = posted.json.get("input", posted.json)
    assert weights in str(body[field])
    assert found.receipt.attempts[0].model == OWN_NAMES[model, provider]


# with a key of the provider's own


@pytest.fixture
def _moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider's own address is one of the sandbox's paths."""
    for name, row in PROVIDERS.items():
        base = f"https://own.example/{name}"
        monkeypatch.setitem(PROVIDERS, name, msgspec.structs.replace(row, base_url=base))
    for name, routes in QUEUED.items():
        at_home = {t: msgspec.structs.replace(route, base_url=None) for t, route in routes.items()}
        monkeypatch.setitem(QUEUED, name, at_home)


@pytest.mark.usefixtures("_moved")
@pytest.mark.parametrize(("provider", "task"), PAIRS)
def test_a_providers_own_key_goes_to_the_provider_in_its_own_greeting(
    pair: Face, provider: str, task: str
) -> None:
    model = LISTED[provider, task][0]
    client, transport = own_client(pair)
    function, args, keywords = arguments(task)
    found = pair.run(
        getattr(client, function)(f"huggingface/{provider}/{model}", *args, **keywords)
    )
    ROWS[function].holds(found)
    assert found.receipt.provider == provider
    assert found.receipt.attempts[0].model == OWN_NAMES[model, provider]
    greets(provider, transport)


@pytest.mark.usefixtures("_moved")
@pytest.mark.parametrize(("provider", "task"), ELSEWHERE)
def test_a_provider_that_hugging_face_does_not_route_to_is_asked_itself(
    pair: Face, provider: str, task: str
) -> None:
    client, transport = own_client(pair)
    function, args, keywords = arguments(task)
    with pytest.raises((NotFoundError, BadRequestError)) as caught:  # the sandbox has no such place
        pair.run(getattr(client, function)(f"huggingface/{provider}/org/m", *args, **keywords))
    assert caught.value.provider == provider
    greets(provider, transport)


def own_client(pair: Face) -> tuple[Any, Any]:
    transport = InProcessTransport() if pair.name == "blocking" else AsyncInProcessTransport()
    settings = read_settings({"HF_BILL_TO": "some-org"})
    made = pair.client(token="own-key", transport=transport, settings=settings, max_retries=0)
    return made, transport


def greets(provider: str, transport: Any) -> None:
    """Check that the key went to the provider alone, in its form, and the account nowhere."""
    row = PROVIDERS[provider]
    first = next(seen for seen in transport.requests if seen.method == "POST")
    assert first.path.startswith(f"/{provider}/")
    assert first.headers[row.auth_header] == f"{row.scheme} own-key".strip()
    assert dict(row.headers).items() <= first.headers.items()
    for seen in transport.requests:
        assert not [name for name in seen.headers if name.startswith("x-hf-")]
        at_provider = seen.path.startswith(f"/{provider}/")
        assert ("own-key" in str(seen.headers)) is at_provider  # neither the Hub nor a file host


def test_a_provider_that_hugging_face_dropped_is_said_to_be_dropped(call: Call) -> None:
    for name in (row.name for row in PROVIDERS.values() if row.dropped and tasks_of(row)):
        task = next(iter(tasks_of(PROVIDERS[name])))
        function, args, keywords = arguments(task)
        with pytest.raises(ModelNotSupportedError) as caught:
            call(function, f"huggingface/{name}/black-forest-labs/FLUX.1-dev", *args, **keywords)
        assert "dropped" in str(caught.value)
        assert caught.value.provider == name


def test_openais_own_models_need_openais_own_key(call: Call) -> None:
    with pytest.raises(AuthenticationError, match="does not route to openai") as caught:
        call("embedding", "huggingface/openai/text-embedding-3-small:openai", "hello")
    assert caught.value.provider == "openai"
    assert "OpenAI's own key" in (caught.value.hint or "")


def test_an_image_may_come_as_a_result_of_another_provider(call: Call) -> None:
    made = call("image_generation", "black-forest-labs/FLUX.1-dev:fal-ai", "a cat")
    edited = call(
        "image_edit", "black-forest-labs/FLUX.1-Kontext-dev:wavespeed", made.image, "blue"
    )
    is_image(edited)
    assert made.receipt.provider == "fal-ai"
    assert edited.receipt.provider == "wavespeed"
