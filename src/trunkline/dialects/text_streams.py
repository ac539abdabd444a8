"""Streams of text completions: OpenAI's `/v1/completions`, and TGI's `/generate_stream`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.dialects.answer_parts import MisfitError
from trunkline.dialects.bodies import merged
from trunkline.dialects.completions import COMPLETIONS, parse_completion
from trunkline.dialects.event_reader import JsonEventReader
from trunkline.dialects.shape import Shape, Wish
from trunkline.dialects.tgi import FINISHES, GENERATE
from trunkline.errors import InvalidResponseError
from trunkline.types.results import TextChoice, TextCompletion
from trunkline.types.usage import Usage

TextReader = JsonEventReader[TextCompletion, TextCompletion]


class _Parts:
    """One choice as its pieces arrive."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.finish: str | None = None
        self.logprobs: list[Any] = []
        self.extra: dict[str, Any] = {}

    def add(self, choice: TextChoice) -> None:
        self.texts.append(choice.text)
        self.finish = choice.finish_reason or self.finish
        self.extra.update(choice.extra)
        if choice.logprobs is not None:
            self.logprobs.append(choice.logprobs)

    def whole(self, index: int) -> TextChoice:
        logprobs = _joined(self.logprobs)
        return TextChoice("".join(self.texts), index, self.finish, logprobs, self.extra)


class _Fold:
    """Pieces added up."""

    def __init__(self) -> None:
        self.first: TextCompletion | None = None
        self.choices: dict[int, _Parts] = {}
        self.usage: Usage | None = None
        self.extra: dict[str, Any] = {}

    def add(self, piece: TextCompletion) -> None:
        self.first = self.first or piece
        self.usage = piece.usage or self.usage
        self.extra.update(piece.extra)
        for choice in piece.choices:
            self.choices.setdefault(choice.index, _Parts()).add(choice)

    def whole(self) -> TextCompletion:
        choices = [self.choices[i].whole(i) for i in sorted(self.choices)]
        first = self.first or TextCompletion([])
        return msgspec.structs.replace(
            first, choices=choices, usage=self.usage, extra=self.extra, receipt=None
        )


class CompletionReader(TextReader):
    """Reads a streamed `/v1/completions`: each event is a completion of a few letters."""

    def __init__(self) -> None:
        """Start a stream."""
        super().__init__()
        self._fold = _Fold()

    def whole(self) -> TextCompletion:
        """Return the whole so far; a choice that has not ended has no finish reason."""
        return self._fold.whole()

    @property
    def finished(self) -> bool:
        """Whether every choice that began has a finish reason, and at least one began."""
        choices = self._fold.choices.values()
        return bool(choices) and all(choice.finish for choice in choices)

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        first = self._fold.choices.get(0)
        return "".join(first.texts) if first else ""

    @property
    def usage(self) -> Usage | None:
        """Token counts, once they have come."""
        return self._fold.usage

    def _read(self, body: dict[str, Any], events: list[TextCompletion]) -> None:
        piece = _piece(body)
        if piece is None:
            return
        self._fold.add(piece)
        if not piece.choices:  # as in a chat's stream, so that choices[0] is safe in every loop
            piece = msgspec.structs.replace(piece, choices=[TextChoice("")])
        self._give(piece, events)


def _piece(body: dict[str, Any]) -> TextCompletion | None:
    """Read one event; None for a keep-alive."""
    choices, usage = body.get("choices"), body.get("usage")
    if not choices:
        if not usage and ("choices" in body or not body):
            return None
        if choices is None and not usage:
            raise InvalidResponseError("An event of the stream has no choices.", body=body)
        body = {**body, "choices": [{"text": ""}]}
    try:
        piece = parse_completion(body, _NO_WISH)
    except MisfitError as error:
        raise InvalidResponseError(
            f"An event of the stream cannot be read: {error}.", body=body
        ) from error
    return piece if choices else msgspec.structs.replace(piece, choices=[])


_NO_WISH = Wish("text-generation", "", "")


class GenerateReader(TextReader):
    """Reads TGI's `/generate_stream`: a token an event, the last with the whole text.

    Special tokens, such as the one that ends a text, are in a piece's `extra` and not in its text.
    """

    def __init__(self) -> None:
        """Start a stream."""
        super().__init__()
        self._fold = _Fold()
        self._generated: str | None = None

    def whole(self) -> TextCompletion:
        """Return the whole so far; its text is the server's own, once that has been told."""
        whole = self._fold.whole()
        if self._generated is None or not whole.choices:
            return whole
        choice = msgspec.structs.replace(whole.choices[0], text=self._generated)
        return msgspec.structs.replace(whole, choices=[choice])

    @property
    def finished(self) -> bool:
        """Whether `generated_text` has been told, which only the last event does."""
        return self._generated is not None

    @property
    def text(self) -> str:
        """The text so far."""
        return self.whole().text

    @property
    def usage(self) -> Usage | None:
        """Token counts, which only details tell."""
        return self._fold.usage

    def _read(self, body: dict[str, Any], events: list[TextCompletion]) -> None:
        if not body:
            return  # a keep-alive
        token, generated = body.get("token"), body.get("generated_text")
        text = token.get("text") if isinstance(token, dict) else None
        if not isinstance(token, dict) or not isinstance(text, str):
            raise InvalidResponseError("An event of the stream has no token.", body=body)
        details = body.get("details")
        details = details if isinstance(details, dict) else {}
        told, count = details.get("finish_reason"), details.get("generated_tokens")
        piece = TextCompletion(
            choices=[
                TextChoice(
                    "" if token.get("special") is True else text,
                    finish_reason=FINISHES.get(told, told) if isinstance(told, str) else None,
                    extra=body,
                )
            ],
            usage=Usage(completion_tokens=count) if type(count) is int else None,
        )
        self._fold.add(piece)
        self._give(piece, events)
        if isinstance(generated, str):
            self._generated = generated
            self._finish_well()


def _joined(pieces: list[Any]) -> Any:
    """Return the logprobs of all pieces as one; their lists follow each other."""
    if not all(isinstance(piece, dict) for piece in pieces):
        return pieces[-1]
    joined: dict[str, Any] = {}
    for piece in pieces:
        for key, value in piece.items():
            before = joined.get(key)
            if isinstance(value, list) and isinstance(before, list):
                before += value
            else:
                joined[key] = list(value) if isinstance(value, list) else value
    return joined or None


class TextStreamForm(msgspec.Struct, frozen=True):
    """How a shape of text-generation is streamed."""

    shape: Shape
    reader: Callable[[], TextReader]
    adds: dict[str, Any]
    """Goes into the body."""
    path: tuple[str, str] = ("", "")
    """An ending of the route's path, and what it is when streaming."""


_FORMS = (
    TextStreamForm(
        COMPLETIONS,
        CompletionReader,
        {"stream": True, "stream_options": {"include_usage": True}},
    ),
    TextStreamForm(GENERATE, GenerateReader, {}, path=("/generate", "/generate_stream")),
)


def stream_form(shape: Shape) -> TextStreamForm | None:
    """Return how a shape is streamed; None for one that is not."""
    return next((form for form in _FORMS if form.shape is shape), None)


def streamed_wish(form: TextStreamForm, wish: Wish) -> Wish:
    """Return what to write for a streamed answer; what the caller adds goes last, as always."""
    return msgspec.structs.replace(wish, extra_body=merged(form.adds, wish.extra_body))
