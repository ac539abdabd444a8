"""Servers of one's own: TEI, TGI, OpenAI's form and a task's own endpoint, found out or named."""

from __future__ import annotations

from typing import Any

import pytest
from task_rows import ROWS, TASK_OF, Call

from trunkline import errors
from trunkline.providers.served import PIPELINE_TASKS, SERVED
from trunkline.sandbox import SandboxServer
from trunkline.types.tasks import FUNCTIONS

TEXTS = [f"text {number}" for number in range(70)]


@pytest.fixture
def tei(server: SandboxServer) -> str:
    return f"{server.url}/tei"


@pytest.fixture
def tgi(server: SandboxServer) -> str:
    return f"{server.url}/tgi"


def asked(server: SandboxServer) -> list[str]:
    return [f"{seen.method} {seen.path}" for seen in server.requests]


@pytest.mark.parametrize(
    ("address", "engine", "expected"),
    [
        ("/tei", None, ["GET /tei/info", "POST /tei/embed"]),
        ("/tei/", None, ["GET /tei/info", "POST /tei/embed"]),
        ("/tei/embed", None, ["POST /tei/embed"]),
        ("/tei", "tei", ["POST /tei/embed"]),
        ("/tei", "openai", ["POST /tei/v1/embeddings"]),
        ("/tei/v1", None, ["POST /tei/v1/embeddings"]),
        ("/tei/v1/embeddings", None, ["POST /tei/v1/embeddings"]),
    ],
)
def test_an_engine_is_asked_what_it_is_unless_that_is_known(
    call: Call, server: SandboxServer, address: str, engine: Any, expected: list[str]
) -> None:
    base = server.url + address
    found = call("embedding", "m", ["a cat", "a cat", "taxes"], api_base=base, engine=engine)
    cat, same, tax = found.vectors
    assert cat == same != tax
    assert asked(server) == expected
    call("embedding", "m", "again", api_base=base, engine=engine)
    assert asked(server)[len(expected) :] == expected[-1:]  # it is asked once
    assert found.receipt.called == "openai/m"


TEI = ["embedding", "rerank", "sentence_similarity", "sparse_embedding", "text_classification"]


@pytest.mark.parametrize("function", TEI)
def test_every_task_of_teis_is_found_on_a_server_that_runs_it(
    call: Call, server: SandboxServer, tei: str, function: str
) -> None:
    row = ROWS[function]
    found = call(function, "m", *row.arguments, api_base=tei)
    row.holds(found)
    route = SERVED["tei"][TASK_OF[function]].path
    assert asked(server) == ["GET /tei/info", f"POST /tei/{route}"]


@pytest.mark.parametrize("pooling", [None, "mean", "cls"])
def test_seventy_texts_come_back_in_their_order_and_as_one(
    call: Call, server: SandboxServer, pooling: str | None
) -> None:
    keywords = {"api_base": f"{server.url}/tei", "pooling": pooling}
    found = call("embedding", "m", TEXTS, **keywords)
    posts = [seen.json["inputs"] for seen in server.requests if seen.method == "POST"]
    assert [len(part) for part in posts] == [32, 32, 6]
    assert [row.index for row in found.data] == list(range(70))
    assert found.vectors[40] == call("embedding", "m", TEXTS[40], **keywords).vectors[0]
    assert [attempt.number for attempt in found.receipt.attempts] == [1, 2, 3]


def test_a_vector_for_each_token_is_pooled_or_left_as_it_is(call: Call, tei: str) -> None:
    def ask(pooling: str) -> Any:
        return call("embedding", "m", ["two words", "one"], api_base=tei, pooling=pooling)

    each = [row.embedding for row in ask("none").data]
    assert [len(rows) for rows in each] == [2, 1]
    assert ask("cls").vectors == [rows[0] for rows in each]
    mean = [sum(column) / 2 for column in zip(*each[0], strict=True)]
    assert ask("mean").vectors[0] == pytest.approx(mean)


def test_what_tei_takes_is_taken(call: Call, server: SandboxServer, tei: str) -> None:
    best = call("rerank", "m", "cats purr", ["dogs", "cats purr"], api_base=tei, top_n=1,
                return_documents=True)  # fmt: skip
    assert [(row.index, row.document) for row in best.results] == [(1, {"text": "cats purr"})]
    assert len(call("text_classification", "m", "a", api_base=tei, top_k=1)) == 1
    assert "top_k" not in server.requests[-1].json
    assert len(call("embedding", "m", "a", api_base=tei, dimensions=8).vectors[0]) == 8
    packed = call("embedding", "m", "a", api_base=tei, encoding_format="base64").data[0]
    assert isinstance(packed.embedding, str)
    plain = call("embedding", "m", "a", api_base=tei).vectors[0]
    assert packed.vector == pytest.approx(plain, abs=1e-6)


def test_what_tei_does_not_take_is_refused_or_left_out(call: Call, tei: str) -> None:
    with pytest.raises(errors.UnsupportedParamsError, match="does not take user"):
        call("embedding", "m", "a", api_base=tei, user="me")
    assert call("embedding", "m", "a", api_base=tei, user="me", drop_params=True).data
    with pytest.raises(errors.UnsupportedParamsError, match="function_to_apply"):
        call("text_classification", "m", "a", api_base=tei, function_to_apply="none")
    with pytest.raises(errors.ContextWindowExceededError, match="truncate=True"):
        call("embedding", "m", "a " * 600, api_base=tei)
    assert call("embedding", "m", "a " * 600, api_base=tei, truncate=True).data


