"""One answer: asked for, shown while it comes, and stopped by Ctrl-C without losing what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.cli.inert import inert_line
from trunkline.cli.report import note
from trunkline.cli.screen import Screen
from trunkline.client import Client
from trunkline.streams import Stream
from trunkline.types import Completion, Receipt

_ENDINGS = {
    "length": "The answer was cut off at its limit of tokens (--max-tokens).",
    "content_filter": "The provider's filter ended the answer.",
}


class Asking(msgspec.Struct, frozen=True):
    """How a model is asked, for every turn."""

    model: str
    parameters: Mapping[str, Any] = {}
    streamed: bool = True
    plain: bool = False
    receipt: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What came of a turn."""

    completion: Completion | None
    """None where nothing had come before it was stopped."""
    interrupted: bool = False

    @property
    def text(self) -> str:
        """What the model said."""
        return self.completion.text if self.completion else ""


def ask(client: Client, asking: Asking, messages: list[Any]) -> Answer:
    """Ask, show the answer as it comes and return it; Ctrl-C ends the answer only.

    Raises APIError, once what came before it has been shown.
    """
    screen = Screen(plain=asking.plain)
    try:
        answer = _listen(client, asking, messages, screen)
    finally:
        screen.finish()
    _remark(answer, receipt=asking.receipt)
    return answer


def fetch(client: Client, asking: Asking, messages: list[Any]) -> Completion:
    """Ask and return the whole answer without showing it; raises APIError."""
    if not asking.streamed:
        completion: Completion = client.chat(asking.model, messages, **asking.parameters)
        return completion
    with client.stream(asking.model, messages, **asking.parameters) as stream:
        return stream.collect()


def footer(receipt: Receipt) -> str:
    """Return a receipt as one line."""
    said = [inert_line(receipt.provider or "unknown provider")]
    if len(receipt.attempts) > 1:
        said.append(f"{len(receipt.attempts)} attempts")
    if receipt.time_to_first_token is not None:
        said.append(f"first token {receipt.time_to_first_token:.2f} s")
    said.append(f"{receipt.total_time:.2f} s")
    tokens = receipt.tokens
    about = "about " if tokens.source == "estimated" else ""
    counts = [
        f"{about}{count} {name}"
        for count, name in ((tokens.input, "in"), (tokens.output, "out"))
        if count is not None
    ]
    said.append(f"tokens {' + '.join(counts)}" if counts else "tokens unknown")
    if receipt.call_id is not None:
        said.append(receipt.call_id)
    return " · ".join(said)


def _listen(client: Client, asking: Asking, messages: list[Any], screen: Screen) -> Answer:
    stream: Stream | None = None
    try:
        if not asking.streamed:
            completion = client.chat(asking.model, messages, **asking.parameters)
            screen.think(completion.reasoning or "")
            screen.write(completion.text)
            return Answer(completion)
        stream = client.stream(asking.model, messages, **asking.parameters)
        for chunk in stream:
            for choice in chunk.choices[:1]:
                screen.think(choice.delta.reasoning or "")
                screen.write(choice.delta.content or "")
        return Answer(stream.completion)
    except KeyboardInterrupt:
        return Answer(stream.completion if stream else None, interrupted=True)
    finally:
        if stream is not None:
            stream.close()


def _remark(answer: Answer, *, receipt: bool) -> None:
    """Say beside the answer how it ended, where that is not plain to see."""
    if answer.interrupted:
        note("[interrupted]")
    completion = answer.completion
    if completion is None:
        return
    choice = completion.choices[0] if completion.choices else None
    reason = choice.finish_reason if choice else None
    if choice and choice.message.refusal:
        note(f"The model refused: {inert_line(choice.message.refusal)}")
    elif not answer.text and not answer.interrupted:
        note(f"The model said nothing (finish reason: {inert_line(reason or 'none given')}).")
    if reason in _ENDINGS:
        note(_ENDINGS[reason])
    if receipt and completion.receipt:
        note(footer(completion.receipt))
