"""Answers and errors of the admin API as responses; errors have OpenAI's shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.dialects.openai_server import error_body
from trunkline.gateway.admin.table import Csv, Row
from trunkline.gateway.wishes import RefusedError
from trunkline.store.seam import StoreError, StoreValueError

if TYPE_CHECKING:
    from starlette.responses import Response

_log = logging.getLogger(__name__)
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def as_response(row: Row, answer: Any) -> Response:
    """Return what a row's function gave as a response."""
    from starlette.responses import Response  # slow to load, and rarely needed

    if isinstance(answer, Csv):
        headers = {**_HEADERS, "content-disposition": f'attachment; filename="{answer.name}"'}
        return Response(answer.text, row.status, headers, "text/csv; charset=utf-8")
    return Response(msgspec.json.encode(answer), row.status, _HEADERS, "application/json")


def error_response(error: RefusedError, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as a response."""
    from starlette.responses import Response  # slow to load, and rarely needed

    kind = _TYPES.get(error.status, "invalid_request_error")
    if error.status >= 500:
        kind = "api_error"
    body = error_body(error.message, kind=kind, param=error.param, code=error.code)
    more = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    return Response(body, error.status, {**_HEADERS, **more, **(headers or {})}, "application/json")


def refusal_of(error: Exception, request_id: str) -> RefusedError:
    """Return any error as one that may be told; what it may not tell is for the log."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, StoreValueError):
        return RefusedError("A value cannot be kept: it is too large or no text.", code="bad_value")
    if isinstance(error, StoreError):
        _log.error("Request %s: the store failed: %s", request_id, error)
        message = f"The store does not answer; the gateway's log tells why, under {request_id}."
        return RefusedError(message, status=503, code="store_unavailable")
    message = f"The gateway failed to answer; its log tells why, under {request_id}."
    return RefusedError(message, status=500, code="internal_error")
