"""Error bodies of every provider seen, read into the one tree of errors.

Bodies are strings, lists or objects, JSON or not; the texts in the table are those that Hugging
Face's router, its engines (TGI, TEI, transformers) and the providers are known to send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline import errors
from trunkline.dialects.hints import HINTS, HINTS_ELSEWHERE
from trunkline.wire import strict_json
from trunkline.wire.retry_after import read_retry_after

MAX_MESSAGE = 2000
"""Characters of a server's text that an error quotes."""


class Failure(msgspec.Struct, frozen=True):
    """What an error answer says, before it is an exception."""

    message: str
    status: int
    code: str | None = None
    kind: str | None = None
    """The body's `type` or `error_type`."""
    retry_after: float | None = None
    should_retry: bool | None = None
    """The server's own word on trying again (`x-should-retry`)."""
    body: Any = None


class _Meaning(msgspec.Struct, frozen=True):
    """A row of the table: these statuses with this text are that class."""

    statuses: frozenset[int]
    text: re.Pattern[str]
    error: type[errors.APIError]


def _row(statuses: set[int], text: str, error: type[errors.APIError]) -> _Meaning:
    return _Meaning(frozenset(statuses), re.compile(text, re.IGNORECASE | re.DOTALL), error)


_REFUSED = {400, 404, 413, 422, 500}

_MEANINGS = (
    _row(
        _REFUSED,
        r"context_length_exceeded|context_window|maximum context|context (length|window|size)"
        r"|max_new_tokens` must be <=|`inputs` (tokens|must have less than)|prompt is too long"
        r"|maximum (allowed )?(input|prompt) length|max_seq_len|reduce the length of the (messages|prompt)"
        r"|exceeds? .{0,40}(token|context).{0,20}(limit|length)|too many tokens|range of input length",
        errors.ContextWindowExceededError,
    ),
    _row(
        {400, 403, 422},
        r"content_policy|bio_policy|policy_violation|content_filter|content management policy|moderation|nsfw|safety (system|filter)"
        r"|unsafe or sensitive|sensitive content",
        errors.ContentPolicyViolationError,
    ),
    _row(
        {400},
        r"model_not_supported|not supported by (any )?provider|is not a valid provider"
        r"|model_not_found|model .{0,200}(does not exist|not found|is not available)"
        r"|allowed now, your model|not supported for now\. available model|server is pinned to",
        errors.ModelNotSupportedError,
    ),
    _row(
        {400, 422},
        r"UNSUPPORTED_OPENAI_PARAMS|wrong_api_format|unsupported_(parameter|value)|is unsupported"
        r"|(parameters?|propert(y|ies)|arguments?) .{0,120}(not supported|unsupported)"
        r"|`model_kwargs` are not used|unrecognized request argument|unexpected fields"
        r"|`\w+` is not supported",
        errors.UnsupportedParamsError,
    ),
    _row({503}, r"currently loading|estimated_time|model is loading", errors.ModelLoadingError),
    _row({500}, r"timed? ?out|unable to get response in less than", errors.GatewayTimeoutError),
    _row(
        {400, 403, 429},
        r"depleted|exceeded your (monthly )?(included )?credits|pay-as-you.go is not enabled"
        r"|(exhausted|insufficient|not.?enough).{0,20}(balance|credit|funds)",
        errors.PaymentRequiredError,
    ),
)

_ODD_STATUSES: dict[int, type[errors.APIError]] = {
    498: errors.AuthenticationError,
    520: errors.BadGatewayError,
    521: errors.ServiceUnavailableError,
    522: errors.GatewayTimeoutError,
    523: errors.BadGatewayError,
    524: errors.GatewayTimeoutError,
    529: errors.ServiceUnavailableError,
}

