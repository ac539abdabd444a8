"""OpenAI's Python client, unchanged, against the sandbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel
from questions import (
    AS_REPORT,
    DEMO,
    LLAMA,
    MESSAGES,
    SAID,
    SEEN,
    SHOWN,
    TOOLS,
    VISION,
    fits_report,
)

from trunkline.sandbox import SandboxServer


def broken(error: BaseException) -> bool:
    """Tell whether an error is the client's for a stream that breaks; before 3 that was its HTTP library's."""
    old = int(openai.__version__.partition(".")[0]) < 3
    return isinstance(error, openai.APIConnectionError) or (
        old and type(error).__module__.partition(".")[0] == "httpx"
    )


COUNTED: Any = {"stream": True, "stream_options": {"include_usage": True}}


class Report(BaseModel):
    sky: Literal["clear", "cloudy"]
    degrees: int
    windy: bool


@pytest.fixture
def client(server: SandboxServer) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{server.url}/v1", api_key="hf_good", max_retries=0, timeout=10)
    with made:
        yield made


def create(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{"model": LLAMA, "messages": MESSAGES, **more})


def text_of(chunks: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_whole_answer_says_who_served_it_and_what_it_used(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=f"{LLAMA}:together", messages=MESSAGES
    )
    answer = raw.parse()
    assert (answer.choices[0].message.content or "").startswith(f'[simulated] You said: "{SAID}"')
    assert answer.choices[0].finish_reason == "stop"
    assert raw.headers["x-inference-provider"] == "together"
    assert raw.request_id
    usage = answer.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def test_a_stream_says_what_the_whole_answer_says_and_usage_where_asked(
    client: openai.OpenAI,
) -> None:
    whole = create(client)
    chunks = list(create(client, **COUNTED))
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    plain = list(create(client, model=DEMO, stream=True))
    assert plain[-1].choices[0].finish_reason == "stop"
    assert not any(chunk.usage for chunk in plain)


def test_the_async_client_asks_eight_times_at_once(server: SandboxServer) -> None:
    async def story() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="hf_good") as client:

            async def one(number: int) -> str:
                asked: Any = [{"role": "user", "content": f"Number {number}"}]
                stream = await client.chat.completions.create(
                    model=LLAMA, messages=asked, stream=True
                )
                return text_of([chunk async for chunk in stream])

            return await asyncio.gather(*map(one, range(8)))

    for number, text in enumerate(asyncio.run(story())):
        assert f'"Number {number}"' in text


def test_a_tool_is_called_and_its_result_answered(client: openai.OpenAI) -> None:
    first = create(client, tools=TOOLS, tool_choice="auto").choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["city"] == "Paris"
    told = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
    last = create(client, messages=[*MESSAGES, first.message, told], tools=TOOLS)
    assert "get_weather answered: 18 degrees." in last.choices[0].message.content


def test_streamed_tool_calls_are_put_together_by_the_clients_own_helper(
    client: openai.OpenAI,
) -> None:
    with client.chat.completions.stream(
        model=LLAMA, messages=MESSAGES, tools=TOOLS, tool_choice="required"
    ) as stream:
        names = [
            event.name for event in stream if event.type == "tool_calls.function.arguments.done"
        ]
        (call,) = stream.get_final_completion().choices[0].message.tool_calls or []
    assert names == ["get_weather"]
    assert json.loads(call.function.arguments)["city"] == "Paris"


def test_answers_fit_a_json_schema_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = create(client, response_format=AS_REPORT).choices[0].message.content
    assert fits_report(json.loads(whole))
    assert text_of(create(client, response_format=AS_REPORT, stream=True)) == whole


def test_answers_are_parsed_into_pydantic_models(client: openai.OpenAI) -> None:
    parse = client.chat.completions.parse
    found = parse(model=LLAMA, messages=MESSAGES, response_format=Report)
    assert isinstance(found.choices[0].message.parsed, Report)
    with client.chat.completions.stream(
        model=LLAMA, messages=MESSAGES, response_format=Report
    ) as stream:
        streamed = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(streamed, Report)


def test_images_are_seen(client: openai.OpenAI) -> None:
    assert SEEN in create(client, model=VISION, messages=SHOWN).choices[0].message.content


def test_n_limits_stops_and_log_probabilities(client: openai.OpenAI) -> None:
    two = create(client, n=2).choices
    assert [choice.index for choice in two] == [0, 1]
    cut = create(client, max_tokens=3).choices[0]
    assert cut.finish_reason == "length"
    assert two[0].message.content.startswith(cut.message.content)
    assert "Paris" not in create(client, stop=["Paris"]).choices[0].message.content
    told = create(client, logprobs=True, top_logprobs=1).choices[0]
    assert "".join(token.token for token in told.logprobs.content) == told.message.content


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    assert LLAMA in [model.id for model in client.models.list()]
    assert client.models.retrieve(LLAMA).id == LLAMA
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no/such")


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("400-model", openai.BadRequestError, 400),
        ("401", openai.AuthenticationError, 401),
        ("402", openai.APIStatusError, 402),
        ("403", openai.PermissionDeniedError, 403),
        ("404", openai.NotFoundError, 404),
        ("409", openai.ConflictError, 409),
        ("422", openai.UnprocessableEntityError, 422),
        ("429", openai.RateLimitError, 429),
        ("500", openai.InternalServerError, 500),
        ("502", openai.InternalServerError, 502),
        ("503-loading", openai.InternalServerError, 503),
        ("504", openai.InternalServerError, 504),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_statuses_raise_this_clients_own_errors(
    client: openai.OpenAI,
    fault: str,
    kind: type[openai.APIStatusError],
    status: int,
    streamed: bool,
) -> None:
    with pytest.raises(kind) as caught:
        create(client, stream=streamed, extra_headers={"x-sandbox-fault": fault})
    assert caught.value.status_code == status
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("token", "status"), [("hf_invalid", 401), ("hf_nocredits", 402), ("hf_nopermission", 403)]
)
def test_tokens_are_refused_as_hugging_face_does(
    client: openai.OpenAI, token: str, status: int
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        create(client.with_options(api_key=token))
    assert caught.value.status_code == status


@pytest.mark.parametrize("fault", ["error-first", "error-mid-stream", "error-tgi", "event-error"])
def test_an_error_within_a_stream_is_raised(client: openai.OpenAI, fault: str) -> None:
    with pytest.raises(openai.APIError):
        list(create(client, stream=True, extra_headers={"x-sandbox-fault": fault}))


@pytest.mark.parametrize("fault", ["cut", "reset", "cut-head", "no-answer"])
def test_a_lost_connection_is_this_clients_connection_error(
    client: openai.OpenAI, fault: str
) -> None:
    with pytest.raises(Exception, check=broken):
        list(create(client, stream=True, extra_headers={"x-sandbox-fault": fault}))


@pytest.mark.parametrize(
    "form",
    [
        *("cr-lines", "crlf-lines", "mixed-lines", "split-crlf", "bom", "no-space", "data-lines"),
        *("keep-alive", "no-done", "usage-twice", "usage-first", "drip;seconds=0"),
    ],
)
def test_odd_forms_of_a_stream_read_the_same(client: openai.OpenAI, form: str) -> None:
    whole = create(client, model=DEMO).choices[0].message.content
    told = {"x-sandbox-fault": form}
    assert text_of(create(client, model=DEMO, stream=True, extra_headers=told)) == whole


@pytest.mark.parametrize("fault", ["flaky-429", "flaky-503", "flaky-reset"])
def test_what_fails_once_is_tried_again_by_the_clients_own_rules(
    client: openai.OpenAI, server: SandboxServer, fault: str
) -> None:
    answer = create(client.with_options(max_retries=1), extra_headers={"x-sandbox-fault": fault})
    assert answer.choices[0].message.content.startswith("[simulated]")
    assert len(server.requests) == 2
    assert server.requests[-1].status == 200


def test_a_stalled_stream_runs_into_the_clients_own_timeout(client: openai.OpenAI) -> None:
    with pytest.raises(Exception, check=broken, match="[Tt]imed out"):
        list(create(client, stream=True, timeout=0.2, extra_headers={"x-sandbox-fault": "stall"}))


def test_the_sandbox_sees_that_a_stream_was_left(
    slow_server: SandboxServer, soon: Callable[[Callable[[], object]], bool]
) -> None:
    with openai.OpenAI(base_url=f"{slow_server.url}/v1", api_key="hf_good") as client:
        with create(client, stream=True) as stream:
            next(iter(stream))
        assert soon(lambda: slow_server.requests[-1].hung_up)
