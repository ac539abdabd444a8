"""The Hub's answers, real ones and of every shape it has had, on the way to a call over sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from recordings import RECORDINGS, needs_recordings

from faces import Face
from loopback import Script, Upstream, Visit, whole
from trunkline.errors import InvalidResponseError, ModelNotSupportedError
from trunkline.settings import read_settings

TOKEN = "hf_" + "t" * 30
BEARER = f"Bearer {TOKEN}"
PNG = b"\x89PNG\r\n\x1a\n of a test"
FAL = {"status": "live", "providerId": "fal-ai/flux/dev", "task": "text-to-image"}
LORA = {
    "status": "live",
    "providerId": "fal-ai/flux-lora",
    "task": "text-to-image",
    "adapter": "lora",
    "adapterWeightsPath": "style.safetensors",
}

Serve = Callable[..., Upstream]
Json = dict[str, Any]


def hub(infos: dict[str, Any]) -> Script:
    """Tell infos by the model; a text among them is where the model has gone."""

    def script(visit: Visit) -> None:
        while True:
            path = visit.request().target.partition("?")[0]
            told = infos[path.removeprefix("/api/models/")]
            if isinstance(told, str):
                visit.send(whole(b"Temporary Redirect.", 307, location=told))
            else:
                visit.send(whole(json.dumps(told).encode()))

    return script


def router(files_at: str | None = None) -> Script:
    """Make an image for every request, which lies here or elsewhere; serve it as a file."""

    def script(visit: Visit) -> None:
        here = f"http://127.0.0.1:{visit.upstream.port}"
        while True:
            request = visit.request()
            if request.method == "GET":
                visit.send(whole(PNG, content_type="image/png"))
                continue
            url = f"{files_at or here}/files/cat.png"
            replicate = request.target.startswith("/replicate/")
            answer: Json = {"output": [url]} if replicate else {"images": [{"url": url}]}
            visit.send(whole(json.dumps(answer).encode()))

    return script


class Place:
    """A Hub and a router, and a client that knows these only."""

    def __init__(self, face: Face, serve: Serve, infos: dict[str, Any], at: Script) -> None:
        self.hub, self.router = serve(hub(infos)), serve(at)
        hub_url, router_url = self.hub.url.removesuffix("/v1"), self.router.url.removesuffix("/v1")
        self.hub_url = hub_url
        settings = read_settings({"HF_ENDPOINT": hub_url, "TRUNKLINE_ROUTER": router_url})
        self.face, self.client = face, face.client(token=TOKEN, settings=settings)

    def image(self, model: str, **options: Any) -> Any:
        return self.face.run(self.client.image_generation(model, "a cat", max_retries=0, **options))

    @property
    def asked(self) -> list[str]:
        return [request.target for request in self.hub.requests]

    @property
    def posts(self) -> list[Any]:
        return [request for request in self.router.requests if request.method == "POST"]

    @property
    def files(self) -> list[Any]:
        return [request for request in self.router.requests if request.method == "GET"]


def lookup(model: str) -> str:
    return f"/api/models/{model}?expand=inferenceProviderMapping"


def test_the_hub_is_asked_once_for_several_calls_and_each_has_its_file(face: Face, serve: Serve):
    place = Place(face, serve, {"org/m": {"inferenceProviderMapping": {"fal-ai": FAL}}}, router())
    for _ in range(3):
        result = place.image("fal-ai/org/m")
        assert (result.image.content, result.image.media_type) == (PNG, "image/png")
        assert result.receipt.provider == "fal-ai"
    assert place.image("org/m").image.content == PNG  # without a provider it is the same question
    assert place.asked == [lookup("org/m")]
    assert [request.target for request in place.posts] == [
        "/fal-ai/fal-ai/flux/dev?_subdomain=queue"
    ] * 4
    assert len(place.files) == 4


def test_the_token_goes_to_the_hub_and_the_router_and_not_with_a_file(face: Face, serve: Serve):
    place = Place(face, serve, {"org/m": {"inferenceProviderMapping": {"fal-ai": FAL}}}, router())
    place.image("fal-ai/org/m")
    assert [request.headers["authorization"] for request in place.hub.requests] == [BEARER]
    assert [request.headers["authorization"] for request in place.posts] == [BEARER]
    (file,) = place.files
    assert TOKEN.encode() not in file.head


def test_a_mapping_may_be_a_list(face: Face, serve: Serve):
    rows = [{"provider": "nebius", **FAL, "status": "staging"}, {"provider": "fal-ai", **FAL}]
    place = Place(face, serve, {"org/m": {"inferenceProviderMapping": rows}}, router())
    assert place.image("org/m").receipt.provider == "fal-ai"
    assert place.posts[0].json == {"prompt": "a cat"}


def test_a_lora_is_put_on_the_providers_model(face: Face, serve: Serve):
    place = Place(
        face, serve, {"me/style": {"inferenceProviderMapping": {"fal-ai": LORA}}}, router()
    )
    place.image("me/style", seed=3)
    (request,) = place.posts
    assert request.target == "/fal-ai/fal-ai/flux-lora?_subdomain=queue"
    weights = f"{place.hub_url}/me/style/resolve/main/style.safetensors"
    loras = [{"path": weights, "scale": 1}]
    assert request.json == {"prompt": "a cat", "seed": 3, "loras": loras}


def test_a_renamed_model_is_followed_on_the_hub_alone(face: Face, serve: Serve):
    infos = {
        "old/m": "/api/models/new/m?expand=inferenceProviderMapping",
        "new/m": {"inferenceProviderMapping": {"fal-ai": FAL}},
    }
    place = Place(face, serve, infos, router())
    for _ in range(2):
        assert place.image("fal-ai/old/m").image.content == PNG
    assert place.asked == [lookup("old/m"), lookup("new/m")]
    assert {request.headers["authorization"] for request in place.hub.requests} == {BEARER}


def test_a_model_that_nobody_serves_reaches_no_router(face: Face, serve: Serve):
    place = Place(face, serve, {"org/m": {"inferenceProviderMapping": {}}}, router())
    with pytest.raises(ModelNotSupportedError, match="No provider serves org/m"):
        place.image("org/m")
    assert place.router.requests == []


def test_a_file_on_another_private_address_is_not_fetched(face: Face, serve: Serve):
    elsewhere = serve(router())
    address = elsewhere.url.removesuffix("/v1")
    told = {"org/m": {"inferenceProviderMapping": {"fal-ai": FAL}}}
    place = Place(face, serve, told, router(address))
    with pytest.raises(InvalidResponseError, match="not https but http"):
        place.image("org/m")
    assert elsewhere.requests == []
    assert place.image("org/m", download=False).image.url == f"{address}/files/cat.png"
    assert elsewhere.requests == []


SERVED = {
    "ByteDance/SDXL-Lightning": "/fal-ai/fal-ai/lightning-models?_subdomain=queue",
    "black-forest-labs/FLUX.1-dev": "/fal-ai/fal-ai/flux/dev?_subdomain=queue",
    "stabilityai/stable-diffusion-xl-base-1.0": "/replicate/v1/predictions",
}
"""Models whose mapping was recorded, and where the first live provider of each serves them."""


@needs_recordings
@pytest.mark.parametrize("model", SERVED)
def test_a_recorded_mapping_leads_to_the_providers_own_name(face: Face, serve: Serve, model: str):
    info = _recorded(model)
    place = Place(face, serve, {model: info}, router())
    result = place.image(model)
    assert result.image.content == PNG
    (request,) = place.posts
    assert request.target == SERVED[model]
    provider = result.receipt.provider
    assert info["inferenceProviderMapping"][provider]["status"] == "live"
    if provider == "replicate":
        name = info["inferenceProviderMapping"][provider]["providerId"]
        assert request.json == {"input": {"prompt": "a cat"}, "version": name.partition(":")[2]}
        assert request.headers["prefer"] == "wait"
    assert place.asked == [lookup(model)]


def _recorded(model: str) -> Json:
    lines = (RECORDINGS / "hub.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    found = [
        row
        for row in map(json.loads, lines)
        if row["request"]["url"].endswith(lookup(model)) and row["status"] == 200
    ]
    info: Json = json.loads(found[0]["response"]["body"])
    return info
