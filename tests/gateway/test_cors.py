"""Sites whose scripts may call: what browsers are told, byte by byte, and that nobody else is told it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw import CHATS, Answer, Wire, ask, chat, get, head, post
from running import Gateway, running

from trunkline.gateway.config import Cors
from trunkline.gateway.config_cors_rules import cors_problems
from trunkline.gateway.cors import EXPOSED, Sites
from trunkline.sandbox.server import SandboxServer

SITE = "https://chat.example.org"
CONFIG = f"""
unlisted_models = "pass"
[cors]
origins = ["{SITE}", "http://localhost:5173"]
max_age_seconds = 120
[edge]
body_bytes = 20_000
"""
STRANGERS = [
    "https://evil.example.org",
    "http://chat.example.org",
    "https://chat.example.org:8443",
    "https://chat.example.org.evil.org",
    "https://evilchat.example.org",
    "https://CHAT.example.org",
    "https://chat.example.org/",
    "https://chat.example.org https://evil.example.org",
    "null",
    "*",
    "",
]


@pytest.fixture(scope="module")
def open_gateway(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> Iterator[Gateway]:
    """A gateway that lists two sites."""
    folder = tmp_path_factory.mktemp("cors")
    with running(folder, CONFIG, sandbox_server.environment) as started:
        yield started


@pytest.fixture(scope="module")
def key(open_gateway: Gateway) -> str:
    return open_gateway.new_key(limits={"requests_per_minute": 1000})


def preflight(path: str = CHATS, origin: str = SITE, *more: str, method: str = "POST") -> bytes:
    lines = [f"origin: {origin}", f"access-control-request-method: {method}", *more]
    return get(path, *lines, method="OPTIONS")


def cors_lines(answer: Answer) -> dict[str, str]:
    return {n: v for n, v in answer.lines if n.startswith("access-control-")}


def test_a_browsers_question_is_answered_without_a_key(open_gateway: Gateway):
    wanted = "access-control-request-headers: authorization,content-type,x-stainless-os,x-secret"
    with Wire(open_gateway) as wire:
        answer = wire.send(preflight(CHATS, SITE, wanted)).head()
        assert answer.status == 204
        assert "content-length" not in answer.headers
        assert cors_lines(answer) == {
            "access-control-allow-origin": SITE,
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization, content-type, x-stainless-os",
            "access-control-max-age": "120",
        }
        assert answer.headers["vary"] == "Origin, Access-Control-Request-Headers"
        assert answer.headers["x-request-id"].startswith("req_")
        assert wire.lives()


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/some/model", CHATS, "/v1/embeddings"])
def test_every_page_that_callers_keys_open_can_be_asked_for(open_gateway: Gateway, path: str):
    with Wire(open_gateway) as wire:
        answer = wire.send(preflight(path, "http://localhost:5173")).head()
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert answer.headers["access-control-allow-methods"] == (
        "GET" if path.startswith("/v1/models") else "POST"
    )


@pytest.mark.parametrize(
    "path",
    ["/admin/keys", "/admin", "/health/live", "/metrics", "/nothing", "/v1/models/", "/V1/models"],
)
def test_no_other_page_can_be(open_gateway: Gateway, path: str):
    for request in (preflight(path), get(path, f"origin: {SITE}", key=open_gateway.admin_key)):
        answer = ask(open_gateway, request)
        assert answer.status != 204
        assert cors_lines(answer) == {}
        assert "vary" not in answer.headers


@pytest.mark.parametrize("origin", STRANGERS)
def test_an_origin_that_is_not_listed_is_told_nothing(open_gateway: Gateway, key: str, origin: str):
    asked = ask(open_gateway, preflight(CHATS, origin))
    assert (asked.status, asked.error["code"]) == (405, "method_not_allowed")
    called = ask(open_gateway, post(chat(), key, f"origin: {origin}"))
    assert called.status == 200  # that a script may not read it is the browser's to see to
    for answer in (asked, called):
        assert cors_lines(answer) == {}
        assert answer.headers["vary"] == "Origin"


def test_two_origins_at_once_are_none(open_gateway: Gateway):
    answer = ask(open_gateway, preflight(CHATS, SITE, f"origin: {SITE}"))
    assert cors_lines(answer) == {}


def shared(answer: Answer) -> None:
    """Assert that a listed site may read an answer."""
    assert answer.headers["access-control-allow-origin"] == SITE
    assert answer.headers["access-control-expose-headers"] == ", ".join(EXPOSED)
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["vary"] == "Origin"


def test_answers_streams_and_errors_may_be_read_by_a_listed_site(open_gateway: Gateway, key: str):
    origin = f"origin: {SITE}"
    large = {**chat(), "more": "x" * 30_000}
    with Wire(open_gateway) as wire:
        for request, status in (
            (post(chat(), key, origin), 200),
            (post(chat(), key, origin), 200),  # a head that is the last one's again
            (post(chat(stream=True), key, origin), 200),
            (post(chat(), None, origin), 401),
            (post({"model": "m"}, key, origin), 400),
            (get(CHATS, origin, key=key), 405),
            (get("/v1/models", origin, key=key), 200),
            (get("/v1/models/no/such", origin, key=key), 404),
            (post(large, key, origin), 413),
        ):
            answer = wire.ask(request)
            assert answer.status == status
            shared(answer)


def test_what_is_exposed_is_what_calls_answer_with(open_gateway: Gateway, key: str):
    answer = ask(open_gateway, post(chat(), key, f"origin: {SITE}"))
    ours = {n for n, _ in answer.lines if n.startswith("x-")}
    assert ours <= set(EXPOSED)
    assert {"x-request-id", "x-ratelimit-limit-requests", "x-inference-provider"} <= ours


def test_asking_for_something_else_than_a_method_is_a_call_as_ever(open_gateway: Gateway):
    answer = ask(open_gateway, get(CHATS, f"origin: {SITE}", method="OPTIONS"))
    assert answer.status == 405
    shared(answer)


def test_without_listed_sites_nothing_is_said(gateway: Gateway):
    key = gateway.new_key()
    for request in (preflight(), post(chat(), key, f"origin: {SITE}")):
        answer = ask(gateway, request)
        assert answer.status in (200, 405)
        assert cors_lines(answer) == {}
        assert "vary" not in answer.headers


def test_every_site_is_one_star_and_never_a_name():
    sites = Sites(Cors(origins=("*",)))
    for told in (
        sites.lines(b"https://any.org"),
        sites.preflight(b"https://any.org", b"", ["GET"]),
    ):
        assert told is not None
        assert b"access-control-allow-origin: *\r\n" in told
        assert b"any.org" not in told
        assert b"credentials" not in told
    assert sites.lines(None) == b""


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (b"", b""),
        (b"X-API-Key ,ACCEPT", b"x-api-key"),
        (b"openai-organization,openai-\r\nset-cookie: a=b", b"openai-organization"),
        (b"openai-" + b"x" * 200, b""),
        (b"authorization," * 5, b", ".join([b"authorization"] * 5)),
    ],
)
def test_only_names_of_headers_that_are_allowed_are_repeated(wanted: bytes, told: bytes):
    lines = Sites(Cors(origins=(SITE,))).preflight(SITE.encode(), wanted, ["POST"])
    assert lines is not None
    named = [line for line in lines.split(b"\r\n") if b"-allow-headers" in line]
    assert named == ([b"access-control-allow-headers: " + told] if told else [])


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        ("https://Chat.example.org", "small letters"),
        ("https://chat.example.org/", "without a path"),
        ("chat.example.org", "such as https://chat.example.org"),
        ("https://*.example.org", "allowed is an origin"),
        ("https://a b", "allowed is an origin"),
        ("null", "names no site"),
        ("https://chat.example.org:443", "the usual port"),
        ("http://chat.example.org:80", "the usual port"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str, says: str):
    (problem,) = cors_problems(Cors(origins=(origin,)))
    assert problem.where == ("cors", "origins", 0)
    assert says in problem.says


def test_other_things_that_cannot_be_meant_are_refused():
    wrong = Cors(origins=("*", SITE), methods=("get",), headers=("a b",))
    assert [problem.where[1:] for problem in cors_problems(wrong)] == [
        ("origins", 0),
        ("methods", 0),
        ("headers", 0),
    ]
    right = ("http://localhost:5173", "http://[::1]:80 ".strip().replace(":80", ""), "tauri://app")
    assert list(cors_problems(Cors(origins=right))) == []


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_nodes_fetch_reads_an_answer_with_its_lines(
    open_gateway: Gateway, key: str, tmp_path: Path
):
    script = tmp_path / "ask.mjs"
    script.write_text("""
        const [url, key, site] = process.argv.slice(2);
        const ask = (method, headers, body) => fetch(url, {method, headers: {...headers}, body});
        const first = await ask("OPTIONS", {origin: site, "access-control-request-method": "POST"});
        const said = await ask("POST", {origin: site, authorization: `Bearer ${key}`,
            "content-type": "application/json"}, JSON.stringify({model: "meta-llama/Llama-3.3-70B-Instruct",
            messages: [{role: "user", content: "hello"}], max_tokens: 5}));
        const of = (answer) => [answer.status, answer.headers.get("access-control-allow-origin")];
        console.log(JSON.stringify([of(first), of(said), (await said.json()).object]));
    """)
    command = ["node", str(script), open_gateway.url + CHATS, key, SITE]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(told.stdout) == [[204, SITE], [200, SITE], "chat.completion"]


def test_a_question_with_a_body_that_never_comes_costs_nothing(open_gateway: Gateway):
    lines = [f"origin: {SITE}", "access-control-request-method: POST", "content-length: 10"]
    with Wire(open_gateway) as wire:
        answer = wire.send(head("OPTIONS", CHATS, *lines) + b"\r\n").head()
        assert answer.status == 204
        wire.send(b"0123456789")
        assert wire.lives()
