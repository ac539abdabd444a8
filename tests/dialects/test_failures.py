"""Error answers of every kind seen: each is its class, with its status, its words and a hint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline import errors
from trunkline.dialects.failures import (
    MAX_MESSAGE,
    error_for,
    failure_in_body,
    failure_in_stream,
    hint_elsewhere,
    read_failure,
)
from trunkline.errors import APIError

DEPLETED = (
    "You have depleted your monthly included credits. Purchase pre-paid credits to continue using "
    "Inference Providers. Alternatively, subscribe to PRO to get 20x more included usage."
)
EXCEEDED = (
    "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to "
    "get 20x more monthly included credits."
)
UNSUPPORTED = "The requested model 'X' is not supported by any provider you have enabled."
FORBIDDEN = (
    "This authentication method does not have sufficient permissions to call Inference Providers "
    "on behalf of user julien"
)
GATED = "You cannot access this model unless you are accepting the terms."
GONE = (
    "https://api-inference.huggingface.co is no longer supported. Please use "
    "https://router.huggingface.co instead."
)
TOO_LONG = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512. Given: 9"
NOT_LIST = (
    'Failed to deserialize the JSON body into the target type: messages: invalid type: string "x", '
    "expected a sequence at line 1 column 91"
)
AUTO = "the provider you attempted to explicitly specify 'auto' is not a valid provider."
NO_PARAMS = "The following parameters are not supported for this model: tools, tool_choice"
STORE = "property 'store' is unsupported"


def openai(message: str, kind: str | None = "invalid_request_error", code: Any = None) -> Any:
    return {"error": {"message": message, "type": kind, "param": "model", "code": code}}


# status, body, class, message (None: the body's own), and a word of the hint
BODIES: list[tuple[int, Any, type[APIError], str, str]] = [
    # the router
    (400, openai(UNSUPPORTED, code="model_not_supported"), errors.ModelNotSupportedError,
     UNSUPPORTED, "inference-providers"),
    (400, openai(AUTO, code="model_not_supported"), errors.ModelNotSupportedError, AUTO, "spelling"),
    (400, {"error": "Model not supported by provider hf-inference"}, errors.ModelNotSupportedError,
     "Model not supported by provider hf-inference", "spelling"),
    (400, {"error": "Not allowed to POST v1/chat/completions for provider cohere"},
     errors.BadRequestError, "Not allowed to POST v1/chat/completions for provider cohere", ""),
    (401, {"error": "Invalid username or password."}, errors.AuthenticationError,
     "Invalid username or password.", "trunkline doctor"),
    (401, {"error": "Invalid credentials in Authorization header"}, errors.AuthenticationError,
     "Invalid credentials in Authorization header", "settings/tokens"),
    (401, {"success": False, "error": "Unauthorized"}, errors.AuthenticationError, "Unauthorized",
     "doctor"),
    (402, {"error": DEPLETED}, errors.PaymentRequiredError, DEPLETED, "settings/billing"),
    (402, {"error": EXCEEDED}, errors.PaymentRequiredError, EXCEEDED, "bill_to="),
    (402, "Pay-as-you go is not enabled for provider fal-ai yet.", errors.PaymentRequiredError,
     "Pay-as-you go is not enabled for provider fal-ai yet.", "billing"),
    (403, {"error": FORBIDDEN}, errors.PermissionDeniedError, FORBIDDEN, "Make calls to Inference"),
    (403, {"error": GATED}, errors.PermissionDeniedError, GATED, "terms accepted"),
    (403, {"error": EXCEEDED}, errors.PaymentRequiredError, EXCEEDED, "billing"),
    (403, {"detail": "User is locked. Reason: Exhausted balance."}, errors.PaymentRequiredError,
     "User is locked. Reason: Exhausted balance.", "billing"),
    (403, {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "not enough balance"},
     errors.PaymentRequiredError, "not enough balance", "billing"),
    (403, {"error": "Pay-as-you go is not enabled for provider fal-ai yet."},
     errors.PaymentRequiredError, "Pay-as-you go is not enabled for provider fal-ai yet.", "billing"),
    (429, {"error": {"code": "1113", "message": "Insufficient balance, please recharge."}},
     errors.PaymentRequiredError, "Insufficient balance, please recharge.", "billing"),
    (403, "error code: 1010", errors.PermissionDeniedError, "error code: 1010", ""),
    (404, {"error": "Model X does not exist"}, errors.NotFoundError, "Model X does not exist", ""),
    (404, {"error": "Not Found: Model not found"}, errors.NotFoundError,
     "Not Found: Model not found", ""),
    (404, "Not Found", errors.NotFoundError, "Not Found", ""),
    (410, {"error": GONE}, errors.GoneError, GONE, "default here"),
    # TGI, TEI, transformers
    (422, {"error": TOO_LONG, "error_type": "validation"}, errors.ContextWindowExceededError,
     TOO_LONG, "Shorten"),
    (422, {"error": "Template error: template not found", "error_type": "template_error"},
     errors.UnprocessableEntityError, "Template error: template not found", ""),
    (422, NOT_LIST, errors.UnprocessableEntityError, NOT_LIST, ""),
    (422, {"detail": [{"type": "missing", "loc": ["body", "height"], "msg": "Field required"}]},
     errors.UnprocessableEntityError, "body.height: Field required", ""),
    (422, {"detail": "Image too small"}, errors.UnprocessableEntityError, "Image too small", ""),
    (422, {"detail": [{"loc": ["body", 0, None], "msg": "bad", "type": "t"}, {"msg": "worse"}]},
     errors.UnprocessableEntityError, "body.0: bad; worse", ""),
    (422, {"detail": "- input.prompt is required", "status": 422,
           "title": "Input validation failed",
           "invalid_fields": [{"type": "required", "field": "input"}]},
     errors.UnprocessableEntityError, "- input.prompt is required", ""),
    (422, {"title": "Input validation failed", "status": 422}, errors.UnprocessableEntityError,
     "Input validation failed", ""),
    (422, {"detail": "Unexpected fields in the request: {'unknown_field'}"},
     errors.UnsupportedParamsError, "Unexpected fields in the request: {'unknown_field'}",
     "Leave the parameter out"),
    (400, {"error": ["Error in `inputs.context`: field required"]}, errors.BadRequestError,
     "Error in `inputs.context`: field required", ""),
    (400, {"error": "The following `model_kwargs` are not used by the model: ['x']",
           "warnings": ["w"]},
     errors.UnsupportedParamsError, "The following `model_kwargs` are not used by the model: ['x']",
     "Leave the parameter out"),
    (424, {"error": "Request failed during generation: CUDA", "error_type": "generation"},
     errors.GenerationError, "Request failed during generation: CUDA", ""),
    (424, {"error": "broken", "error_type": "backend"}, errors.GenerationError, "broken", ""),
    (429, {"error": "Rate limit reached. Please log in or use a HF access token"},
     errors.RateLimitError, "Rate limit reached. Please log in or use a HF access token", ""),
    (429, {"error": "Please log in or use a HF access token"}, errors.RateLimitError,
     "Please log in or use a HF access token", ""),
    (429, {"error": "Model is overloaded", "error_type": "overloaded"}, errors.RateLimitError,
     "Model is overloaded", ""),
    (500, {"error": "unknown error", "warnings": ["There was an inference error: boom"]},
     errors.InternalServerError, "unknown error: There was an inference error: boom", ""),
    (500, {"error": "Internal Error, please report to us"}, errors.InternalServerError,
     "Internal Error, please report to us", ""),
    (500, {"error": "Model too busy, unable to get response in less than 120 second(s)"},
     errors.GatewayTimeoutError,
     "Model too busy, unable to get response in less than 120 second(s)", "stream=True"),
    (503, {"error": "Model X is currently loading", "estimated_time": 20.0},
     errors.ModelLoadingError, "Model X is currently loading", "being loaded"),
    (503, {"error": "overloaded"}, errors.ServiceUnavailableError, "overloaded", ""),
    # providers
    (400, {"id": "o1", **openai("Invalid request")}, errors.BadRequestError, "Invalid request", ""),
    (400, openai("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
     errors.ContextWindowExceededError, "This model's maximum context length is 8192 tokens.",
     "Shorten"),
    (400, {"message": "Bad", "type": "invalid_request_error", "code": "wrong_api_format"},
     errors.UnsupportedParamsError, "Bad", "Leave the parameter out"),
    (400, openai(STORE), errors.UnsupportedParamsError, STORE, ""),
    (400, {"error": {"code": "422", "error_type": "UNSUPPORTED_OPENAI_PARAMS", "message": NO_PARAMS,
                     "param": "tools, tool_choice"}},
     errors.UnsupportedParamsError, NO_PARAMS, "takes it"),
    (400, {"object": "error", "message": "Bad body"}, errors.BadRequestError, "Bad body", ""),
    (400, openai("property 'messages.2.assistant.reasoning_content' is unsupported"),
     errors.UnsupportedParamsError,
     "property 'messages.2.assistant.reasoning_content' is unsupported", ""),
    (400, openai("flagged", code="content_filter"), errors.ContentPolicyViolationError, "flagged", ""),
    (400, openai("Range of input length should be [1, 61440]"), errors.ContextWindowExceededError,
     "Range of input length should be [1, 61440]", ""),
    (401, {"message": "Unauthorized", "request_id": "r"}, errors.AuthenticationError,
     "Unauthorized", "doctor"),
    (404, openai("The model `x` does not exist", code="model_not_found"), errors.NotFoundError,
     "The model `x` does not exist", ""),
    (429, {"errors": [{"message": "Slow."}, {"message": "Down."}]}, errors.RateLimitError,
     "Slow.; Down.", ""),
    (400, {"error": "invalid_grant", "error_description": "expired"}, errors.BadRequestError,
     "invalid_grant", ""),
    (400, {"error_description": "expired"}, errors.BadRequestError, "expired", ""),
    (400, [{"error": {"code": 400, "message": "Bad Gemini"}}], errors.BadRequestError,
     "Bad Gemini", ""),
    (400, ["one", {"msg": "two"}, 3], errors.BadRequestError, "one; two", ""),
    (400, {"error": {"detail": "inner"}}, errors.BadRequestError, "inner", ""),
    (400, {"error": {"message": {"detail": {"x": 1}}}}, errors.BadRequestError,
     '{"error":{"message":{"detail":{"x":1}}}}', ""),
    (400, {"error": None, "message": "  Padded.  "}, errors.BadRequestError, "Padded.", ""),
    (413, "<html><head><title>413 Request Entity Too Large</title></head></html>",
     errors.RequestTooLargeError,
     "The server answered with a web page: '413 Request Entity Too Large'.", ""),
    (413, "Payload Too Large", errors.RequestTooLargeError, "Payload Too Large", ""),
    (502, "<html>no title</html>", errors.BadGatewayError,
     "The server answered 502 and said nothing more.", ""),
    (504, "<!DOCTYPE html><TITLE lang=en> 504 Gateway Time-out </TITLE>",
     errors.GatewayTimeoutError, "The server answered with a web page: '504 Gateway Time-out'.",
     "stream=True"),
    (500, "", errors.InternalServerError, "The server answered 500 and said nothing more.", ""),
    (503, "  \n ", errors.ServiceUnavailableError,
     "The server answered 503 and said nothing more.", ""),
    (500, "Internal Server Error", errors.InternalServerError, "Internal Server Error", ""),
    (500, 7, errors.InternalServerError, "The server answered 500 and said nothing more.", ""),
    (400, {}, errors.BadRequestError, "{}", ""),
    (498, {"error": "Invalid token"}, errors.AuthenticationError, "Invalid token", "doctor"),
    (520, "", errors.BadGatewayError, "The server answered 520 and said nothing more.", ""),
    (522, "", errors.GatewayTimeoutError, "The server answered 522 and said nothing more.", ""),
    (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}},
     errors.ServiceUnavailableError, "Overloaded", ""),
]  # fmt: skip


def data_of(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "hint"),
    BODIES,
    ids=[f"{row[0]}-{row[2].__name__}-{i}" for i, row in enumerate(BODIES)],
)
def test_every_known_body_is_its_class(
    status: int, body: Any, kind: type[APIError], message: str, hint: str
) -> None:
    error = error_for(read_failure(status, {}, data_of(body)), provider="groq")
    assert type(error) is kind
    assert (error.status, error.message, error.provider) == (status, message, "groq")
    assert hint in (error.hint or "")


def test_the_body_of_an_error_is_kept_whole() -> None:
    assert error_for(read_failure(400, {}, data_of(openai("x" * 5000)))).body == openai("x" * 5000)
    assert error_for(read_failure(500, {}, b"\xff text")).body == "\ufffd text"


def test_a_long_text_is_quoted_in_part() -> None:
    for body in (openai("x" * 5000), "x" * 5000, {"data": ["x"] * 5000}):
        assert len(read_failure(400, {}, data_of(body)).message) == MAX_MESSAGE


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (openai("m", code="c"), "c"),
        (openai("m", code=429), "429"),
        ({"error": "m", "code": "top"}, "top"),
        (openai("m", code=""), None),
        (openai("m", code=[1]), None),
        ("text", None),
    ],
)
def test_a_code_is_text_or_nothing(body: Any, code: str | None) -> None:
    assert error_for(read_failure(400, {}, data_of(body))).code == code


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"retry-after": "7"}, {"error": "m"}, 7.0),
        (503, {"retry-after": "7"}, {"error": "m"}, 7.0),
        (529, {"retry-after-ms": "700"}, {"error": "m"}, 0.7),
        (503, {}, {"error": "loading", "estimated_time": 20.0}, 20.0),
        (503, {"retry-after": "7"}, {"error": "loading", "estimated_time": 20.0}, 7.0),
        (503, {}, {"error": "loading", "estimated_time": -1}, None),
        (503, {}, {"error": "loading", "estimated_time": "soon"}, None),
        (503, {}, {"error": "loading", "estimated_time": 10**400}, None),
        (400, {"retry-after": "7"}, {"error": "m"}, None),
        (500, {"retry-after": "7"}, {"error": "m"}, None),
        (429, {}, {"error": "m"}, None),
    ],
)
def test_a_wait_is_believed_where_it_means_something(
    status: int, headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    assert error_for(read_failure(status, headers, data_of(body))).retry_after == seconds


@pytest.mark.parametrize(
    ("told", "should"), [("true", True), ("False", False), ("maybe", None), ("", None)]
)
def test_the_servers_own_word_on_retries_is_kept(told: str, should: bool | None) -> None:
    error = error_for(read_failure(500, {"x-should-retry": told}, b"x"))
    assert error.should_retry is should


def test_a_header_tells_what_a_body_does_not() -> None:
    headers = {"x-error-message": "Access to this resource is disabled."}
    assert read_failure(403, headers, b"").message == headers["x-error-message"]
    assert read_failure(403, headers, b"<html>").message == headers["x-error-message"]
    assert read_failure(403, headers, data_of({"error": "Body."})).message == "Body."
    assert "said nothing" in read_failure(500, {"content-type": "text/html"}, b"words").message


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (401, b"", "Pass the credential that this server expects as token=."),
        (404, b"", "Check the model's name"),
        (400, {"error": "Model not supported by provider x"}, "Check the model's name"),
        (410, b"", "Check the model's name"),
        (402, b"", None),
        (403, b"", None),
        (504, b"", "A chat's long answer keeps its connection with stream=True."),
        (400, {"error": "prompt is too long"}, "Shorten the input"),
        (500, b"", None),
    ],
)
def test_other_servers_errors_send_nobody_to_hugging_face(
    status: int, body: Any, hint: str | None
) -> None:
    data = body if isinstance(body, bytes) else data_of(body)
    told = hint_elsewhere(error_for(read_failure(status, {}, data)))
    assert (told is None) is (hint is None)
    assert (hint or "") in (told or "")
    assert "huggingface.co" not in (told or "")


def test_a_hint_that_a_call_was_given_stays_elsewhere_too() -> None:
    error = error_for(read_failure(401, {}, b""), hint="See https://huggingface.co/x.")
    assert hint_elsewhere(error) == "See https://huggingface.co/x."


def test_where_it_happened_and_another_hint_can_be_told() -> None:
    failure = read_failure(402, {}, b"x")
    error = error_for(failure, provider="p", model="m", request_id="r", hint="Do this.")
    assert (error.provider, error.model, error.request_id, error.hint) == (
        "p",
        "m",
        "r",
        "Do this.",
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "m", "status_code": 418}}, 418),
        ({"error": {"message": "m", "code": "429"}}, 429),
        ({"error": {"message": "m", "code": "\u0664\u0662\u0669"}}, 500),
        ({"error": {"message": "m", "code": "\u00b2\u00b2\u00b2"}}, 500),
        ({"error": {"message": "m", "code": 200}}, 500),
        ({"error": {"message": "m"}, "status": 503}, 503),
        ({"error": {"message": "m", "type": "Rate_Limit_Error"}}, 429),
        ({"error": {"message": "m", "code": "insufficient_quota"}}, 429),
        ({"error": "m", "error_type": "incomplete_generation"}, 424),
        ({"error": "m"}, 500),
        ({"error": {}, "object": "error"}, 500),
        ([{"error": "m", "error_type": "overloaded"}], 429),
        ({"error": ["m", "n"]}, 500),
        ({"error": "Model m is currently loading", "estimated_time": 20.0}, 503),
        ({"error": "Model not supported by provider p"}, 400),
        ({"detail": [{"msg": "m", "type": "content_policy_violation"}]}, 400),
        ({"errors": [{"message": "m", "code": 7}]}, 500),
        ({"detail": [{"msg": "Field required", "type": "missing"}]}, 422),
        ({"code": 402, "message": "m", "data": None}, 402),
        ({"status": "422", "message": "m"}, 422),
    ],
)
def test_the_status_of_an_error_in_a_200_is_what_it_says_or_means(body: Any, status: int) -> None:
    failure = failure_in_body(body)
    assert failure is not None
    assert failure.status == status
    assert failure.message


@pytest.mark.parametrize(
    "body",
    [{}, [], None, "error", 5, {"choices": []}, {"choices": [], "error": None}, {"error": ""},
     {"error": {}}, {"object": "list"}, {"choices": [], "detail": "x"}, {"detail": None},
     {"errors": []}, {"code": 200, "message": "success"}, {"code": 402}, [{"error": "m"}, {}]],
)  # fmt: skip
def test_a_body_without_a_word_of_error_is_none(body: Any) -> None:
    assert failure_in_body(body) is None


def test_bodies_nested_as_deep_as_they_can_be_read_are_errors_like_others() -> None:
    for depth in (100, *range(800, 1000)):
        nest = b"[" * depth + b'"x"' + b"]" * depth
        for body in (nest, b'{"error":%b}' % nest, b'{"detail":[{"msg":"m","loc":%b}]}' % nest):
            assert isinstance(error_for(read_failure(400, {}, body)), errors.BadRequestError)
            assert failure_in_stream(body).message
            assert isinstance(error_for(failure_in_stream(body)), APIError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["error", "message", "detail", "code", "type", "status", "errors", "msg",
                         "loc", "estimated_time", "warnings", "title", "error_type", "object"]),
        inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "x-error-message", "x-should-retry", "date"]),
    st.text(max_size=20),
)


@given(st.integers(400, 599), HEADERS, JSON.map(data_of) | st.binary(max_size=60))
@settings(max_examples=often(400), deadline=None)
def test_any_answer_becomes_an_error_with_something_to_say(
    status: int, headers: dict[str, str], data: bytes
) -> None:
    error = error_for(read_failure(status, headers, data))
    assert error.status == status
    assert error.message
    assert str(error)
    told = error_for(failure_in_stream(data))
    assert told.message
    assert told.status is not None
