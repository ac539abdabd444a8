"""Responses, messages and streamed texts as a caller asks for them: what is sent, and what comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faces import ONCE
from loopback import (
    LAST,
    STREAM_HEAD,
    chunk,
    data,
    saying,
    stream,
    then_resets,
    then_waits,
    whole,
)
from trunkline import (
    APIError,
    BadRequestError,
    InternalServerError,
    InvalidInputError,
    RateLimitError,
    StreamTruncated,
)
from trunkline.errors import InvalidResponseError, ModelNotSupportedError, UnknownParameterError

ASKED = [{"role": "user", "content": "Hello?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def weather(city: str) -> str:
    """Tell the weather."""
    return f"Rain in {city}."


# what the servers say


def response(**more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": "Hello", "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": content}
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    said = {"id": "resp_1", "object": "response", "model": "m", "status": "completed"}
    return {**said, "output": [message], "usage": usage, **more}


def of(kind: str, **fields: Any) -> bytes:
    return data({"type": f"response.{kind}", **fields})


def delta(text: str) -> bytes:
    return of("output_text.delta", output_index=0, content_index=0, item_id="msg_1", delta=text)


CREATED = of("created", response=response(status="in_progress", output=[], usage=None))
RESPONSE = (CREATED, delta("Hel"), delta("lo"), of("completed", response=response()))

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


def block(text: str) -> bytes:
    told = {"type": "text_delta", "text": text}
    return data({"type": "content_block_delta", "index": 0, "delta": told})


START = data(
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 3}},
    }
)
MESSAGES = (
    START,
    block("Hel"),
    block("lo"),
    data(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 2},
        }
    ),
    data({"type": "message_stop"}),
)


def piece(text: str, finish: str | None = None) -> bytes:
    return data({"id": "c", "model": "m", "choices": [{"text": text, "finish_reason": finish}]})


COUNTS = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TEXTS = (
    piece("Hel"),
    piece("lo"),
    piece("", "stop"),
    data({"id": "c", "choices": [], "usage": COUNTS}),
    b"data: [DONE]\n\n",
)
TEXT = {"id": "c", "model": "m", "choices": [{"text": "Hello", "finish_reason": "stop"}]}

APIS: dict[str, tuple[Any, ...]] = {
    "responses": (RESPONSE, response(), "/v1/responses"),
    "messages": (MESSAGES, MESSAGE, "/v1/messages"),
    "text_completion": (TEXTS, {**TEXT, "usage": COUNTS}, "/v1/completions"),
}
every_api = pytest.mark.parametrize("api", APIS)


def ask(face, client, api: str, **parameters: Any) -> Any:
    """Ask by one of the APIs, with as little as it takes."""
    if api == "messages":
        return face.run(client.messages("m", ASKED, **{"max_tokens": 9, **parameters}))
    if api == "responses":
        return face.run(client.responses("m", "Hello?", **parameters))
    return face.run(client.text_completion("m", "Hello?", engine="openai", **parameters))


def texts_of(face, reading: Any) -> list[str]:
    """Read a stream's text."""
    if face.name == "blocking":
        return list(reading.text)

    async def gathered() -> list[str]:
        return [text async for text in reading.text]

    return face.run(gathered())


def begun(api: str) -> tuple[bytes, bytes]:
    """Return an API's announcement, if it has one, and its first piece of text."""
    return {
        "responses": (CREATED, delta("Hel")),
        "messages": (START, block("Hel")),
        "text_completion": (b": hello\n\n", piece("Hel")),
    }[api]


# every API


@every_api
def test_a_whole_answer_comes_with_its_receipt(face, serve, api) -> None:
    _, answer, path = APIS[api]
    sent = whole(json.dumps(answer).encode(), x_inference_provider="groq", x_request_id="req-7")
    upstream = serve(saying(sent))
    found = ask(face, face.client(upstream.url), api, temperature=0.5)
    assert found.text == "Hello"
    receipt = found.receipt
    assert (receipt.provider, receipt.request_id, receipt.model) == ("groq", "req-7", "m")
    assert (receipt.tokens.input, receipt.tokens.output) == (3, 2)
    assert receipt.tokens.source == "provider"
    assert receipt.time_to_first_token is None
    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", path)
    assert request.json["model"] == "m"
    assert request.json["temperature"] == 0.5
    assert not request.json.get("stream")


