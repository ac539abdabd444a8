"""Who serves a model: both wire shapes, what the Hub's refusals mean, and how it is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.mapping import (
    ModelMap,
    ModelMaps,
    Serving,
    read_map,
    read_servings,
)
from trunkline.types import Secret
from trunkline.wire.message import ResponseHead

HUB = "https://huggingface.co"
LIVE = {"providerId": "llama-8b", "status": "live", "task": "conversational", "new": {"a": 1}}
LORA = {
    "providerId": "fal-ai/flux-lora",
    "status": "live",
    "task": "text-to-image",
    "adapter": "lora",
    "adapterWeightsPath": "w.safetensors",
    "type": "tag-filter",
}
ROWS = {
    "novita": {"providerId": "meta/llama", "status": "error", "isModelAuthor": False},
    "groq": LIVE,
    "fal-ai": LORA,
    "broken": {"status": "live"},
    "": {"providerId": "x"},
    "odd": "x",
}
AS_DICT = {"_id": "1", "id": "org/m", "inferenceProviderMapping": ROWS}
AS_LIST = {
    "inferenceProviderMapping": [
        {"provider": name, "hfModelId": "org/m", **row}
        for name, row in ROWS.items()
        if isinstance(row, dict)
    ]
    + ["x", {"providerId": "nobody's"}]
}
SERVINGS = (
    Serving("novita", "meta/llama", "", "error"),
    Serving("groq", "llama-8b", "conversational", "live"),
    Serving("fal-ai", "fal-ai/flux-lora", "text-to-image", "live", "lora", "w.safetensors"),
)

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["provider", "providerId", "task", "status", "adapter", "groq"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


# reading


@pytest.mark.parametrize("body", [AS_DICT, AS_LIST], ids=["dict", "list"])
def test_both_shapes_of_the_mapping_are_read_in_order(body: Any) -> None:
    assert read_servings(body) == SERVINGS


@pytest.mark.parametrize("mapping", [{}, []], ids=["dict", "list"])
def test_an_empty_mapping_is_no_providers(mapping: Any) -> None:
    assert read_servings({"inferenceProviderMapping": mapping}) == ()


@pytest.mark.parametrize("body", [{}, None, [], "x", 5, {"inferenceProviderMapping": None}])
def test_a_missing_mapping_is_something_else_than_an_empty_one(body: Any) -> None:
    assert read_servings(body) is None


@given(ANY_JSON)
def test_any_json_is_read_without_error(mapping: Any) -> None:
    for body in (mapping, {"inferenceProviderMapping": mapping}):
        found = read_servings(body)
        for row in found or ():
            assert row.provider
            assert row.name
            assert all(isinstance(text, str) for text in (row.task, row.status))
            assert all(isinstance(text, str | None) for text in (row.adapter, row.weights))


@given(st.binary(max_size=60), st.integers(100, 599))
def test_any_answer_is_read_without_error(body: bytes, status: int) -> None:
    found = read_map("org/m", ResponseHead(status), body)
    assert found is None or (found.model, found.servings) == ("org/m", ())


@pytest.mark.parametrize(
    ("status", "code", "body", "problem"),
    [
        (404, "RepoNotFound", {"error": "Repository not found"}, "missing"),
        (404, None, {"error": "Repository not found"}, "missing"),
        (401, "RepoNotFound", {"error": "Invalid username or password."}, "missing"),
        (401, None, {"error": "Invalid username or password."}, "refused"),
        (401, "GatedRepo", {"error": "Access to model x is restricted."}, "gated"),
        (403, "GatedRepo", {"error": "Access to model x is restricted."}, "gated"),
        (403, "DisabledRepo", {"error": "no"}, "disabled"),
        (403, None, {"error": "Access to this resource is disabled."}, "disabled"),
        (451, "DisabledRepo", {"error": "no"}, "disabled"),
        (200, None, {"id": "org/m"}, "unmapped"),
        (200, None, {"inferenceProviderMapping": None}, "unmapped"),
        (200, None, {"inferenceProviderMapping": 5}, "unreadable"),
        (200, None, [], "unreadable"),
        (200, None, "<html>", "unreadable"),
    ],
)
def test_a_refusal_says_why(status: int, code: str | None, body: Any, problem: str) -> None:
    headers = {"x-error-code": code} if code else {}
    found = read_map("org/m", ResponseHead(status, headers), json.dumps(body).encode())
    assert found == ModelMap("org/m", problem=problem)  # type: ignore[arg-type]


def test_a_refusal_may_say_why_in_a_header_alone() -> None:
    headers = {"x-error-message": "Access to this resource is disabled."}
    assert read_map("org/m", ResponseHead(403, headers), b"").problem == "disabled"


@pytest.mark.parametrize("status", [301, 400, 403, 429, 500, 502, 503])
def test_a_hub_in_trouble_has_said_nothing_of_the_model(status: int) -> None:
    assert read_map("org/m", ResponseHead(status), b'{"error":"Too many"}') is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b'{"inferenceProviderMapping"'])
def test_a_good_status_without_json_is_unreadable(body: bytes) -> None:
    assert read_map("org/m", ResponseHead(200), body).problem == "unreadable"


# rows


@pytest.mark.parametrize(
    ("provider", "mapped", "task", "serves"),
    [
        ("together", "conversational", "conversational", True),
        ("together", "conversational", "text-generation", False),
        ("hf-inference", "sentence-similarity", "feature-extraction", True),
        ("hf-inference", "feature-extraction", "sentence-similarity", True),
        ("hf-inference", "sentence-similarity", "text-ranking", True),
        ("hf-inference", "fill-mask", "feature-extraction", False),
        ("hf-inference", "fill-mask", "fill-mask", True),
        ("scaleway", "sentence-similarity", "feature-extraction", False),
    ],
)
def test_a_row_serves_its_task_and_on_hf_inference_its_kin(
    provider: str, mapped: str, task: str, serves: bool
) -> None:
    assert Serving(provider, "n", mapped).serves(task) is serves


def test_a_providers_row_is_the_one_for_the_task_where_there_are_two() -> None:
    chat, image = Serving("p", "c", "conversational"), Serving("p", "i", "text-to-image")
    known = ModelMap("org/m", (chat, image))
    assert known.row("p", "text-to-image") == image
    assert known.row("p", "translation") == known.row("p") == chat
    assert known.row("q") is None


# asking


@pytest.mark.parametrize(
    ("hub", "model", "url"),
    [
        (HUB, "org/m", f"{HUB}/api/models/org/m?expand=inferenceProviderMapping"),
        (f"{HUB}/", "org/m", f"{HUB}/api/models/org/m?expand=inferenceProviderMapping"),
        (
            "http://127.0.0.1:8377",
            "org/m?x#y",
            "http://127.0.0.1:8377/api/models/org/m%3Fx%23y?expand=inferenceProviderMapping",
        ),
    ],
)
def test_the_hub_is_asked_for_one_model(hub: str, model: str, url: str) -> None:
    request = ModelMaps(hub).request(model, None)
    headers = dict(request.headers)
    assert (request.method, str(request.url), request.body) == ("GET", url, b"")
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("trunkline/")
    assert "authorization" not in headers


def test_only_hugging_faces_own_token_goes_to_the_hub() -> None:
    maps = ModelMaps(HUB)
    own = maps.request("org/m", Secret("hf_x", "x"))
    other = maps.request("org/m", Secret("gsk_x", "x"))
    assert dict(own.headers)["authorization"] == "Bearer hf_x"
    assert "authorization" not in dict(other.headers)


def test_answers_are_kept_apart_by_token_where_the_token_was_sent() -> None:
    maps = ModelMaps(HUB)
    one, two = Secret("hf_abcdefghijkl", "x"), Secret("hf_bcdefghijklm", "x")
    keys = {maps.key("org/m", secret) for secret in (one, two, None, Secret("gsk_x", "x"))}
    assert len(keys) == 3
    assert maps.key("org/m", one) == maps.key("org/m", Secret(one.value, "elsewhere"))
    assert maps.key("org/m", one) != maps.key("org/n", one)
    assert one.value not in repr(maps.key("org/m", one))
    assert one.value[3:] not in repr(vars(maps))
