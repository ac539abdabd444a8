"""The items of a request to OpenAI's Responses API, as the messages of a chat. For those who answer. Pure.

What a chat cannot hold is refused by the name of its place; nothing is left out in silence but an
earlier answer's reasoning, which chats have no field for that every server takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from trunkline.dialects.openai_rules import RequestError

Message = dict[str, Any]
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""The roles of messages, and what chats call them: not every server knows `developer`."""
_TEXTS = frozenset({"input_text", "output_text"})
_URL = re.compile(r"https?://|data:image/[a-z0-9.+-]+;base64,", re.IGNORECASE)
_DETAILS = ("auto", "high", "low")
MOST_ITEMS = 20_000
"""Items and parts of one request."""
MOST_IMAGES = 500
"""Images in one request, as OpenAI has it."""
LARGEST_IMAGE = 20 * 1024 * 1024
"""Bytes of an image that is in the request itself."""
_SHOWN = 100
"""Characters of a client's word that an error repeats."""


def wrong(at: str, says: str, code: str | None = None) -> RequestError:
    """Return the error for what is wrong at a place of the request."""
    return RequestError(f"'{at}' {says}", param=at, code=code)


def shown(value: Any) -> str:
    """Return a client's word as an error repeats it."""
    if not isinstance(value, str):
        return "without a type" if value is None else f"of type {type(value).__name__}"
    return repr(value[:_SHOWN] + ("…" if len(value) > _SHOWN else ""))


class _Turn:
    """What the model said and called at once, and what came of the calls."""

    def __init__(self, said: Message | None = None) -> None:
        self.message: Message = said or {"role": "assistant"}
        self.places: dict[str, str] = {}
        """Where each call stands, by its id."""
        self.outputs: dict[str, Message] = {}

    def messages(self) -> list[Message]:
        return [self.message, *[self.outputs[call] for call in self.places]]


class _Reader:
    """Reads one request's items in their order."""

    def __init__(self) -> None:
        self._told: list[Message | _Turn] = []
        self._turn: _Turn | None = None
        """The model's turn that the next call belongs to."""
        self._waiting: dict[str, _Turn] = {}
        """Calls without an output so far."""
        self._images = 0
        self._count = 0

    def read(self, items: list[Any]) -> list[Message]:
        for index, item in enumerate(items):
            at = f"input[{index}]"
            self._counted(1, at)
            kind = item.get("type") if isinstance(item, dict) else None
            if isinstance(item, dict) and kind is None and "role" in item:
                kind = "message"
            read = _ITEMS.get(kind) if isinstance(kind, str) else None
            if read is None:
                raise self._unknown(at, item, kind)
            read(self, item, at)
        for call, turn in self._waiting.items():
            raise wrong(
                turn.places[call], f"has no function_call_output for the call {shown(call)}."
            )
        return [
            message
            for told in self._told
            for message in (told.messages() if isinstance(told, _Turn) else [told])
        ]

    def _counted(self, more: int, at: str) -> None:
        self._count += more
        if self._count > MOST_ITEMS:
            raise wrong(at, f"is too much: {MOST_ITEMS} items and parts may be sent at once.")

    @staticmethod
    def _unknown(at: str, item: Any, kind: Any) -> RequestError:
        if not isinstance(item, dict):
            return wrong(at, "must be an object.")
        return wrong(
            at,
            f"is an item {shown(kind)}, which a chat cannot hold, and the target of this model "
            f"is asked by chats. It takes {', '.join(sorted(_ITEMS.keys() - {'item_reference'}))}.",
            "unsupported_value",
        )

    def message(self, item: Message, at: str) -> None:
        role = item.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise wrong(f"{at}.role", f"must be one of {', '.join(_ROLES)}.")
        content = item.get("content")
        if role == "assistant":
            if isinstance(content, list):
                self._counted(len(content), f"{at}.content")
            self._turn = _Turn(_said(content, f"{at}.content"))
            self._told.append(self._turn)
            return
        self._turn = None
        self._told.append(
            {"role": _ROLES[role], "content": self.content(content, f"{at}.content", _PARTS)}
        )

    def call(self, item: Message, at: str) -> None:
        call = _text(item, "call_id", at)
        function = {"name": _text(item, "name", at), "arguments": _text(item, "arguments", at)}
        if not call or not function["name"]:
            raise wrong(f"{at}.{'name' if call else 'call_id'}", "must not be empty.")
        if call in self._waiting:
            raise wrong(f"{at}.call_id", f"{shown(call)} is that of a call before, too.")
        turn = self._turn
        if turn is None or call in turn.places:
            turn = self._turn = _Turn()
            self._told.append(turn)
        turn.places[call] = at
        self._waiting[call] = turn
        calls = turn.message.setdefault("tool_calls", [])
        calls.append({"id": call, "type": "function", "function": function})

    def output(self, item: Message, at: str) -> None:
        call = _text(item, "call_id", at)
        turn = self._waiting.pop(call, None)
        if turn is None:
            raise wrong(
                f"{at}.call_id",
                f"{shown(call)} is that of no function_call before it that still waits for its output.",
            )
        self._turn = None
        output = self.content(item.get("output"), f"{at}.output", _OUTPUTS)
        turn.outputs[call] = {"role": "tool", "tool_call_id": call, "content": output}

    def reasoning(self, item: Message, at: str) -> None:
        """Pass over what an earlier answer thought: no field of a chat has it at every server."""

    def reference(self, item: Message, at: str) -> None:
        raise wrong(
            at,
            f"refers to {shown(item.get('id'))}, and nothing is kept here: send the item itself "
            "(with @ai-sdk/openai: providerOptions.openai.store = false).",
            "unsupported_value",
        )

    def content(self, value: Any, at: str, parts: dict[str, _ReadPart]) -> Any:
        """Read text or parts; a single text is told as text, which every server takes."""
        if isinstance(value, str):
            return value
        if not isinstance(value, list) or not value:
            raise wrong(at, "must be text or a list of parts.")
        self._counted(len(value), at)
        read = [self._part(part, f"{at}[{index}]", parts) for index, part in enumerate(value)]
        return read[0]["text"] if len(read) == 1 and read[0]["type"] == "text" else read

    def _part(self, part: Any, at: str, parts: dict[str, _ReadPart]) -> Message:
        if not isinstance(part, dict):
            raise wrong(at, "must be an object with a type.")
        kind = part.get("type")
        read = parts.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise wrong(
                f"{at}.type",
                f"is {shown(kind)}, which a chat cannot hold there. It takes {', '.join(parts)}.",
                "unsupported_value",
            )
        return read(self, part, at)

    def text(self, part: Message, at: str) -> Message:
        return {"type": "text", "text": _text(part, "text", at)}

    def image(self, part: Message, at: str) -> Message:
        url, detail = part.get("image_url"), part.get("detail")
        if part.get("file_id") is not None:
            raise wrong(
                f"{at}.file_id", "is of no use: no files are kept here. Send 'image_url'.",
                "unsupported_value",
            )  # fmt: skip
        if not isinstance(url, str) or not _URL.match(url):
            raise wrong(f"{at}.image_url", "must be an http(s) URL or data:image/...;base64,...")
        self._images += 1
        if self._images > MOST_IMAGES:
            raise wrong(at, f"is one image too many: {MOST_IMAGES} may be sent at once.")
        if url[:5].lower() == "data:" and len(url) * 3 // 4 > LARGEST_IMAGE:
            raise wrong(
                f"{at}.image_url",
                f"has more than {LARGEST_IMAGE >> 20} MiB. Send a smaller image, or its URL.",
                "image_too_large",
            )
        if detail is not None and detail not in _DETAILS:
            raise wrong(f"{at}.detail", f"must be one of {', '.join(_DETAILS)}.")
        image = {"url": url} if detail in (None, "auto") else {"url": url, "detail": detail}
        return {"type": "image_url", "image_url": image}

    def file(self, part: Message, at: str) -> Message:
        if part.get("file_url") is not None:
            raise wrong(
                f"{at}.file_url", "cannot be said in a chat. Send 'file_data'.",
                "unsupported_value",
            )  # fmt: skip
        names = ("file_data", "file_id", "filename")
        file = {name: _text(part, name, at) for name in names if part.get(name) is not None}
        if "file_data" not in file and "file_id" not in file:
            raise wrong(f"{at}.file_data", "is missing.")
        return {"type": "file", "file": file}

    def audio(self, part: Message, at: str) -> Message:
        sound = part.get("input_audio")
        if not isinstance(sound, dict):
            raise wrong(f"{at}.input_audio", "must be an object with data and format.")
        kept = {name: _text(sound, name, f"{at}.input_audio") for name in ("data", "format")}
        return {"type": "input_audio", "input_audio": kept}


