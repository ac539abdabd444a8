"""The routes of the providers that speak OpenAI's forms: where they lie and what is particular."""

from __future__ import annotations

import pytest

from trunkline.providers.openai_shaped import OPENAI_SHAPED, OPENAI_TASKS, openai_routes
from trunkline.providers.table import PROVIDERS
from trunkline.types.tasks import TASKS

EVERY = [(name, task) for name, routes in OPENAI_SHAPED.items() for task in routes]

PATHS = {
    "automatic-speech-recognition": "audio/transcriptions",
    "feature-extraction": "embeddings",
    "image-to-image": "images/edits",
    "text-generation": "completions",
    "text-ranking": "rerank",
    "text-to-image": "images/generations",
    "text-to-speech": "audio/speech",
}


def test_a_server_that_speaks_openais_forms_has_them_below_v1() -> None:
    assert {task: route.path for task, route in OPENAI_TASKS.items()} == PATHS
    assert {route.max_batch for route in OPENAI_TASKS.values()} == {None}


def test_a_new_provider_is_one_row() -> None:
    routes = openai_routes("v2/x", "feature-extraction", "text-to-image", max_batch=7)
    assert {task: (route.path, route.max_batch) for task, route in routes.items()} == {
        "feature-extraction": ("v2/x/embeddings", 7),
        "text-to-image": ("v2/x/images/generations", None),
    }
    assert routes["text-to-image"].shape is OPENAI_TASKS["text-to-image"].shape


def test_a_task_that_openais_forms_do_not_know_is_no_route() -> None:
    with pytest.raises(KeyError):
        openai_routes("v1", "text-to-video")


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_every_route_belongs_to_a_provider_and_a_task_that_exist(name: str, task: str) -> None:
    assert name in PROVIDERS
    assert task in TASKS
    assert task != "conversational"


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_every_path_is_below_the_providers_address_and_needs_no_model(name: str, task: str) -> None:
    route = OPENAI_SHAPED[name][task]
    assert not route.path.startswith("/")
    assert "{" not in route.path
    assert route.shape.job is None
    chat = PROVIDERS[name].chat_path
    assert chat is not None
    prefix = chat.removesuffix("chat/completions")
    assert route.path.startswith(prefix)


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_no_parameter_is_renamed_and_refused(name: str, task: str) -> None:
    route = OPENAI_SHAPED[name][task]
    assert not route.refuses & {old for old, _ in route.renames}


def test_what_a_provider_overlooks_is_refused_rather_than_dropped() -> None:
    assert OPENAI_SHAPED["nscale"]["text-to-image"].refuses == {"cfg_scale", "num_inference_steps"}
    assert OPENAI_SHAPED["nebius"]["text-to-image"].refuses == {"guidance_scale"}


def test_the_texts_of_one_request_are_limited_where_a_limit_is_known() -> None:
    limits = {
        name: routes["feature-extraction"].max_batch
        for name, routes in OPENAI_SHAPED.items()
        if "feature-extraction" in routes
    }
    assert limits == {
        "deepinfra": 1024,
        "nebius": None,
        "openai": 2048,
        "sambanova": None,
        "scaleway": 2048,
        "together": None,
    }


def test_a_provider_without_completions_has_no_route_for_them() -> None:
    assert "groq" not in OPENAI_SHAPED
    assert "text-generation" not in OPENAI_SHAPED["hyperbolic"]