@every_api
def test_a_stream_gives_its_events_its_text_and_its_whole(face, serve, api) -> None:
    events, _, path = APIS[api]
    upstream = serve(saying(stream(*events)))
    client = face.client(upstream.url)
    reading = ask(face, client, api, stream=True)
    found, error = face.read(reading)
    assert error is None
    assert len(found) == len(events) - (api == "text_completion")
    assert reading.whole.text == "Hello"
    assert reading.usage == reading.whole.usage
    assert reading.usage.completion_tokens == 2
    assert reading.receipt.tokens.source == "provider"
    assert reading.receipt.time_to_first_token is not None
    assert face.run(reading.collect()) == reading.whole
    request = upstream.requests[0]
    assert (request.target, request.json["stream"]) == (path, True)
    assert request.headers["accept"] == "text/event-stream"


@every_api
def test_the_text_alone_comes_piece_by_piece(face, serve, api) -> None:
    reading = ask(face, face.client(serve(saying(stream(*APIS[api][0]))).url), api, stream=True)
    assert texts_of(face, reading) == ["Hel", "lo"]


@every_api
def test_a_stream_that_breaks_off_is_truncated_with_what_came(face, serve, api) -> None:
    upstream = serve(then_resets(STREAM_HEAD, *map(chunk, begun(api))))
    reading = ask(face, face.client(upstream.url), api, stream=True)
    upstream.say("reset")
    _, error = face.read(reading)
    assert isinstance(error, StreamTruncated)
    assert error.text == error.partial.text == "Hel"
    assert error.partial.receipt.tokens.source in ("estimated", "provider")
    assert error.attempts[-1].error == "StreamTruncated"
    assert reading.whole == error.partial
    assert len(upstream.visits) == 1


