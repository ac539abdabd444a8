"""Asking the router for its models, blocking and awaiting: the only I/O of the catalog's room.

Nothing here is relied on to make a call.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from trunkline._version import __version__
from trunkline.catalog.entries import Catalog, ModelEntry, read_models
from trunkline.catalog.kept import completed
from trunkline.dialects.failures import error_for, read_failure
from trunkline.errors import AuthenticationError, InvalidResponseError, PermissionDeniedError
from trunkline.settings import Settings
from trunkline.transport.seam import AsyncTransport, Transport
from trunkline.types import Secret, Timeouts
from trunkline.wire.message import HttpRequest, ResponseHead, Url, parse_url

MAX_BYTES = 64 * 1024 * 1024
"""What a list may have at the most."""
LOOK_UP = Timeouts(connect=5.0, total=20.0)


def fetch_models(
    settings: Settings,
    transport: Transport,
    secret: Secret | None = None,
    timeouts: Timeouts = LOOK_UP,
) -> list[ModelEntry]:
    """Ask the router for its models; raises APIError.

    The list is public: a token goes along if it is Hugging Face's, and is left out if refused.
    """
    return read_models(fetch_list(settings, transport, secret, timeouts))


def fetch_list(
    settings: Settings,
    transport: Transport,
    secret: Secret | None = None,
    timeouts: Timeouts = LOOK_UP,
) -> bytes:
    """Return the router's list as it came; raises as fetch_models."""
    url = models_url(settings.router_url)
    for shown in _shown(secret):
        try:
            return get(transport, url, shown, timeouts)
        except (AuthenticationError, PermissionDeniedError):
            pass  # the list does not need it
    return get(transport, url, None, timeouts)


async def afetch_list(
    settings: Settings,
    transport: AsyncTransport,
    secret: Secret | None = None,
    timeouts: Timeouts = LOOK_UP,
) -> bytes:
    """Return the router's list as it came; raises as fetch_models."""
    url = models_url(settings.router_url)
    for shown in _shown(secret):
        try:
            return await aget(transport, url, shown, timeouts)
        except (AuthenticationError, PermissionDeniedError):
            pass  # the list does not need it
    return await aget(transport, url, None, timeouts)


def router_catalog(data: bytes, router: str, now: datetime | None = None) -> Catalog:
    """Make a catalog of the list that `router` gave; raises InvalidResponseError.

    A list without any model is none: nothing that was known is to be replaced by it.
    """
    entries = read_models(data)
    if not entries:
        raise InvalidResponseError("The router's list of models is empty.")
    return Catalog(completed(entries), "router", now or datetime.now(UTC), router)


def models_url(router: str) -> Url:
    """Return where the router at `router`, with or without `/v1`, lists its models."""
    base = router.rstrip("/")
    return parse_url(f"{base}/models" if base.endswith("/v1") else f"{base}/v1/models")


def get(
    transport: Transport, url: Url, secret: Secret | None = None, timeouts: Timeouts = LOOK_UP
) -> bytes:
    """Return what is at `url`; raises APIError for no answer and for every status but 2xx."""
    until = time.monotonic() + timeouts.total
    exchange = transport.open(_request(url, secret), timeouts, until)
    try:
        body = bytearray()
        while data := exchange.read(until):
            _add(body, data, url)
    finally:
        exchange.close()
    return _checked(url, exchange.head, bytes(body))


async def aget(
    transport: AsyncTransport, url: Url, secret: Secret | None = None, timeouts: Timeouts = LOOK_UP
) -> bytes:
    """Return what is at `url`; raises as get."""
    until = time.monotonic() + timeouts.total
    exchange = await transport.open(_request(url, secret), timeouts, until)
    try:
        body = bytearray()
        while data := await exchange.read(until):
            _add(body, data, url)
    finally:
        exchange.close()
    return _checked(url, exchange.head, bytes(body))


def _shown(secret: Secret | None) -> Iterator[Secret]:
    """Yield the token if it is Hugging Face's: a provider's own key is nobody else's business."""
    if secret is not None and secret.is_hugging_face:
        yield secret


def _request(url: Url, secret: Secret | None) -> HttpRequest:
    headers = [
        ("user-agent", f"trunkline/{__version__}"),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
    ]
    if secret is not None:
        headers.append(("authorization", f"Bearer {secret.value}"))
    return HttpRequest("GET", url, tuple(headers))


def _add(body: bytearray, data: bytes, url: Url) -> None:
    body += data
    if len(body) > MAX_BYTES:
        raise InvalidResponseError(f"{url.authority} sends more than {MAX_BYTES:,} bytes.")


def _checked(url: Url, head: ResponseHead, body: bytes) -> bytes:
    """Return the body of a good answer; raises APIError for every other."""
    if 300 <= head.status < 400:
        raise InvalidResponseError(
            f"{url.authority} redirects, which is not followed: the token would go along.",
            status=head.status,
        )
    if not 200 <= head.status < 300:
        failure = read_failure(head.status, head.headers, body)
        said = f"{url.authority} refuses {url.target}: {failure.message}"
        failure = msgspec.structs.replace(failure, message=said)
        raise error_for(failure, request_id=head.request_id)
    return body
