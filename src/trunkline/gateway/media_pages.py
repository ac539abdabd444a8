"""The rows of the route table for pictures, sounds, videos and orders of documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.pages import Page
from trunkline.gateway.refusals import Fault, tell
from trunkline.store.records import Endpoint

if TYPE_CHECKING:
    from trunkline.gateway.video_pages import VideoPages


def media_pages(
    dispatch: Dispatch, videos: Callable[[], VideoPages], *, body: int, upload: int
) -> tuple[Page, ...]:
    """Return the rows; a body may have `body` bytes, or `upload` where it may have files in it.

    `videos` gives what answers for videos by their ids.
    """
    rows: tuple[tuple[str, Endpoint, int], ...] = (
        ("audio/speech", "audio", body),
        ("audio/transcriptions", "audio", upload),
        ("audio/translations", "audio", upload),
        ("images/edits", "images", upload),
        ("images/generations", "images", body),
        ("rerank", "rerank", body),
        ("videos", "videos", upload),
    )
    calls = [
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
    none = Page("POST", "/v1/images/variations", "key", _no_variations, "images", body=upload)
    return (*calls, none, *_of_videos(videos, upload))


def _of_videos(videos: Callable[[], VideoPages], upload: int) -> tuple[Page, ...]:
    at = "/v1/videos"
    return (
        Page("GET", at, "key", _no_list, "videos"),
        Page("GET", at, "key", lambda exchange: videos().get(exchange), "videos", below=True),
        Page("DELETE", at, "key", lambda exchange: videos().delete(exchange), "videos", below=True),
        Page("POST", at, "key", _no_sequel, "videos", below=True, body=upload),
    )


def _no_list(exchange: Exchange) -> None:
    message = "Videos are not listed here: the id that a call gave is all that finds one again."
    tell(exchange, Fault(404, "not_found", message))


def _no_sequel(exchange: Exchange) -> None:
    message = (
        "Videos are neither remixed, edited nor extended here: no provider does that. Make one."
    )
    tell(exchange, Fault(404, "not_found", message))


def _no_variations(exchange: Exchange) -> None:
    message = (
        "Variations are not served: no provider makes them. Use /v1/images/edits with a prompt."
    )
    tell(exchange, Fault(404, "not_found", message))