def _said(content: Any, at: str) -> Message:
    """Return what an earlier answer said, as one text: few servers take parts from the model."""
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    if not isinstance(content, list):
        raise wrong(at, "must be text or a list of parts.")
    texts: list[str] = []
    refusals: list[str] = []
    for index, part in enumerate(content):
        place = f"{at}[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "refusal":
            refusals.append(_text(part, "refusal", place))
        elif isinstance(kind, str) and kind in _TEXTS:
            texts.append(_text(part, "text", place))
        else:
            raise wrong(f"{place}.type", f"is {shown(kind)}, and must be output_text or refusal.")
    said: Message = {"role": "assistant"}
    if texts or not refusals:
        said["content"] = "".join(texts)
    return {**said, "refusal": "".join(refusals)} if refusals else said


def _text(item: Message, name: str, at: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise wrong(f"{at}.{name}", "is missing." if value is None else "must be text.")
    return value


_ReadPart = Callable[[_Reader, Message, str], Message]
_PARTS: dict[str, _ReadPart] = {
    "input_text": _Reader.text,
    "output_text": _Reader.text,
    "input_image": _Reader.image,
    "input_file": _Reader.file,
    "input_audio": _Reader.audio,
}
_OUTPUTS: dict[str, _ReadPart] = {"input_text": _Reader.text, "output_text": _Reader.text}
"""What the messages of tools may have in a chat."""
_ITEMS: dict[str, Callable[[_Reader, Message, str], None]] = {
    "message": _Reader.message,
    "function_call": _Reader.call,
    "function_call_output": _Reader.output,
    "reasoning": _Reader.reasoning,
    "item_reference": _Reader.reference,
}


def read_input(value: Any) -> list[Message]:
    """Return a request's input as messages; raises RequestError, naming the place."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise wrong("input", "must be text or a list with at least one item.")
    return _Reader().read(value)
