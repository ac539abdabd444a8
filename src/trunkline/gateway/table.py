"""The gateway's pages, a row each: who may ask for what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.hf_pages import hf_error
from trunkline.gateway.hf_routes import PREFIX
from trunkline.gateway.listing import Listing
from trunkline.gateway.media_pages import media_pages
from trunkline.gateway.messages import Messages, error_body
from trunkline.gateway.pages import ANONYMOUS_BYTES, Page, Rule, Serve

if TYPE_CHECKING:
    from trunkline.gateway.video_pages import VideoPages


class Sizes(msgspec.Struct, frozen=True):
    """Bytes that a request's body may have."""

    body: int
    upload: int
    """Where it may have files in it."""


def page_table(  # noqa: PLR0913 - there is a row for each of them
    dispatch: Dispatch,
    listing: Listing,
    admin: Serve,
    hf: Serve,
    videos: Callable[[], VideoPages],
    *,
    sizes: Sizes,
    metrics: Rule,
) -> list[Page]:
    """Return the rows; `metrics` says who sees numbers."""
    body = sizes.body
    messages = Messages(dispatch)
    rows = [
        Page("POST", "/v1/chat/completions", "key", dispatch.chat, "chat", body=body),
        Page("POST", "/v1/completions", "key", dispatch.completions, "completions", body=body),
        Page("POST", "/v1/embeddings", "key", dispatch.embeddings, "embeddings", body=body),
        Page("POST", "/v1/responses", "key", dispatch.responses, "responses", body=body),
        *media_pages(dispatch, videos, body=body, upload=sizes.upload),
        _of_messages("", messages.take, body),
        _of_messages("/count_tokens", messages.count, body),
        Page("GET", "/v1/models", "key", listing.models, "models", api_key=True),
        Page("GET", "/v1/models", "key", listing.model, "models", below=True, api_key=True),
        Page("GET", "/health/live", "public", listing.live),
        Page("GET", "/health/ready", "public", listing.ready),
        Page("GET", "/metrics", metrics, listing.metrics),
        *[
            Page(method, "/admin", "staff", admin, below=True, body=ANONYMOUS_BYTES)
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        ],
    ]
    return [*rows, *_below_hf(rows), *_hf_rows(hf, sizes.upload)]


def _below_hf(rows: list[Page]) -> list[Page]:
    """Return the rows of `/v1` once more, where clients of the router look for them."""
    return [
        msgspec.structs.replace(row, path=PREFIX + row.path)
        for row in rows
        if row.path.startswith("/v1/")
    ]


def _hf_rows(hf: Serve, upload: int) -> list[Page]:
    sizes = {"GET": 0, "POST": upload, "PUT": ANONYMOUS_BYTES}
    return [
        Page(method, PREFIX, "key", hf, "hf", below=True, body=size, error_body=hf_error)
        for method, size in sizes.items()
    ]


def _of_messages(path: str, serve: Serve, body: int) -> Page:
    return Page(
        "POST",
        f"/v1/messages{path}",
        "key",
        serve,
        "messages",
        body=body,
        error_body=error_body,
        api_key=True,
        id_header=b"request-id",
    )
