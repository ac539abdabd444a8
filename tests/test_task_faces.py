"""Every task has a function, its twin and its methods, and the page that says so is right."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path

import pytest

import trunkline
from trunkline import AsyncClient, Client, TaskOptions
from trunkline.errors import UnknownParameterError
from trunkline.providers.table import PROVIDERS
from trunkline.providers.task_table import providers_of, tasks_of
from trunkline.types.tasks import FUNCTIONS, TASKS

PAGE = Path(__file__).parent.parent / "docs" / "tasks.md"
FACTS = {
    "audio-classification", "audio-to-audio", "automatic-speech-recognition", "conversational",
    "document-question-answering", "feature-extraction", "fill-mask", "image-classification",
    "image-segmentation", "image-to-image", "image-to-text", "image-to-video", "object-detection",
    "question-answering", "sentence-similarity", "summarization", "table-question-answering",
    "tabular-classification", "tabular-regression", "text-classification", "text-generation",
    "text-to-image", "text-to-speech", "text-to-video", "token-classification", "translation",
    "visual-question-answering", "zero-shot-classification", "zero-shot-image-classification",
    "image-text-to-image", "image-text-to-video", "text-to-audio",
}  # fmt: skip
"""The tasks that either of Hugging Face's clients has."""
NAMES = sorted({*FUNCTIONS.values(), "resume_job", "cancel_job", "endpoint_info"} - {"completion"})


def rows() -> dict[str, tuple[str, set[str]]]:
    """Return task -> function and providers, from the page's table."""
    lines = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if "| `" in line]
    cells = [[cell.strip() for cell in line] for line in lines if len(line) == 5]
    return {task: (name.strip("`"), set(told.split(", "))) for task, name, _, _, told in cells}


def test_every_task_of_hugging_faces_clients_has_a_function() -> None:
    assert FACTS | {"text-ranking"} == set(TASKS)


def test_the_page_has_each_task_its_function_and_its_providers() -> None:
    chats = {row.name for row in PROVIDERS.values() if row.chat_path and not row.dropped}
    expected = {
        task.name: (
            task.function,
            chats if task.name == "conversational" else set(providers_of(task.name)),
        )
        for task in TASKS.values()
    }
    assert rows() == expected


def test_no_provider_has_a_task_without_a_function() -> None:
    served = {task for row in PROVIDERS.values() for task in tasks_of(row)}
    assert served <= set(TASKS)
    assert all(providers_of(task) for task in set(TASKS) - {"conversational"})


@pytest.mark.parametrize("name", NAMES)
def test_the_four_faces_of_a_task_are_alike(name: str) -> None:
    one, other = getattr(trunkline, name), getattr(trunkline, f"a{name}")
    method, twin = getattr(Client, name), getattr(AsyncClient, name)
    taken = [p.name for p in inspect.signature(one).parameters.values()]
    assert [p.name for p in inspect.signature(other).parameters.values()] == taken
    for face in (method, twin):  # the first is the client itself
        assert [p.name for p in inspect.signature(face).parameters.values()][1:] == taken
    assert inspect.iscoroutinefunction(other)
    assert inspect.iscoroutinefunction(twin)
    assert (one.__name__, other.__name__) == (name, f"a{name}")
    assert one.__doc__ == method.__doc__ == twin.__doc__
    assert "Ask[" not in str(inspect.signature(one))


def test_a_keyword_that_no_task_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownParameterError, match="Did you mean 'deadline'"):
        trunkline.embedding("sandbox/org/m", "hello", dedline=3)  # type: ignore[call-arg]
    assert "drop_params" in TaskOptions.__annotations__


def test_the_awaited_function_brings_what_the_blocking_one_does() -> None:
    one = trunkline.summarization("sandbox/org/m", "A text. It is long.")
    other = asyncio.run(trunkline.asummarization("sandbox/org/m", "A text. It is long."))
    assert one.text == other.text
    assert re.search("text", one.text)
