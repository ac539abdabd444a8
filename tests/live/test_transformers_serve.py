"""A chat with `transformers serve`: a real server that never says `[DONE]` and fails in plain text.

Its model answers greedily, so the same prompt gets the same words in every way of asking.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from peers import Peer

from trunkline import (
    AsyncClient,
    BadRequestError,
    Client,
    Completion,
    InternalServerError,
    ModelNotSupportedError,
    UnsupportedParamsError,
    acompletion,
    completion,
    default_async_client,
)

pytestmark = pytest.mark.live

HELLO: Any = [{"role": "user", "content": "hello"}]


def ask(client: Client, peer: Peer, **more: Any) -> Completion:
    return client.chat(peer.model, HELLO, api_base=peer.base_url, **{"max_tokens": 8, **more})


def test_a_whole_answer_has_text_usage_and_a_receipt(client: Client, transformers: Peer) -> None:
    answer = ask(client, transformers)
    assert answer.text
    assert answer.choices[0].finish_reason == "length"
    assert answer.model is not None
    assert answer.model.startswith(transformers.model)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
    receipt = answer.receipt
    assert receipt is not None
    assert receipt.tokens.source == "provider"
    assert receipt.tokens.output == 8
    assert [attempt.status for attempt in receipt.attempts] == [200]


def test_the_server_hands_our_request_id_back_and_the_receipt_keeps_it(
    client: Client, transformers: Peer
) -> None:
    answer = ask(client, transformers, extra_headers={"X-Request-Id": "trunkline-17"})
    assert answer.receipt is not None
    assert answer.receipt.request_id == "trunkline-17"


def test_a_stream_without_done_ends_well_and_says_what_the_whole_answer_says(
    client: Client, transformers: Peer
) -> None:
    whole = ask(client, transformers, max_tokens=24)
    stream = client.stream(transformers.model, HELLO, api_base=transformers.base_url, max_tokens=24)
    chunks = list(stream)
    said = "".join(chunk.text for chunk in chunks)
    assert said == whole.text == stream.completion.text
    assert len([chunk for chunk in chunks if chunk.text]) > 3  # it came in pieces
    assert chunks[-1].choices[0].finish_reason == "length"
    assert stream.usage == whole.usage
    receipt = stream.completion.receipt
    assert receipt is not None
    assert receipt.time_to_first_token is not None
    assert receipt.time_to_first_token < receipt.total_time


def test_stop_ends_whole_and_streamed_answers_with_that_reason(
    client: Client, transformers: Peer
) -> None:
    letters = list("abcdefghijklmnopqrstuvwxyz")
    whole = ask(client, transformers, max_tokens=64, stop=letters)
    stream = client.stream(
        transformers.model, HELLO, api_base=transformers.base_url, max_tokens=64, stop=letters
    )
    assert whole.choices[0].finish_reason == "stop"
    assert stream.collect().choices[0].finish_reason == "stop"


def test_the_one_line_faces_reach_it_too(fresh_defaults: None, transformers: Peer) -> None:
    model, base = transformers.model, transformers.base_url
    whole = completion(model, HELLO, api_base=base, max_tokens=8)
    streamed = completion(model, HELLO, api_base=base, max_tokens=8, stream=True)
    assert "".join(streamed.text) == whole.text

    async def awaited() -> tuple[str, str]:
        try:
            answer = await acompletion(model, HELLO, api_base=base, max_tokens=8)
            stream = await acompletion(model, HELLO, api_base=base, max_tokens=8, stream=True)
            return answer.text, "".join([text async for text in stream.text])
        finally:
            await default_async_client().close()

    assert asyncio.run(awaited()) == (whole.text, whole.text)


def test_eight_streams_at_once_each_get_their_own_answer(
    client: Client, transformers: Peer
) -> None:
    words = ["red", "blue", "green", "gold", "black", "white", "pink", "grey"]
    prompts = [f"{word} and {word}" for word in words]

    def alone(prompt: str) -> Completion:
        messages = [{"role": "user", "content": prompt}]
        return client.stream(
            transformers.model, messages, api_base=transformers.base_url, max_tokens=16
        ).collect()

    async def together() -> list[Completion]:
        async with AsyncClient(api_base=transformers.base_url) as many:

            async def one(prompt: str) -> Completion:
                messages = [{"role": "user", "content": prompt}]
                return await many.stream(transformers.model, messages, max_tokens=16).collect()

            return await asyncio.gather(*map(one, prompts))

    answers = asyncio.run(together())
    assert [answer.text for answer in answers] == [alone(prompt).text for prompt in prompts]
    assert len({answer.text for answer in answers}) > 1
    assert all(answer.choices[0].finish_reason == "length" for answer in answers)
    assert all(answer.usage and answer.usage.completion_tokens == 16 for answer in answers)


def test_tools_and_formats_that_it_ignores_do_no_harm(client: Client, transformers: Peer) -> None:
    def get_weather(city: str) -> str:
        """Tell the weather."""
        return city

    answer = ask(client, transformers, tools=[get_weather], response_format={"type": "json_object"})
    assert answer.text == ask(client, transformers).text
    assert answer.tool_calls == []


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_field_that_it_does_not_know_is_named_in_the_error(
    client: Client, transformers: Peer, streamed: bool
) -> None:
    ways: Any = client.stream if streamed else client.chat
    with pytest.raises(UnsupportedParamsError, match=r"Unexpected fields.*unknown_field") as caught:
        ways(
            transformers.model,
            HELLO,
            api_base=transformers.base_url,
            extra_body={"unknown_field": 1},
        )
    assert caught.value.status == 422
    assert len(caught.value.attempts) == 1


def test_a_model_that_it_does_not_serve_is_a_bad_request_that_names_it(
    client: Client, transformers: Peer
) -> None:
    with pytest.raises(BadRequestError, match="requested 'no/such'") as caught:
        client.chat("no/such", HELLO, api_base=transformers.base_url)
    assert isinstance(caught.value, ModelNotSupportedError)
    assert caught.value.status == 400


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_crash_told_in_plain_text_is_the_servers_error_and_not_tried_again(
    client: Client, transformers: Peer, streamed: bool
) -> None:
    ways: Any = client.stream if streamed else client.chat
    with pytest.raises(InternalServerError, match="Internal Server Error") as caught:
        ways(
            transformers.model,
            HELLO,
            api_base=transformers.base_url,
            extra_body={"messages": "no list"},
        )
    assert caught.value.status == 500
    assert len(caught.value.attempts) == 1


def test_leaving_a_stream_early_leaves_the_server_free_for_the_next(
    client: Client, transformers: Peer
) -> None:
    with client.stream(
        transformers.model, HELLO, api_base=transformers.base_url, max_tokens=1500
    ) as stream:
        first = next(text for text in stream.text)
    assert first
    assert ask(client, transformers).text.startswith(first)
    assert stream.completion.choices[0].finish_reason is None


def test_a_cancelled_task_hangs_up_and_its_client_goes_on(transformers: Peer) -> None:
    async def story() -> Completion:
        async with AsyncClient(api_base=transformers.base_url) as many:
            started = asyncio.Event()

            async def read() -> None:
                async for _ in many.stream(transformers.model, HELLO, max_tokens=1500):
                    started.set()

            task = asyncio.create_task(read())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await many.chat(transformers.model, HELLO, max_tokens=8)

    assert asyncio.run(story()).choices[0].finish_reason == "length"
