"""Fetching files by URL: the results that a provider names, and inputs that were given as URLs.

Never with a token. Result files come over https from public addresses only, or from the very server
that the call went to; every file has a size limit.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import urljoin

import msgspec

from trunkline.dialects import failures
from trunkline.errors import APIError, InvalidInputError, InvalidResponseError
from trunkline.providers.spec import Target
from trunkline.routing.carry import USER_AGENT, Journey
from trunkline.routing.needs import Need, Reply, Send, Wait
from trunkline.types.media import Blob
from trunkline.types.tasks import TaskCall
from trunkline.wire.message import SANDBOX, HttpRequest, Url, below, parse_url

_REDIRECTS = 3
_MOVED = frozenset({301, 302, 303, 307, 308})
_TRIES = 3


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
    """Fetch a file that the caller gave by URL; raises InvalidInputError, or what went wrong."""
    return _fetch(journey, blob.url or "", now, lambda text: (parse_url(text), False))


def _fetch(journey: Journey[TaskCall], url: str, now: float, check: Check) -> FileFlow:
    call = journey.call
    at, moved, failed = url, 0, 0
    while True:
        place, public = check(at)
        send = _send(journey, place, now, public=public)
        reply: Reply = yield send
        now = reply.ended
        head = reply.head
        if reply.error is None and head is not None:
            if head.status in _MOVED and moved < _REDIRECTS and head.headers.get("location"):
                moved += 1
                at = urljoin(str(place), head.headers["location"])
                continue
            if head.status == 200:
                return File(reply.body, head.content_type), now
        failed += 1
        error = _trouble(reply, place)
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


def _trouble(reply: Reply, place: Url) -> APIError:
    shown = _shown(place)
    error = reply.error
    if error is None:
        head = reply.head
        status = head.status if head else 0
        failure = failures.read_failure(status, head.headers if head else {}, reply.body[:4096])
        said = f"The file at {shown} could not be fetched: {failure.message}"
        return failures.error_for(msgspec.structs.replace(failure, message=said))
    error.message = f"The file at {shown} could not be fetched. {error.message}"
    return error


def _result_url(text: str, target: Target) -> tuple[Url, bool]:
    """Read the URL of a result file; raises InvalidResponseError where it must not be fetched."""
    inside = str(SANDBOX)
    if target.via == "sandbox" and text.startswith(inside):
        return below(SANDBOX, text.removeprefix(inside)), False
    try:
        url = parse_url(text)
    except InvalidInputError as error:
        raise InvalidResponseError(
            f"The result names a file that cannot be fetched: {error.message}"
        ) from error
    if (url.scheme, url.authority) == (target.url.scheme, target.url.authority):
        return url, False
    if url.scheme != "https":
        raise _refused(url, f"it is not https but {url.scheme}")
    if not _is_public(url.host):
        raise _refused(url, "its address is a private one")
    return url, True


def _is_public(host: str) -> bool:
    """Tell whether a host may be public; names are checked again when they are resolved."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        local = host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
        return not local and "." in host


def _refused(url: Url, why: str) -> InvalidResponseError:
    return InvalidResponseError(
        f"The result's file at {_shown(url)} is not fetched: {why}.",
        hint="Pass download=False to get its URL, and decide yourself.",
    )


def _shown(url: Url) -> str:
    """Return a URL without its query, which may be signed."""
    return str(url).partition("?")[0][:200]


def blobs_in(inputs: Any) -> Iterator[Blob]:
    """Return the files among a call's inputs."""
    if isinstance(inputs, Blob):
        yield inputs
    elif isinstance(inputs, dict):
        yield from (value for value in inputs.values() if isinstance(value, Blob))
