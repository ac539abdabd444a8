"""Heads on their way through `/hf`, as tables: where a request goes, and what of an answer comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.openai_server import RequestError
from trunkline.gateway.config import Upstream
from trunkline.gateway.connected import Connected
from trunkline.gateway.hf_head import (
    answer_lines,
    job_base,
    own_place,
    request_head,
    router_root,
    with_own_urls,
)
from trunkline.gateway.hf_routes import HfRoute
from trunkline.types import Secret
from trunkline.wire.message import Url, parse_url

ROUTER = parse_url("https://router.huggingface.co/")
BASE = "http://gw/hf/fal-ai"


def connected(base: str, bill_to: str | None = None, secret: str | None = "hf_x") -> Connected:
    config = Upstream(kind="huggingface", bill_to=bill_to)
    known = None if secret is None else Secret(secret, "the test")
    return Connected("huggingface", config, parse_url(base), known)


def route(provider: str = "groq", path: str = "openai/v1/x", query: str = "") -> HfRoute:
    return HfRoute(provider, path, query, "work")


@pytest.mark.parametrize(("base", "line", "host"), [
    ("https://router.huggingface.co/v1", "/groq/openai/v1/x", "router.huggingface.co"),
    ("http://127.0.0.1:9/v1/", "/groq/openai/v1/x", "127.0.0.1:9"),
    ("http://proxy:81/hf/router/v1", "/hf/router/groq/openai/v1/x", "proxy:81"),
])  # fmt: skip
def test_a_request_goes_to_the_routers_root_wherever_that_is(
    base: str, line: str, host: str
) -> None:
    head = request_head(connected(base), route(), "POST", {}).decode()
    assert head.startswith(f"POST {line} HTTP/1.1\r\nhost: {host}\r\n")
    assert head.endswith("authorization: Bearer hf_x\r\n")


def test_the_operator_says_who_pays_and_a_client_what_it_wants() -> None:
    sent = {b"accept": b"image/png", b"prefer": b"wait", b"cookie": b"a", b"x-hf-bill-to": b"b"}
    upstream = connected("http://r/v1", bill_to="our-org", secret=None)
    lines = request_head(upstream, route(query="a=b"), "GET", sent).decode().split("\r\n")
    assert lines[0] == "GET /groq/openai/v1/x?a=b HTTP/1.1"
    assert {"accept: image/png", "prefer: wait", "x-hf-bill-to: our-org"} <= set(lines)
    assert not [line for line in lines if line.startswith(("cookie", "authorization"))]


@given(st.binary(max_size=40))
def test_no_value_of_a_header_breaks_out_of_its_line(value: bytes) -> None:
    try:
        head = request_head(connected("http://r/v1"), route(), "POST", {b"accept": value})
    except RequestError:
        return
    assert head.count(b"\r\n") == 6
    assert head.count(b"\n") == head.count(b"\r") == 6


@pytest.mark.parametrize(("location", "place"), [
    ("/groq/v1/x?a=b", "/hf/groq/v1/x?a=b"),
    ("https://router.huggingface.co/groq/v1/x", "/hf/groq/v1/x"),
    ("http://router.huggingface.co/groq/v1/x", None),
    ("https://router.huggingface.co:444/groq", None),
    ("https://router.huggingface.co@evil.example/groq", None),
    ("https://evil.example/groq", None),
    ("//evil.example/groq", None),
    ("/\\evil.example", None),
    ("/groq//evil", None),
    ("/groq/../evil", None),
    ("/groq/a b", None),
    ("groq", None),
    ("", None),
    ("https://[::1", None),
    ("/gr\xf6q", None),
])  # fmt: skip
def test_only_places_of_the_router_have_one_on_the_gateway(
    location: str, place: str | None
) -> None:
    assert own_place(location, ROUTER) == place


def test_a_router_below_a_path_of_its_own_has_its_places_below_that() -> None:
    root = router_root(connected("http://proxy/hf/router/v1"))
    assert root == Url("http", "proxy", 80, "/hf/router")
    assert own_place("/hf/router/groq/x", root) == "/hf/groq/x"
    assert own_place("/elsewhere/groq/x", root) is None


@given(st.text(max_size=60))
def test_whatever_an_upstream_redirects_to_stays_below_hf(location: str) -> None:
    place = own_place(location, ROUTER)
    assert place is None or (place.startswith("/hf/") and "//" not in place and place.isascii())


def test_what_an_answer_says_in_vain_is_not_handed_on() -> None:
    told = {b"content-type": b"text/plain", b"retry-after": b"13", b"set-cookie": b"a=b"}
    fine, wrong = answer_lines(200, told, ROUTER), answer_lines(429, told, ROUTER)
    assert fine and b"retry-after" not in fine and b"set-cookie" not in fine
    assert wrong and b"retry-after: 13\r\n" in wrong
    assert answer_lines(302, {b"location": b"http://x/"}, ROUTER) is None
    assert answer_lines(201, {b"location": b"http://x/"}, ROUTER) == answer_lines(201, {}, ROUTER)
    odd = answer_lines(200, {b"content-type": b"a\r\nx: y", b"x-error-code": b"\xff"}, ROUTER)
    assert odd == answer_lines(200, {}, ROUTER)


@pytest.mark.parametrize(("provider", "host", "public", "base"), [
    ("fal-ai", b"gw:4000", "", "http://gw:4000/hf/fal-ai"),
    ("replicate", b"[::1]:4000", "", "http://[::1]:4000/hf/replicate"),
    ("wavespeed", b"", "https://a.example/llm/", "https://a.example/llm/hf/wavespeed"),
    ("wavespeed", b"", "", None),
    ("fal-ai", b"gw/evil", "", None),
    ("groq", b"gw", "", None),
])  # fmt: skip
def test_urls_of_jobs_begin_where_clients_find_the_gateway(
    provider: str, host: bytes, public: str, base: str | None
) -> None:
    assert job_base(route(provider), host, public, secure=False) == base


def test_they_are_https_where_the_gateway_is() -> None:
    assert job_base(route("fal-ai"), b"gw", "", secure=True) == "https://gw/hf/fal-ai"


@pytest.mark.parametrize("body", [
    b"no json",
    b"[1]",
    b"null",
    b'{"response_url": null}',
    b'{"response_url": "http://queue.fal.run/x"}',
    b'{"response_url": "https://a/x", "response_url": "https://b/x"}',
    b'{"other": "https://queue.fal.run/x"}',
])  # fmt: skip
def test_an_answer_without_a_jobs_url_stays_byte_for_byte(body: bytes) -> None:
    assert with_own_urls("fal-ai", body, BASE) == body


def test_only_the_url_changes_and_every_other_byte_stays() -> None:
    body = b'{ "n": 1.50, "response_url":"https://queue.fal.run/a/requests/1" , "x": "\\u00e9"}'
    told = with_own_urls("fal-ai", body, BASE)
    place = f'"{BASE}/a/requests/1?_subdomain=queue"'.encode()
    assert told == b'{ "n": 1.50, "response_url":' + place + b' , "x": "\\u00e9"}'


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["fal-ai", "replicate", "wavespeed"]), JSON, JSON)
def test_whatever_a_provider_answers_is_handed_on(provider: str, inner: Any, other: Any) -> None:
    body = {"response_url": inner, "urls": {"get": other}, "data": {"urls": inner}, "x": other}
    data = json.dumps(body).encode()
    assert json.loads(with_own_urls(provider, data, BASE)) == body
