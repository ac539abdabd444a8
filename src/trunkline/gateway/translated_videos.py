"""Videos, which are jobs at their providers: the call ends when one was accepted, and gives out its id."""

from __future__ import annotations

import time
from typing import Any

from trunkline.dialects.openai_videos_server import VideoRequest, VideoTold, video_body
from trunkline.errors import InvalidResponseError
from trunkline.gateway.asks import Asking, Manner, Wished, asking
from trunkline.gateway.plans import Target
from trunkline.gateway.tokens import Tokens
from trunkline.gateway.translated_media import Made
from trunkline.gateway.video_ids import Ticket, write_id
from trunkline.types.job import Job, JobAccepted


class Videos(Made):
    """Carries a request for a video."""

    def _ways(self, target: Target, manner: Manner) -> list[Asking]:
        wish: VideoRequest = self.asked.wish
        first = "text-to-video" if wish.image is None else "image-to-video"
        return [self._asking(wish, task, target, manner) for task in (first, "image-text-to-video")]

    @staticmethod
    def _asking(wish: VideoRequest, task: str, target: Target, manner: Manner) -> Asking:
        parameters, inputs = dict(wish.parameters), wish.image
        if task == "text-to-video":
            wished = Wished(task, target.sdk_name, wish.prompt, parameters, wish.extra, wait=False)
        else:
            parameters["prompt"] = wish.prompt
            wished = Wished(task, target.sdk_name, inputs, parameters, wish.extra, wait=False)
        return asking(manner, wished)

    def _answer(self, result: Any) -> Tokens:
        if not isinstance(result, JobAccepted):
            raise InvalidResponseError("The provider gave no job for the video.")
        told = self._told(result.job)
        body = video_body(told)
        self._whole(body)
        self.keep(body)
        return Tokens()

    def _told(self, job: Job) -> VideoTold:
        wish: VideoRequest = self.asked.wish
        entry, created = self.entry, int(time.time())
        ticket = Ticket(
            entry.key, entry.upstream, job, wish.model, created, wish.size, wish.seconds
        )
        video_id = write_id(self.means.seal, ticket)
        return VideoTold(video_id, wish.model, created, "queued", wish.size, wish.seconds)
