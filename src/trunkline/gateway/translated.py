"""A call whose target speaks another dialect than the client: the SDK carries it, and we write its answer.

So it is with embeddings and text completions of Hugging Face's models: the router's unified route only
chats, and each provider has its own path, body and name of the model for the rest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from trunkline import errors
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
from trunkline.errors import APIError
from trunkline.gateway import quote
from trunkline.gateway.asked import Endpoint
from trunkline.gateway.call import FREE, MOVING, Call, may_have_run
from trunkline.gateway.plans import Target
from trunkline.gateway.refusals import EVENTS, JSON, STOPPING, in_band, tell
from trunkline.gateway.tokens import Tokens

if TYPE_CHECKING:
    from trunkline.client import AsyncClient
    from trunkline.types import Receipt, Usage

Wish = EmbeddingsRequest | CompletionsRequest
_log = logging.getLogger(__name__)


def read_wish(data: bytes, endpoint: Endpoint) -> Wish:
    """Read a request that has to be translated; raises RequestError."""
    return read_embeddings(data) if endpoint == "embeddings" else read_completions(data)


class Translated(Call):
    """Carries one call in a task of its own."""

    _task: asyncio.Task[None] | None = None
    _target: Target | None = None
    _said = 0
    """Bytes of text that a stream has delivered."""
    _flowing: asyncio.Event | None = None
    _streaming = False
    """Whether something of a stream has gone to the client."""

    def __init__(self, *call: Any, client: Callable[[str], AsyncClient]) -> None:
        """As Call; `client` gives the SDK's client of an upstream."""
        super().__init__(*call)
        self._client = client

    def send(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._carry())

    async def _carry(self) -> None:
        at: int | None = 0
        while at is not None:
            target = self._target = self.plan.targets[at]
            self._begin(target)
            try:
                await self._ask(target)
            except APIError as error:
                self.desk.attempted(target.upstream, type(error).__name__)
                if isinstance(error, errors.AuthenticationError):
                    self.desk.refused(target.upstream, error.message)
                moves = isinstance(error, MOVING) and not self.exchange.begun
                at = await self._next(at) if moves else None
                if at is None:
                    self._failed(error, target)
                continue
            except Exception:
                _log.exception(
                    "a call could not be translated", extra={"request_id": self.entry.id}
                )
                failed = errors.InternalServerError("The gateway failed.", status=500)
                self._failed(failed, target, ours=True)
            return

    async def _next(self, at: int) -> int | None:
        """Return the next target that lets the call in; None where there is none."""
        found: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def go_on(index: int | None) -> None:
            if not found.done():
                found.set_result(index)

        self.move(at + 1, go_on, partial(go_on, None))
        return await found

    def _begin(self, target: Target) -> None:
        entry = self.entry
        entry.attempts += 1
        entry.upstream, entry.target_model = target.upstream, target.model
        entry.provider = target.provider

    async def _ask(self, target: Target) -> None:
        wish: Wish = self.asked.wish
        client = self._client(target.upstream)
        name = target.model if target.pool is None else f"openai/{target.model}"
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

    def _settle_ok(self, tokens: Tokens, *, estimated: bool) -> None:
        target = self._target
        if target is not None:
            tariff = target.tariff_of(self.entry.provider)
            self.settle(200, "ok", tokens, tariff, estimated=estimated)

    def _pass_on(self, data: bytes) -> None:
        if self.exchange.begun:
            self.exchange.send(data)
        else:
            self._streaming = True
            self.exchange.begin_bytes(200, self.lines(EVENTS), data)
        self.keep(data)

    def _failed(self, error: APIError, target: Target, *, ours: bool = False) -> None:
        error.provider = error.provider or self.entry.provider
        fault = self.fault_of(error, target)
        if self.exchange.begun:
            self.exchange.end(in_band(self.exchange, fault))
            cut = isinstance(error, errors.APIConnectionError)
            self._settle_partial(200, "truncated" if cut else "failed", fault.code)
            return
        tell(self.exchange, fault)
        answered = error.status is not None and error.status >= 400 and not ours
        if answered and self.entry.first_byte is None:
            self.entry.first_byte = time.time() - self.entry.started
        if answered or 400 <= fault.status < 500 or not may_have_run(error):
            self.settle(fault.status, "refused", Tokens(), FREE, code=fault.code)
        else:
            tariff = target.tariff_of(self.entry.provider)
            self.settle(fault.status, "failed", Tokens(), tariff, code=fault.code)

    # called by the exchange and the edge

    def gone(self) -> None:
        """Hang up: the client has left."""
        if self._task is None:
            self.never_sent()
            return
        self._task.cancel()
        self._settle_partial(499, "cancelled", None)

    def late(self) -> None:
        """Do nothing: the SDK keeps its own times."""

    def drained(self) -> None:
        """End an answer that the gateway cannot wait for."""
        if self.settled:
            return
        self.tell_stopping()
        if self._task is None:
            self.never_sent()
            return
        self._task.cancel()
        self._settle_partial(self.exchange.status, "failed", STOPPING.code)

    def _flow(self, go_on: bool) -> None:  # noqa: FBT001 - the edge calls it so
        if self._flowing is not None:
            (self._flowing.set if go_on else self._flowing.clear)()

    # pieces of the above

    def _settle_partial(self, status: int, outcome: str, code: str | None) -> None:
        """Settle a call that did not end: a stream by what came of it, anything else as unknown."""
        target = self._target or self.plan.targets[0]
        self.desk.attempted(target.upstream, outcome)
        tokens = Tokens()
        if self._streaming:
            tokens = Tokens(quote.text_tokens(self.exchange.size), quote.text_tokens(self._said))
        tariff = target.tariff_of(self.entry.provider)
        self.settle(status, outcome, tokens, tariff, estimated=True, code=code)

    def _tokens(self, usage: Usage | None, said: int) -> tuple[Tokens, bool]:
        """Return the provider's counts, or an estimate, and whether it is one."""
        output = 0 if self.entry.endpoint == "embeddings" else quote.text_tokens(said)
        if usage is None or usage.prompt_tokens is None:
            return Tokens(quote.text_tokens(self.exchange.size), output), True
        told = usage.completion_tokens
        if self.entry.endpoint == "embeddings":
            told = told or 0
        return Tokens(usage.prompt_tokens, told, usage.cached_tokens), False

    def _note(self, receipt: Receipt | None) -> None:
        if receipt is None:
            return
        entry = self.entry
        entry.provider = receipt.provider or entry.provider
        entry.upstream_id = receipt.request_id
        if entry.first_byte is None:
            entry.first_byte = time.time() - entry.started
