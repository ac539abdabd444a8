"""What a task is asked, whatever the wire: inputs and parameters; and refusals as pipelines word them."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.sandbox.accounts import GATED
from trunkline.sandbox.arrivals import Arrived, NoFileError, arrived
from trunkline.sandbox.models import offers_by_own_name
from trunkline.sandbox.reply import RefusedError
from trunkline.sandbox.router import is_invented
from trunkline.sandbox.visit import Visit
from trunkline.types.tasks import TASKS

TASK_HEADER = "x-sandbox-task"
"""Says what is asked of a model that is none, where its name does not."""


class Ask(msgspec.Struct, frozen=True):
    """One call of a task."""

    visit: Visit
    task: str
    model: str
    inputs: Any
    parameters: dict[str, Any] = {}

    @property
    def mark(self) -> str:
        """Digits that stand for this request and the seed."""
        return self.visit.mark(self.task, self.model, self.visit.body)

    @property
    def text(self) -> str:
        """The input as a text; raises RefusedError where it is none."""
        return text_of(self.inputs)

    def score(self, *parts: object) -> float:
        """Return a number from 0 to 1 that depends on the request and `parts`."""
        return int(self.visit.mark(self.model, self.visit.body, *parts)[:8], 16) / 0xFFFFFFFF

    def count(self, name: str, default: int) -> int:
        """Return a whole number above 0 among the parameters; raises RefusedError."""
        value = self.parameters.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise wrong(f"`{name}` must be a whole number above 0, not {value!r}")
        return value

    def file(self, kind: str, value: Any = None) -> Arrived:
        """Look at the input, or `value`, as a file; raises RefusedError as a pipeline does."""
        given = self.inputs if value is None else value
        try:
            return arrived(given, kind=kind)
        except NoFileError as error:
            what = "Malformed soundfile" if kind == "audio" else f"Invalid image: {error}"
            raise wrong(f"Error in `inputs`: {what}") from error


def wrong(message: str) -> RefusedError:
    """Return a pipeline's refusal of what it was asked: its `error` is a list."""
    return RefusedError(400, {"error": [message]})


def text_of(value: Any, name: str = "inputs") -> str:
    """Return a text; raises RefusedError for anything else, or for none."""
    if not isinstance(value, str):
        kind = (
            "field required" if value is None or isinstance(value, bytes) else "str type expected"
        )
        raise wrong(f"Error in `{name}`: {kind}")
    if not value.strip():
        raise wrong(f"Error in `{name}`: the text is empty")
    return value


def texts_of(value: Any, name: str = "inputs") -> list[str]:
    """Return texts, one alone in a list; raises RefusedError for anything else, or for none."""
    rows = value if isinstance(value, list) else [value]
    if not rows:
        raise wrong(f"Error in `{name}`: field required")
    return [text_of(row, name) for row in rows]


def fields_of(value: Any, *names: str) -> list[Any]:
    """Return the named fields of an object input; raises RefusedError, naming what is missing."""
    rows = value if isinstance(value, dict) else {}
    missing = next((name for name in names if rows.get(name) is None), None)
    if missing is not None:
        raise wrong(f"Error in `inputs.{missing}`: field required")
    return [rows[name] for name in names]


def task_of(visit: Visit, provider: str, name: str, tasks: tuple[str, ...]) -> str | None:
    """Return for which of `tasks` a provider serves a model.

    None where the model is none, answers all the same, and says nothing of its task. Raises
    RefusedError where it is not served for any of them, or is gated.
    """
    offers = offers_by_own_name().get((provider, name), ())
    if any(model.gated for model, _ in offers):
        raise RefusedError(403, {"error": GATED}, ("x-error-code", "GatedRepo"))
    served = [offer.task or model.task for model, offer in offers]
    if served and not visit.inside:
        found = next((task for task in served if task in tasks), None)
        if found is not None:
            return found
    elif is_invented(name, inside=visit.inside):
        told = visit.head.headers.get(TASK_HEADER, "")
        named = [told, *sorted((t for t in TASKS if t in name), key=len, reverse=True), *served]
        return next((task for task in named if task in tasks), None)
    raise RefusedError(400, {"error": f"Model not supported by provider {provider}"})
