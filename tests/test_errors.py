"""The error tree: as drawn, importable, picklable, and saying what happened, where and what next."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

import trunkline
from trunkline import errors
from trunkline.errors import APIError, StreamTruncated, TrunklineError, class_for_status
from trunkline.types import Attempt, Usage

DRAWN_LINE = re.compile(r"^ {4}([│ ├└─]*)(\w+)(.*)$")


def drawn_tree() -> dict[str, tuple[str | None, str]]:
    """Return name -> (parent, what is written beside it) from the module's docstring."""
    drawn: dict[str, tuple[str | None, str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = DRAWN_LINE.match(line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        above[depth:] = [found[2]]
        drawn[found[2]] = (above[depth - 1] if depth else None, found[3].strip())
    return drawn


def real_tree(root: type[TrunklineError]) -> dict[str, str | None]:
    """Return name -> first parent of every class below `root`."""
    found: dict[str, str | None] = {root.__name__: None}
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            found.update(real_tree(kind))
            found[kind.__name__] = kind.__bases__[0].__name__
    return found


CLASSES = [getattr(errors, name) for name in real_tree(TrunklineError)]
CALL_ERRORS = [kind for kind in CLASSES if issubclass(kind, APIError)]
EXTRA_ARGUMENTS = {"ToolRoundsExceeded": {"messages": [{"role": "user", "content": "hi"}]}}


def make(kind: type[APIError], message: str = "It failed.", **facts: object) -> APIError:
    return kind(message, **EXTRA_ARGUMENTS.get(kind.__name__, {}), **facts)


def attempt(number: int) -> Attempt:
    return Attempt(number, "groq", "org/m", "https://h/v1", 503, "X", "r1", 0.0, 0.1)


def test_the_tree_is_as_drawn() -> None:
    assert {name: parent for name, (parent, _) in drawn_tree().items()} == real_tree(TrunklineError)


@pytest.mark.parametrize(("name", "beside"), [(n, b) for n, (_, b) in drawn_tree().items()])
def test_the_status_drawn_beside_a_class_is_its_own(name: str, beside: str) -> None:
    kind = getattr(errors, name)
    drawn = re.match(r"(\d{3})\b", beside)
    if drawn and issubclass(kind, APIError) and kind is not errors.ModelLoadingError:
        assert kind.status_of_class == int(drawn[1])
        assert class_for_status(int(drawn[1])) is kind


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ModelNotSupportedError", "BadRequestError"),
        ("GatewayTimeoutError", "Timeout"),
        ("InvalidInputError", "BadRequestError"),
    ],
)
def test_a_class_of_two_meanings_is_caught_as_either(name: str, other: str) -> None:
    assert issubclass(getattr(errors, name), getattr(errors, other))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_is_imported_from_the_package(kind: type[TrunklineError]) -> None:
    assert getattr(trunkline, kind.__name__) is kind
    assert kind.__name__ in trunkline.__all__


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_says_what_it_means(kind: type[TrunklineError]) -> None:
    assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigurationError, ValueError),
        (errors.InvalidInputError, ValueError),
        (errors.UnknownParameterError, TypeError),
    ],
)
def test_mistakes_of_the_caller_are_pythons_own_errors_too(
    kind: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (402, errors.PaymentRequiredError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (408, errors.Timeout),
        (409, errors.ConflictError),
        (410, errors.GoneError),
        (413, errors.RequestTooLargeError),
        (418, errors.BadRequestError),
        (422, errors.UnprocessableEntityError),
        (424, errors.GenerationError),
        (429, errors.RateLimitError),
        (451, errors.BadRequestError),
        (500, errors.InternalServerError),
        (501, errors.InternalServerError),
        (502, errors.BadGatewayError),
        (503, errors.ServiceUnavailableError),
        (504, errors.GatewayTimeoutError),
        (599, errors.InternalServerError),
        (302, APIError),
    ],
)
def test_a_status_has_a_class(status: int, kind: type[APIError]) -> None:
    assert class_for_status(status) is kind


def test_an_error_says_what_happened_where_and_what_to_do() -> None:
    error = errors.RateLimitError(
        "Slow down.",
        provider="groq",
        model="org/m",
        status=429,
        request_id="req-1",
        attempts=(attempt(1), attempt(2)),
        hint="Wait a little.",
    )
    assert str(error) == (
        "Slow down. (provider groq, model org/m, status 429, request id req-1, 2 attempts)\n"
        "Wait a little."
    )


def test_an_error_without_facts_is_its_message() -> None:
    assert str(APIError("It failed.")) == "It failed."
    assert str(APIError("It failed.", attempts=(attempt(1),))) == "It failed."


def test_facts_are_attributes_under_the_names_of_other_clients_too() -> None:
    error = errors.RateLimitError("m", provider="groq", status=429, retry_after=3.0, code="c")
    assert (error.status, error.status_code) == (429, 429)
    assert (error.provider, error.llm_provider) == ("groq", "groq")
    assert (error.retry_after, error.code, error.message) == (3.0, "c", "m")
    assert (error.model, error.request_id, error.hint, error.body) == (None, None, None, None)
    assert error.attempts == ()
    assert error.should_retry is None


@pytest.mark.parametrize("kind", CALL_ERRORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("carry", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_an_error_crosses_process_borders_whole(kind: type[APIError], carry: Any) -> None:
    error = make(
        kind,
        provider="groq",
        model="org/m",
        status=503,
        request_id="r",
        attempts=(attempt(1),),
        retry_after=1.5,
        hint="Do this.",
        code="c",
        body={"error": ["x"]},
    )
    again = carry(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
    assert again.args == ("It failed.",)


def test_a_truncated_stream_carries_what_arrived_across_process_borders() -> None:
    error = StreamTruncated("Cut.", text="half an ans", usage=Usage(3, 2, 5), status=200)
    again = pickle.loads(pickle.dumps(error))
    assert (again.text, again.usage, again.partial) == ("half an ans", Usage(3, 2, 5), None)
    assert again.sent
    assert again.received


def test_a_configuration_error_crosses_process_borders() -> None:
    again = pickle.loads(pickle.dumps(errors.ConfigurationError("HTTPS_PROXY is wrong.")))
    assert str(again) == "HTTPS_PROXY is wrong."
