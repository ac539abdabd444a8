"""`/v1/responses`: OpenAI's newer form of a chat, translated to a chat and back."""

from __future__ import annotations

from trunkline.dialects.openai_server import DONE_EVENT, RequestError, read_chat
from trunkline.dialects.responses_answer import Envelope, answer_body
from trunkline.dialects.responses_server import read_request
from trunkline.dialects.responses_stream import ResponseStream
from trunkline.sandbox.accounts import refusal
from trunkline.sandbox.answers import CREATED, answer
from trunkline.sandbox.pieces import PLAIN, events
from trunkline.sandbox.reply import Reply, json_reply
from trunkline.sandbox.router import find_offer, particular_refusal
from trunkline.sandbox.visit import Visit
from trunkline.types import Completion
from trunkline.wire import strict_json


def respond(visit: Visit, _: dict[str, str]) -> Reply:
    """Answer a request for a response, whole or in events."""
    if not visit.inside:
        if "authorization" not in visit.head.headers:
            return json_reply(401, {"success": False, "error": "Unauthorized"})
        refused = refusal(visit.head.headers, visit.orgs)
        if refused:
            return refused
    try:
        asked = read_request(visit.asked)
        chat = read_chat(strict_json.encode(asked.chat))
        offer = find_offer(chat.model.name, inside=visit.inside)
        found = particular_refusal(chat, offer.provider)
        if found:
            return found
        whole = answer(chat, visit.seed, offer.own_name)
    except RequestError as wrong:
        return json_reply(wrong.status, wrong.body())
    named = ("x-inference-provider", offer.provider)
    told = Envelope(mark_of(whole), CREATED, asked.echo)
    if not chat.stream:
        return json_reply(200, answer_body(told, whole), named)
    headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"), named)
    return Reply(200, headers, tuple(_steps(whole, told)), "chunked")


def mark_of(whole: Completion) -> str:
    """Return the digits in an answer's id."""
    return (whole.id or "").removeprefix("chatcmpl-")


def _steps(whole: Completion, told: Envelope) -> list[bytes]:
    """Return the events that spell out an answer, each by itself."""
    stream = ResponseStream(told)
    said = events(whole, PLAIN, include_usage=True)
    written = [stream.feed(event) for event in said if event != DONE_EVENT]
    every = b"".join([*written, stream.end()])
    return [event + b"\n\n" for event in every.split(b"\n\n") if event]
