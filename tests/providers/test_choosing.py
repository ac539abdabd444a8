"""Which provider a task goes by, and what is said where none may."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from trunkline.errors import (
    APIError,
    AuthenticationError,
    InvalidResponseError,
    ModelNotSupportedError,
    NotFoundError,
    PermissionDeniedError,
)
from trunkline.providers.choosing import choose
from trunkline.providers.mapping import ModelMap, Problem, Serving

IMAGE = "text-to-image"


def row(provider: str, status: str = "live", task: str = IMAGE) -> Serving:
    return Serving(provider, f"{provider}-name", task, status)


def anybody(_provider: str, _task: str) -> bool:
    return True


def chosen(rows: Iterable[Serving], *, unknown: tuple[str, ...] = ()) -> str:
    known = ModelMap("org/m", tuple(rows))
    return choose(known, IMAGE, None, lambda name, _task: name not in unknown).provider


def refusal(
    rows: Iterable[Serving] = (),
    *,
    provider: str | None = None,
    task: str = IMAGE,
    unknown: tuple[str, ...] = (),
    problem: Problem | None = None,
) -> APIError:
    known = ModelMap("org/m", tuple(rows), problem)
    with pytest.raises(APIError) as caught:
        choose(known, task, provider, lambda name, _task: name not in unknown)
    error = caught.value
    assert "org/m" in error.message
    assert error.model == "org/m"
    assert error.hint
    if provider:
        assert error.provider == provider
        assert provider in str(error)
    return error


# without a provider


@pytest.mark.parametrize(
    ("rows", "provider"),
    [
        ([row("a"), row("b")], "a"),
        ([row("a", task="conversational"), row("b")], "b"),
        ([row("a", "error"), row("b")], "b"),
        ([row("a", "staging"), row("b")], "b"),
        ([row("a", ""), row("b")], "b"),
        ([row("a", "error"), row("b", "new status")], "b"),
        ([row("a", "staging"), row("b", "error"), row("c", "error")], "b"),
    ],
)
def test_the_first_live_provider_of_the_task_is_chosen(rows: list[Serving], provider: str) -> None:
    assert chosen(rows) == provider


def test_providers_that_are_not_known_are_passed_over() -> None:
    rows = [row("new"), row("together"), row("fal-ai")]
    assert chosen(rows, unknown=("new",)) == "together"
    assert chosen([row("new"), row("fal-ai", "error")], unknown=("new",)) == "fal-ai"


def test_whether_a_provider_is_known_is_asked_for_the_task() -> None:
    asked: list[tuple[str, str]] = []

    def knows(provider: str, task: str) -> bool:
        asked.append((provider, task))
        return True

    choose(ModelMap("org/m", (row("a"), row("b", task="x"))), IMAGE, None, knows)
    assert asked == [("a", IMAGE)]


# with one


@pytest.mark.parametrize("status", ["live", "error", "staging", ""])
def test_a_pinned_provider_is_taken_whatever_its_status(status: str) -> None:
    known = ModelMap("org/m", (row("a"), row("b", status)))
    assert choose(known, IMAGE, "b", anybody) == row("b", status)


def test_a_pinned_provider_need_not_be_known() -> None:
    known = ModelMap("org/m", (row("new"),))
    assert choose(known, IMAGE, "new", lambda _provider, _task: False) == row("new")


def test_a_task_of_the_same_kind_is_served_by_hf_inference() -> None:
    mapped = row("hf-inference", task="sentence-similarity")
    known = ModelMap("org/m", (mapped,))
    for provider in (None, "hf-inference"):
        for task in ("feature-extraction", "sentence-similarity", "text-ranking"):
            assert choose(known, task, provider, anybody) == mapped


# neither


@pytest.mark.parametrize("provider", [None, "together"])
def test_a_wrong_task_names_the_function_of_the_right_one(provider: str | None) -> None:
    error = refusal(
        [row("together", task="conversational"), row("novita", task="conversational")],
        provider=provider,
        task="text-generation",
    )
    assert type(error) is ModelNotSupportedError
    assert error.provider == "together"
    assert error.message == (
        "together serves org/m for conversational, not text-generation; use completion()."
    )
    assert "novita (conversational)" in error.hint


def test_a_pinned_provider_of_another_task_hears_who_has_the_right_one() -> None:
    error = refusal(
        [row("together", task="conversational"), row("fal-ai"), row("nscale")], provider="together"
    )
    assert (
        error.message
        == "together serves org/m for conversational, not text-to-image; use completion()."
    )
    assert "fal-ai and nscale" in error.hint


@pytest.mark.parametrize("task", ["robotics", ""])
def test_a_task_that_nothing_here_calls_is_named_without_a_function(task: str) -> None:
    error = refusal([row("together", task=task), row("novita", "error", "conversational")])
    assert "()" not in error.message
    assert error.message.startswith("together serves org/m for ")


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([row("fal-ai"), row("nscale"), row("a", task="x")], "fal-ai and nscale"),
        ([row("a", task="translation")], "a (translation)"),
        ([], "No provider serves it"),
    ],
)
def test_a_pinned_provider_that_has_no_row_hears_who_has_one(
    rows: list[Serving], names: str
) -> None:
    error = refusal(rows, provider="together")
    assert type(error) is ModelNotSupportedError
    assert error.message == "together does not serve org/m."
    assert names in error.hint


def test_a_pinned_provider_that_is_misspelt_hears_so() -> None:
    assert "Did you mean 'together'?" in refusal([row("together")], provider="togehter").hint


def test_no_provider_at_all_says_what_else_can_be_done() -> None:
    for error in (refusal(), refusal(problem="unmapped")):
        assert type(error) is ModelNotSupportedError
        assert error.message == "No provider serves org/m."
        assert error.provider is None
        assert "pipeline_tag=text-to-image" in error.hint
        assert "api_base=" in error.hint
    assert "pipeline_tag=text-generation" in refusal(task="conversational").hint


def test_a_provider_that_is_not_known_here_is_named() -> None:
    rows = [row("new"), row("newer", "error"), row("a", "staging")]
    error = refusal(rows, unknown=("new", "newer"))
    assert "new and newer alone serve org/m for text-to-image" in error.message
    assert "upgrade" in error.hint
    assert refusal([row("new")], unknown=("new",)).message.startswith("new alone serves org/m")


def test_a_provider_in_staging_is_used_only_when_it_is_named() -> None:
    error = refusal([row("a", "staging")])
    assert "staging" in error.message
    assert "huggingface/a/org/m" in error.hint


@pytest.mark.parametrize("provider", [None, "together"])
@pytest.mark.parametrize(
    ("problem", "kind", "says"),
    [
        ("missing", NotFoundError, "https://huggingface.co/models"),
        ("gated", PermissionDeniedError, "terms at https://huggingface.co/org/m"),
        ("disabled", PermissionDeniedError, "https://huggingface.co/org/m"),
        ("refused", AuthenticationError, "https://huggingface.co/settings/tokens"),
        ("unreadable", InvalidResponseError, "HF_ENDPOINT"),
    ],
)
def test_what_the_hub_refused_says_what_to_do(
    problem: Problem, kind: type[APIError], says: str, provider: str | None
) -> None:
    error = refusal(problem=problem, provider=provider)
    assert type(error) is kind
    assert says in error.hint
