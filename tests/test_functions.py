"""The one-line faces, and the default clients behind them."""

from __future__ import annotations

import threading

import pytest

import trunkline
from faces import ASKED
from loopback import answers
from trunkline import (
    AsyncClient,
    AsyncStream,
    Client,
    InvalidInputError,
    Stream,
    acompletion,
    completion,
    default_async_client,
    default_client,
    set_default_client,
)


@pytest.fixture(autouse=True)
def fresh_defaults(bare_environment):
    """No test sees the default clients of another."""
    set_default_client()
    yield
    default_client().close()
    set_default_client()


def test_completion_answers_whole_or_streamed(serve) -> None:
    upstream = serve(answers)
    assert completion("m", ASKED, api_base=upstream.url).text == "Hello"
    assert completion(model="m", messages=ASKED, api_base=upstream.url, stream=False).text
    reading = completion("m", ASKED, api_base=upstream.url, stream=True)
    assert isinstance(reading, Stream)
    assert "".join(chunk.text for chunk in reading) == "Hello"
    assert len(upstream.visits) == 1


def test_acompletion_answers_whole_or_streamed(runner, serve) -> None:
    upstream = serve(answers)

    async def main() -> None:
        assert (await acompletion("m", ASKED, api_base=upstream.url)).text == "Hello"
        reading = await acompletion("m", ASKED, api_base=upstream.url, stream=True)
        assert isinstance(reading, AsyncStream)
        assert "".join([chunk.text async for chunk in reading]) == "Hello"
        await default_async_client().close()

    runner.run(main())
    assert len(upstream.visits) == 1


def test_typed_answers_come_through_the_one_line_faces(runner) -> None:
    asked = {"model": "sandbox/demo", "messages": ASKED, "response_model": list[int]}
    assert isinstance(completion(**asked), list)

    async def main() -> None:
        assert isinstance(await acompletion(**asked), list)

    runner.run(main())


def test_a_typed_answer_is_not_streamed(runner) -> None:
    asked = {"model": "sandbox/demo", "messages": ASKED, "response_model": int, "stream": True}
    with pytest.raises(InvalidInputError, match="do not go together"):
        completion(**asked)
    with pytest.raises(InvalidInputError, match="do not go together"):
        runner.run(acompletion(**asked))


def test_the_default_client_is_made_once_whoever_comes_first() -> None:
    together = threading.Barrier(16)
    found = []

    def asks() -> None:
        together.wait(10)
        found.append((default_client(), default_async_client()))

    threads = [threading.Thread(target=asks) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 16
    assert len(set(found)) == 1


def test_the_default_clients_can_be_replaced(runner, serve) -> None:
    upstream = serve(answers)
    client, async_client = Client(api_base=upstream.url), AsyncClient(api_base=upstream.url)
    set_default_client(client, async_client)
    assert default_client() is client
    assert default_async_client() is async_client
    assert completion("m", ASKED).text == "Hello"

    async def main() -> None:
        assert (await acompletion("m", ASKED)).text == "Hello"
        await async_client.close()

    runner.run(main())
    client.close()
    set_default_client()
    assert default_client() is not client


def test_without_a_token_the_error_says_how_to_give_one() -> None:
    with pytest.raises(trunkline.AuthenticationError) as caught:
        completion("huggingface/groq/org/model", ASKED)
    for way in ("hf auth login", "HF_TOKEN", "token="):
        assert way in str(caught.value)


def test_the_token_of_the_environment_is_looked_up_for_each_call(serve, monkeypatch) -> None:
    upstream = serve(answers)
    monkeypatch.setenv("TRUNKLINE_ROUTER", upstream.url)
    for token in ("hf_one", "hf_two"):
        monkeypatch.setenv("HF_TOKEN", token)
        completion("org/model", ASKED)
    sent = [request.headers["authorization"] for request in upstream.requests]
    assert sent == ["Bearer hf_one", "Bearer hf_two"]


def test_a_token_that_was_replaced_is_read_again_after_a_401(serve, monkeypatch, tmp_path) -> None:
    login = tmp_path / "token"
    login.write_text("hf_old\n")
    monkeypatch.setenv("HF_TOKEN_PATH", str(login))

    def script(visit) -> None:
        while True:
            if visit.request().headers["authorization"] == "Bearer hf_new":
                visit.answer()
            else:
                login.write_text("hf_new\n")
                visit.answer(b'{"error": "Invalid username or password."}', 401)

    upstream = serve(script)
    monkeypatch.setenv("TRUNKLINE_ROUTER", upstream.url)
    answer = completion("org/model", ASKED)
    assert [attempt.status for attempt in answer.receipt.attempts] == [401, 200]
