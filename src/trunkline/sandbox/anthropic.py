"""`/v1/messages`: Anthropic's form of a chat, translated to a chat and back."""

from __future__ import annotations

from trunkline.dialects.anthropic_answer import Told, error_body, message_body
from trunkline.dialects.anthropic_server import request_of
from trunkline.dialects.anthropic_stream import MessageWriter
from trunkline.dialects.openai_server import DONE_EVENT, RequestError, read_chat
from trunkline.sandbox.accounts import refusal
from trunkline.sandbox.answers import answer
from trunkline.sandbox.pieces import PLAIN, events
from trunkline.sandbox.reply import Reply, json_reply
from trunkline.sandbox.responses import mark_of
from trunkline.sandbox.router import find_offer, particular_refusal
from trunkline.sandbox.visit import Visit
from trunkline.types import Completion


def respond(visit: Visit, _: dict[str, str]) -> Reply:
    """Answer a request for a message, whole or in events."""
    refused = None if visit.inside else refusal(visit.head.headers, visit.orgs)
    if refused:
        return refused
    try:
        asked = request_of(visit.asked)
        chat = read_chat(asked.chat)
    except RequestError as wrong:
        return json_reply(wrong.status, error_body(wrong.status, wrong.message))
    try:
        offer = find_offer(chat.model.name, inside=visit.inside)
        found = particular_refusal(chat, offer.provider)
        if found:
            return found
        whole = answer(chat, visit.seed, offer.own_name)
    except RequestError as wrong:
        return json_reply(wrong.status, wrong.body())
    named = ("x-inference-provider", offer.provider)
    told = Told(
        f"msg_{mark_of(whole)}",
        asked.model,
        guess=(whole.usage and whole.usage.prompt_tokens) or 0,
        stops=asked.stops,
        hide_thinking=asked.hide_thinking,
    )
    if not asked.stream:
        return json_reply(200, message_body(whole, told), named)
    headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"), named)
    return Reply(200, headers, tuple(_steps(whole, told)), "chunked")


def _steps(whole: Completion, told: Told) -> list[bytes]:
    """Return the events that spell out an answer, each by itself."""
    writer = MessageWriter(told)
    said = events(whole, PLAIN, include_usage=True)
    written = [writer.events(event) for event in said if event != DONE_EVENT]
    return [event + b"\n\n" for event in b"".join([*written, writer.end()]).split(b"\n\n") if event]
