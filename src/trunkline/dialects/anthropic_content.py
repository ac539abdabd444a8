"""The content of Anthropic's messages, as the one who answers: blocks in, a chat's messages out.

What a chat cannot say is refused, and the error names its place (`messages.3.content.1`).
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator
from typing import Any

from trunkline.dialects.openai_rules import RequestError
from trunkline.wire import strict_json

Block = dict[str, Any]
MOST_IMAGE_BYTES = 5 << 20
"""Bytes of one image, as its API has it."""
IMAGE_KINDS = ("image/jpeg", "image/png", "image/gif", "image/webp")
_ROLES = ("user", "assistant", "system")
_NOT_HERE = {
    "document": "is a file that a chat cannot carry; send its text",
    "search_result": "cannot be told to a chat; send it as text",
    "container_upload": "needs a container of Anthropic's",
    "tool_reference": "needs a tool search of Anthropic's",
    "server_tool_use": "is a call of a tool that Anthropic's servers run",
}
"""Kinds of blocks that there are, and why they are not taken."""


def wrong(at: str, message: str) -> RequestError:
    """Return the error for what stands at a place of the request."""
    return RequestError(f"{at}: {message}", param=at)


class Conversation:
    """What a request's messages come to as a chat's."""

    def __init__(self) -> None:
        """Start without a message."""
        self.messages: list[dict[str, Any]] = []
        self.images = 0
        self.image_bytes = 0
        """What the images take of the chat's body: bytes that are not text."""
        self._waiting: dict[str, str] = {}
        """Calls that the next turn has to answer: by id, where they stand."""

    def read(self, system: Any, messages: Any) -> None:
        """Take a whole conversation; raises RequestError."""
        if system is not None:
            self.system([*_blocks(system, "system")])
        if not isinstance(messages, list) or not messages:
            raise wrong("messages", "must be a list with at least one message.")
        for role, at, blocks in _turns(messages):
            self._check_answered(role, at)
            _WRITERS[role](self, blocks)
        self._check_answered("", "messages")

    def _check_answered(self, role: str, at: str) -> None:
        """Refuse a turn that leaves the calls before it without their results."""
        if self._waiting and role != "user":
            self._unanswered(at)

    def _unanswered(self, at: str) -> None:
        ids = ", ".join(self._waiting)
        place = next(iter(self._waiting.values()))
        raise wrong(
            place, f"the tool_use {ids[:200]} has no tool_result in the message after it ({at})."
        )

    # turns, one writer a role

    def user(self, blocks: list[tuple[str, Block]]) -> None:
        """Write a user's turn: results of tools first, as a chat has them, then what was said."""
        parts: list[Block] = []
        for at, block in blocks:
            if block["type"] == "tool_result":
                parts += self._result(at, block)
        if self._waiting:
            self._unanswered(blocks[0][0])
        for at, block in blocks:
            if block["type"] != "tool_result":
                parts += self._parts(at, block)
        if len(parts) == 1 and parts[0]["type"] == "text":
            self.messages.append({"role": "user", "content": parts[0]["text"]})
        elif parts:
            self.messages.append({"role": "user", "content": parts})

    def assistant(self, blocks: list[tuple[str, Block]]) -> None:
        """Write an assistant's turn; what it thought is not sent back, since many servers refuse it."""
        texts: list[str] = []
        calls: list[Block] = []
        for at, block in blocks:
            kind = block["type"]
            if kind == "text":
                texts.append(_text(at, block))
            elif kind == "tool_use":
                calls.append(self._call(at, block))
            elif kind not in ("thinking", "redacted_thinking"):
                raise _refused(at, kind, "an assistant's message")
        message: dict[str, Any] = {"role": "assistant"}
        if any(texts):  # some servers refuse a null here
            message["content"] = "".join(texts)
        if calls:
            message["tool_calls"] = calls
        if len(message) > 1:
            self.messages.append(message)

    def system(self, blocks: list[tuple[str, Block]]) -> None:
        """Write instructions in front of all else, as one message."""
        texts = [_text(at, block, empty=True) for at, block in blocks]
        if self.messages:
            texts.insert(0, self.messages.pop()["content"])
        text = _joined(texts)
        if text:
            self.messages.append({"role": "system", "content": text})

    # blocks

    def _call(self, at: str, block: Block) -> Block:
        name, call_id, given = block.get("name"), block.get("id"), block.get("input")
        if not isinstance(name, str) or not name:
            raise wrong(f"{at}.name", "a tool_use needs the name of its tool.")
        if not isinstance(call_id, str) or not call_id:
            raise wrong(f"{at}.id", "a tool_use needs an id.")
        if not isinstance(given, dict):
            raise wrong(f"{at}.input", "must be an object.")
        if call_id in self._waiting:
            raise wrong(f"{at}.id", f"the tool_use id {call_id[:200]!r} is there twice.")
        self._waiting[call_id] = at
        arguments = strict_json.encode(given).decode()
        return {
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }

    def _result(self, at: str, block: Block) -> list[Block]:
        """Write a tool's message; returns its images, which a chat only has in a user's message."""
        call_id = block.get("tool_use_id")
        if not isinstance(call_id, str):
            raise wrong(f"{at}.tool_use_id", "a tool_result needs the id of its tool_use.")
        if call_id not in self._waiting:
            raise wrong(
                f"{at}.tool_use_id",
                f"no tool_use {call_id[:200]!r} without a result stands in the message before.",
            )
        del self._waiting[call_id]
        content = block.get("content")
        parts: list[Block] = []
        if isinstance(content, str):
            parts = [{"type": "text", "text": content}]
        elif content is not None:
            for place, inner in _blocks(content, f"{at}.content"):
                parts += self._parts(place, inner, empty=True)
        text = _joined([part["text"] for part in parts if part["type"] == "text"])
        if block.get("is_error") is True:
            text = f"Error: {text}" if text else "Error"
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": text})
        images = [part for part in parts if part["type"] != "text"]
        told = {"type": "text", "text": f"Images in the result of {call_id}:"}
        return [told, *images] if images else []

    def _parts(self, at: str, block: Block, *, empty: bool = False) -> list[Block]:
        kind = block["type"]
        if kind == "text":
            return [{"type": "text", "text": _text(at, block, empty=empty)}]
        if kind == "image":
            return [self._image(f"{at}.source", block.get("source"))]
        if kind == "document":
            return list(self._document(at, block))
        raise _refused(at, kind, "a user's message")

    def _image(self, at: str, source: Any) -> Block:
        kind = source.get("type") if isinstance(source, dict) else None
        if kind == "url":
            url = source.get("url")
            if not isinstance(url, str) or not url.startswith(("https://", "http://")):
                raise wrong(f"{at}.url", "must begin with https:// or http://.")
        elif kind == "base64":
            url = _data_url(at, source)
            self.image_bytes += len(url)
        else:
            raise wrong(at, f"must be of type base64 or url{_instead(kind)}.")
        self.images += 1
        return {"type": "image_url", "image_url": {"url": url}}

    def _document(self, at: str, block: Block) -> Iterator[Block]:
        """Write a document of text, below what it is called."""
        citations = block.get("citations")
        if isinstance(citations, dict) and citations.get("enabled"):
            raise wrong(f"{at}.citations", "a chat's answer cannot cite; leave it out.")
        for name in ("title", "context"):
            if isinstance(block.get(name), str) and block[name]:
                yield {"type": "text", "text": block[name]}
        source = block.get("source")
        source = source if isinstance(source, dict) else {}
        kind = source.get("type")
        if kind == "text" and isinstance(source.get("data"), str):
            yield {"type": "text", "text": source["data"]}
        elif kind == "content":
            for place, inner in _blocks(source.get("content"), f"{at}.source.content"):
                yield from self._parts(place, inner)
        else:
            raise wrong(f"{at}.source", f"a document{_instead(kind)} {_NOT_HERE['document']}.")


