"""The table of providers, what is said of a name that fails, and each provider's small changes."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.providers import tune
from trunkline.providers.table import PROVIDERS, provider_hint
from trunkline.wire.message import parse_url

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
NAMED = {"name": "answer", "schema": SCHEMA, "strict": True}
ASKED = {"model": "m", "response_format": {"type": "json_schema", "json_schema": NAMED}, "seed": 1}

ROUTED = [
    "baseten",
    "cerebras",
    "cohere",
    "deepinfra",
    "fal-ai",
    "featherless-ai",
    "fireworks-ai",
    "groq",
    "hf-inference",
    "novita",
    "nscale",
    "openai",
    "ovhcloud",
    "publicai",
    "replicate",
    "scaleway",
    "together",
    "wavespeed",
    "zai-org",
]
DROPPED = ["black-forest-labs", "clarifai", "hyperbolic", "nebius", "nvidia", "sambanova"]


def test_every_provider_of_hugging_face_is_in_the_table() -> None:
    assert set(PROVIDERS) == {*ROUTED, *DROPPED}
    assert [name for name, row in PROVIDERS.items() if row.dropped] == DROPPED


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=PROVIDERS)
def test_every_row_is_well_formed(row: Any) -> None:
    url = parse_url(row.base_url)
    assert url.scheme == "https"
    assert not row.base_url.endswith("/")
    assert row.title
    assert row.chat_path is None or not row.chat_path.startswith("/")


@pytest.mark.parametrize("name", DROPPED)
def test_a_dropped_provider_is_explained(name: str) -> None:
    hint = provider_hint(name)
    assert hint is not None
    assert "dropped" in hint
    assert "2026-07-01" in hint
    assert "token=" in hint


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("togehter", "together"),
        ("fireworks", "fireworks-ai"),
        ("grok", "groq"),
        ("Cohere", "cohere"),
    ],
)
def test_a_misspelt_provider_gets_the_nearest_name(name: str, near: str) -> None:
    assert f"Did you mean {near!r}?" in (provider_hint(name) or "")


def test_a_strange_name_is_only_said_to_be_unknown() -> None:
    assert provider_hint("qqqq") == "No provider 'qqqq' is known here."
    assert provider_hint("groq") is None


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (tune.schema_in_json_object, {"type": "json_object", "schema": SCHEMA}),
        (tune.value_in_json_object, {"type": "json_object", "value": SCHEMA}),
        (tune.flattened_json_schema, {"type": "json_schema", "schema": SCHEMA}),
        (
            tune.lax_json_schema,
            {"type": "json_schema", "json_schema": {**NAMED, "strict": False}},
        ),
    ],
)
def test_a_schema_is_written_as_the_provider_takes_it(change: Any, wanted: Any) -> None:
    assert change(ASKED) == {**ASKED, "response_format": wanted}
    assert ASKED["response_format"] == {"type": "json_schema", "json_schema": NAMED}


def test_nebius_takes_a_schema_by_another_name() -> None:
    assert tune.guided_json(ASKED) == {"model": "m", "seed": 1, "guided_json": SCHEMA}


@pytest.mark.parametrize(
    "change",
    [tune.schema_in_json_object, tune.value_in_json_object, tune.flattened_json_schema,
     tune.lax_json_schema, tune.guided_json],
)  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [{"model": "m"}, {"response_format": {"type": "json_object"}}, {"response_format": "json"},
     {"response_format": {"type": "json_schema"}},
     {"response_format": {"type": "json_schema", "json_schema": "x"}}],
)  # fmt: skip
def test_a_body_without_a_schema_is_left_alone(change: Any, body: dict[str, Any]) -> None:
    assert change(body) == body
