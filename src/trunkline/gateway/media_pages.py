"""The rows of the route table for pictures, sounds and orders of documents."""

from __future__ import annotations

from functools import partial

from trunkline.gateway.asked import Endpoint
from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.pages import Page
from trunkline.gateway.refusals import Fault, tell


def media_pages(dispatch: Dispatch, body: int, upload: int) -> tuple[Page, ...]:
    """Return the rows; a body may have `body` bytes, or `upload` where it may have files in it."""
    rows: tuple[tuple[str, Endpoint, int], ...] = (
        ("audio/speech", "audio", body),
        ("audio/transcriptions", "audio", upload),
        ("audio/translations", "audio", upload),
        ("images/edits", "images", upload),
        ("images/generations", "images", body),
        ("rerank", "rerank", body),
    )
    none = Page("POST", "/v1/images/variations", "key", _no_variations, "images", body=upload)
    return none, *[
        Page(
            "POST",
            f"/v1/{path}",
            "key",
            partial(dispatch.media, path),
            endpoint,
            body=most,
            pieces=most == upload,
        )
        for path, endpoint, most in rows
    ]


def _no_variations(exchange: Exchange) -> None:
    message = (
        "Variations are not served: no provider makes them. Use /v1/images/edits with a prompt."
    )
    tell(exchange, Fault(404, "not_found", message))
