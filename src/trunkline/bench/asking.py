"""The calls of a run: which there are, in which order, and each carried out as a user would.

A call is a stream at temperature 0, tried once: a failure is a failure here, not retried away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from trunkline.bench.judging import wrong_with
from trunkline.bench.prompts import Prompt
from trunkline.bench.spending import Purse, bounds, pricing_of
from trunkline.bench.values import Answer, Call, Place, Sample, Settings
from trunkline.catalog import Catalog, Offer, cost
from trunkline.client import AsyncClient
from trunkline.errors import APIError, AuthenticationError, InvalidResponseError
from trunkline.routing.moving import outcome_of
from trunkline.streams import AsyncStream
from trunkline.types import Chunk, Completion
from trunkline.types.parameters import ChatParameters
from trunkline.types.secret_shapes import Secrets

_BEYOND = 2
"""How many times `max_tokens` pieces an answer may have before it is hung up on: they cost money."""
_FEW = 16
"""Tokens of an answer below which its speed is chance."""

Told = Callable[[Sample], object]
"""Is told of each call that has ended."""


class Plan(msgspec.Struct, frozen=True):
    """All that a run asks."""

    model: str
    offers: tuple[Offer, ...]
    prompts: tuple[Prompt, ...]
    settings: Settings
    catalog: Catalog
    assumed: Decimal | None = None
    """Dollars for a million tokens that an unknown price is taken for."""


class Step(msgspec.Struct, frozen=True):
    """One call that is to be made."""

    offer: Offer
    prompt: Prompt
    run: int
    most: Decimal
    likely: Decimal


def steps(plan: Plan) -> Iterator[Step]:
    """Return the calls: each prompt at every place before the next, so that all see the same hour."""
    for run in range(plan.settings.runs):
        for prompt in plan.prompts:
            for offer in plan.offers:
                pricing = pricing_of(offer, plan.assumed)
                if pricing is None or not takes(offer, prompt):
                    continue
                bound = bounds(prompt, plan.settings.max_tokens, pricing)
                yield Step(offer, prompt, run, bound.most, bound.likely)


def takes(offer: Offer, prompt: Prompt) -> bool:
    """Tell whether the catalog does not say that a place cannot take a prompt."""
    return not (
        (prompt.tools and offer.supports_tools is False)
        or (prompt.response_format and offer.supports_structured_output is False)
        or (offer.context_length is not None and prompt.context > offer.context_length)
    )


def places(plan: Plan, left_out: Iterable[tuple[Offer, str]]) -> tuple[Place, ...]:
    """Return the places of a run as its report has them."""
    rows = [*((offer, None) for offer in plan.offers), *left_out]
    return tuple(
        Place(
            offer.provider,
            Decimal(0) if offer.is_free else offer.pricing.input,
            Decimal(0) if offer.is_free else offer.pricing.output,
            offer.context_length,
            offer.supports_tools,
            offer.supports_structured_output,
            why,
        )
        for offer, why in rows
    )


class Asker:
    """Makes the calls of a plan, so many at a time, as long as the purse lasts."""

    def __init__(self, client: AsyncClient, plan: Plan, purse: Purse, told: Told) -> None:
        """Take what is needed; nothing is sent yet."""
        self._client = client
        self._plan = plan
        self._purse = purse
        self._told = told
        self._began = time.perf_counter()
        self._settled = asyncio.Condition()
        self._under_way = 0
        self._ended = False
        self._strangers: set[str] = set()
        self.samples: list[Sample] = []
        """What has come, also when it is left early."""
        self.unasked = 0
        """Calls that the purse did not allow."""

    async def ask(self, wanted: Sequence[Step]) -> None:
        """Make the calls; a task for each that may be under way at once.

        Raises AuthenticationError where every place refuses the token, before anybody has answered; any
        other failure of a call is a sample.
        """
        waiting = iter(wanted)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._plan.settings.concurrency, len(wanted))):
                    group.create_task(self._work(waiting))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _work(self, waiting: Iterator[Step]) -> None:
        for step in waiting:  # shared: each step is taken once
            if not await self._allowed(step):
                self.unasked += 1
                continue
            spent: Decimal | None = None
            try:
                sample = await self._call(step)
                spent = sample.cost
            finally:  # cancelled, too: what it came to is then not known
                await self._settle(step, spent)
            self.samples.append(sample)
            self._told(sample)

    async def _allowed(self, step: Step) -> bool:
        """Reserve what a call can cost; wait for others to settle while that may make room.

        Once the purse does not suffice nothing more is asked, were it cheaper: places are to be asked
        alike.
        """
        async with self._settled:
            while not self._ended and not self._purse.hold(step.most):
                self._ended = not self._under_way
                if not self._ended:
                    await self._settled.wait()
            if self._ended:
                self._settled.notify_all()
                return False
            self._under_way += 1
            return True

    async def _settle(self, step: Step, spent: Decimal | None) -> None:
        self._under_way -= 1
        self._purse.settle(step.most, spent)
        async with self._settled:
            self._settled.notify_all()

    async def _call(self, step: Step) -> Sample:
        began = time.perf_counter()
        start = began - self._began
        model = f"huggingface/{step.offer.provider}/{self._plan.model}"
        first: float | None = None
        said, limit = 0, _BEYOND * self._plan.settings.max_tokens
        blank = Sample(step.offer.provider, step.prompt.name, step.run, start, 0.0)
        try:
            stream = self._client.stream(
                model, list(step.prompt.messages), **_parameters(step.prompt, self._plan.settings)
            )
            async with stream:
                async for chunk in stream:
                    if not _says(chunk):
                        continue
                    said += 1
                    if first is None:
                        first = time.perf_counter() - began
                    if said > limit:
                        raise InvalidResponseError("It went on far beyond max_tokens.")
            seconds = time.perf_counter() - began
        except APIError as error:
            self._refuse(step, error)
            ended = msgspec.structs.replace(
                blank, seconds=time.perf_counter() - began, first_token=first
            )
            return _failed(ended, error)
        timed = msgspec.structs.replace(blank, seconds=seconds, first_token=first)
        return self._answered(timed, step, stream)

    def _refuse(self, step: Step, error: APIError) -> None:
        """Raise once every place has refused the token: no other call would fare better."""
        if isinstance(error, AuthenticationError):
            self._strangers.add(step.offer.provider)
            answered = any(sample.error is None for sample in self.samples)
            if len(self._strangers) == len(self._plan.offers) and not answered:
                raise error

    def _answered(self, timed: Sample, step: Step, stream: AsyncStream) -> Sample:
        whole = stream.completion
        answer = _answer(whole)
        receipt = whole.receipt
        priced = cost(whole, self._plan.catalog, model=self._plan.model)
        told = None if receipt is None else receipt.tokens
        output = None if told is None else told.output
        expect = step.prompt.expect
        judged = expect is not None and not answer.ran_out
        return msgspec.structs.replace(
            timed,
            throughput=_throughput(timed, output),
            input_tokens=None if told is None else told.input,
            output_tokens=output,
            tokens="unknown" if told is None else told.source,
            cost=priced.amount,
            cost_is=priced.detail,
            served_by=None if receipt is None else receipt.provider,
            answer=answer,
            judged=judged,
            wrong=wrong_with(answer, expect) if judged and expect is not None else None,
        )


def _parameters(prompt: Prompt, settings: Settings) -> ChatParameters:
    parameters: ChatParameters = {
        "temperature": 0,
        "max_tokens": settings.max_tokens,
        "max_retries": 0,
        "deadline": settings.timeout,
        "think_tags": True,
    }
    if prompt.tools:
        parameters["tools"] = list(prompt.tools)
    if prompt.tool_choice is not None:
        parameters["tool_choice"] = prompt.tool_choice
    if prompt.response_format is not None:
        parameters["response_format"] = prompt.response_format
    return parameters


def _says(chunk: Chunk) -> bool:
    """Tell whether a chunk brings something of the answer: a role alone is nothing."""
    return any(
        choice.delta.content or choice.delta.reasoning or choice.delta.tool_calls
        for choice in chunk.choices
    )


def _throughput(timed: Sample, output: int | None) -> float | None:
    """Return tokens a second after the first; None where so few tell nothing."""
    if output is None or output < _FEW or timed.first_token is None:
        return None
    seconds = timed.seconds - timed.first_token
    return (output - 1) / seconds if seconds > 0 else None


def _answer(whole: Completion) -> Answer:
    calls = tuple(Call(c.function.name, c.function.arguments) for c in whole.tool_calls)
    finish = whole.choices[0].finish_reason if whole.choices else None
    return Answer(whole.text, calls, finish)


def _failed(ended: Sample, error: APIError) -> Sample:
    free = _why_free(error, ended.first_token)
    return msgspec.structs.replace(
        ended,
        error=type(error).__name__,
        message=Secrets().clean(error.message),
        outcome=outcome_of(error),
        cost=None if free is None else Decimal(0),
        cost_is=free or "It broke off.",
    )


def _why_free(error: APIError, first: float | None) -> str | None:
    """Return why a call that failed cost nothing; None where nobody knows what it cost."""
    if first is not None:
        return None
    if error.status is None:
        return None if error.attempts else "Nothing was sent."
    return "It was refused with a status." if error.status >= 400 else None
