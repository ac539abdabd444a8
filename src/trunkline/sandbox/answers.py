"""Answers without a model: a Chat and a seed in, a Completion out, always the same.

The text says that it is simulated. It depends on the request and the seed alone, not on whether
the answer is streamed, and reacts to tools, schemas, images, limits and stops.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from trunkline.dialects.openai_server import RequestError
from trunkline.sandbox.schemas import value_for
from trunkline.sandbox.tools import calls_for
from trunkline.types import Chat, Choice, Completion, Message, ToolCall, Usage
from trunkline.wire import strict_json

CREATED = 1_790_000_000
"""What `created` says: an answer does not depend on the clock."""
IMAGE_TOKENS = 85

_TOKEN = re.compile(r"\s*\S{1,6}|\s+")
_SENTENCES = (
    "No model was asked; the sandbox wrote this from your request and its seed.",
    "Ask the same again and you will read the same again.",
    "Change a word of the request, or the seed, and this part changes.",
    "Tokens here are counted as pieces of up to six characters.",
    "A real provider would have thought about it for longer.",
    "Nothing left this machine to make this answer.",
    "The length of this text depends on chance that is fixed by the seed.",
    "With a Hugging Face token the same call goes to a real model.",
)
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode


def tokens(text: str) -> list[str]:
    """Return `text` in the sandbox's tokens: up to six characters and the white space before."""
    return _TOKEN.findall(text)


def answer(chat: Chat, seed: int, model: str) -> Completion:
    """Return the whole answer to `chat`; `model` is what the answer calls its model.

    Raises RequestError for an image that cannot be read.
    """
    mark = _mark(chat, seed)
    choices = [_choice(chat, f"{mark}/{index}", index) for index in range(_number(chat, "n", 1))]
    spent = sum(_spent(choice) for choice in choices)
    thought = sum(len(tokens(choice.message.reasoning or "")) for choice in choices)
    asked = prompt_tokens(chat)
    usage = Usage(
        asked,
        spent,
        asked + spent,
        completion_tokens_details={"reasoning_tokens": thought} if thought else None,
    )
    return Completion(
        id=f"chatcmpl-{mark[:24]}",
        model=model,
        choices=choices,
        created=CREATED,
        usage=usage,
        system_fingerprint=f"sandbox-{seed}",
    )


def prompt_tokens(chat: Chat) -> int:
    """Count the request's tokens: its texts, 85 for an image, 3 for a message, and its tools."""
    count = 0
    for message in chat.messages:
        texts, images = _texts(message), _images(message)
        count += 3 + IMAGE_TOKENS * len(images) + sum(len(tokens(text)) for text in texts)
    tools = chat.parameters.get("tools")
    return count + (len(tokens(_encode_sorted(tools).decode())) if tools else 0)


def _mark(chat: Chat, seed: int) -> str:
    """Return the digest that stands for this request and seed, streamed or not.

    At temperature 0 it does not depend on the provider: the same weights answer alike anywhere.
    """
    if chat.parameters.get("temperature") == 0:
        form = _schema(chat.parameters.get("response_format"))
        told = {"tools": chat.parameters.get("tools"), "schema": form}
        greedy = [seed, chat.model.name.partition(":")[0], chat.messages, told]
        return hashlib.blake2b(_encode_sorted(greedy), digest_size=16).hexdigest()
    told = {k: v for k, v in chat.parameters.items() if k != "stream_options"}
    request = [seed, chat.model.name, chat.messages, told, chat.extra_body]
    return hashlib.blake2b(_encode_sorted(request), digest_size=16).hexdigest()


def _choice(chat: Chat, mark: str, index: int) -> Choice:
    calls = calls_for(chat, mark)
    reasoning = _reasoning(chat)
    text = "" if calls else _text(chat, mark)
    text, stopped = _until_stop(text, chat.parameters.get("stop"))
    finish = "tool_calls" if calls else "stop"
    budget = _number(chat, "max_completion_tokens", 0) or _number(chat, "max_tokens", 0)
    message = Message(
        content=text if not calls else None, reasoning=reasoning, tool_calls=calls or None
    )
    if budget and _message_tokens(message) > budget:
        message, finish = _cut(message, budget), "length"
    extra = {"stop_reason": stopped} if stopped and finish == "stop" else {}
    return Choice(index, message, finish, _logprobs(chat, message.content), extra)


