"""Calls with more inputs than a server takes at once: several requests, and their results as one.

Only for tasks whose inputs have nothing to do with each other. Values only: no socket, no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.routing import record
from trunkline.types.results import EmbeddingResponse, Items, RerankResponse, RerankResult
from trunkline.types.tasks import TaskCall


class _Batching(msgspec.Struct, frozen=True):
    """How the calls of one task are split, and their results joined."""

    place: str | None
    """Where among a call's inputs the list stands; None: it is the inputs."""
    join: Callable[[list[Any], TaskCall], Any]
    beside: int = 0
    """Inputs that each part has besides, and that count."""


def split(call: TaskCall, most: int | None) -> list[TaskCall]:
    """Return the calls, in order, that `call` has to be split into; often it alone."""
    batching = _BATCHED.get(call.task)
    if most is None or batching is None:
        return [call]
    inputs = call.inputs if batching.place is None else call.inputs[batching.place]
    most = max(most - batching.beside, 1)
    if not isinstance(inputs, list) or len(inputs) <= most:
        return [call]
    parts = [inputs[start : start + most] for start in range(0, len(inputs), most)]
    # the best of each part are not the best of all: the whole is cut, once it is there
    parameters = {name: value for name, value in call.parameters.items() if name != "top_n"}
    return [
        msgspec.structs.replace(
            call,
            inputs=part if batching.place is None else {**call.inputs, batching.place: part},
            parameters=parameters,
        )
        for part in parts
    ]


def join(parts: list[Any], call: TaskCall) -> Any:
    """Return the results of a call's parts as its own, with the receipts of all."""
    return _BATCHED[call.task].join(parts, call)


def _join_vectors(parts: list[EmbeddingResponse], _: TaskCall) -> EmbeddingResponse:
    rows = [row for part in parts for row in part.data]
    data = [msgspec.structs.replace(row, index=place) for place, row in enumerate(rows)]
    usage = record.added([part.usage for part in parts])
    receipt = record.joined([part.receipt for part in parts], usage)
    return msgspec.structs.replace(parts[0], data=data, usage=usage, receipt=receipt)


def _join_items(parts: list[Items[Any]], _: TaskCall) -> Items[Any]:
    receipt = record.joined([part.receipt for part in parts], None)
    return Items((item for part in parts for item in part), receipt)


def _join_ranking(parts: list[RerankResponse], call: TaskCall) -> RerankResponse:
    rows: list[RerankResult] = []
    before = 0
    for part in parts:
        moved = [msgspec.structs.replace(row, index=row.index + before) for row in part.results]
        rows += moved
        before += len(moved)
    rows.sort(key=lambda row: -row.relevance_score)
    receipt = record.joined([part.receipt for part in parts], None)
    cut = rows[: call.parameters.get("top_n")]
    return msgspec.structs.replace(parts[0], results=cut, receipt=receipt)


_BATCHED = {
    "feature-extraction": _Batching(None, _join_vectors),
    "sentence-similarity": _Batching("sentences", _join_items, beside=1),
    "sparse-embedding": _Batching(None, _join_items),
    "text-ranking": _Batching("texts", _join_ranking),
}
