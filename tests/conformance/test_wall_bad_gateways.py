"""The wall knows a bad gateway when it meets one: a verdict of each kind, over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json

import msgspec
import pytest
from bad_gateways import BREAK, HANG, Answer, Behave, bad_gateway

from trunkline.conformance.asking import place_of
from trunkline.conformance.calls import Result, calls_for
from trunkline.conformance.gateway import Wall
from trunkline.conformance.upstream import Upstream
from trunkline.errors import ConfigurationError

FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def changed(**fields: object) -> Behave:
    """A gateway that changes fields of every answer."""
    return lambda answer: msgspec.structs.replace(answer, **fields)


def as_it_comes(answer: Answer) -> Answer:
    return answer


def finishing(answer: Answer) -> Answer:
    """Calls whatever came a whole answer."""
    body = answer.body
    whole = body[: body.rfind(b"\n\n") + 2]
    return msgspec.structs.replace(answer, body=whole + FINISH)


def marking(answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, body=answer.body + b"data: [DONE]\n\n")


def replacing(old: bytes, new: bytes) -> Behave:
    return lambda answer: msgspec.structs.replace(answer, body=answer.body.replace(old, new))


def cutting(answer: Answer) -> Answer:
    """Loses a part of the text in the middle of a whole answer."""
    body = json.loads(answer.body)
    said = body["choices"][0]["message"]
    said["content"] = said["content"][:20]
    return msgspec.structs.replace(answer, body=json.dumps(body).encode())


def breaking_at(part: float, ends: str) -> Behave:
    def behave(answer: Answer) -> Answer:
        return msgspec.structs.replace(
            answer, body=answer.body[: int(len(answer.body) * part)], ends=ends
        )

    return behave


def error(status: int, **headers: str) -> Behave:
    """Answers everything with one error."""
    told = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    body = b'{"error":{"message":"It failed.","type":"api_error"}}'
    return lambda _: Answer(status, body, (("content-type", "application/json"), *told))


def in_band(answer: Answer) -> Answer:
    told = b'data: {"error":{"message":"It broke off.","type":"api_error"}}\n\n'
    return msgspec.structs.replace(
        answer, body=answer.body[: answer.body.rfind(b"\n\n") + 2] + told
    )


CASES = [
    ("cr-lines", "stream", as_it_comes, "pass", "nothing is lost"),
    ("usage-missing", "whole", as_it_comes, "pass", "tokens are unknown"),
    ("truncated", "stream", in_band, "safe error", "an error in the stream"),
    ("truncated", "stream", breaking_at(0.5, BREAK), "safe error", "the connection breaks"),
    ("429-int", "whole", as_it_comes, "safe error", "status 429"),
    ("html-200", "whole", error(502), "safe error", "status 502"),
    ("cr-lines", "stream", error(502), "safe error", "status 502"),
    ("truncated", "stream", finishing, "wrong", "called finished (finish reason 'stop')"),
    ("cut-event", "stream", finishing, "wrong", "called finished"),
    ("truncated", "stream", marking, "wrong", "called finished ([DONE])"),
    ("truncated", "stream", as_it_comes, "wrong", "ends as if it were whole"),
    ("no-finish", "stream", as_it_comes, "wrong", "called finished"),
    ("no-done", "stream", replacing(b'"length"', b'"stop"'), "wrong", "finish reason is 'stop'"),
    ("separators", "stream", replacing("\u2028".encode(), b" "), "wrong", "another one"),
    ("usage-missing", "whole", cutting, "wrong", "cut, and called whole"),
    ("usage-twice", "stream", replacing(b'tokens":7', b'tokens":14'), "wrong", "the upstream told"),
    ("usage-missing", "whole", replacing(b'"choices"', b'"usage":{"total_tokens":0},"choices"'),
     "wrong", "did not tell"),
    ("usage-negative", "whole", as_it_comes, "wrong", "did not tell"),
    ("tools-same-index", "stream", as_it_comes, "wrong", "tool calls are others"),
    ("tools-no-index", "stream", as_it_comes, "wrong", "without an index"),
    ("tools-object", "whole", as_it_comes, "wrong", "no text"),
    ("json-error-200", "whole", as_it_comes, "wrong", "200 with an error in it"),
    ("json-200", "stream", as_it_comes, "wrong", "as JSON where a stream"),
    ("html-200", "whole", as_it_comes, "wrong", "no JSON"),
    ("html-200", "stream", as_it_comes, "wrong", "no event"),
    ("empty-200", "whole", as_it_comes, "wrong", "nothing"),
    ("no-choices", "whole", as_it_comes, "wrong", "without a choice"),
    ("null-content", "whole", replacing(b'"content":null', b'"content":"Sure!"'), "wrong", "another"),
    ("invalid-utf8", "stream", as_it_comes, "wrong", "not UTF-8"),
    ("429-int", "whole", error(500), "wrong", "status 500, where the truth is that a rate limit"),
    ("429-int", "whole", error(503), "wrong", "status 503"),
    ("429-int", "whole", error(503, retry_after="5"), "safe error", "status 503"),
    ("429-long", "whole", error(429, retry_after="1"), "wrong", "says to come back after 1 s"),
    ("503", "whole", error(400), "wrong", "status 400"),
    ("400", "whole", error(500), "wrong", "status 500"),
    ("402", "whole", error(429), "wrong", "status 429"),
    ("429", "whole", breaking_at(0, BREAK), "safe error", "status 429"),
    ("401-echo", "whole", as_it_comes, "wrong", "credential"),
    ("no-done", "stream", breaking_at(0, HANG), "hang", "no end by the limit"),
    ("usage-missing", "whole", breaking_at(0.5, HANG), "hang", "no end by the limit"),
]  # fmt: skip


def verdict_on(fault: str, shape: str, behave: Behave, limit: float) -> Result:
    """Hold a gateway to one fault in one shape."""

    async def run() -> Result:
        async with Upstream() as upstream:
            with bad_gateway(upstream.server.port, behave) as url:
                wall = Wall(place_of(url), upstream, limit=limit)
                (call,) = [c for c in calls_for([fault]) if c.shape == shape]
                (result,) = await wall.run([call])
                return result

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "shape", "behave", "verdict", "why"), CASES, ids=[f"{c[0]}-{c[3]}" for c in CASES]
)
def test_a_gateway_gets_the_verdict_that_it_deserves(
    fault: str, shape: str, behave: Behave, verdict: str, why: str
) -> None:
    result = verdict_on(fault, shape, behave, 0.2 if verdict == "hang" else 30.0)
    assert (result.verdict, why in result.why) == (verdict, True), result
    assert result.asked >= 1


@pytest.mark.slow  # the client stays a while, and then waits for the upstream to notice
def test_a_gateway_that_reads_on_for_nobody_is_wrong() -> None:
    result = verdict_on("endless", "stream", as_it_comes, 30.0)
    assert (result.verdict, result.why) == (
        "wrong",
        "the client left, and the upstream is still asked",
    )


def test_a_gateway_that_does_not_ask_the_sandbox_is_told_what_to_ask() -> None:
    async def run() -> str:
        async with Upstream() as upstream, Upstream() as other:
            with bad_gateway(other.server.port, as_it_comes) as url:
                with pytest.raises(ConfigurationError) as caught:
                    await Wall(place_of(url), upstream, limit=30.0).ready(0.0)
                assert upstream.url in str(caught.value)
                return str(caught.value)

    assert "the sandbox was not asked: an answer that no upstream gave" in asyncio.run(run())


def test_a_gateway_that_is_not_there_is_told_so() -> None:
    async def run() -> None:
        async with Upstream() as upstream:
            with pytest.raises(ConfigurationError, match="does not answer a plain chat"):
                await Wall(place_of("http://127.0.0.1:9"), upstream, limit=5.0).ready(0.0)

    asyncio.run(run())


def test_a_gateway_that_answers_nothing_any_more_is_given_up() -> None:
    """What is left over hangs, and is not waited for."""

    def dying(answer: Answer) -> Answer:
        return msgspec.structs.replace(answer, body=b"", ends=HANG)

    async def run() -> list[Result]:
        async with Upstream() as upstream:
            with bad_gateway(upstream.server.port, dying) as url:
                wall = Wall(place_of(url), upstream, limit=0.2, at_once=1)
                return await wall.run(calls_for(["huge-event", "no-done", "503"]))

    first, *rest = sorted(asyncio.run(run()), key=lambda result: -result.asked)
    assert (first.verdict, first.asked) == ("hang", 1)
    assert "nothing else is answered behind it" in first.why
    assert len(rest) == 4
    for result in rest:
        assert (result.verdict, result.asked, result.seconds) == ("hang", 0, 0.0)
        assert result.why.startswith("the gateway answers nothing any more, since")


def test_the_heavy_faults_come_last() -> None:
    made: list[str] = []

    async def run() -> list[Result]:
        async with Upstream() as upstream:
            with bad_gateway(upstream.server.port, as_it_comes) as url:
                wall = Wall(place_of(url), upstream, limit=60.0)
                calls = calls_for(["huge-event", "no-done", "503"])
                results = await wall.run(calls, lambda result: made.append(result.fault))
                assert [result.fault for result in results] == [call.row.fault for call in calls]
                return results

    assert len(asyncio.run(run())) == 5
    assert made[-2:] == ["huge-event", "huge-event"]
    assert set(made[:-2]) == {"no-done", "503"}


@pytest.mark.parametrize(
    ("kept", "why"),
    [(("authorization",), "with the credential"), ((), "with the prompt")],
)
def test_a_gateway_that_follows_a_redirect_is_wrong(kept: tuple[str, ...], why: str) -> None:
    async def run() -> Result:
        async with Upstream() as upstream:
            port = upstream.server.port

            def following(answer: Answer) -> Answer:
                assert answer.status == 307
                headers = dict.fromkeys(kept, "Bearer x")
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("POST", "/elsewhere/whole/fault-307", b"the prompt", headers)
                status = connection.getresponse().status
                connection.close()
                return error(502)(msgspec.structs.replace(answer, status=status))

            with bad_gateway(port, following) as url:
                (call,) = [c for c in calls_for(["307"]) if c.shape == "whole"]
                (result,) = await Wall(place_of(url), upstream, limit=30.0).run([call])
                return result

    result = asyncio.run(run())
    assert (result.verdict, why in result.why, result.asked) == ("wrong", True, 1), result
