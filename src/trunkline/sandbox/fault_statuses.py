"""Faults that are an error status: the bodies that Hugging Face, its engines and providers send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.dialects.openai_server import error_body
from trunkline.sandbox.accounts import BAD_HEADER, BAD_TOKEN, GATED, NO_CREDITS, NO_PERMISSION
from trunkline.sandbox.fault import Case, Fault
from trunkline.sandbox.reply import Reply, json_reply

_JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_PROBLEM = "application/problem+json"
_DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
_LATE = "Rate limit reached. Please log in or use a HF access token"


def _status(
    name: str, status: int, says: str, body: Any, kind: str = _JSON, *headers: tuple[str, str]
) -> Fault:
    """Return a row that answers `status` with `body`, as JSON where it is not bytes."""
    reply = json_reply(status, body, *headers)
    if kind != _JSON:
        reply = Reply(status, (("content-type", kind), *headers), reply.steps)
    return Fault(name, "status", says, _answering(reply), always=True)


def _answering(reply: Reply) -> Callable[[Case], Reply]:
    def answer(_: Case) -> Reply:
        return reply

    return answer


def _loading(case: Case) -> Reply:
    told = {"error": "Model org/model is currently loading", "estimated_time": case.seconds}
    return json_reply(503, told)


def _echo(case: Case) -> Reply:
    """Refuse a credential and repeat it."""
    given = case.headers.get("authorization", "").partition(" ")[2]
    told = error_body(f"Incorrect API key provided: {given}.", code="invalid_api_key")
    return json_reply(401, told)


def _page(title: str) -> bytes:
    body = (
        f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n</body>\n</html>"
    )
    return body.encode()


def _late(name: str, says: str, *headers: tuple[str, str]) -> Fault:
    """Return a row for one form in which a 429 says how long to wait."""
    reply = json_reply(429, {"error": _LATE}, *headers)
    return Fault(f"429-{name}", "F25", f"429, {says}", _answering(reply), always=True)


_MISSING_HEIGHT = {"type": "missing", "loc": ["body", "height"], "msg": "Field required"}
_REPLICATE = {
    "detail": "- input.prompt: String length must be greater than or equal to 1\n",
    "status": 422,
    "title": "Input validation failed",
    "invalid_fields": [{"type": "string_gte", "field": "input.prompt", "description": "too short"}],
}
_TOO_LONG = (
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512. "
    "Given: 1500 `inputs` tokens and 100 `max_new_tokens`"
)
_NO_TEXT = (
    b"Failed to deserialize the JSON body into the target type: messages: invalid type: string "
    b'"hello", expected a sequence at line 1 column 91'
)
_CONTEXT = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 "
    "tokens. Please reduce the length of the messages."
)
_NO_TOOLS = {
    "code": "422",
    "error_type": "UNSUPPORTED_OPENAI_PARAMS",
    "message": "The following parameters are not supported for this model: tools, tool_choice",
    "param": "tools, tool_choice",
}
_UNSUPPORTED = "The requested model 'org/model' is not supported by any provider you have enabled."
_AUTO = "the provider you attempted to explicitly specify 'auto' is not a valid provider."
_DEAD = (
    "https://api-inference.huggingface.co is no longer supported. Please use "
    "https://router.huggingface.co instead."
)
_OLD_CREDITS = (
    "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to "
    "get 20x more monthly included credits."
)
_BUSY = "Model too busy, unable to get response in less than 120 second(s)"
_WRONG_FIELD = {"message": "Invalid request", "type": "invalid_request_error", "param": "model"}

BAD_REQUESTS = (
    _status("400", 400, "OpenAI's form",
            error_body("Invalid value for 'temperature'.", param="temperature")),
    _status("400-model", 400, "no enabled provider serves the model",
            error_body(_UNSUPPORTED, param="model", code="model_not_supported")),
    _status("400-suffix", 400, "the suffix names no provider",
            error_body(_AUTO, param="model", code="model_not_supported")),
    _status("400-provider", 400, "the provider does not serve the model",
            {"error": "Model not supported by provider hf-inference"}),
    _status("400-path", 400, "the path is not on the provider's list",
            {"error": "Not allowed to POST v1/chat/completions for provider cohere"}),
    _status("400-list", 400, "the error is a list (transformers)",
            {"error": ["Error in `inputs.context`: field required"]}),
    _status("400-kwargs", 400, "an unused parameter (transformers)",
            {"error": "The following `model_kwargs` are not used by the model: ['foo']",
             "warnings": []}),
    _status("400-together", 400, "Together's form",
            {"id": "sandbox-1", "error": {**_WRONG_FIELD, "code": None}}),
    _status("400-message", 400, "the message at top level (Mistral, Novita)",
            {"message": "Invalid request", "type": "invalid_request_error", "code": 400}),
    _status("400-object", 400, "Hyperbolic's form",
            {"object": "error", "message": "Invalid request"}),
    _status("400-params", 400, "tools are not supported (Nscale)", {"error": _NO_TOOLS}),
    _status("400-strict", 400, "a field that OpenAI has and the provider not (Cerebras)",
            {"message": "property 'store' is unsupported", "type": "invalid_request_error",
             "param": "store", "code": "wrong_api_format"}),
    _status("400-context", 400, "the context is too long (OpenAI's form)",
            error_body(_CONTEXT, param="messages", code="context_length_exceeded")),
)  # fmt: skip

REFUSALS = (
    _status("401", 401, "bad token", {"error": BAD_TOKEN}, _JSON,
            ("www-authenticate", 'Bearer realm="Authentication required", charset="UTF-8"'),
            ("x-error-message", BAD_TOKEN)),
    _status("401-header", 401, "a header that is no Bearer token", {"error": BAD_HEADER}),
    Fault("401-echo", "status", "bad token, which is repeated", _echo, always=True),
    _status("402", 402, "credits are used up", {"error": NO_CREDITS}),
    _status("402-2025", 402, "credits are used up, in the words of 2025", {"error": _OLD_CREDITS}),
    _status("402-provider", 402, "the account cannot pay for this provider",
            {"error": "Pay-as-you go is not enabled for provider fal-ai yet."}),
    _status("403", 403, "the token may not call Inference Providers", {"error": NO_PERMISSION}),
    _status("403-gated", 403, "a gated model", {"error": GATED}),
    _status("403-cloudflare", 403, "a provider's firewall, as text", b"error code: 1010", _TEXT),
    _status("404", 404, "no such model", {"error": "Model org/model does not exist"}),
    _status("404-old", 404, "no such model, in older words",
            {"error": "Not Found: Model not found"}),
    _status("404-text", 404, "plain text", b"Not Found", _TEXT),
    _status("408", 408, "the server waited too long for the request",
            error_body("Request timed out.", kind="timeout")),
    _status("409", 409, "a conflict",
            error_body("Request conflicts with another.", kind="conflict")),
    _status("410", 410, "the old host", {"error": _DEAD}),
    _status("413", 413, "the body is too large, as a web page",
            _page("413 Request Entity Too Large"), _HTML),
)  # fmt: skip

UNPROCESSABLE = (
    _status("422", 422, "too many tokens (TGI)", {"error": _TOO_LONG, "error_type": "validation"}),
    _status("422-template", 422, "no chat template (TGI)",
            {"error": "Template error: template not found", "error_type": "template_error"}),
    _status("422-text", 422, "plain text (TGI)", _NO_TEXT, _TEXT),
    _status("422-fastapi", 422, "a list of fields (FastAPI)", {"detail": [_MISSING_HEIGHT]}),
    _status("422-fal", 422, "a string under `detail` (fal)", {"detail": "Invalid image size"}),
    _status("422-fal-list", 422, "a list under `detail` (fal)",
            {"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]}),
    _status("422-replicate", 422, "problem+json (Replicate)", _REPLICATE, _PROBLEM),
    _status("424", 424, "the model failed while it wrote (TGI)",
            {"error": "Request failed during generation: CUDA error", "error_type": "generation"}),
    _status("424-backend", 424, "the engine failed (TEI)",
            {"error": "Backend failure", "error_type": "backend"}),
)  # fmt: skip

SERVER_FAILURES = (
    _status("429", 429, "too many requests, without a word on how long", {"error": _LATE}),
    _status("429-anonymous", 429, "too many requests without a token",
            {"error": "Please log in or use a HF access token"}),
    _status("429-overloaded", 429, "the engine is full (TGI)",
            {"error": "Model is overloaded", "error_type": "overloaded"}),
    _status("500", 500, "an error with warnings",
            {"error": "unknown error", "warnings": ["There was an inference error: CUDA error"]}),
    _status("500-report", 500, "an error that says nothing",
            {"error": "Internal Error, please report to us"}),
    _status("500-busy", 500, "a time-out that calls itself an error", {"error": _BUSY}),
    _status("500-text", 500, "plain text", b"Internal Server Error", _TEXT),
    _status("502", 502, "a gateway's web page", _page("502 Bad Gateway"), _HTML),
    _status("503", 503, "overloaded", {"error": "overloaded"}),
    Fault("503-loading", "status", "the model is being loaded, for `seconds` as it says",
          _loading, always=True, seconds=20.0),
    _status("503-retry", 503, "overloaded, try again in a second", {"error": "overloaded"}, _JSON,
            ("retry-after", "1")),
    _status("504", 504, "a gateway's web page", _page("504 Gateway Time-out"), _HTML),
    _status("529", 529, "overloaded, as some providers say it",
            error_body("Overloaded", kind="overloaded_error")),
)  # fmt: skip

WAITS = (
    _late("int", "retry-after as a whole number", ("retry-after", "1")),
    _late("float", "retry-after with a fraction", ("retry-after", "0.25")),
    _late("zero", "retry-after 0", ("retry-after", "0")),
    _late("date", "retry-after as a date, two seconds after the answer's own",
          ("date", _DATE), ("retry-after", "Wed, 21 Oct 2026 07:28:02 GMT")),
    _late("past", "retry-after as a date that has passed",
          ("date", _DATE), ("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT")),
    _late("negative", "retry-after below zero", ("retry-after", "-5")),
    _late("huge", "retry-after beyond all reason", ("retry-after", "1e9")),
    _late("long", "retry-after of ten minutes", ("retry-after", "600")),
    _late("nan", "retry-after NaN", ("retry-after", "NaN")),
    _late("garbage", "retry-after that is nonsense", ("retry-after", "soon")),
    _late("list", "retry-after twice", ("retry-after", "1"), ("retry-after", "2")),
    _late("ms", "retry-after-ms", ("retry-after-ms", "250")),
    _late("reset-seconds", "x-ratelimit-reset in seconds",
          ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "2")),
    _late("reset-ms", "x-ratelimit-reset in milliseconds",
          ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "250ms")),
    _late("reset-span", "x-ratelimit-reset as 1m30s",
          ("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1m30s")),
    _late("reset-epoch", "x-ratelimit-reset as a moment since 1970",
          ("date", _DATE), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1792567682")),
    _late("reset-iso", "x-ratelimit-reset as an ISO date",
          ("date", _DATE), ("x-ratelimit-remaining", "0"),
          ("x-ratelimit-reset", "2026-10-21T07:28:02Z")),
    _late("no-retry", "and x-should-retry: false",
          ("retry-after", "1"), ("x-should-retry", "false")),
)  # fmt: skip

STATUSES: tuple[Fault, ...] = (
    *BAD_REQUESTS,
    *REFUSALS,
    *UNPROCESSABLE,
    *SERVER_FAILURES,
    *WAITS,
)
