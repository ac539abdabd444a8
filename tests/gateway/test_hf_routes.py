"""What a path below `/hf` asks for, as a table; and what is no path that a relay could send on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.openai_server import RequestError
from trunkline.gateway.hf_routes import JOB_URLS, HfRoute, providers, read_route
from trunkline.providers.table import PROVIDERS
from trunkline.providers.task_table import tasks_of

NAME = "org/some-model"


def read(method: str, path: str, query: str = "") -> HfRoute:
    return read_route(method, path.encode("latin-1"), query.encode("latin-1"))


def ways() -> list[tuple[str, str]]:
    """Every provider's path for every task, as the SDK's own tables have them."""
    found = []
    for provider in providers():
        row = PROVIDERS[provider]
        routes = tasks_of(row).values()
        paths = {row.chat_path, *(r.path for r in routes), *(r.version_path for r in routes)}
        found += [(provider, path) for path in sorted(path for path in paths if path)]
    return found


@pytest.mark.parametrize(("provider", "path"), ways())
def test_every_path_of_a_task_is_work_and_tells_the_model_it_names(
    provider: str, path: str
) -> None:
    route = read("POST", f"/hf/{provider}/{path.replace('{model}', NAME)}")
    assert (route.kind, route.provider) == ("work", provider)
    assert route.model == (NAME if "{model}" in path else None)
    assert route.target == f"/{provider}/{path.replace('{model}', NAME)}"


@pytest.mark.parametrize(("path", "counted"), [
    ("groq/openai/v1/chat/completions", "chat"),
    ("hf-inference/models/org/name/v1/chat/completions", "chat"),
    ("together/v1/completions", "completions"),
    ("scaleway/v1/embeddings", "embeddings"),
    ("hf-inference/models/org/name/pipeline/feature-extraction", None),
    ("fal-ai/fal-ai/flux/dev", None),
    ("deepinfra/v1/openai/audio/speech", None),
])  # fmt: skip
def test_answers_that_tell_tokens_are_known_by_their_path(path: str, counted: str | None) -> None:
    assert read("POST", f"/hf/{path}").counted == counted


@pytest.mark.parametrize(("path", "model"), [
    ("hf-inference/models/gpt2", "gpt2"),
    ("hf-inference/models/org/name", "org/name"),
    ("hf-inference/models/org/name/pipeline/sentence-similarity", "org/name"),
    ("hf-inference/models/org/name/v1/chat/completions", "org/name"),
    ("hf-inference/models/a/b/c/d", None),
    ("fal-ai/fal-ai/flux-2/klein/9b/edit", "fal-ai/flux-2/klein/9b/edit"),
    ("fal-ai/fal-ai%2Dx/flux", "fal-ai-x/flux"),
    ("novita/v3/hf/wan-t2v", "wan-t2v"),
    ("replicate/v1/models/org/name/predictions", "org/name"),
    ("replicate/v1/predictions", None),
    ("together/v1/fine-tunes", None),
])  # fmt: skip
def test_the_model_in_a_path_is_told_where_the_provider_puts_it(
    path: str, model: str | None
) -> None:
    assert read("POST", f"/hf/{path}").model == model


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "fal-ai/fal-ai/flux/requests/1f"),
    ("GET", "fal-ai/fal-ai/flux/requests/1f/status"),
    ("GET", "fal-ai/fal-ai/flux/requests/1f/status/stream"),
    ("PUT", "fal-ai/fal-ai/flux/requests/1f/cancel"),
    ("GET", "novita/v3/async/task-result"),
    ("GET", "novita/v3/minimax/v2/query/video_generation/12"),
    ("GET", "replicate/v1/predictions/ab"),
    ("POST", "replicate/v1/predictions/ab/cancel"),
    ("GET", "together/v2/videos/ab"),
    ("GET", "wavespeed/api/v3/predictions/ab/result"),
    ("GET", "zai-org/api/paas/v4/async-result/ab"),
    ("GET", "groq/openai/v1/models"),
    ("HEAD", "together/v1/models"),
])  # fmt: skip
def test_what_asks_after_a_job_or_lists_models_is_no_work(method: str, path: str) -> None:
    assert read(method, f"/hf/{path}").kind == "poll"


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "hf-inference/models/org/name"),
    ("GET", "replicate/v1/predictions"),
    ("GET", "together/v1/files"),
    ("GET", "fal-ai/fal-ai/flux"),
    ("PUT", "replicate/v1/predictions/ab/cancel"),
    ("PUT", "together/v1/files"),
    ("DELETE", "together/v2/videos/ab"),
    ("POST", "openai/v1/chat/completions"),
    ("POST", "nebius/v1/chat/completions"),
    ("POST", "v1/elsewhere"),
    ("POST", "nobody/v1/chat/completions"),
    ("GET", "groq"),
])  # fmt: skip
def test_what_is_neither_work_nor_a_poll_is_not_there(method: str, path: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(method, f"/hf/{path}")
    assert (caught.value.status, caught.value.code) == (404, "not_found")


@pytest.mark.parametrize("provider", sorted(JOB_URLS))
def test_a_provider_that_is_put_in_front_twice_counts_once(provider: str) -> None:
    path = {
        "fal-ai": "fal-ai/flux/requests/1",
        "replicate": "v1/predictions/1",
        "wavespeed": "api/v3/predictions/1/result",
    }[provider]
    once = read("GET", f"/hf/{provider}/{path}")
    assert read("GET", f"/hf/{provider}/hf/{provider}/{path}") == once


BAD_PATHS = [
    "/hf/groq/../fal-ai/x",
    "/hf/groq/./x",
    "/hf/groq//x",
    "/hf//groq/x",
    "/hf/groq/",
    "/hf/groq/x/",
    "/hf/groq/%2e%2e/fal-ai/x",
    "/hf/groq/%2E./x",
    "/hf/groq/a%2fb",
    "/hf/groq/a%2Fb",
    "/hf/groq/a%5cb",
    "/hf/groq/a\\b",
    "/hf/groq/a%00",
    "/hf/groq/a%0d%0ahost:%20x",
    "/hf/groq/a%3fb",
    "/hf/groq/a%23b",
    "/hf/groq/a%252fb",
    "/hf/groq/a%",
    "/hf/groq/a%zz",
    "/hf/groq/a#b",
    "/hf/groq/a b",
    "/hf/groq/a\tb",
    "/hf/groq/a\r\nx: y",
    "/hf/groq/a\x00",
    "/hf/groq/\xe9",
    "/hf/groq/%c3%a9",
    "/hf/%67roq%2fx",
    "/hf/groq/http://evil.example/x",
    '/hf/groq/a"b',
    "/hf/groq/{a}",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_two_servers_could_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(RequestError) as caught:
        read("POST", path)
    assert (caught.value.status, caught.value.code) == (400, "bad_path")


@pytest.mark.parametrize(("provider", "query"), [
    ("groq", "a b"),
    ("groq", "a\r\nx: y"),
    ("groq", "a#b"),
    ("groq", "a%zz"),
    ("groq", "\xe9"),
    ("groq", "_subdomain=queue"),
    ("fal-ai", "_subdomain=rest"),
    ("fal-ai", "_subdomain="),
    ("fal-ai", "%5fsubdomain=rest"),
    ("fal-ai", "_subdomain=queue&_subdomain=rest"),
])  # fmt: skip
def test_a_query_that_leads_elsewhere_is_refused(provider: str, query: str) -> None:
    with pytest.raises(RequestError) as caught:
        read("POST", f"/hf/{provider}/fal-ai/flux", query)
    assert caught.value.code == "bad_path"


@given(st.binary(max_size=60), st.binary(max_size=30))
def test_whatever_is_read_is_a_target_that_stays_below_its_provider(
    path: bytes, query: bytes
) -> None:
    try:
        route = read_route("POST", b"/hf/groq/" + path, query)
    except RequestError:
        return
    target = route.target
    assert target.startswith("/groq/")
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    assert not {"", ".", ".."} & set(target.partition("?")[0][1:].split("/"))
    assert "\\" not in target
    assert "#" not in target
