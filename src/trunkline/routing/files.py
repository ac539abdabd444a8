"""Fetching files by URL: the results that a provider names, and inputs that were given as URLs.

Never with a token. Result files come over https from public addresses only, or from the very server
that the call went to; every file has a size limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import msgspec

from trunkline.dialects import failures
from trunkline.errors import (
    APIConnectionError,
    APIError,
    InvalidInputError,
    InvalidResponseError,
    Timeout,
)
from trunkline.providers.spec import Target
from trunkline.routing.carry import USER_AGENT, Journey, by_deadline
from trunkline.routing.needs import Need, Reply, Send, Wait
from trunkline.transport.public import may_be_public
from trunkline.types.media import Blob
from trunkline.types.tasks import TaskCall
from trunkline.wire.http1_read import HttpError
from trunkline.wire.message import SANDBOX, HttpRequest, Url, below, parse_url

_REDIRECTS = 3
_MOVED = frozenset({301, 302, 303, 307, 308})
_TRIES = 3
_USER = re.compile(r"//[^/]*@")
_DECIDE = "Pass download=False to get its URL, and decide yourself."


class File(msgspec.Struct, frozen=True):
    """What a URL gave."""

    content: bytes
    media_type: str
    """As the server declares it; empty where it does not."""


Check = Callable[[str], tuple[Url, bool]]
"""Reads a URL, and whether it has to be a public one; raises where it must not be fetched."""
FileFlow = Generator[Need, Any, tuple[File, float]]


def fetch_result(journey: Journey[TaskCall], target: Target, url: str, now: float) -> FileFlow:
    """Fetch a file that a result names; raises InvalidResponseError, or what went wrong."""
    return _fetch(journey, url, now, lambda text: _result_url(text, target))


def fetch_input(journey: Journey[TaskCall], blob: Blob, now: float) -> FileFlow:
    """Fetch a file that the caller gave by URL; raises InvalidInputError, or what went wrong.

    The caller may name any address. Where its server redirects to, it may not, unless the first
    one was private already.
    """
    asked = blob.url or ""
    if journey.call.inputs_from == "nowhere":
        raise InvalidInputError(
            f"The file at {_shown(asked)} is not fetched: this provider takes its bytes alone, and "
            "files are not fetched by URL here.",
            hint="Send the file itself, or name a provider that takes URLs.",
        )
    if journey.call.inputs_from == "public":
        return _fetch(journey, asked, now, _public_url)
    first = parse_url(asked)
    local = not may_be_public(first.host)
    return _fetch(journey, asked, now, lambda text: _input_url(text, first, local=local))


def _fetch(journey: Journey[TaskCall], url: str, now: float, check: Check) -> FileFlow:
    call = journey.call
    at, moved, failed = url, 0, 0
    while True:
        place, public = check(at)
        reply: Reply = yield _send(journey, place, now, public=public)
        now = reply.ended
        head = reply.head if reply.error is None else None
        there = _redirect(head.status, head.headers.get("location")) if head else None
        if there is not None and moved < _REDIRECTS:
            moved += 1
            at = _joined(place, there)
            continue
        if head is not None and head.status == 200:
            return File(reply.body, head.content_type), now
        failed += 1
        error = by_deadline(_trouble(reply, place, call.max_bytes), reply, journey.end)
        wait = journey.retry.delay(error, failed)
        last = failed >= min(_TRIES, call.max_retries + 1)
        if last or not journey.retry.again(error, failed) or now + wait >= journey.end:
            raise error from error.__cause__
        now = yield Wait(wait)


def _send(journey: Journey[TaskCall], place: Url, now: float, *, public: bool) -> Send:
    call = journey.call
    headers = (("user-agent", USER_AGENT), ("accept", "*/*"), ("accept-encoding", "identity"))
    nobody = Target(place, "", "direct")
    until = min(now + call.timeouts.total, journey.end)
    request = HttpRequest("GET", place, headers, limit=call.max_bytes, public=public)
    return Send(nobody, request, call.timeouts, until)


def _redirect(status: int, location: str | None) -> str | None:
    return location if status in _MOVED and location else None


def _joined(place: Url, there: str) -> str:
    try:
        return urljoin(str(place), there)
    except ValueError:
        return there  # which no check lets pass


# what goes wrong


def _trouble(reply: Reply, place: Url, limit: int) -> APIError:
    error = reply.error
    if error is None:
        return _refusal(reply, place)
    shown = _shown(str(place))
    cause = error.__cause__
    if isinstance(cause, HttpError) and cause.status == 413:
        large = InvalidResponseError(
            f"The file at {shown} is larger than {limit:,} bytes, which is the limit.",
            hint=f"max_bytes= sets the limit. {_DECIDE}",
        )
        large.__cause__ = cause
        return large
    if isinstance(error, APIConnectionError) and not isinstance(error, Timeout):
        # half a file is fetched again: nothing was ordered by asking for it
        error.should_retry = True if error.should_retry is None else error.should_retry
    error.message = f"The file at {shown} could not be fetched. {error.message}"
    return error


def _refusal(reply: Reply, place: Url) -> APIError:
    shown = _shown(str(place))
    status = reply.head.status if reply.head else 0
    if status in _MOVED:
        return InvalidResponseError(
            f"The file at {shown} could not be fetched: it redirects ({status}) once more after "
            f"{_REDIRECTS} redirects, or to nowhere."
        )
    headers = reply.head.headers if reply.head else {}
    failure = failures.read_failure(status, headers, reply.body[:4096])
    said = f"The file at {shown} could not be fetched: {failure.message}"
    error = failures.error_for(msgspec.structs.replace(failure, message=said))
    error.hint = "Such a URL may work for some minutes only, or not without its query."
    return error


# where a file may lie


def _result_url(text: str, target: Target) -> tuple[Url, bool]:
    """Read the URL of a result file; raises InvalidResponseError where it must not be fetched."""
    inside = str(SANDBOX)
    if target.via == "sandbox" and text.startswith(inside):
        return below(SANDBOX, text.removeprefix(inside)), False
    url = _parsed(text, InvalidResponseError)
    if (url.scheme, url.authority) == (target.url.scheme, target.url.authority):
        return url, False
    if url.scheme != "https":
        raise _refused(text, f"it is not https but {url.scheme}")
    if not may_be_public(url.host):
        raise _refused(text, "its address is a private one")
    return url, True


def _input_url(text: str, first: Url, *, local: bool) -> tuple[Url, bool]:
    """Read the URL of an input, or one that it redirects to; raises InvalidInputError."""
    url = _parsed(text, InvalidInputError)
    if local or url.host == first.host:
        return url, False
    if not may_be_public(url.host):
        raise InvalidInputError(
            f"The file at {_shown(str(first))} is not fetched: it redirects to a private address."
        )
    return url, True


def _public_url(text: str) -> tuple[Url, bool]:
    """Read the URL of an input that somebody else wrote; raises InvalidInputError."""
    url = _parsed(text, InvalidInputError)
    if url.scheme != "https" or not may_be_public(url.host):
        raise InvalidInputError(
            f"The file at {_shown(text)} is not fetched: only https and public addresses are.",
            hint="Send the file itself.",
        )
    return url, True


def _parsed(text: str, kind: type[APIError]) -> Url:
    try:
        return parse_url(text.partition("#")[0])
    except InvalidInputError:  # which shows the URL whole
        shown = _shown(text)
        raise kind(f"The file at {shown!r} cannot be fetched: that is no http(s) URL.") from None


def _refused(text: str, why: str) -> InvalidResponseError:
    return InvalidResponseError(
        f"The result's file at {_shown(text)} is not fetched: {why}.", hint=_DECIDE
    )


def _shown(url: str) -> str:
    """Return a URL without what may be secret: its query, which may be signed, and a password."""
    return _USER.sub("//", url.partition("?")[0])[:200]


def blobs_in(inputs: Any) -> Iterator[Blob]:
    """Return the files among a call's inputs, also those within mappings and tuples."""
    if isinstance(inputs, Blob):
        yield inputs
    elif isinstance(inputs, (dict, tuple)):
        for value in inputs.values() if isinstance(inputs, dict) else inputs:
            yield from blobs_in(value)


def with_blobs(inputs: Any, fetched: Mapping[int, Blob]) -> Any:
    """Return inputs with the files that were fetched, by `id()`, in place of those with a URL."""
    if isinstance(inputs, dict):
        return {name: with_blobs(value, fetched) for name, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(with_blobs(value, fetched) for value in inputs)
    return fetched.get(id(inputs), inputs)