def test_tgi_continues_texts_and_says_what_it_used(
    call: Call, server: SandboxServer, tgi: str
) -> None:
    row = ROWS["text_completion"]
    found = call("text_completion", "m", *row.arguments, api_base=tgi, **row.keywords)
    row.holds(found)
    assert asked(server) == ["GET /tgi/info", "POST /tgi/generate"]
    assert found.usage.completion_tokens == 4
    assert found.receipt.tokens.output == 4
    with pytest.raises(errors.UnsupportedParamsError, match="does not take n"):
        call("text_completion", "m", "a", api_base=tgi, n=2)
    assert call("text_completion", "m", "a", api_base=f"{tgi}/v1", max_tokens=2).usage.total_tokens


ENDPOINTS = sorted(set(PIPELINE_TASKS) & set(FUNCTIONS) - {"sparse-embedding"})


@pytest.mark.parametrize("task", ENDPOINTS)
def test_a_tasks_own_endpoint_serves_it_at_its_address(
    call: Call, server: SandboxServer, task: str
) -> None:
    function = FUNCTIONS[task]
    row, base = ROWS[function], f"{server.url}/endpoint/{task}"
    found = call(function, "m", *row.arguments, api_base=base, engine="pipeline", **row.keywords)
    if task != "text-generation":  # whose pipeline tells no reason for its end
        row.holds(found)
    assert asked(server) == [f"POST /endpoint/{task}"]
    server.requests.clear()
    found = call(function, "m", *row.arguments, api_base=base, **row.keywords)
    if task != "text-generation":
        row.holds(found)
    openai = SERVED["openai"].get(task)  # which is what an unknown server is taken for, at first
    tried = [f"POST /endpoint/{task}/{openai.path}"] if openai else []
    assert asked(server) == [f"GET /endpoint/{task}/info", *tried, f"POST /endpoint/{task}"]
    server.requests.clear()
    call(function, "m", *row.arguments, api_base=base, **row.keywords)
    assert asked(server) == [f"POST /endpoint/{task}"]  # it is found out once


def test_a_server_that_serves_a_task_in_no_form_says_how_to_go_on(
    call: Call, server: SandboxServer
) -> None:
    base = f"{server.url}/nothing"
    with pytest.raises(errors.NotFoundError, match="engine='pipeline'"):
        call("embedding", "m", "a", api_base=base)
    assert asked(server)[1:] == ["POST /nothing/v1/embeddings", "POST /nothing"]


@pytest.mark.parametrize("named", [{"engine": "openai"}, {}])
def test_a_server_that_was_named_is_asked_nothing_else(
    call: Call, server: SandboxServer, named: dict[str, str]
) -> None:
    base = f"{server.url}/endpoint/feature-extraction" + ("" if named else "/v1")
    with pytest.raises(errors.NotFoundError):
        call("embedding", "m", "a", api_base=base, **named)
    assert asked(server) == ["POST /endpoint/feature-extraction/v1/embeddings"]


def test_more_inputs_than_tei_takes_go_in_several_requests_and_come_back_as_one(
    call: Call, server: SandboxServer, tei: str
) -> None:
    ranked = call("rerank", "m", "number 63", TEXTS, api_base=tei, top_n=3)
    assert ranked.results[0].index == 63
    assert len(ranked.results) == 3
    scores = [row.relevance_score for row in ranked.results]
    assert scores == sorted(scores, reverse=True)
    assert [a.number for a in ranked.receipt.attempts] == [1, 2, 3]
    every = call("rerank", "m", "number 63", TEXTS, api_base=tei)
    assert sorted(row.index for row in every.results) == list(range(70))
    near = call("sentence_similarity", "m", TEXTS[63], TEXTS, api_base=tei)
    assert len(near) == 70
    assert near.index(max(near)) == 63
    sparse = call("sparse_embedding", "m", TEXTS, api_base=tei)
    assert len(sparse) == 70
    assert sparse[5] == call("sparse_embedding", "m", TEXTS[5], api_base=tei)[0]


def test_what_a_server_has_no_way_for_is_said_before_it_is_sent(
    call: Call, server: SandboxServer, tei: str
) -> None:
    base = f"{server.url}/endpoint/image-text-to-image"
    with pytest.raises(errors.ModelNotSupportedError, match="works with a provider: fal-ai"):
        call("image_text_to_image", "m", "a dog", api_base=base)
    with pytest.raises(errors.ModelNotSupportedError, match="needs a server that runs TEI"):
        call("sparse_embedding", "m", "a", api_base=base)
    assert [line for line in asked(server) if line.startswith("POST")] == []


def test_a_token_goes_to_a_server_of_ones_own_only_where_it_was_given(
    call: Call, server: SandboxServer, tei: str, pair: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("embedding", "m", "a", api_base=tei)
    assert {seen.headers.get("authorization") for seen in server.requests} == {"Bearer hf_good"}
    server.requests.clear()
    monkeypatch.setenv("HF_TOKEN", "hf_found")
    client = pair.client(tei)
    assert pair.run(client.embedding("m", "a")).data
    assert {seen.headers.get("authorization") for seen in server.requests} == {None}
