"""Recorded answers of the providers with OpenAI's forms, read: what is in them, and all of it.

The collection shortened the base64 of some pictures; those are listed, and only begin as pictures.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from typing import Any

import pytest
from recordings import RECORDINGS, Exchange, _recorded, digest, needs_recordings

from trunkline.dialects import failures
from trunkline.dialects.shape import Reading, Wish
from trunkline.errors import APIError
from trunkline.providers.openai_shaped import OPENAI_SHAPED
from trunkline.types.results import EmbeddingResponse, ImageResponse, TextCompletion

pytestmark = needs_recordings

SHORTENED = {
    "0c0f6aa4d6912307",
    "1b0118b1e6ba0d5f",
    "32ce89fe2d561bdd",
    "34b491387651c9d1",
    "4dae1fb34d812f72",
    "5598a03596b6e123",
    "603ed754c9991769",
    "88cfbe22073451a4",
    "965e307f214d9f27",
    "a267f4aa44daa41a",
    "a743242aefa050ea",
    "ab7240b6739a9b3f",
    "d348b8899293cfb1",
}
"""Pictures of which the collection kept the first 1,000 characters of base64."""

COUNTS = {
    ("direct", "hyperbolic", "text-to-image", 200): 6,
    ("direct", "hyperbolic", "text-to-image", 400): 1,
    ("direct", "hyperbolic", "text-to-image", 422): 2,
    ("direct", "nebius", "text-to-image", 200): 1,
    ("direct", "sambanova", "feature-extraction", 200): 1,
    ("direct", "together", "text-generation", 200): 3,
    ("direct", "together", "text-generation", 400): 1,
    ("direct", "together", "text-to-image", 200): 7,
    ("direct", "together", "text-to-image", 400): 1,
    ("router", "nebius", "text-to-image", 200): 1,
    ("router", "sambanova", "feature-extraction", 200): 1,
    ("router", "together", "text-to-image", 200): 1,
}

COLLECTION = "d21ef307cd5aaa7c"
"""Digest of the exchanges that the counts are of."""

MAGIC = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


@cache
def exchanges() -> tuple[Exchange, ...]:
    return tuple(
        exchange
        for transport in ("direct", "router")
        for exchange in _recorded(transport)
        if exchange.task in OPENAI_SHAPED.get(exchange.provider, {})
    )


def good(task: str) -> list[Exchange]:
    if not RECORDINGS.is_dir():
        return []
    return [e for e in exchanges() if e.task == task and e.status == 200]


counted = pytest.mark.skipif(
    not RECORDINGS.is_dir() or digest(exchanges()) != COLLECTION,
    reason="another collection of recordings",
)


def read(exchange: Exchange) -> Any:
    shape = OPENAI_SHAPED[exchange.provider][exchange.task].shape
    reading = Reading(exchange.body, exchange.header["content-type"].partition(";")[0])
    return shape.read(reading, Wish(exchange.task, exchange.model, "an input"))


@counted
def test_every_recorded_answer_is_counted() -> None:
    found = Counter((e.transport, e.provider, e.task, e.status) for e in exchanges())
    assert found == COUNTS
    assert {e.id for e in exchanges()} >= SHORTENED


@pytest.mark.parametrize("exchange", good("text-to-image"), ids=str)
def test_a_recorded_picture_is_a_picture(exchange: Exchange) -> None:
    result = read(exchange)
    assert isinstance(result, ImageResponse)
    (row,) = exchange.json.get("data") or exchange.json["images"]
    picture = result.image
    assert picture.content is not None
    assert picture.b64_json == row.get("b64_json", row.get("image"))
    assert (picture.url, picture.revised_prompt, result.created) == (None, None, None)
    assert picture.extra == {k: v for k, v in row.items() if k not in ("b64_json", "image")}
    rest = {k: v for k, v in exchange.json.items() if k not in ("data", "images")}
    assert result.extra == rest
    if exchange.id in SHORTENED:
        assert len(picture.content) == 750
        assert picture.media_type in MAGIC
    else:
        image = picture.pil()
        assert MAGIC[picture.media_type or ""] == image.format
        assert min(image.size) >= 512


@pytest.mark.parametrize("exchange", good("text-generation"), ids=str)
def test_a_recorded_text_goes_on_from_its_prompt(exchange: Exchange) -> None:
    result = read(exchange)
    assert isinstance(result, TextCompletion)
    told = exchange.json
    (choice,) = result.choices
    assert choice.text == told["choices"][0]["text"] != ""
    assert choice.finish_reason == told["choices"][0]["finish_reason"]
    assert choice.extra == {"seed": told["choices"][0]["seed"]}
    assert (result.id, result.model, result.created) == (told["id"], told["model"], told["created"])
    assert result.usage is not None
    assert result.usage.model_dump(exclude_none=True) == told["usage"]
    assert result.extra == {"prompt": []}


@pytest.mark.parametrize("exchange", good("feature-extraction"), ids=str)
def test_a_recorded_vector_is_a_unit_vector(exchange: Exchange) -> None:
    result = read(exchange)
    assert isinstance(result, EmbeddingResponse)
    (vector,) = result.vectors
    assert vector == exchange.json["data"][0]["embedding"]
    assert len(vector) == 4096
    assert math.isclose(math.hypot(*vector), 1, abs_tol=1e-3)
    assert result.model == exchange.model
    assert result.usage is not None
    assert result.usage.model_dump(exclude_none=True) == exchange.json["usage"]


@pytest.mark.parametrize("exchange", good("feature-extraction"), ids=str)
def test_a_vectors_answer_is_read_without_loss(exchange: Exchange) -> None:
    assert read(exchange).model_dump(exclude_none=True) == exchange.json


@counted
def test_a_refusal_is_never_read_as_a_result() -> None:
    refusals = [exchange for exchange in exchanges() if exchange.status >= 400]
    assert len(refusals) == 5
    for exchange in refusals:
        with pytest.raises(APIError) as caught:
            read(exchange)
        told = failures.read_failure(exchange.status, {}, exchange.body)
        assert caught.value.message == told.message
