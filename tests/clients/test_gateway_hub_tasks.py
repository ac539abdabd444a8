"""Embeddings and text completions of Hugging Face's models through a gateway, with OpenAI's client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from gateways import in_front_of, rows
from running import Gateway

from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.slow

EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
WRITER = "huggingface/together/mistralai/Mixtral-8x7B-v0.1"
ROUTES = """
[routes.vectors]
targets = [
  { upstream = "down", model = "any" },
  { upstream = "huggingface", model = "sentence-transformers/all-MiniLM-L6-v2" },
]
[routes.served]
targets = [
  { upstream = "huggingface", model = "feature-extraction/fault-503" },
  { upstream = "tei", model = "sandbox/tei" },
]
[upstreams.quick]
kind = "huggingface"
base_url = "{url}/v1"
key_env = "EMULATOR_KEY"
first_byte_seconds = 1.0
[routes.hurried]
targets = [
  { upstream = "quick", model = "feature-extraction/fault-stall-head;seconds=30" },
  { upstream = "tei", model = "sandbox/tei" },
]
[routes.keyed]
targets = [
  { upstream = "emulator", model = "org/fault-503" },
  { upstream = "huggingface", model = "sentence-transformers/all-MiniLM-L6-v2" },
]
[routes.mine]
targets = [
  { upstream = "huggingface", model = "feature-extraction/fault-422" },
  { upstream = "tei", model = "sandbox/tei" },
]
"""
Soon = Callable[[Callable[[], object]], bool]


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with routes whose targets take embeddings in different ways."""
    with in_front_of(behind, tmp_path_factory.mktemp("gateway"), ROUTES) as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=10)
    with made:
        yield made


def test_texts_become_the_same_vectors_in_both_encodings_and_one_by_one(
    client: openai.OpenAI,
) -> None:
    embed = client.embeddings.create
    packed = embed(model=EMBEDDER, input=["red and blue", "green"])
    plain = embed(model=EMBEDDER, input=["red and blue", "green"], encoding_format="float")
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    alone = embed(model=EMBEDDER, input="green").data[0].embedding
    assert alone == pytest.approx(packed.data[1].embedding, abs=1e-6)
    assert [row.index for row in packed.data] == [0, 1]
    assert packed.model == EMBEDDER


def test_many_texts_at_once_come_back_in_their_order(gateway: Gateway, key: str) -> None:
    async def story() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as many:
            texts = [[f"text {n} of {batch}" for n in range(40)] for batch in range(8)]
            return await asyncio.gather(
                *(many.embeddings.create(model=EMBEDDER, input=batch) for batch in texts)
            )

    found = asyncio.run(story())
    assert [len(one.data) for one in found] == [40] * 8
    assert all([row.index for row in one.data] == list(range(40)) for one in found)


def test_a_text_is_continued_whole_and_streamed_by_the_client(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    asked: Any = {"model": WRITER, "prompt": "Once upon a time", "max_tokens": 12}
    raw = client.completions.with_raw_response.create(**asked)
    whole = raw.parse()
    assert whole.choices[0].text
    assert whole.choices[0].finish_reason == "length"
    chunks = list(client.completions.create(**asked, stream=True))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert not any(chunk.usage for chunk in chunks)
    counted = list(
        client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    assert counted[-1].usage == whole.usage
    row = gateway.entry(raw.headers["x-request-id"])
    assert (row["endpoint"], row["provider"], row["token_source"]) == (
        "completions",
        "together",
        "provider",
    )
    assert raw.headers["x-inference-provider"] == "together"


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("400", openai.BadRequestError, 400),
        ("401", openai.InternalServerError, 502),
        ("402", openai.APIStatusError, 402),
        ("422-text", openai.UnprocessableEntityError, 422),
        ("429-int", openai.RateLimitError, 429),
        ("500", openai.InternalServerError, 500),
        ("503", openai.InternalServerError, 503),
        ("no-answer", openai.InternalServerError, 502),
        ("html-200", openai.InternalServerError, 502),
    ],
)
def test_errors_of_a_translated_call_raise_the_clients_own(
    client: openai.OpenAI, gateway: Gateway, fault: str, kind: Any, status: int
) -> None:
    model = f"huggingface/hf-inference/feature-extraction/fault-{fault}"
    with pytest.raises(kind) as caught:
        client.embeddings.create(model=model, input="red")
    assert caught.value.status_code == status
    assert "hf_sandbox" not in str(caught.value.body)
    row = gateway.entry(caught.value.request_id or "")
    assert (row["status"], row["error"]) == (status, caught.value.code)
    if status == 429:
        assert int(caught.value.response.headers["retry-after"]) >= 1


def test_the_second_target_embeds_where_the_first_does_not(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    for route, upstream in (("vectors", "huggingface"), ("served", "tei"), ("hurried", "tei")):
        raw = client.embeddings.with_raw_response.create(model=route, input="red")
        assert len(raw.parse().data[0].embedding) == 384
        row = gateway.entry(raw.headers["x-request-id"])
        assert (row["upstream"], row["outcome"]) == (upstream, "ok")
        assert row["attempts"] == len(row["tries"]) > 1
    with pytest.raises(openai.UnprocessableEntityError):
        client.embeddings.create(model="mine", input="red")


def test_an_upstreams_key_goes_to_that_upstream_alone(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    before = len(behind.requests)
    assert client.embeddings.create(model="keyed", input="red").data
    new = [*behind.requests][before:]
    keyed = [one for one in new if "hf_emulator_key" in one.headers.get("authorization", "")]
    assert {one.path for one in keyed} == {"/v1/embeddings"}
    assert len(new) > len(keyed)


def test_a_client_that_gives_up_ends_the_upstreams_work(
    client: openai.OpenAI, gateway: Gateway, behind: SandboxServer, soon: Soon
) -> None:
    model = "huggingface/hf-inference/feature-extraction/fault-stall-head;seconds=30"
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=2).embeddings.create(model=model, input="red")
    (row,) = rows(gateway, model, 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    asked = [seen for seen in behind.requests if "fault-stall-head" in seen.path]
    assert soon(lambda: asked[-1].hung_up)


def test_a_streamed_text_that_is_left_ends_the_upstreams_work_and_is_settled(
    client: openai.OpenAI, gateway: Gateway, behind: SandboxServer, soon: Soon
) -> None:
    model = "huggingface/together/text-generation/fault-stall;seconds=30"
    with client.completions.create(model=model, prompt="Once", stream=True) as stream:
        next(iter(stream))
    (row,) = rows(gateway, model, 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    assert row["output_tokens"] > 0
    asked = [seen for seen in behind.requests if b"fault-stall;" in seen.body]
    assert soon(lambda: asked[-1].hung_up)


@pytest.mark.parametrize("fault", ["truncated", "cut", "error-mid-stream"])
def test_a_streamed_text_that_is_cut_is_never_taken_for_whole(
    client: openai.OpenAI, gateway: Gateway, fault: str
) -> None:
    model = f"huggingface/together/text-generation/fault-{fault}"
    raw = client.completions.with_raw_response.create(model=model, prompt="Once", stream=True)
    with pytest.raises(openai.APIError):
        list(raw.parse())
    row = gateway.entry(raw.headers["x-request-id"])
    assert row["outcome"] in ("truncated", "failed")
    assert row["output_tokens"] > 0
