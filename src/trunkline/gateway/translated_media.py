"""Pictures, sounds and orders of documents, which the SDK carries: a carrier each.

What a provider does not say of tokens is unknown: nothing of this is estimated.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from trunkline.dialects.openai_audio_server import HearingRequest, SpeechRequest, hearing_body
from trunkline.dialects.openai_images_server import ImagesRequest, images_body
from trunkline.dialects.rerank_server import RankRequest, rerank_body
from trunkline.errors import APIError, ModelNotSupportedError
from trunkline.gateway.asks import Asking, Manner, Wished, asking, asking_after
from trunkline.gateway.plans import Target
from trunkline.gateway.refusals import JSON
from trunkline.gateway.tokens import Tokens, read_task_usage
from trunkline.gateway.translated import Translated
from trunkline.media.data_urls import media_type_in
from trunkline.types.job import Job, JobProgress
from trunkline.types.media import Media

_log = logging.getLogger(__name__)
_farewells: set[asyncio.Task[None]] = set()
"""Jobs that are being cancelled; a loop keeps no hold of its tasks."""


class Made(Translated):
    """Carries a call that may be a job at its provider."""

    _job: Job | None = None

    def _ways(self, target: Target, manner: Manner) -> list[Asking]:
        """Return how to ask; the next way is for models that are served for another task."""
        raise NotImplementedError

    def _answer(self, result: Any) -> Tokens:
        """Answer the client and return the tokens that were told; raises APIError."""
        raise NotImplementedError

    async def _ask(self, target: Target) -> None:
        manner = self.means.manner(target.upstream)
        ways = self._ways(target, manner)
        first: ModelNotSupportedError | None = None
        for way in ways:
            try:
                result = await self._carried(target, way)
            except ModelNotSupportedError as error:
                first = first or error
                if error.attempts:
                    break
            else:
                self._answered(result)
                return
        if first is not None:
            raise first

    def _answered(self, result: Any) -> None:
        self._settle_ok(self._answer(result), estimated=False)

    def _whole(self, data: bytes, kind: str | None = None) -> None:
        """Answer with JSON, or with a file of the media type `kind`."""
        self.exchange.answer_ok(self.lines(JSON if kind is None else kind_line(kind)), data)

    def _progress(self, told: JobProgress) -> None:
        self._job = told.job

    def _left(self) -> None:
        """Cancel the job: whoever wanted it is gone."""
        job, target = self._job, self._target
        if job is not None and target is not None:
            task = asyncio.get_running_loop().create_task(self._cancelled(job, target))
            _farewells.add(task)
            task.add_done_callback(_farewells.discard)

    async def _cancelled(self, job: Job, target: Target) -> None:
        ask = asking_after(self.means.manner(target.upstream), job, "cancel")
        try:
            await self.means.client(target.upstream).carry_out(ask)
        except APIError as error:
            _log.info("a job was not cancelled", extra={"reason": error.message[:200]})


class Pictures(Made):
    """Carries a request for pictures, new ones or changed ones."""

    def _ways(self, target: Target, manner: Manner) -> list[Asking]:
        wish: ImagesRequest = self.asked.wish
        tasks = ("image-to-image", "image-text-to-image") if wish.images else ("text-to-image",)
        return [self._asking(wish, task, target, manner) for task in tasks]

    def _asking(self, wish: ImagesRequest, task: str, target: Target, manner: Manner) -> Asking:
        parameters = dict(wish.parameters)
        if wish.size is not None:
            sides = dict(zip(("width", "height"), wish.size, strict=True))
            parameters |= {"target_size": sides} if wish.images else sides
        if wish.mask is not None:
            parameters["mask"] = wish.mask
        inputs: Any = wish.prompt
        if wish.images:
            inputs, *others = wish.images
            parameters["prompt"] = wish.prompt
            if others:
                parameters["more_images"] = tuple(others)
        return asking(
            manner,
            Wished(
                task,
                target.sdk_name,
                inputs,
                parameters,
                wish.extra,
                download=wish.form != "url",
                tell=self._progress,
            ),
        )

    def _answer(self, result: Any) -> Tokens:
        wish: ImagesRequest = self.asked.wish
        self._whole(images_body(result, wish.form, int(time.time())))
        return read_task_usage(result.extra.get("usage"))


class Speech(Made):
    """Carries a text to be said aloud."""

    def _ways(self, target: Target, manner: Manner) -> list[Asking]:
        wish: SpeechRequest = self.asked.wish
        name, tell = target.sdk_name, self._progress
        wished = Wished("text-to-speech", name, wish.text, wish.parameters, wish.extra, tell=tell)
        return [asking(manner, wished)]

    def _answer(self, result: Any) -> Tokens:
        sound: Media = result
        self._whole(sound.bytes, sound.media_type or "application/octet-stream")
        return Tokens()


class Hearing(Made):
    """Carries a recording to be written down, or translated."""

    def _ways(self, target: Target, manner: Manner) -> list[Asking]:
        wish: HearingRequest = self.asked.wish
        parameters = dict(wish.parameters)
        if wish.translate:
            parameters["translate"] = True
        wished = Wished(
            "automatic-speech-recognition",
            target.sdk_name,
            wish.sound,
            parameters,
            wish.extra,
            tell=self._progress,
        )
        return [asking(manner, wished)]

    def _answer(self, result: Any) -> Tokens:
        wish: HearingRequest = self.asked.wish
        body, kind = hearing_body(result, wish.form)
        self._whole(body, kind)
        self.keep(body)
        return read_task_usage(result.extra.get("usage"))


class Ranking(Made):
    """Carries documents to be put in order."""

    def _ways(self, target: Target, manner: Manner) -> list[Asking]:
        wish: RankRequest = self.asked.wish
        inputs = {"query": wish.query, "texts": list(wish.documents)}
        parameters = {"top_n": wish.top_n}
        wished = Wished("text-ranking", target.sdk_name, inputs, parameters, wish.extra)
        return [asking(manner, wished)]

    def _answer(self, result: Any) -> Tokens:
        wish: RankRequest = self.asked.wish
        body = rerank_body(result, wish, self.entry.id)
        self._whole(body)
        self.keep(body)
        meta = result.meta or {}
        told = read_task_usage(result.extra.get("usage") or meta.get("tokens"))
        return Tokens(told.input, told.output or 0) if told.input is not None else told


def kind_line(kind: str) -> bytes:
    """Return the header line of a file's media type, whatever a provider called it."""
    plain = kind if kind.startswith("text/plain") else media_type_in(kind)
    return b"content-type: %b\r\n" % (plain or "application/octet-stream").encode("ascii")
