"""Which provider serves which task, and how: every row of the task tables together.

Apart from the table of providers only so that a program that chats loads none of it.
"""

from __future__ import annotations

from trunkline.providers.hf_inference import HF_INFERENCE_TASKS
from trunkline.providers.openai_shaped import OPENAI_SHAPED
from trunkline.providers.queued import QUEUED
from trunkline.providers.spec import Provider, Route
from trunkline.providers.table import PROVIDERS

_TABLES = ({"hf-inference": HF_INFERENCE_TASKS}, OPENAI_SHAPED, QUEUED)


def tasks_of(provider: Provider) -> dict[str, Route]:
    """Return how a provider serves each task but chat; a row's own routes come first."""
    routes: dict[str, Route] = {}
    for table in _TABLES:
        routes.update(table.get(provider.name, {}))
    return {**routes, **provider.tasks}


def find_route(provider: str, task: str) -> Route | None:
    """Return how a provider serves a task; None where it does not, or is not known."""
    row = PROVIDERS.get(provider)
    if row is None:
        return None
    own = row.tasks.get(task)
    if own is not None:
        return own
    return next(
        (table[provider][task] for table in _TABLES if task in table.get(provider, {})), None
    )


def providers_of(task: str) -> list[str]:
    """Return the providers that serve `task` through Hugging Face, by name."""
    rows = (row for row in PROVIDERS.values() if not row.dropped)
    return sorted(row.name for row in rows if find_route(row.name, task) is not None)
