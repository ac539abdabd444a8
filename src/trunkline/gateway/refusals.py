"""Errors as clients are told of them: OpenAI's shape, the right status, a hint and the request id."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline import errors
from trunkline.dialects.openai_server import RequestError, error_body, error_event
from trunkline.errors import APIError
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.guard import Refusal
from trunkline.gateway.urgency import PASSED
from trunkline.wire.http1_read import HttpError

JSON = b"content-type: application/json\r\n"
EVENTS = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
NO_RETRY = b"x-should-retry: false\r\n"
_LONGEST_CODE = 200
"""Characters of an upstream's code that a client is told."""
_KINDS = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    504: "timeout_error",
    505: "invalid_request_error",
}


class Fault(msgspec.Struct, frozen=True):
    """What a client is told."""

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None
    more: dict[str, Any] = {}

    @property
    def kind(self) -> str:
        """The error's type, as OpenAI names them."""
        other = "api_error" if self.status >= 500 else "invalid_request_error"
        return _KINDS.get(self.status, other)


STOPPING = Fault(
    503, "gateway_stopping", "The gateway is being stopped. Try again.", retry_after=1.0
)


def tell(exchange: Exchange, fault: Fault, *, keep: bool = True) -> None:
    """Answer with an error."""
    if fault.code == PASSED and fault.retry_after is None:
        exchange.labels += NO_RETRY  # nobody waits for it any more
    page = exchange.page
    if page is None or page.error_body is None:
        body = openai_error(fault, exchange.id)
    else:
        body = page.error_body(fault, exchange.id)
    lines = JSON
    if fault.retry_after is not None:
        lines += b"retry-after: %d\r\n" % max(round(fault.retry_after), 1)
    if fault.status == 401:
        lines += b"www-authenticate: Bearer\r\n"
    exchange.answer_bytes(fault.status, lines, body, keep=keep)


def openai_error(fault: Fault, request_id: str) -> bytes:
    """Return an error's body as OpenAI has it."""
    return error_body(
        fault.message,
        kind=fault.kind,
        param=fault.param,
        code=fault.code,
        request_id=request_id,
        **fault.more,
    )


def in_band(exchange: Exchange, fault: Fault) -> bytes:
    """Return an error as the last event of a stream that has begun."""
    voice = exchange.voice
    return (openai_broken if voice is None else voice.broken)(fault, exchange.id)


def openai_broken(fault: Fault, request_id: str) -> bytes:
    """Return an error as the last event of an OpenAI stream; no `[DONE]` follows it."""
    return error_event(
        fault.message,
        kind=fault.kind,
        code=fault.code,
        request_id=request_id,
        partial=True,
        **fault.more,
    )


def of_request(wrong: RequestError) -> Fault:
    """Return what is said of a request that is wrong."""
    return Fault(wrong.status, wrong.code or "invalid_request", wrong.message, wrong.param)


_NO_REQUEST = {
    400: ("bad_http", "Send plain HTTP/1.1, as any client library does."),
    408: ("request_timeout", "Send it again, without long pauses."),
    413: (
        "request_too_large",
        "Send less, or have the operator allow more (edge.body_bytes; edge.upload_bytes for files).",
    ),
    414: ("bad_http", "Send what is long in the body."),
    429: ("too_many_requests", "Wait for answers before sending more on one connection."),
    431: ("bad_http", "Send fewer headers, or shorter ones."),
    503: ("overloaded", "Try again soon."),
    505: ("bad_http", "Send HTTP/1.1."),
}


def of_bytes(error: HttpError) -> Fault:
    """Return what is said of bytes that are no request, or not one that is read."""
    code, hint = _NO_REQUEST[error.status]
    wait = 1.0 if error.status in (429, 503) else None
    message = f"The request cannot be read: {error}. {hint}"
    return Fault(error.status, code, message, retry_after=wait)


def of_refusal(refusal: Refusal) -> Fault:
    """Return what is said of a call that a budget or a limit does not allow."""
    said = f"{refusal.message} {refusal.hint}".strip()
    return Fault(refusal.status, refusal.code, said, retry_after=refusal.retry_after)


def of_error(error: APIError, *, hide: tuple[str, ...] = ()) -> Fault:
    """Return what is said of a call that its upstream did not answer well.

    The gateway's own troubles with its credentials are not the client's: they are a 502, and the
    reason for them is in the log. `hide` are secrets that no message may repeat.
    """
    status = _status(error)
    if isinstance(error, (errors.AuthenticationError, errors.PermissionDeniedError)):
        message = "The upstream does not accept the gateway's own credential. Tell its operator."
    else:
        message = error.message
        if isinstance(error, errors.PaymentRequiredError):
            message += " (The gateway's account at the upstream; not a budget of this gateway.)"
    code, param = _code(error, status)[:_LONGEST_CODE], _param(error)
    for secret in hide:
        message, code = message.replace(secret, "****"), code.replace(secret, "****")
        param = param and param.replace(secret, "****")
    more: dict[str, Any] = {"provider": error.provider} if error.provider else {}
    return Fault(status, code, message, param, error.retry_after, more)


def _status(error: APIError) -> int:
    if isinstance(error, (errors.AuthenticationError, errors.PermissionDeniedError)):
        return 502
    if error.status is not None and 400 <= error.status < 600:
        return error.status
    if isinstance(error, errors.Timeout):
        return 504
    if isinstance(error, (errors.BadRequestError, errors.NotFoundError)):
        return error.status_of_class or 400  # found out here, before anything was sent
    return 502


_CODES: tuple[tuple[type[APIError], str], ...] = (
    (errors.AuthenticationError, "upstream_credential_refused"),
    (errors.PermissionDeniedError, "upstream_credential_refused"),
    (errors.PaymentRequiredError, "upstream_credits_exhausted"),
    (errors.StreamTruncated, "upstream_truncated"),
    (errors.APIConnectionError, "upstream_unreachable"),
    (errors.InvalidResponseError, "upstream_invalid_response"),
    (errors.ContextWindowExceededError, "context_length_exceeded"),
)
_NOT_SENT = "invalid_request"
"""The code of what was refused here, before anything was sent."""


def _code(error: APIError, status: int) -> str:
    if isinstance(error, errors.Timeout):
        return PASSED if type(error) is errors.DeadlineExceeded else "upstream_timeout"
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, errors.ModelNotSupportedError):
        return error.code or "model_not_supported"
    if isinstance(error, errors.InvalidInputError):
        return error.code or _NOT_SENT
    return error.code or {429: "upstream_rate_limited"}.get(status, "upstream_error")


def _param(error: APIError) -> str | None:
    body = error.body
    inner = body.get("error") if isinstance(body, dict) else None
    param = inner.get("param") if isinstance(inner, dict) else None
    return param[:_LONGEST_CODE] if isinstance(param, str) else None