_STATUS_OF_KIND = {
    "invalid_request_error": 400,
    "invalid_request": 400,
    "invalid_prompt": 400,
    "badrequesterror": 400,
    "authentication_error": 401,
    "unauthorized": 401,
    "insufficient_credits": 402,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "timeout": 408,
    "request_too_large": 413,
    "validation": 422,
    "template_error": 422,
    "missing_template_variable": 422,
    "tool_error": 422,
    "tokenizer": 422,
    "empty": 422,
    "generation": 424,
    "backend": 424,
    "incomplete_generation": 424,
    "incomplete_generation_stream": 424,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "too_many_requests": 429,
    "overloaded": 429,
    "insufficient_quota": 429,
    "overloaded_error": 503,
    "service_unavailable": 503,
    "unhealthy": 503,
    "engine_overloaded_error": 503,
    "timeout_error": 504,
    # codes of a response that failed, of OpenAI's Responses API
    "invalid_api_key": 401,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "vector_store_timeout": 504,
    **dict.fromkeys(
        (
            "bio_policy",
            "data_residency_mismatch",
            "empty_image_file",
            "failed_to_download_image",
            "image_content_policy_violation",
            "image_file_not_found",
            "image_file_too_large",
            "image_parse_error",
            "image_too_large",
            "image_too_small",
            "invalid_base64_image",
            "invalid_image",
            "invalid_image_format",
            "invalid_image_mode",
            "invalid_image_url",
            "misalignment_policy_violation",
            "unsupported_image_media_type",
        ),
        400,
    ),
}


def hint_elsewhere(error: errors.APIError) -> str | None:
    """Return what to do about `error` where another server than Hugging Face's answered."""
    general = any(isinstance(error, kind) and error.hint == hint for kind, hint in HINTS)
    if error.hint is not None and not general:
        return error.hint
    about_hugging_face = error.hint is None or "huggingface.co" in error.hint
    if not about_hugging_face and not isinstance(error, errors.PermissionDeniedError):
        return error.hint
    return next((hint for kind, hint in HINTS_ELSEWHERE if isinstance(error, kind)), None)


def read_failure(status: int, headers: Mapping[str, str], data: bytes) -> Failure:
    """Read an error answer; always returns something to say."""
    body: Any = None
    if data:
        try:
            body = strict_json.decode(data)
        except strict_json.JsonError:
            body = data.decode("utf-8", "replace")
    message, code, kind, loading = _describe(body)
    if not message:
        message = headers.get("x-error-message", "") or _plain_text(body, headers)
    retry_after = read_retry_after(headers) if status in (429, 503, 529) else None
    return Failure(
        message=message[:MAX_MESSAGE] or f"The server answered {status} and said nothing more.",
        status=status,
        code=code,
        kind=kind,
        retry_after=loading if retry_after is None else retry_after,
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "").lower()),
        body=body,
    )


def failure_in_stream(data: bytes) -> Failure:
    """Read the data of an event that is named an error.

    The status is what the event says, else what its type means, else 500.
    """
    text = data.decode("utf-8", "replace")[:MAX_MESSAGE]
    try:
        body = strict_json.decode_sent(data)
    except strict_json.JsonError:
        return Failure(text or "The stream reports an error and says nothing more.", 500)
    return _failure_told(body)


def failure_in_body(body: Any) -> Failure | None:
    """Read a decoded 200 body as an error, also one in a list; None where it has no word of one."""
    told = body[0] if isinstance(body, list) and len(body) == 1 else body
    if not isinstance(told, dict) or ("choices" in told and not told.get("error")):
        return None
    named = any(told.get(name) for name in ("error", "errors", "detail"))
    coded = bool(told.get("message")) and _status_told(told) is not None
    if not named and not coded and told.get("object") != "error":
        return None
    return _failure_told(body)


def _failure_told(body: Any) -> Failure:
    message, code, kind, loading = _describe(body)
    status = _status_told(body) or _STATUS_OF_KIND.get((kind or "").lower())
    status = status or _STATUS_OF_KIND.get((code or "").lower())
    complaints = isinstance(body, dict) and isinstance(body.get("detail"), list)
    status = status or _status_meant(
        f"{code or ''} {kind or ''} {message}", 422 if complaints else 500
    )
    return Failure(
        message[:MAX_MESSAGE] or _as_json(body)[:MAX_MESSAGE],
        status,
        code,
        kind,
        loading,
        None,
        body,
    )


def _status_meant(said: str, otherwise: int) -> int:
    """Return the lowest status that goes with what is said, where no status was told."""
    return next((min(row.statuses) for row in _MEANINGS if row.text.search(said)), otherwise)


