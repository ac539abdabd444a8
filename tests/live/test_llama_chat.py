"""A chat with llama.cpp's server: a real one that gives up a running stream for any other request.

Its model is random: `PRINTABLE` keeps it to ASCII and keeps it from ending, as long answers with
other bytes hang that server.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from peers import Peer

from trunkline import (
    AsyncClient,
    Client,
    Completion,
    ContextWindowExceededError,
    InternalServerError,
    Stream,
    StreamTruncated,
    acompletion,
    completion,
    default_async_client,
)

pytestmark = pytest.mark.live

HELLO: Any = [{"role": "user", "content": "hello"}]
PRINTABLE = {str(token): -100 for token in (*range(32), *range(127, 260))}
"""Tokens are bytes; those from 256 to 259 mark the ends of a turn."""
TOO_LONG: Any = [{"role": "user", "content": "x " * 3000}]


def ask(client: Client, peer: Peer, **more: Any) -> Completion:
    given = {"max_tokens": 8, "logit_bias": PRINTABLE, **more}
    return client.chat(peer.model, HELLO, api_base=peer.base_url, **given)


def stream(client: Client, peer: Peer, **more: Any) -> Stream:
    given = {"max_tokens": 64, "logit_bias": PRINTABLE, **more}
    return client.stream(peer.model, HELLO, api_base=peer.base_url, **given)


def test_a_whole_answer_has_text_usage_and_a_receipt(client: Client, llama: Peer) -> None:
    answer = ask(client, llama)
    assert answer.text.isascii()
    assert answer.choices[0].finish_reason == "length"
    assert answer.model == llama.model
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
    assert answer.receipt is not None
    assert answer.receipt.tokens.source == "provider"
    assert answer.receipt.request_id


def test_a_stream_says_what_the_whole_answer_says(client: Client, llama: Peer) -> None:
    greedy: Any = {"temperature": 0, "max_tokens": 32}
    whole = ask(client, llama, **greedy)
    streamed = stream(client, llama, **greedy)
    assert "".join(streamed.text) == whole.text
    assert streamed.completion.choices[0].finish_reason == "length"


def test_a_stream_without_usage_gets_an_estimate_that_says_so(client: Client, llama: Peer) -> None:
    answer = stream(client, llama).collect()
    assert answer.usage is None
    assert answer.receipt is not None
    assert answer.receipt.tokens.source == "estimated"
    assert answer.receipt.tokens.output == -(-len(answer.text) // 4)


def test_stop_and_seed_do_what_they_say(client: Client, llama: Peer) -> None:
    stopped = ask(client, llama, max_tokens=64, temperature=0, stop=["o"])
    assert stopped.choices[0].finish_reason == "stop"
    assert "o" not in stopped.text
    assert ask(client, llama, seed=7).text == ask(client, llama, seed=7).text


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_log_probabilities_arrive_as_they_are(client: Client, llama: Peer, streamed: bool) -> None:
    given: Any = {"max_tokens": 3, "logprobs": True, "top_logprobs": 2}
    answer = stream(client, llama, **given).collect() if streamed else ask(client, llama, **given)
    tokens = answer.choices[0].logprobs["content"]
    assert tokens
    assert all(token["logprob"] < 0 for token in tokens)


def test_the_one_line_faces_reach_it_too(fresh_defaults: None, llama: Peer) -> None:
    given: Any = {"api_base": llama.base_url, "max_tokens": 8, "temperature": 0}
    given["logit_bias"] = PRINTABLE
    whole = completion(llama.model, HELLO, **given)
    assert completion(llama.model, HELLO, stream=True, **given).collect().text == whole.text

    async def awaited() -> tuple[str, str]:
        try:
            answer = await acompletion(llama.model, HELLO, **given)
            opened = await acompletion(llama.model, HELLO, stream=True, **given)
            return answer.text, (await opened.collect()).text
        finally:
            await default_async_client().close()

    assert asyncio.run(awaited()) == (whole.text, whole.text)


def test_a_prompt_beyond_the_context_is_that_error(client: Client, llama: Peer) -> None:
    with pytest.raises(ContextWindowExceededError, match="maximum context length is 2048") as told:
        client.chat(llama.model, TOO_LONG, api_base=llama.base_url, max_tokens=8)
    assert told.value.status == 400
    assert len(told.value.attempts) == 1


def test_a_streamed_prompt_beyond_the_context_is_no_empty_success(
    client: Client, llama: Peer
) -> None:
    # the server answers 200, and then with nothing at all
    with pytest.raises(StreamTruncated) as caught:
        client.stream(
            llama.model, TOO_LONG, api_base=llama.base_url, max_tokens=8, max_retries=0
        ).collect()
    assert caught.value.text == ""
    assert [attempt.error for attempt in caught.value.attempts] == ["StreamTruncated"]


def test_a_parameter_of_the_wrong_type_is_told_in_the_servers_words(
    client: Client, llama: Peer
) -> None:
    with pytest.raises(InternalServerError, match="should be a valid integer") as caught:
        ask(client, llama, extra_body={"max_tokens": "many"})
    assert caught.value.status == 500


def test_a_stream_that_another_request_breaks_off_is_truncated_and_keeps_its_text(
    client: Client, llama: Peer
) -> None:
    broken = stream(client, llama, max_tokens=1900)
    first = next(broken.text)
    assert ask(client, llama).text  # the server gives the stream up for this
    with pytest.raises(StreamTruncated, match="without a finish reason") as caught:
        broken.collect()
    assert caught.value.text.startswith(first)
    assert caught.value.partial is not None
    assert caught.value.partial.choices[0].finish_reason is None
    assert ask(client, llama).choices[0].finish_reason == "length"


def test_leaving_a_stream_early_leaves_the_server_free_for_the_next(
    client: Client, llama: Peer
) -> None:
    for _ in range(5):
        with stream(client, llama, max_tokens=1900) as left:
            assert next(left.text)
        assert ask(client, llama).choices[0].finish_reason == "length"


def test_a_cancelled_task_hangs_up_and_its_client_goes_on(llama: Peer) -> None:
    given: Any = {"logit_bias": PRINTABLE}

    async def story() -> Completion:
        async with AsyncClient(api_base=llama.base_url) as many:
            started = asyncio.Event()

            async def read() -> None:
                async for _ in many.stream(llama.model, HELLO, max_tokens=1900, **given):
                    started.set()

            task = asyncio.create_task(read())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await many.chat(llama.model, HELLO, max_tokens=8, **given)

    assert asyncio.run(story()).choices[0].finish_reason == "length"
