"""Whose key goes where on a route: that of a server or of a provider to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from loopback import Upstream, Visit
from routed_side import ASK, MODEL, SMALL, Serve, chats, sandboxed
from trunkline import Client
from trunkline.errors import InvalidInputError, RouteExhaustedError

__all__ = ["sandboxed"]

OWN = "sk-of-a-server-123456"
FAILING = b'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 15\r\n\r\n{"error":"bad"}'
OTHER = "huggingface/hf-inference/BAAI/bge-m3"
EMBEDDING = "intfloat/multilingual-e5-large-instruct"


@pytest.fixture
def mine() -> Iterator[Upstream]:
    """Return a server of one's own that fails."""

    def answers(visit: Visit) -> None:
        while True:
            visit.request()
            visit.send(FAILING)

    server = Upstream(answers)
    yield server
    server.close()


def sent(server: Any) -> set[str | None]:
    """Return the credentials that calls came with."""
    found: set[str | None] = set()
    for seen in server.requests:
        if seen.method == "POST":
            found.add(seen.headers.get("authorization"))
    return found


@pytest.mark.parametrize("at_the_client", [True, False], ids=["the client's", "the call's"])
def test_a_key_for_a_server_goes_to_that_server_alone(
    sandboxed: Serve, mine: Upstream, at_the_client: bool
):
    made: dict[str, Any] = {"api_base": mine.url, "api_key": OWN}
    with sandboxed(**(made if at_the_client else {})) as (client, server):
        told: dict[str, Any] = {} if at_the_client else made
        answer = client.chat(MODEL, ASK, route=["groq"], **told)
        vectors = client.embedding(
            EMBEDDING, ["a"], route=["hf-inference"], engine="openai", **told
        )
    assert answer.receipt is not None
    assert answer.receipt.provider == "groq"
    assert vectors.receipt is not None
    assert vectors.receipt.provider == "hf-inference"
    assert sent(mine) == {f"Bearer {OWN}"}
    assert sent(server) == {"Bearer hf_sandbox"}


def test_a_servers_key_leaves_nobody_else_where_no_token_is_found(
    sandboxed: Serve, mine: Upstream, monkeypatch: pytest.MonkeyPatch
):
    told: dict[str, Any] = {"api_base": mine.url, "api_key": OWN}
    with sandboxed():
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.setenv("TRUNKLINE_ROUTER", "https://router.example")
        with Client() as client:
            with pytest.raises(RouteExhaustedError, match="the key is for the server alone"):
                client.chat(MODEL, ASK, route=["groq"], **told)
            with pytest.raises(RouteExhaustedError, match="the key is for the server alone"):
                client.embedding(EMBEDDING, ["a"], route=["hf-inference"], engine="openai", **told)


@pytest.mark.parametrize(
    "route",
    [
        {"places": ["groq"], "allow": ["nobody"], "fallbacks": [f"{SMALL}:cheapest"]},
        {"places": ["groq"], "allow": ["nobody"], "fallbacks": ["some/model-of-nobody"]},
        [SMALL, "together"],
        "fastest",
    ],
)
def test_a_providers_key_bars_every_place_that_the_model_string_does_not_name(
    sandboxed: Serve, route: Any
):
    with sandboxed() as (client, server):
        with pytest.raises(RouteExhaustedError) as caught:
            client.chat(MODEL, ASK, route=route, token=OWN)
        assert not chats(server)
    assert "no Hugging Face token" in str(caught.value)


def test_a_token_of_another_form_is_hugging_faces_where_the_call_says_so(sandboxed: Serve):
    with sandboxed() as (client, server):
        client.chat(MODEL, ASK, route=["groq"], token="hf_other_form", direct=False)
        with pytest.raises(Exception, match="401"):  # the sandbox knows what tokens look like
            client.chat(MODEL, ASK, route=["groq"], token=OWN, direct=False)
        assert sent(server) == {"Bearer hf_other_form", f"Bearer {OWN}"}


def test_the_servers_place_wants_a_server(sandboxed: Serve):
    with sandboxed() as (client, server):
        with pytest.raises(InvalidInputError, match="api_base"):
            client.chat(MODEL, ASK, route=["endpoint", "groq"])
        with pytest.raises(InvalidInputError, match="api_base"):
            client.embedding(EMBEDDING, ["a"], route=["endpoint"])
        assert not server.requests


def test_the_servers_place_may_be_named_where_there_is_one(sandboxed: Serve, mine: Upstream):
    with sandboxed() as (client, _):
        answer = client.chat(MODEL, ASK, route=["endpoint", "groq"], api_base=mine.url)
        vectors = client.embedding(
            EMBEDDING,
            ["a"],
            route=["endpoint", "hf-inference"],
            api_base=mine.url,
            engine="openai",
        )
    for result, place in ((answer, "groq"), (vectors, "hf-inference")):
        assert result.receipt is not None
        assert result.receipt.route is not None
        assert [c.name for c in result.receipt.route.candidates] == ["endpoint", place]


def test_providers_are_known_whatever_their_letters_case(sandboxed: Serve):
    with sandboxed() as (client, server):
        client.chat(MODEL, ASK, route=["Groq"])
        client.chat(MODEL, ASK, route={"places": ["groq", "Together"], "deny": ["GROQ"]})
        assert chats(server) == {"groq": 1, "together": 1}


def test_a_name_that_is_no_provider_is_told(sandboxed: Serve):
    with sandboxed() as (client, _):
        answer = client.chat(MODEL, ASK, route={"places": ["groq", "grok"], "deny": ["togehter"]})
        weighed = client.chat(MODEL, ASK, route={"order": "weighted", "weights": {"novta": 2}})
    for found, name in ((answer, "grok"), (answer, "togehter"), (weighed, "novta")):
        assert found.receipt is not None
        assert found.receipt.route is not None
        assert any(name in note for note in found.receipt.route.notes)


def test_a_tasks_server_comes_first_and_fallback_models_last_whatever_is_known_of_them(
    sandboxed: Serve, mine: Upstream
):
    route = {"order": "sticky", "places": ["hf-inference", "together"], "fallbacks": [OTHER]}
    with sandboxed() as (client, _):
        for session in "abcdef":
            vectors = client.embedding(
                EMBEDDING,
                ["a"],
                route=route,
                api_base=mine.url,
                engine="openai",
                session_id=session,
                max_retries=0,
            )
            assert vectors.receipt is not None
            assert vectors.receipt.route is not None
            names = [c.name for c in vectors.receipt.route.candidates]
            left = {c.name for c in vectors.receipt.route.candidates if c.excluded}
            assert [n for n in names if n not in left][-1] == OTHER
            assert "endpoint" in left or names[0] == "endpoint"
