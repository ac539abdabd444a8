"""Which carrier takes a call that the SDK carries, by what is asked for. Loaded with the first of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from trunkline.dialects.openai_audio_server import HearingRequest, SpeechRequest
from trunkline.dialects.openai_images_server import ImagesRequest
from trunkline.dialects.openai_videos_server import VideoRequest
from trunkline.dialects.rerank_server import RankRequest
from trunkline.gateway.asks import Manner
from trunkline.gateway.call import Call
from trunkline.gateway.configured import Configured
from trunkline.gateway.translated import Means, Translated
from trunkline.gateway.translated_media import Hearing, Pictures, Ranking, Speech
from trunkline.gateway.translated_texts import Texts
from trunkline.gateway.translated_videos import Videos

_CARRIERS: dict[type[Any], type[Translated]] = {
    HearingRequest: Hearing,
    ImagesRequest: Pictures,
    RankRequest: Ranking,
    SpeechRequest: Speech,
    VideoRequest: Videos,
}


def carry(call: tuple[Any, ...], configured: Configured, seal: bytes) -> Call:
    """Return what carries a call, which is as Call takes it."""
    carrier = _CARRIERS.get(type(call[2].wish), Texts)
    means = Means(configured.client, partial(manner_of, configured), seal)
    return carrier(*call, means=means)


def manner_of(configured: Configured, upstream: str) -> Manner:
    """Return how calls to an upstream are made."""
    config = configured.loaded.config
    row, edge = config.upstreams.get(upstream), config.edge
    if row is None or row.kind == "huggingface":
        return Manner(None, False, edge.fetch_urls, edge.file_bytes)
    return Manner(row.base_url, row.kind == "openai", edge.fetch_urls, edge.file_bytes)