def _text(chat: Chat, mark: str) -> str:
    schema = _schema(chat.parameters.get("response_format"))
    if schema is not None:
        return strict_json.encode(value_for(schema, mark)).decode()
    wanted = (chat.parameters.get("response_format") or {}).get("type")
    if wanted == "json_object":
        said = {"simulated": True, "asked": _asked(chat), "answer": f"simulated {mark[:8]}"}
        return strict_json.encode(said).decode()
    parts = ["[simulated]", _what_was_asked(chat)]
    parts += [told for told in (_tool_results(chat), _what_was_shown(chat)) if told]
    chosen = int(mark[:8], 16) ^ int(hashlib.blake2b(mark.encode()).hexdigest()[:8], 16)
    first = chosen % len(_SENTENCES)
    for step in range(1 + chosen // 64 % 3):
        parts.append(_SENTENCES[(first + 3 * step) % len(_SENTENCES)])
    return " ".join(parts)


def _schema(wanted: Any) -> Any:
    """Return the schema of a `response_format`, in whichever form a provider takes it."""
    if not isinstance(wanted, dict) or wanted.get("type") == "text":
        return None
    named = wanted.get("json_schema")
    inner = named.get("schema") if isinstance(named, dict) else None
    return next((s for s in (inner, wanted.get("schema"), wanted.get("value")) if s), None)


def _what_was_asked(chat: Chat) -> str:
    asked = _asked(chat)
    return f'You said: "{asked}"' if asked else "You said nothing."


def _asked(chat: Chat) -> str:
    """Return what the last user's message says, shortened."""
    for message in reversed(chat.messages):
        if message.get("role") == "user":
            text = " ".join(" ".join(_texts(message)).split())
            return text if len(text) <= 200 else text[:199] + "…"
    return ""


def _tool_results(chat: Chat) -> str:
    """Say what tools have answered since the last user's message."""
    names = {
        call["id"]: call["function"]["name"]
        for message in chat.messages
        for call in message.get("tool_calls") or ()
        if isinstance(call.get("id"), str)
    }
    told: list[str] = []
    for message in reversed(chat.messages):
        if message.get("role") != "tool":
            break
        name = names.get(message["tool_call_id"], "a tool")
        told.append(f"{name} answered: {' '.join(_texts(message))[:200]}.")
    return " ".join(reversed(told))


def _what_was_shown(chat: Chat) -> str:
    """Name the images: how many, and of what kind."""
    shown = [_describe(url) for message in chat.messages for url in _images(message)]
    if not shown:
        return ""
    many = f"{len(shown)} image" + "s"[: len(shown) != 1]
    return f"You showed me {many}: {'; '.join(shown)}."


def _describe(url: str) -> str:
    if not url.startswith("data:"):
        host = urlsplit(url).hostname if url.startswith(("http://", "https://")) else None
        if not host:
            raise RequestError("An image's URL must be http(s) or data.", param="messages")
        return f"one from {host}"
    head, comma, data = url.removeprefix("data:").partition(",")
    kind, _, packed = head.partition(";")
    try:
        size = len(base64.b64decode(data, validate=True)) if packed else len(data)
    except (binascii.Error, ValueError) as error:
        raise RequestError("An image's data is not base64.", param="messages") from error
    if not comma or not size:
        raise RequestError("An image's data URL is empty.", param="messages")
    return f"{kind or 'text/plain'} of {size} bytes"


def _texts(message: dict[str, Any]) -> list[str]:
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    return [p["text"] for p in content or () if isinstance(p.get("text"), str)]


def _images(message: dict[str, Any]) -> list[str]:
    content = message.get("content")
    if not isinstance(content, list):
        return []
    return [part["image_url"]["url"] for part in content if part.get("type") == "image_url"]


def _reasoning(chat: Chat) -> str | None:
    effort = chat.parameters.get("reasoning_effort")
    if effort in (None, "none"):
        return None
    return f"[simulated] With {effort} effort I consider what was said, and find no model here."


def _until_stop(text: str, stop: Any) -> tuple[str, str | None]:
    """Return `text` up to the first stop sequence, and which one it was."""
    stops = [stop] if isinstance(stop, str) else stop or []
    found = [(at, word) for word in stops if word and (at := text.find(word)) >= 0]
    if not found:
        return text, None
    at, word = min(found)
    return text[:at], word


def _cut(message: Message, budget: int) -> Message:
    """Return the first `budget` tokens of a message: reasoning, then text or calls."""
    thought = tokens(message.reasoning or "")[:budget]
    left = budget - len(thought)
    calls: list[ToolCall] = []
    for call in message.tool_calls or ():
        arguments = tokens(call.function.arguments)[:left]
        left -= len(arguments)
        function = msgspec.structs.replace(call.function, arguments="".join(arguments))
        calls.append(msgspec.structs.replace(call, function=function))
        if left <= 0:
            break
    text = message.content
    return msgspec.structs.replace(
        message,
        reasoning="".join(thought) or None,
        content=None if text is None else "".join(tokens(text)[:left]),
        tool_calls=calls or None,
    )


def _spent(choice: Choice) -> int:
    return _message_tokens(choice.message)


def _message_tokens(message: Message) -> int:
    texts = [message.reasoning or "", message.content or ""]
    texts += [call.function.arguments for call in message.tool_calls or ()]
    return sum(len(tokens(text)) for text in texts)


def _logprobs(chat: Chat, text: str | None) -> Any:
    if not chat.parameters.get("logprobs") or text is None:
        return None
    top = chat.parameters.get("top_logprobs", 0)
    content = []
    for token in tokens(text):
        told = {"token": token, "logprob": -0.25, "bytes": list(token.encode())}
        content.append({**told, "top_logprobs": [dict(told) for _ in range(min(top, 1))]})
    return {"content": content}


def _number(chat: Chat, name: str, default: int) -> int:
    told = chat.parameters.get(name)
    return told if isinstance(told, int) else default