_WRITERS: dict[str, Callable[[Conversation, list[tuple[str, Block]]], None]] = {
    "user": Conversation.user,
    "assistant": Conversation.assistant,
    "system": Conversation.system,
}


def _turns(messages: list[Any]) -> Iterator[tuple[str, str, list[tuple[str, Block]]]]:
    """Give role, place and blocks of each turn: messages of one role in a row are one.

    Instructions are turns of their own at the beginning alone; later they are the user's.
    """
    role, place = "", ""
    turn: list[tuple[str, Block]] = []
    for index, row in enumerate(messages):
        at = f"messages.{index}"
        told = row.get("role") if isinstance(row, dict) else None
        if told not in _ROLES:
            raise wrong(f"{at}.role", f"must be one of {', '.join(_ROLES)}.")
        content = row.get("content")
        last = index == len(messages) - 1
        blocks = list(_blocks(content, f"{at}.content"))
        if not blocks and not (told == "assistant" and last) and told != "system":
            raise wrong(f"{at}.content", "must not be empty.")
        if told == "system" and role not in ("", "system"):
            if not blocks:  # it only asks for another effort
                continue
            told, blocks = "user", [(place, _reminder(place, block)) for place, block in blocks]
        if told == role:
            turn += blocks
            continue
        if role:
            yield role, place, turn
        role, place, turn = told, at, blocks
    yield role, place, turn


