"""The routes of the providers that queue: a table that has to hang together."""

from __future__ import annotations

import pytest

from trunkline.providers.queued import QUEUED
from trunkline.providers.spec import Route
from trunkline.providers.table import PROVIDERS
from trunkline.types.tasks import TASKS

ROUTES = [
    pytest.param(provider, task, route, id=f"{provider}-{task}")
    for provider, tasks in QUEUED.items()
    for task, route in tasks.items()
]
SYNCHRONOUS = {
    ("fal-ai", "automatic-speech-recognition"),
    ("fal-ai", "text-to-speech"),
}
every_route = pytest.mark.parametrize(("provider", "task", "route"), ROUTES)


@every_route
def test_providers_and_tasks_are_those_that_we_know(provider: str, task: str, route: Route) -> None:
    assert provider in PROVIDERS
    assert task in TASKS


@every_route
def test_a_path_lies_below_the_providers_address(provider: str, task: str, route: Route) -> None:
    for path in (route.path, route.version_path or "x"):
        assert path
        assert not path.startswith("/")
        assert "?" not in path


@every_route
def test_all_but_fals_speech_goes_through_a_queue(provider: str, task: str, route: Route) -> None:
    assert (route.shape.job is None) == ((provider, task) in SYNCHRONOUS)


@every_route
def test_every_job_can_be_asked_after(provider: str, task: str, route: Route) -> None:
    form = route.shape.job
    if form is None:
        return
    assert "{id}" in form.path or form.url_at
    assert form.done.isdisjoint(form.failed | form.cancelled | form.refused)
    assert form.done
    assert form.failed
    assert 0 < form.wait(0) <= form.wait(5) <= form.longest


@every_route
def test_tasks_with_a_file_take_it_by_url(provider: str, task: str, route: Route) -> None:
    assert route.shape.takes_urls == task.startswith(("image-", "audio-", "automatic-"))


def test_only_fal_has_another_address_and_only_for_its_queue() -> None:
    for provider, tasks in QUEUED.items():
        for task, route in tasks.items():
            queued = provider == "fal-ai" and (provider, task) not in SYNCHRONOUS
            assert route.base_url == ("https://queue.fal.run" if queued else None)


def test_a_version_of_a_replicate_model_has_a_path_of_its_own() -> None:
    assert {route.version_path for route in QUEUED["replicate"].values()} == {"v1/predictions"}


def test_what_minimax_does_not_take_is_listed() -> None:
    assert QUEUED["novita"]["image-text-to-video"].refuses == {
        "guidance_scale",
        "negative_prompt",
        "num_inference_steps",
        "seed",
    }
