"""What all requests in OpenAI's form have in common, and rules that their parameters keep.

For those who answer; knows no API in particular.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trunkline.dialects.openai_write import error_body
from trunkline.wire import strict_json


class RequestError(ValueError):
    """A client's request is wrong; `param` names the place, `status` is the answer to give."""

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        """Keep what the error body says."""
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status

    def body(self) -> bytes:
        """Return the body of the answer."""
        return error_body(self.message, param=self.param, code=self.code)


def read_object(data: bytes) -> dict[str, Any]:
    """Read a request's body strictly; raises RequestError where it is no JSON object."""
    try:
        body = strict_json.decode_strict(data)
    except strict_json.JsonError as error:
        raise RequestError(f"The body is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise RequestError("The body must be a JSON object.")
    return body


def take_model(body: dict[str, Any]) -> str:
    """Take the model's name out of `body`; raises RequestError."""
    model = body.pop("model", None)
    if not isinstance(model, str) or not model:
        raise RequestError("You must provide a model parameter.", param="model")
    return model


def take_stream(body: dict[str, Any]) -> bool:
    """Take out of `body` whether the answer shall come in pieces; raises RequestError."""
    stream = body.pop("stream", None)
    if stream is not None and not isinstance(stream, bool):
        raise RequestError("'stream' must be true or false.", param="stream")
    return bool(stream)


Rule = tuple[Callable[[Any], bool], str]
"""Tells whether a value will do, and what is expected, in words."""


def number(low: float, high: float) -> Rule:
    """Expect a number between two others."""
    return (
        lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and low <= v <= high,
        f"a number from {low:g} to {high:g}",
    )


def count(low: int, high: int | None = None) -> Rule:
    """Expect a whole number."""
    return (
        lambda v: (
            isinstance(v, int)
            and not isinstance(v, bool)
            and v >= low
            and (high is None or v <= high)
        ),
        f"a whole number from {low}" + (f" to {high}" if high is not None else " up"),
    )


def of(kind: type | tuple[type, ...], said: str) -> Rule:
    """Expect a value of a type."""
    return (lambda v: isinstance(v, kind), said)


def _is_stop(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and len(value) <= 4 and all(isinstance(s, str) for s in value)
    )


FLAG = of(bool, "true or false")
TEXT = of(str, "text")
OBJECT = of(dict, "an object")
STOP: Rule = (_is_stop, "text or a list of up to four texts")


def parted(
    body: dict[str, Any], rules: Mapping[str, Rule]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters that have a rule, and all others; nulls are left out.

    Raises RequestError for one that does not keep its rule.
    """
    known: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for name, value in body.items():
        rule = rules.get(name)
        if value is None:
            continue
        if rule is None:
            unknown[name] = value
        elif rule[0](value):
            known[name] = value
        else:
            raise RequestError(f"'{name}' must be {rule[1]}.", param=name)
    return known, unknown


def check_stream_options(given: Mapping[str, Any], *, stream: bool) -> None:
    """Raise RequestError for options of a stream where none was asked for."""
    if given.get("stream_options") and not stream:
        raise RequestError(
            "'stream_options' is only allowed when 'stream' is true.", param="stream_options"
        )
