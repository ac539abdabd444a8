"""Images as Z.ai makes them: an accepted task, then its result."""

from __future__ import annotations

from trunkline.dialects import files
from trunkline.dialects.files import read_object, rest
from trunkline.dialects.jobs import JobForm
from trunkline.dialects.shape import Body, Fetch, Reading, Shape, Wish, json_body, unreadable

TASK = JobForm(
    id_at="id",
    state_at="task_status",
    done=frozenset({"SUCCESS"}),
    failed=frozenset({"FAIL"}),
    path="api/paas/v4/async-result/{id}",
    reason_at=("error.message", "message"),
    first=1.0,
    growth=1.4,
)


def _write(wish: Wish) -> Body:
    """Write `width` and `height` as the one `size` that Z.ai reads."""
    given = dict(wish.parameters)
    if "width" in given and "height" in given:
        size = f"{given.pop('width')}x{given.pop('height')}"
        given.setdefault("size", size)
    return json_body({"model": wish.model, **given, "prompt": wish.inputs, **wish.extra_body})


def _read(reading: Reading, _wish: Wish) -> Fetch:
    answer = read_object(reading)
    found = files.read_files(answer.get("image_result"))
    if not found:
        raise unreadable(reading, "it names no image under image_result")
    return files.images(found, rest(answer, "image_result"))


TEXT_TO_IMAGE = Shape(_write, _read, TASK)
