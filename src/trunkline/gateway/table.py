"""The gateway's pages, a row each: who may ask for what."""

from __future__ import annotations

from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.listing import Listing
from trunkline.gateway.pages import ANONYMOUS_BYTES, Page, Rule, Serve


def page_table(
    dispatch: Dispatch, listing: Listing, admin: Serve, *, body: int, metrics: Rule
) -> list[Page]:
    """Return the rows; calls may have bodies of `body` bytes, and `metrics` says who sees numbers."""
    return [
        Page("POST", "/v1/chat/completions", "key", dispatch.chat, "chat", body=body),
        Page("POST", "/v1/completions", "key", dispatch.completions, "completions", body=body),
        Page("POST", "/v1/embeddings", "key", dispatch.embeddings, "embeddings", body=body),
        Page("GET", "/v1/models", "key", listing.models, "models"),
        Page("GET", "/v1/models", "key", listing.model, "models", below=True),
        Page("GET", "/health/live", "public", listing.live),
        Page("GET", "/health/ready", "public", listing.ready),
        Page("GET", "/metrics", metrics, listing.metrics),
        *[
            Page(method, "/admin", "staff", admin, below=True, body=ANONYMOUS_BYTES)
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        ],
    ]
