"""OpenAI's and Anthropic's clients that name their requests, as some versions do by themselves: retries find the first answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import javascript
import openai
import pytest
from crowd import Upstream, settled_book, upstream
from gateways import rows
from questions import LLAMA, MESSAGES
from running import Gateway, running

pytestmark = pytest.mark.slow

NAME = "Idempotency-Key"


def naming(client: Any) -> Any:
    """Have a client send the names that it makes for its retries."""
    client._idempotency_header = NAME
    return client


@pytest.fixture
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=3, timeout=10)
    with made:
        yield naming(made)


def create(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(**{"model": LLAMA, "messages": MESSAGES, **more})


def test_calls_and_streams_of_a_client_that_names_them_are_answered_as_ever(
    client: openai.OpenAI,
) -> None:
    one, other = create(client), create(client)
    assert one.choices[0].message.content
    assert other._request_id != one._request_id
    chunks = list(create(client, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert client.embeddings.create(
        model="huggingface/hf-inference/sentence-transformers/all-MiniLM-L6-v2", input="hello"
    ).data


def test_a_name_of_ones_own_gets_the_first_answer_again(client: openai.OpenAI) -> None:
    named = {"extra_headers": {NAME: "mine"}}
    first, again = (create(client, **named) for _ in range(2))
    assert again.id == first.id
    raw = client.chat.completions.with_raw_response.create(model=LLAMA, messages=MESSAGES, **named)
    assert raw.headers["idempotent-replayed"] == "true"
    assert raw.headers["x-original-request-id"] == first._request_id
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        create(client, temperature=0, **named)
    assert caught.value.code == "idempotency_key_reused"


def test_other_apis_answers_are_told_again_in_their_own_words(
    client: openai.OpenAI, gateway: Gateway, key: str
) -> None:
    named = {"extra_headers": {NAME: "another api"}}
    first, again = (client.responses.create(model=LLAMA, input="hello", **named) for _ in range(2))
    assert again.to_dict() == first.to_dict()
    events = [
        [
            event.to_dict()
            for event in client.responses.create(
                model=LLAMA, input="hello", stream=True, extra_headers={NAME: "events"}
            )
        ]
        for _ in range(2)
    ]
    assert events[0] == events[1]
    assert events[0][-1]["type"] == "response.completed"


def test_anthropics_client_is_answered_so_too(gateway: Gateway, key: str) -> None:
    made = anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=2, timeout=10)
    wish: Any = {"model": LLAMA, "messages": MESSAGES, "max_tokens": 50}
    with naming(made) as client:
        first, other = (client.messages.create(**wish) for _ in range(2))
        assert first._request_id != other._request_id
        named = {"extra_headers": {NAME: "theirs"}}
        kept, again = (client.messages.create(**wish, **named) for _ in range(2))
        assert again.id == kept.id
        texts = []
        for _ in range(2):
            with client.messages.stream(**wish, extra_headers={NAME: "told"}) as stream:
                texts.append(stream.get_final_message().to_dict())
        assert texts[0] == texts[1]
        with pytest.raises(anthropic.UnprocessableEntityError) as reused:
            client.messages.create(**{**wish, "max_tokens": 51}, **named)
        assert "Idempotency-Key" in reused.value.message
        with pytest.raises(anthropic.InternalServerError) as failed:
            client.messages.create(**{**wish, "model": "org/fault-500:novita"})
        assert failed.value.response.headers["idempotent-replayed"] == "true"
        assert client.messages.count_tokens(model=LLAMA, messages=MESSAGES).input_tokens
    assert len(rows(gateway, "org/fault-500:novita", 1)) == 1


def test_a_failed_call_is_not_sent_again_by_a_clients_retries(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    model = "org/fault-500:together"
    with pytest.raises(openai.InternalServerError) as caught:
        create(client, model=model)
    assert caught.value.response.headers["idempotent-replayed"] == "true"
    assert len(rows(gateway, model, 1)) == 1


def test_a_limit_is_waited_out_by_a_clients_retries(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    model = "org/fault-429;times=1:together"
    assert create(client, model=model).choices
    assert [row["status"] for row in rows(gateway, model, 2)] == [429, 200]


def refused(gateway: Gateway) -> bool:
    """Whether a request was told to wait for the first of its name."""
    told = gateway.ask("GET", "/metrics", key=gateway.admin_key)[2].decode()
    return 'trunkline_refused_total{reason="idempotency"}' in told


def test_a_client_that_did_not_wait_gets_the_answer_by_its_retries_and_it_is_paid_once(
    tmp_path: Path,
) -> None:
    async def ask(gateway: Gateway, serving: Upstream) -> None:
        made = openai.AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key=gateway.new_key(), max_retries=8, timeout=0.5
        )
        async with naming(made) as client:
            asking = asyncio.create_task(
                client.chat.completions.create(
                    model="org/slow", messages=[{"role": "user", "content": "Hello"}], max_tokens=9
                )
            )
            async with asyncio.timeout(20):
                while not await asyncio.to_thread(refused, gateway):
                    await asyncio.sleep(0.02)
            serving.gate.set()
            answer = await asking
        assert answer.choices[0].message.content == "five small words of answer"
        assert serving.seen == {"org/slow": 1}
        assert len((await settled_book(gateway)).rows) == 1

    async def work() -> None:
        async with upstream() as serving:
            serving.gate.clear()
            with running(tmp_path, serving.config) as gateway:
                await ask(gateway, serving)

    asyncio.run(work())


def test_javascripts_client_is_answered_so_too(gateway: Gateway, key: str) -> None:
    try:
        packages = javascript.installed()
    except javascript.NoJavaScriptError as reason:
        pytest.skip(str(reason))
    url = gateway.url.replace("http://", f"http://{key}@")
    told = javascript.run(packages, "gateway_once.mjs", "named", url)
    assert len(set(told["ids"])) == 4  # each answer has an id of its own
    assert told["replayed"] == "true"
    assert told["original"] == told["ids"][2]
    assert told["text"]
    assert told["failed"] == "true"
    assert len(rows(gateway, "org/fault-500:groq", 1)) == 1
