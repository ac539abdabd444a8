"""What an upstream's answer says of itself in its head, and what it comes to when it is none."""

from __future__ import annotations

import re

from trunkline import errors
from trunkline.dialects import failures
from trunkline.errors import APIError
from trunkline.gateway.upstream import Upstream
from trunkline.store.records import Entry
from trunkline.wire import strict_json

_PLAIN = re.compile(rb"[\x20-\x7e]{1,200}")
_READ = 64 * 1024
"""Bytes of an answer that are looked at for an error in it."""


def header_of(headers: dict[bytes, bytes], name: bytes) -> bytes | None:
    """Find a header under any spelling of its name, given in small letters."""
    found = headers.get(name) or headers.get(name.title())
    if found is not None:
        return found
    return next((value for spelt, value in headers.items() if spelt.lower() == name), None)


def note_head(entry: Entry, headers: dict[bytes, bytes], pool: Upstream | None, now: float) -> None:
    """Note what an answer's head says of who answers, and that it came `now`."""
    entry.first_byte = now - entry.started
    names = tuple(headers)
    if pool is not None and names == pool.names_without:
        return  # the same headers as the last time, none of which tells anything
    told = header_of(headers, b"x-inference-provider")
    if told is not None and _PLAIN.fullmatch(told):
        entry.provider = told.decode("ascii")
    upstream_id = header_of(headers, b"x-request-id")
    if upstream_id is not None and _PLAIN.fullmatch(upstream_id):
        entry.upstream_id = upstream_id.decode("ascii")
    if pool is not None and told is None and upstream_id is None:
        pool.names_without = names


def refusal(status: int, headers: dict[bytes, bytes], data: bytes) -> APIError:
    """Return the error in an answer whose status is none of success."""
    if 300 <= status < 400:
        return errors.InvalidResponseError("The upstream redirects, which is not followed.")
    named = {n.lower().decode("latin-1"): v.decode("latin-1") for n, v in headers.items()}
    return failures.error_for(failures.read_failure(status, named, data))


def truncated(cause: APIError | None = None) -> APIError:
    """Return the error for a stream that ended before its answer did."""
    why = f" {cause.message}" if cause is not None else ""
    return errors.StreamTruncated(f"The upstream's stream ended before the answer did.{why}")


def not_streamed(data: bytes) -> APIError:
    """Return the error in an answer that should have been a stream."""
    return _error_in(data) or errors.InvalidResponseError(
        "The upstream was asked for a stream and answered with something else."
    )


def no_answer(data: bytes) -> APIError:
    """Return the error in a 200 that is no answer."""
    return _error_in(data) or errors.InvalidResponseError(
        "The upstream answered 200 with something that is no answer."
    )


def may_have_run(error: APIError) -> bool:
    """Tell whether a model may have worked on a call that failed: it may be billed, then."""
    return not isinstance(error, errors.APIConnectionError) or error.sent


def nothing_received(error: APIError) -> bool:
    """Tell whether a connection broke before any of an answer had come."""
    return isinstance(error, errors.APIConnectionError) and not error.received


def _error_in(data: bytes) -> APIError | None:
    try:
        body = strict_json.decode_sent(data[:_READ])
    except strict_json.JsonError:
        return None
    failure = failures.failure_in_body(body)
    return failures.error_for(failure) if failure is not None else None
