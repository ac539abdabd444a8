"""Embeddings and continued texts, which the SDK carries: the router's unified route only chats.

Each provider has its own path, body and name of the model for them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trunkline.dialects.openai_tasks_server import (
    DONE_EVENT,
    CompletionsRequest,
    EmbeddingsRequest,
    completion_text_body,
    embeddings_body,
    read_completions,
    read_embeddings,
    text_chunk_event,
    text_usage_event,
)
from trunkline.gateway import quote
from trunkline.gateway.plans import Target
from trunkline.gateway.refusals import EVENTS, JSON
from trunkline.gateway.tokens import Tokens
from trunkline.gateway.translated import Translated
from trunkline.store.records import Endpoint

if TYPE_CHECKING:
    from trunkline.client import AsyncClient
    from trunkline.types import Usage

Wish = EmbeddingsRequest | CompletionsRequest


def read_wish(data: bytes, endpoint: Endpoint) -> Wish:
    """Read a request that has to be translated; raises RequestError."""
    return read_embeddings(data) if endpoint == "embeddings" else read_completions(data)


class Texts(Translated):
    """Carries a request for vectors, or to continue a text."""

    _said = 0
    """Bytes of text that a stream has delivered."""
    _flowing: asyncio.Event | None = None
    _streaming = False
    """Whether something of a stream has gone to the client."""

    async def _ask(self, target: Target) -> None:
        wish: Wish = self.asked.wish
        client, name = self.means.client(target.upstream), target.sdk_name
        if isinstance(wish, EmbeddingsRequest):
            await self._embed(client, name, wish)
        elif wish.stream:
            await self._stream(client, name, wish)
        else:
            await self._complete(client, name, wish)

    async def _embed(self, client: AsyncClient, name: str, wish: EmbeddingsRequest) -> None:
        result = await client.embedding(
            name,
            wish.input,
            dimensions=wish.dimensions,
            user=wish.user,
            extra_body=wish.extra or None,
        )
        self._note(result.receipt)
        body = embeddings_body(result, wish.model, wish.encoding_format)
        told = self._tokens(result.usage, 0)
        self._whole(body, told)

    async def _complete(self, client: AsyncClient, name: str, wish: CompletionsRequest) -> None:
        result = await client.text_completion(
            name, wish.prompt, extra_body=wish.extra or None, **wish.parameters
        )
        self._note(result.receipt)
        said = sum(len(choice.text.encode()) for choice in result.choices)
        self._whole(completion_text_body(result), self._tokens(result.usage, said))

    async def _stream(self, client: AsyncClient, name: str, wish: CompletionsRequest) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.exchange.on_flow = self._flow
        opened = await client.text_completion(
            name, wish.prompt, stream=True, extra_body=wish.extra or None, **wish.parameters
        )
        async with opened as stream:
            self._note(stream.receipt)
            async for piece in stream:
                if any(choice.text or choice.finish_reason for choice in piece.choices):
                    self._said += sum(len(choice.text.encode()) for choice in piece.choices)
                    self._pass_on(text_chunk_event(piece))
                await self._flowing.wait()
            whole = stream.whole
        self._note(whole.receipt)
        tokens, estimated = self._tokens(whole.usage, self._said)
        last = text_usage_event(whole) if wish.wants_usage and whole.usage else b""
        self._pass_on(last + DONE_EVENT)
        self.exchange.end()
        self._settle_ok(tokens, estimated=estimated)

    def _whole(self, body: bytes, told: tuple[Tokens, bool]) -> None:
        tokens, estimated = told
        self.exchange.answer_ok(self.lines(JSON), body)
        self.keep(body)
        self._settle_ok(tokens, estimated=estimated)

    def _pass_on(self, data: bytes) -> None:
        if self.exchange.begun:
            self.exchange.send(data)
        else:
            self._streaming = True
            self.exchange.begin_bytes(200, self.lines(EVENTS), data)
        self.keep(data)

    def _flow(self, go_on: bool) -> None:  # noqa: FBT001 - the edge calls it so
        if self._flowing is not None:
            (self._flowing.set if go_on else self._flowing.clear)()

    def _tokens_so_far(self) -> Tokens:
        if not self._streaming:
            return Tokens()
        return Tokens(quote.text_tokens(self.exchange.size), quote.text_tokens(self._said))

    def _tokens(self, usage: Usage | None, said: int) -> tuple[Tokens, bool]:
        """Return the provider's counts, or an estimate, and whether it is one."""
        output = 0 if self.entry.endpoint == "embeddings" else quote.text_tokens(said)
        if usage is None or usage.prompt_tokens is None:
            return Tokens(quote.text_tokens(self.exchange.size), output), True
        told = usage.completion_tokens
        if self.entry.endpoint == "embeddings":
            told = told or 0
        return Tokens(usage.prompt_tokens, told, usage.cached_tokens), False
