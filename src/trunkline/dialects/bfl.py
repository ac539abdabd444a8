"""Images as Black Forest Labs make them at their own address."""

from __future__ import annotations

from typing import Any

from trunkline.dialects import files
from trunkline.dialects.files import read_object, rest
from trunkline.dialects.jobs import JobForm
from trunkline.dialects.shape import Body, Fetch, Reading, Shape, Wish, json_body, unreadable

TASK = JobForm(
    id_at="id",
    state_at="status",
    done=frozenset({"Ready"}),
    failed=frozenset({"Error", "Task not found"}),
    refused=frozenset({"Content Moderated", "Request Moderated"}),
    path="v1/get_result?id={id}",
    url_at="polling_url",
    reason_at=("details.error", "result.error", "details", "status"),
)

_NAMES = {"num_inference_steps": "steps", "guidance_scale": "guidance"}


def _write(wish: Wish) -> Body:
    given = {_NAMES.get(name, name): value for name, value in wish.parameters.items()}
    return json_body({**given, "prompt": wish.inputs, **wish.extra_body})


def _read(reading: Reading, _wish: Wish) -> Fetch:
    answer = read_object(reading)
    told = answer.get("result")
    result: dict[str, Any] = told if isinstance(told, dict) else {}
    file = files.read_file(result.get("sample"))
    if file is None:
        raise unreadable(reading, "it names no image under result.sample")
    return files.images([file], {**rest(answer, "result"), **rest(result, "sample")})


TEXT_TO_IMAGE = Shape(_write, _read, TASK)
