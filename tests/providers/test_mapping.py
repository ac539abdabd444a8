"""Providers' own names for the Hub's models: both shapes of the mapping, and how long it lasts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.mapping import LIFETIME, PATIENCE, ModelNames, read_mapping
from trunkline.types import Secret

ROWS = {
    "groq": {"providerId": "llama-8b", "status": "live", "task": "conversational", "new": 1},
    "novita": {"providerId": "meta/llama", "status": "error", "isModelAuthor": False},
    "broken": {"status": "live"},
    "odd": "x",
}
AS_DICT = {"_id": "1", "id": "org/m", "inferenceProviderMapping": ROWS}
AS_LIST = {
    "inferenceProviderMapping": [
        {"provider": name, **row} for name, row in ROWS.items() if isinstance(row, dict)
    ]
    + ["x", {"providerId": "nobody's"}]
}
NAMES = {"groq": "llama-8b", "novita": "meta/llama"}
HUB = "https://huggingface.co"


@pytest.mark.parametrize("body", [AS_DICT, AS_LIST], ids=["dict", "list"])
def test_both_shapes_of_the_mapping_are_read(body: Any) -> None:
    assert read_mapping(body) == NAMES


@pytest.mark.parametrize(
    "body",
    [{}, None, [], "x", {"inferenceProviderMapping": None}, {"inferenceProviderMapping": {}},
     {"inferenceProviderMapping": []}, {"inferenceProviderMapping": 5}],
)  # fmt: skip
def test_no_mapping_is_no_providers(body: Any) -> None:
    assert read_mapping(body) == {}


def test_a_name_is_remembered_for_an_hour() -> None:
    names = ModelNames(HUB)
    assert names.get("org/m", "groq", 0.0) is None
    names.keep("org/m", json.dumps(AS_DICT).encode(), 100.0)
    assert names.get("org/m", "groq", 100.0) == "llama-8b"
    assert names.get("org/m", "groq", 100.0 + LIFETIME - 1) == "llama-8b"
    assert names.get("org/m", "groq", 100.0 + LIFETIME) is None
    assert names.get("org/other", "groq", 100.0) is None


def test_a_model_that_is_not_mapped_keeps_its_own_name() -> None:
    names = ModelNames(HUB)
    names.keep("org/m", json.dumps(AS_DICT).encode(), 0.0)
    assert names.get("org/m", "together", 1.0) == "org/m"
    assert names.get("org/m", None, 1.0) == "org/m"


@given(st.binary(max_size=40))
def test_an_answer_that_is_no_json_leaves_the_name_for_a_minute(data: bytes) -> None:
    names = ModelNames(HUB)
    names.keep("org/m", b"\xff" + data, 0.0)
    assert names.get("org/m", "groq", 0.0) == "org/m"
    assert names.get("org/m", "groq", PATIENCE) is None


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
    request = ModelNames(hub).request(model)
    assert (request.method, str(request.url), request.body) == ("GET", url, b"")
    assert "authorization" not in dict(request.headers)


def test_only_hugging_faces_own_token_goes_to_the_hub() -> None:
    own = ModelNames(HUB, Secret("hf_x", "x")).request("org/m")
    other = ModelNames(HUB, Secret("gsk_x", "x")).request("org/m")
    assert dict(own.headers)["authorization"] == "Bearer hf_x"
    assert "authorization" not in dict(other.headers)
