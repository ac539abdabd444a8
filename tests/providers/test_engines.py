"""What an address and an engine's own answer tell of the engine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidInputError
from trunkline.providers.engines import (
    Engine,
    Engines,
    engine_base,
    engine_url,
    named_engine,
    read_engine,
)
from trunkline.providers.spec import Target
from trunkline.types import Secret
from trunkline.wire.message import parse_url

HOST = "https://x.eu-west-1.aws.endpoints.huggingface.cloud"
TEI = {
    "model_id": "org/embedder",
    "model_dtype": "float16",
    "model_type": {"embedding": {"pooling": "mean"}},
    "max_concurrent_requests": 512,
    "max_input_length": 512,
    "max_batch_tokens": 16384,
    "max_client_batch_size": 32,
    "version": "1.9.0",
}
TGI = {
    "model_id": "org/writer",
    "max_concurrent_requests": 128,
    "max_best_of": 2,
    "max_input_tokens": 4095,
    "max_total_tokens": 4096,
    "max_client_batch_size": 4,
    "router": "text-generation-router",
    "version": "3.3.4",
}


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("", None),
        ("/", None),
        ("/health", None),
        ("/info", None),
        ("/my/path", None),
        ("/reembed", None),
        ("/v10", None),
        ("/v1", "openai"),
        ("/v1/", "openai"),
        ("/v1?key=1", "openai"),
        ("/v1/chat/completions", "openai"),
        ("/v1/completions", "openai"),
        ("/v1/embeddings", "openai"),
        ("/v1/audio/transcriptions", "openai"),
        ("/embed", "tei"),
        ("/embed/", "tei"),
        ("/embed_all", "tei"),
        ("/embed_sparse", "tei"),
        ("/rerank", "tei"),
        ("/predict", "tei"),
        ("/similarity", "tei"),
        ("/rerank?key=1", "tei"),
        ("/generate", "tgi"),
        ("/generate_stream", "tgi"),
    ],
)
def test_a_route_names_its_engine(ending: str, kind: str | None) -> None:
    assert named_engine(HOST + ending) == kind
    assert named_engine(f"{HOST}/below{ending}") == kind


@pytest.mark.parametrize("below", ["", "/some/path", "/v1/tenants/5"])
@pytest.mark.parametrize(
    "ending",
    [
        "",
        "/",
        "/v1",
        "/v1/",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/embed",
        "/embed_all",
        "/rerank",
        "/predict",
        "/similarity",
        "/generate",
        "/generate_stream",
        "/info",
        "/health",
    ],
)
def test_the_base_is_the_address_without_its_route(below: str, ending: str) -> None:
    base = engine_base(HOST + below + ending)
    assert str(base) == HOST + (below or "/")
    assert str(engine_url(base, "info")) == f"{HOST}{below}/info"


def test_a_query_string_stays_with_every_route() -> None:
    base = engine_base(f"{HOST}/a/v1/embeddings?key=1")
    assert str(base) == f"{HOST}/a?key=1"
    assert str(engine_url(base, "rerank")) == f"{HOST}/a/rerank?key=1"
    assert str(engine_url(engine_base(f"{HOST}?key=1"), "info")) == f"{HOST}/info?key=1"


@pytest.mark.parametrize("wrong", ["localhost/v1", "ftp://host/v1", "https://me:you@host/v1"])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    for read in (named_engine, engine_base):
        with pytest.raises(InvalidInputError):
            read(wrong)


# its own answer


def test_tei_tells_its_model_and_limits() -> None:
    assert read_engine(200, TEI) == Engine("tei", "org/embedder", 32, 512, "1.9.0", TEI)


def test_tgi_tells_its_model_and_limits() -> None:
    assert read_engine(200, TGI) == Engine("tgi", "org/writer", 4, 4095, "3.3.4", TGI)


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        ({"model_type": "reranker"}, "tei"),
        ({"max_client_batch_size": 32, "max_input_length": 512}, "tei"),
        ({"max_client_batch_size": 4, "max_total_tokens": 9}, "tgi"),
        ({"max_input_length": 1024, "max_total_tokens": 2048}, "tgi"),
        ({"max_input_tokens": 9}, "tgi"),
        ({"router": "text-generation-router"}, "tgi"),
        ({"router": "another"}, "openai"),
        ({"version": "0.6"}, "openai"),
        ({}, "openai"),
    ],
)
def test_an_engine_is_known_by_what_it_tells(info: dict[str, Any], kind: str) -> None:
    assert read_engine(200, info).kind == kind


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500, 503])
def test_an_engine_that_does_not_tell_is_some_openai_server(status: int) -> None:
    assert read_engine(status, TEI) == Engine()


@given(
    st.none()
    | st.integers()
    | st.text()
    | st.lists(st.integers())
    | st.dictionaries(
        st.sampled_from([*TEI, *TGI]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_any_answer_is_an_engine(body: Any) -> None:
    engine = read_engine(200, body)
    assert engine.kind in ("tei", "tgi", "openai")
    for number in (engine.max_batch, engine.max_input):
        assert number is None or (type(number) is int and number > 0)
    assert engine.model is None or isinstance(engine.model, str)


# asking


def at(secret: Secret | None, scheme: str = "Bearer", header: str = "authorization") -> Target:
    url = parse_url(f"{HOST}/v1/embeddings")
    return Target(url, "m", "served", secret=secret, scheme=scheme, auth_header=header)


def test_the_engine_is_asked_with_the_targets_credential() -> None:
    request = Engines().request(f"{HOST}/v1", at(Secret("hf_x", "x")))
    assert (request.method, str(request.url)) == ("GET", f"{HOST}/info")
    assert dict(request.headers)["authorization"] == "Bearer hf_x"
    other = Engines().request(HOST, at(Secret("k", "x"), scheme="", header="x-key"))
    assert dict(other.headers)["x-key"] == "k"
    assert "authorization" not in dict(Engines().request(HOST, at(None)).headers)


def test_an_address_is_one_whatever_route_of_it_is_given() -> None:
    engines, mine = Engines(), at(Secret("hf_x", "x"))
    keys = {engines.key(HOST + route, mine) for route in ("", "/", "/v1", "/embed", "/rerank")}
    assert len(keys) == 1
    assert engines.key(HOST, at(None)) not in keys
    assert engines.key(f"{HOST}/other", mine) not in keys
