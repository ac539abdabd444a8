"""Clients in the places where programs use them: threads, forks, event loops, interpreters' ends."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from faces import ASKED, ONCE, Face
from loopback import LAST, STREAM_HEAD, answers, chunk, completion, event, stream, whole
from trunkline import AsyncClient, Client, InvalidInputError
from trunkline.settings import read_settings

EVENTS = 20


def echoes(visit) -> None:
    """Answer with the text that was asked, whole or in pieces."""
    while True:
        asked = visit.request().json
        said = asked["messages"][0]["content"]
        if asked.get("stream"):
            pieces = [event(f"{said};") for _ in range(EVENTS)]
            visit.send(stream(*pieces, event(finish="stop"), b"data: [DONE]\n\n"))
        else:
            visit.send(whole(completion(said)))


def saying_it(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


UNHURRIED = "import logging; logging.getLogger('asyncio').setLevel('ERROR')\n"
"""A loop that is watched says of each slow step that it was slow, as all are on a busy machine."""


def python(code: str, *arguments: str) -> str:
    """Run a program in which every warning is an error; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", UNHURRIED + code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# threads


def test_sixteen_threads_share_a_client_and_get_their_own_answers(serve) -> None:
    upstream = serve(echoes)
    client = Face().client(upstream.url)

    def works(number: int) -> None:
        for turn in range(10):
            said = f"thread {number}, turn {turn}"
            assert client.chat("m", saying_it(said)).text == said
            whole_text = client.stream("m", saying_it(said)).collect().text
            assert whole_text == f"{said};" * EVENTS

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(works, number) for number in range(16)]:
            done.result(30)
    assert len(upstream.visits) <= 16
    client.close()
    assert all(visit.over.wait(10) for visit in upstream.visits)


def test_threads_that_come_first_together_share_one_pool(serve) -> None:
    upstream = serve(echoes)
    for _ in range(10):
        client = Face().client(upstream.url)
        together = threading.Barrier(8)

        def works(client=client, together=together) -> None:
            together.wait(10)
            client.chat("m", ASKED)

        threads = [threading.Thread(target=works) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        client.close()
    assert all(visit.over.wait(10) for visit in upstream.visits)


def test_many_tasks_share_a_client_and_get_their_own_answers(runner, serve) -> None:
    upstream = serve(echoes)

    async def works(client: AsyncClient, number: int) -> None:
        for turn in range(5):
            said = f"task {number}, turn {turn}"
            assert (await client.chat("m", saying_it(said))).text == said
            answer = await client.stream("m", saying_it(said)).collect()
            assert answer.text == f"{said};" * EVENTS

    async def main() -> None:
        async with AsyncClient(api_base=upstream.url) as client:
            await asyncio.gather(*(works(client, number) for number in range(32)))
        assert len(upstream.visits) <= 32

    runner.run(main())


def test_blocking_calls_make_no_thread_and_load_no_event_loop(serve) -> None:
    upstream = serve(answers)
    code = """if True:
        import sys, threading
        from trunkline import Client, completion
        asked = [{"role": "user", "content": "Hello?"}]
        print(completion("m", asked, api_base=sys.argv[1]).text)
        for chunk in completion("m", asked, api_base=sys.argv[1], stream=True):
            assert threading.active_count() == 1
        print(threading.active_count(), "asyncio" in sys.modules)
    """
    assert python(code, upstream.url) == "Hello\n1 False\n"


# forks

FORKING = """
import os, sys
from trunkline import Client
asked = [{"role": "user", "content": "Hello?"}]
client = Client(api_base=sys.argv[1])
with client.stream("m", asked) as stream:
    first = next(stream)
    assert client.chat("m", asked).text == "Hello"  # a second connection, idle from now on
    child = os.fork()
    if child == 0:
        how = sys.argv[2]
        if how == "uses":
            assert client.chat("m", asked).text == "Hello"
        elif how == "closes":
            client.close()
        elif how == "leaves":
            stream.close()
        del stream, client
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.chat("m", [{"role": "user", "content": "go on"}]).text == "Hello"
    text = first.text + "".join(stream.text)
assert text == "Hello", text
client.close()
print("well")
"""


@pytest.mark.parametrize(
    ("how", "connections"), [("uses", 3), ("closes", 2), ("leaves", 2), ("drops", 2)]
)
def test_a_forked_child_leaves_its_parents_connections_alone(serve, how, connections) -> None:
    """One connection idles and one is in the middle of a stream; both live on in the parent."""

    def script(visit) -> None:
        while True:
            asked = visit.request().json
            if asked["messages"][0]["content"] == "go on":
                visit.note("go on")
            if not asked.get("stream"):
                visit.answer()
                continue
            visit.send(STREAM_HEAD, chunk(event("Hel")))
            visit.hold("go on")
            visit.send(chunk(event("lo")), chunk(event(finish="stop")), LAST)

    upstream = serve(script)
    assert python(FORKING, upstream.url, how) == "well\n"
    assert len(upstream.visits) == connections


# event loops


def test_a_blocking_client_works_under_a_running_loop(runner, serve) -> None:
    upstream = serve(answers)

    async def main() -> None:
        with Face().client(upstream.url) as client:
            assert client.chat("m", ASKED).text == "Hello"
            assert client.stream("m", ASKED).collect().text == "Hello"

    runner.run(main())


def test_an_async_client_serves_one_loop_after_another(serve) -> None:
    upstream = serve(answers)
    client = AsyncClient(api_base=upstream.url, settings=read_settings({}))

    async def main() -> str:
        return (await client.chat("m", ASKED)).text

    for _ in range(5):
        assert asyncio.run(main()) == "Hello"
    assert len(upstream.visits) == 5
    assert all(visit.over.wait(10) for visit in upstream.visits)
    gc.collect()
    assert len(client._transports["net"]._pools) == 0  # a loop that is over is not kept


def test_an_async_client_serves_loops_in_two_threads_at_once(serve) -> None:
    upstream = serve(echoes)
    client = AsyncClient(api_base=upstream.url, settings=read_settings({}))
    together = threading.Barrier(2)

    async def main(name: str) -> None:
        for turn in range(20):
            together.wait(10)
            said = f"{name} {turn}"
            assert (await client.chat("m", saying_it(said))).text == said

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(asyncio.run, main(name)) for name in ("one", "two")]:
            done.result(30)
    assert len(upstream.visits) == 2