def _blocks(content: Any, at: str) -> Iterator[tuple[str, Block]]:
    """Give each block and where it stands; a text alone is one block."""
    if isinstance(content, str):
        if content:
            yield at, {"type": "text", "text": content}
        return
    if not isinstance(content, list):
        raise wrong(at, "must be text or a list of blocks.")
    for index, block in enumerate(content):
        place = f"{at}.{index}"
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise wrong(place, "must be an object with a type.")
        yield place, block


def _reminder(at: str, block: Block) -> Block:
    """Return an instruction among the messages as a user's text: few models take it elsewhere."""
    return {"type": "text", "text": f"<system-reminder>\n{_text(at, block)}\n</system-reminder>"}


def _text(at: str, block: Block, *, empty: bool = False) -> str:
    if block["type"] != "text":
        raise wrong(at, f"only text can stand here, not {block['type'][:60]!r}.")
    text = block.get("text")
    if not isinstance(text, str):
        raise wrong(f"{at}.text", "must be text.")
    if not text and not empty:
        raise wrong(f"{at}.text", "must not be empty.")
    return text


def _joined(texts: list[str]) -> str:
    return "\n\n".join([text for text in texts if text])


def _data_url(at: str, source: Block) -> str:
    kind, data = source.get("media_type"), source.get("data")
    if kind not in IMAGE_KINDS:
        raise wrong(f"{at}.media_type", f"must be one of {', '.join(IMAGE_KINDS)}.")
    if not isinstance(data, str) or not data:
        raise wrong(f"{at}.data", "must be the image as base64.")
    if len(data) * 3 // 4 > MOST_IMAGE_BYTES:
        most = MOST_IMAGE_BYTES >> 20
        raise wrong(f"{at}.data", f"the image has more than {most} MiB; send a smaller one.")
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        raise wrong(f"{at}.data", f"is not base64: {error}.") from error
    return f"data:{kind};base64,{data}"


def _refused(at: str, kind: str, where: str) -> RequestError:
    why = _NOT_HERE.get(kind)
    if why is None and kind.endswith("_tool_result"):
        why = "is the result of a tool that Anthropic's servers run"
    if why is not None:
        return wrong(at, f"a block of type {kind!r} {why}.")
    return wrong(at, f"a block of type {kind[:60]!r} cannot stand in {where}.")


def _instead(kind: Any) -> str:
    return f", not {kind[:60]!r}" if isinstance(kind, str) else ""