def error_for(failure: Failure, **where: Any) -> errors.APIError:
    """Return the exception for `failure`; `where` is provider, model, request_id and the like."""
    said = f"{failure.code or ''} {failure.kind or ''} {failure.message}"
    found = next(
        (
            row.error
            for row in _MEANINGS
            if failure.status in row.statuses and row.text.search(said)
        ),
        _ODD_STATUSES.get(failure.status) or errors.class_for_status(failure.status),
    )
    hint = next((text for kind, text in HINTS if issubclass(found, kind)), None)
    return found(
        failure.message,
        status=failure.status,
        code=failure.code,
        retry_after=failure.retry_after,
        should_retry=failure.should_retry,
        body=failure.body,
        hint=where.pop("hint", None) or hint,
        **where,
    )


_LONG = 1e9
"""Seconds above which an estimate is none."""

_Said = tuple[str, str | None, str | None, float | None]


def _describe(body: Any) -> _Said:
    """Return message, code, type and loading time of a decoded body, whatever its shape."""
    if not isinstance(_unwrapped(body), dict):
        return _text(body) if isinstance(body, list) else "", None, None, None
    body = _unwrapped(body)
    error = body.get("error")
    inner: dict[str, Any] = error if isinstance(error, dict) else {}
    message = _first_text(
        error,
        inner.get("message"),
        inner.get("detail"),
        body.get("detail"),
        body.get("message"),
        body.get("errors"),
        body.get("error_description"),
        body.get("title"),
    )
    warnings = body.get("warnings")
    if isinstance(warnings, list) and warnings and message == "unknown error":
        message = f"{message}: {_text(warnings)}"
    code = inner.get("code", body.get("code"))
    kind = (
        inner.get("type") or inner.get("error_type") or body.get("error_type") or body.get("type")
    ) or _kind_of_detail(body.get("detail"))
    loading = body.get("estimated_time")
    return (
        message,
        str(code) if isinstance(code, (str, int)) and code != "" else None,
        kind if isinstance(kind, str) else None,
        float(loading) if isinstance(loading, (int, float)) and 0 <= loading < _LONG else None,
    )


def _kind_of_detail(detail: Any) -> str | None:
    """Return the type of the first of several complaints (fal: `content_policy_violation`)."""
    first = detail[0] if isinstance(detail, list) and detail else None
    kind = first.get("type") if isinstance(first, dict) else None
    return kind if isinstance(kind, str) else None


def _unwrapped(body: Any) -> Any:
    """Return the object within a list, as Google sends its errors."""
    return body[0] if isinstance(body, list) and body and isinstance(body[0], dict) else body


def _first_text(*candidates: Any) -> str:
    return next((text for item in candidates if (text := _text(item))), "")


def _text(item: Any) -> str:
    """Return what a string, a list of them, or a list of validation errors says."""
    if isinstance(item, str):
        return item.strip()
    if isinstance(item, list):
        return "; ".join(text for part in item if (text := _text_of_part(part)))
    return ""


def _text_of_part(part: Any) -> str:
    if isinstance(part, dict):
        told = (part.get("msg"), part.get("message"), part.get("detail"))
        said = next((text.strip() for text in told if isinstance(text, str) and text.strip()), "")
        place = part.get("loc")
        if isinstance(place, list) and said:
            steps = [str(step) for step in place if isinstance(step, (str, int))]
            return f"{'.'.join(steps)}: {said}"
        return said
    return part.strip() if isinstance(part, str) else ""


def _plain_text(body: Any, headers: Mapping[str, str]) -> str:
    """Return a text body as it is, but of an HTML page only its title."""
    if isinstance(body, dict):
        return _as_json(body)
    text = body.strip() if isinstance(body, str) else ""
    if "html" in headers.get("content-type", "") or text[:1] == "<":
        title = re.search(r"<title[^>]*>([^<]*)</title>", text[:10_000], re.IGNORECASE)
        return f"The server answered with a web page: {title[1].strip()!r}." if title else ""
    return text


def _as_json(body: Any) -> str:
    try:
        return strict_json.encode(body).decode()
    except strict_json.JsonError:  # nested as deep as a reader goes is too deep for a writer
        return "The server reports an error that cannot be shown."


def _status_told(body: Any) -> int | None:
    body = _unwrapped(body)
    outer = body if isinstance(body, dict) else {}
    inner = outer.get("error")
    for source in (inner if isinstance(inner, dict) else {}, outer):
        for name in ("status_code", "http_status_code", "status", "code"):
            told = source.get(name)
            if isinstance(told, str) and re.fullmatch(r"[45][0-9]{2}", told):
                told = int(told)
            if isinstance(told, int) and 400 <= told <= 599:
                return told
    return None