def test_an_async_client_may_be_closed_from_another_loop(serve) -> None:
    upstream = serve(answers)
    client = AsyncClient(api_base=upstream.url, settings=read_settings({}))
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(client.chat("m", ASKED)).text == "Hello"
    asyncio.run(client.close())
    loop.run_until_complete(asyncio.sleep(0))
    assert upstream.visits[0].over.wait(10)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


# ends


def test_a_client_is_a_context_manager_that_closes_its_connections(face, serve) -> None:
    upstream = serve(answers)
    client = face.client(upstream.url)
    if face.name == "blocking":
        with client as entered:
            assert entered is client
            face.chat(client, **ONCE)
    else:

        async def main() -> None:
            async with client as entered:
                assert entered is client
                await client.chat("m", ASKED)

        face.run(main())
        face.run(asyncio.sleep(0))
    assert upstream.visits[0].over.wait(10)


@pytest.mark.parametrize(
    "code",
    [
        "print(completion('m', asked, api_base=url).text)",
        "print(Client(api_base=url).chat('m', asked).text)",
        "client = Client(api_base=url); print(client.chat('m', asked).text)",
        "stream = Client(api_base=url).stream('m', asked); print(next(stream).text + 'lo')",
        "print(asyncio.run(acompletion('m', asked, api_base=url)).text)",
        "client = AsyncClient(api_base=url); print(asyncio.run(client.chat('m', asked)).text)",
        "stream = asyncio.run(opened()); print('Hello')",
        "stream = asyncio.run(opened()); del stream; print('Hello')",
    ],
)
def test_a_program_that_closes_nothing_ends_without_a_word(serve, code) -> None:
    upstream = serve(answers)
    before = """if True:
        import asyncio, sys
        from trunkline import AsyncClient, Client, acompletion, completion
        asked, url = [{"role": "user", "content": "Hello?"}], sys.argv[1]
        async def opened():
            return await AsyncClient(api_base=url).stream("m", asked)
    """
    assert python(f"{before}\n        {code}", upstream.url) == "Hello\n"
    assert all(visit.over.wait(10) for visit in upstream.visits)


# defaults


def test_a_calls_own_keywords_come_before_the_clients(face, serve) -> None:
    upstream = serve(answers)
    client = face.client(
        upstream.url,
        token="client-key",
        session_id="client-session",
        bill_to="client-org",
        extra_headers={"x-a": "client", "x-b": "client"},
    )
    face.chat(client)
    face.chat(client, api_key="call-key", session_id="call-session", extra_headers={"X-A": "call"})
    one, two = (request.headers for request in upstream.requests)
    assert one["authorization"] == "Bearer client-key"
    assert (one["x-hf-session-id"], one["x-hf-bill-to"]) == ("client-session", "client-org")
    assert (one["x-a"], one["x-b"]) == ("client", "client")
    assert two["authorization"] == "Bearer call-key"
    assert two["x-hf-session-id"] == "call-session"
    assert (two["x-a"], two["x-b"]) == ("call", "client")


@pytest.mark.parametrize(
    "parameters",
    [
        {"temprature": 1},
        {"temperature": float("nan")},
        {"timeout": 0},
        {"deadline": -1},
        {"max_tokens": 0},
        {"messages": []},
    ],
    ids=str,
)
def test_bad_input_raises_at_once_and_nothing_is_sent(face, serve, parameters) -> None:
    upstream = serve(answers)
    client = face.client(upstream.url)
    given = {"messages": ASKED, **parameters}
    with pytest.raises(InvalidInputError):
        face.run(client.chat("m", **given))
    with pytest.raises(InvalidInputError):
        client.stream("m", **given)
    assert upstream.visits == []


def test_a_typed_answer_is_that_type(face, serve) -> None:
    from dataclasses import dataclass

    @dataclass
    class City:
        name: str

    def script(visit) -> None:
        assert "json_schema" in visit.request().json["response_format"]
        visit.answer(completion('{"name": "Paris"}'))

    upstream = serve(script)
    assert face.chat(face.client(upstream.url), response_model=City) == City("Paris")


def test_functions_are_sent_as_tools(face, serve) -> None:
    def get_weather(city: str) -> str:
        """Tell the weather."""
        return city

    upstream = serve(answers)
    face.chat(face.client(upstream.url), tools=[get_weather])
    (tool,) = upstream.requests[0].json["tools"]
    assert tool["function"]["name"] == "get_weather"


def test_the_sandbox_answers_without_token_or_network(face) -> None:
    client = face.client()
    answer = face.run(client.chat("sandbox/demo", ASKED))
    assert answer.text.startswith("[simulated]")
    assert face.run(face.opened(client.stream("sandbox/demo", ASKED)).collect()).text
    client_class = Client if face.name == "blocking" else AsyncClient
    assert isinstance(client, client_class)
    assert "net" not in client._transports