@every_api
def test_an_error_in_the_stream_has_its_class_and_what_came_before(face, serve, api) -> None:
    told = data({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
    upstream = serve(saying(stream(*begun(api), told)))
    _, error = face.read(ask(face, face.client(upstream.url), api, stream=True))
    assert isinstance(error, RateLimitError)
    assert error.message == "slow down"
    assert error.partial.text == "Hel"
    assert len(upstream.visits) == 1


@every_api
def test_what_fails_before_there_is_any_answer_is_tried_again(face, serve, api) -> None:
    told = data({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}})
    announced, _ = begun(api)
    failing = saying(stream(announced, told))
    upstream = serve(failing, saying(stream(*APIS[api][0])))
    reading = ask(face, face.client(upstream.url), api, stream=True, max_retries=1)
    answer = face.run(reading.collect())
    assert answer.text == "Hello"
    assert [a.error for a in answer.receipt.attempts] == ["RateLimitError", None]


@every_api
def test_leaving_a_stream_hangs_up(face, serve, api) -> None:
    upstream = serve(then_waits(STREAM_HEAD, *map(chunk, begun(api))))
    reading = ask(face, face.client(upstream.url), api, stream=True)
    face.next(reading)
    face.run(reading.close())
    assert upstream.visits[0].gone.wait(20)
    with pytest.raises(StreamTruncated, match="closed before its end"):
        face.run(reading.collect())


@every_api
def test_events_come_when_they_are_sent(face, serve, api) -> None:
    events = APIS[api][0]

    def script(visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, *map(chunk, begun(api)))
        visit.hold("go on")
        visit.send(*map(chunk, events[2 if api != "text_completion" else 1 :]), LAST)

    upstream = serve(script)
    reading = ask(face, face.client(upstream.url), api, stream=True)
    while not reading.whole.text:
        assert face.next(reading) is not None
    assert reading.whole.text == "Hel"
    upstream.say("go on")
    assert face.run(reading.collect()).text == "Hello"


@every_api
def test_an_error_answer_is_an_error_of_its_class(face, serve, api) -> None:
    body = b'{"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}'
    for streamed in (True, False):
        upstream = serve(saying(whole(body, 400, connection="close")))
        with pytest.raises(BadRequestError, match="no") as caught:
            ask(face, face.client(upstream.url), api, stream=streamed)
        assert caught.value.status == 400


@every_api
def test_a_whole_answer_instead_of_a_stream_is_refused(face, serve, api) -> None:
    upstream = serve(saying(whole(json.dumps(APIS[api][1]).encode())))
    with pytest.raises(InvalidResponseError, match="A stream was asked for"):
        ask(face, face.client(upstream.url), api, stream=True, **ONCE)


@every_api
def test_an_unknown_keyword_is_refused_before_anything_is_sent(face, serve, api) -> None:
    upstream = serve()
    with pytest.raises((UnknownParameterError, TypeError), match="temprature"):
        ask(face, face.client(upstream.url), api, temprature=1)
    assert upstream.visits == []


# responses


def test_a_response_that_failed_is_an_error_with_the_response(face, serve) -> None:
    failed = response(status="failed", error={"code": "server_error", "message": "broke"})
    upstream = serve(saying(whole(json.dumps(failed).encode(), connection="close")))
    with pytest.raises(InternalServerError, match="broke") as caught:
        ask(face, face.client(upstream.url), "responses", **ONCE)
    assert caught.value.partial.output_text == "Hello"
    last = of("failed", response=response(**{**failed, "output": []}))
    upstream = serve(saying(stream(CREATED, delta("Hel"), last)))
    _, error = face.read(ask(face, face.client(upstream.url), "responses", stream=True))
    assert isinstance(error, InternalServerError)
    assert (error.partial.status, error.partial.output_text) == ("failed", "Hel")


def test_whether_to_stream_is_said_since_some_servers_would(face, serve) -> None:
    upstream = serve(saying(whole(json.dumps(response()).encode())))
    ask(face, face.client(upstream.url), "responses")
    assert upstream.requests[0].json["stream"] is False


FLAT = {
    "type": "function",
    "name": "weather",
    "description": "Tell the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def test_functions_and_tools_of_a_chat_are_written_as_this_api_has_them(face, serve) -> None:
    upstream = serve(saying(whole(json.dumps(response()).encode())))
    chats = {"type": "function", "function": {"name": "a", "parameters": SCHEMA, "strict": True}}
    own = {"type": "function", "name": "b", "parameters": SCHEMA, "strict": None}
    remote = {"type": "mcp", "server_label": "s", "server_url": "https://mcp.example"}
    ask(
        face,
        face.client(upstream.url),
        "responses",
        tools=[weather, chats, own, remote],
        tool_choice={"type": "function", "function": {"name": "a"}},
    )
    sent = upstream.requests[0].json
    assert sent["tools"] == [
        FLAT,
        {"type": "function", "name": "a", "parameters": SCHEMA, "strict": True},
        own,
        remote,
    ]
    assert sent["tool_choice"] == {"type": "function", "name": "a"}


def test_items_of_an_answer_go_back_as_input(face, serve) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
    told = whole(json.dumps(response(output=[call])).encode())
    upstream = serve(saying(told, told))
    client = face.client(upstream.url)
    first = ask(face, client, "responses")
    output = {"type": "function_call_output", "call_id": "c", "output": "Rain."}
    face.run(client.responses("m", [*ASKED, *first.output, output]))
    assert upstream.requests[1].json["input"] == [*ASKED, call, output]


@pytest.mark.parametrize("wrong", [[], [7], {"role": "user"}, None])
def test_an_input_that_cannot_be_meant_is_refused(face, serve, wrong) -> None:
    client = face.client(serve().url)
    with pytest.raises(InvalidInputError, match="input"):
        face.run(client.responses("m", wrong))


# messages


def test_the_version_and_the_token_are_in_the_headers(face, serve) -> None:
    upstream = serve(saying(whole(json.dumps(MESSAGE).encode())))
    ask(face, face.client(upstream.url, token="hf_x"), "messages", system="Be kind.")
    request = upstream.requests[0]
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["authorization"] == "Bearer hf_x"
    assert request.json == {
        "model": "m",
        "messages": ASKED,
        "max_tokens": 9,
        "system": "Be kind.",
        "stream": False,
    }


def test_tools_are_written_as_the_messages_api_has_them(face, serve) -> None:
    upstream = serve(saying(whole(json.dumps(MESSAGE).encode())))
    own = {"name": "b", "description": "B.", "input_schema": SCHEMA}
    theirs = {"type": "web_search_20250305", "name": "web_search"}
    chats = {"type": "function", "function": {"name": "a"}}
    ask(face, face.client(upstream.url), "messages", tools=[weather, own, theirs, chats])
    assert upstream.requests[0].json["tools"] == [
        {"name": "weather", "description": FLAT["description"], "input_schema": FLAT["parameters"]},
        own,
        theirs,
        {"name": "a", "input_schema": {"type": "object", "properties": {}}},
    ]


def test_an_answer_goes_back_as_a_message(face, serve) -> None:
    told = whole(json.dumps(MESSAGE).encode())
    upstream = serve(saying(told, told))
    client = face.client(upstream.url)
    first = ask(face, client, "messages")
    face.run(client.messages("m", [*ASKED, first, ASKED[0]], max_tokens=9))
    back = {"role": "assistant", "content": MESSAGE["content"]}
    assert upstream.requests[1].json["messages"] == [*ASKED, back, ASKED[0]]


def test_a_message_of_the_user_stays_one_whatever_its_type(face, serve) -> None:
    upstream = serve(saying(whole(json.dumps(MESSAGE).encode())))
    typed = {"type": "message", "role": "user", "content": "Hello?"}
    face.run(face.client(upstream.url).messages("m", [typed], max_tokens=9))
    assert upstream.requests[0].json["messages"] == [typed]


def test_max_tokens_is_demanded(face, serve) -> None:
    client = face.client(serve().url)
    with pytest.raises(InvalidInputError, match="max_tokens is missing"):
        face.run(client.messages("m", ASKED))


# texts


def test_tgi_streams_from_a_route_of_its_own(face, serve) -> None:
    def token(text: str, generated: str | None = None) -> bytes:
        told = {"token": {"text": text, "special": False}, "generated_text": generated}
        return b"data:" + json.dumps({**told, "details": None}).encode() + b"\n\n"

    upstream = serve(saying(stream(token("Hel"), token("lo", "Hello"))))
    client = face.client(upstream.url.removesuffix("/v1") + "/generate")
    reading = face.run(client.text_completion("m", "Hi", max_tokens=5, stream=True))
    assert face.run(reading.collect()).text == "Hello"
    request = upstream.requests[0]
    assert request.target == "/generate_stream"
    assert request.json == {"inputs": "Hi", "parameters": {"details": True, "max_new_tokens": 5}}
    assert reading.receipt.tokens.source == "estimated"


def test_the_text_of_several_choices_is_that_of_the_first(face, serve) -> None:
    def of_choice(index: int, text: str) -> bytes:
        return data({"choices": [{"index": index, "text": text, "finish_reason": "stop"}]})

    upstream = serve(saying(stream(of_choice(0, "a"), of_choice(1, "x"), b"data: [DONE]\n\n")))
    reading = ask(face, face.client(upstream.url), "text_completion", stream=True, n=2)
    assert texts_of(face, reading) == ["a"]
    assert [choice.text for choice in reading.whole.choices] == ["a", "x"]


def test_a_server_that_streams_no_texts_says_so(face, serve) -> None:
    client = face.client(serve().url, **ONCE)
    with pytest.raises(ModelNotSupportedError, match="streams no text completions"):
        face.run(client.text_completion("m", "Hi", engine="pipeline", stream=True))


def test_a_deadline_ends_a_stream(face, serve) -> None:
    upstream = serve(then_waits(STREAM_HEAD, *map(chunk, begun("responses"))))
    client = face.client(upstream.url)
    reading = ask(face, client, "responses", stream=True, deadline=0.3)
    _, error = face.read(reading)
    assert isinstance(error, APIError)
    assert "deadline" in str(error)
    assert error.partial.text == "Hel"
