"""OpenAI's Python client, unchanged, has videos made through a gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from media_line import PNG, media_gateway
from running import Gateway

from trunkline.sandbox import SandboxServer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The Sora API")]
WAN = "Wan-AI/Wan2.1-T2V-14B"
MORE = """
[upstreams.priced]
provider = "together"
base_url = "{url}/together"
key_env = "EMULATOR_KEY"
prices."*" = {{ request = 0.25 }}
"""
MODELS = [
    WAN,
    f"huggingface/fal-ai/{WAN}",
    "huggingface/together/sandbox/text-to-video",
    "huggingface/replicate/sandbox/text-to-video",
    "huggingface/wavespeed/sandbox/text-to-video",
    "huggingface/novita/sandbox/text-to-video",
    "MiniMaxAI/MiniMax-H3",
    "priced/sandbox/text-to-video",
    "other/sandbox/text-to-video",
]


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with media_gateway(behind, tmp_path_factory.mktemp("videos"), MORE) as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    with of(gateway, key) as made:
        yield made


def of(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=30)


def refused(work: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        work()
    return caught.value


def done(client: openai.OpenAI, video_id: str) -> Any:
    return client.videos.poll(video_id, poll_interval_ms=1050)


@pytest.mark.parametrize("model", MODELS)
def test_a_video_is_asked_for_awaited_and_fetched(
    client: openai.OpenAI, gateway: Gateway, model: str
) -> None:
    raw = client.videos.with_raw_response.create(model=model, prompt="a cat on the moon")
    video = raw.parse()
    assert (video.object, video.status, video.model) == ("video", "queued", model)
    assert (video.seconds, video.size, video.progress) == (None, None, None)
    video = done(client, video.id)
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    content = client.videos.download_content(video.id)
    assert content.response.headers["content-type"] == "video/mp4"
    assert content.content[4:8] == b"ftyp"
    entry = gateway.entry(raw.headers["x-request-id"])
    assert (entry["endpoint"], entry["outcome"], entry["status"]) == ("videos", "ok", 200)
    assert entry["cost"] == ("0.25" if model.startswith("priced/") else None)
    mine = [row for row in gateway.ledger() if row["model"] == model]
    assert len(mine) == 1, "polls are no entries"


@pytest.mark.parametrize(
    "model",
    [
        "Wan-AI/Wan2.1-I2V-14B-480P",
        "Lightricks/LTX-Video",
        "huggingface/together/sandbox/image-to-video",
        "other/sandbox/a",
    ],
)
def test_a_video_begins_with_a_picture(client: openai.OpenAI, model: str) -> None:
    video = client.videos.create(model=model, prompt="it moves", input_reference=("a.png", PNG))
    assert done(client, video.id).status == "completed"


def test_size_and_seconds_go_where_they_can_be_said(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    together = "huggingface/together/sandbox/text-to-video"
    video = client.videos.create(
        model=together, prompt="a cat", size="1280x720", seconds="4", extra_body={"fps": 24}
    )
    assert (video.size, video.seconds) == ("1280x720", "4")
    sent = next(seen.json for seen in reversed(behind.requests) if seen.path.endswith("v2/videos"))
    assert (sent["width"], sent["height"], sent["seconds"], sent["fps"]) == (1280, 720, "4", "24")
    for more, param in (({"seconds": "4"}, "seconds"), ({"size": "1280x720"}, "size")):
        error = refused(
            lambda more=more: client.videos.create(
                model=f"huggingface/fal-ai/{WAN}", prompt="a cat", **more
            )
        )
        assert (error.status_code, error.code, error.param) == (400, "unsupported_parameter", param)


def test_videos_are_found_below_the_routers_own_prefix_too(gateway: Gateway, key: str) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/hf/v1", api_key=key, max_retries=0) as client:
        video = client.videos.create(model=f"huggingface/fal-ai/{WAN}", prompt="a cat")
        assert done(client, video.id).status == "completed"
        assert client.videos.download_content(video.id).content[4:8] == b"ftyp"
        assert refused(lambda: client.videos.delete(video.id)).code == "not_cancellable"


def test_another_keys_video_is_none(client: openai.OpenAI, gateway: Gateway) -> None:
    video = client.videos.create(model=WAN, prompt="a cat")
    made_up = video.id[:-1] + ("A" if video.id[-1] != "A" else "B")
    with of(gateway, gateway.new_key()) as other:
        for who, video_id in ((other, video.id), (client, made_up), (client, "video_123")):
            told = [
                refused(lambda who=who, i=video_id: who.videos.retrieve(i)),
                refused(lambda who=who, i=video_id: who.videos.download_content(i)),
                refused(lambda who=who, i=video_id: who.videos.delete(i)),
            ]
            assert {error.status_code for error in told} == {404}
            bodies: list[Any] = [error.body for error in told]
            assert len({body["message"] for body in bodies}) == 1
    assert client.videos.retrieve(video.id).status in ("queued", "in_progress", "completed")


def test_a_video_is_called_off_where_its_provider_can(client: openai.OpenAI) -> None:
    video = client.videos.create(
        model="huggingface/fal-ai/text-to-video/fault-job-endless", prompt="a cat"
    )
    gone = client.videos.delete(video.id)
    assert (gone.id, gone.deleted, gone.object) == (video.id, True, "video.deleted")
    video = client.videos.retrieve(video.id)
    assert (video.status, video.error.code if video.error else None) == ("failed", "cancelled")
    error = refused(lambda: client.videos.delete(video.id))
    assert (error.status_code, error.code) == (409, "not_cancellable")
    endless = client.videos.create(
        model="huggingface/together/text-to-video/fault-job-endless", prompt="a cat"
    )
    error = refused(lambda: client.videos.delete(endless.id))
    assert (error.status_code, error.code) == (409, "not_cancellable")


@pytest.mark.parametrize(
    ("fault", "code"),
    [("failed", "video_generation_failed"), ("moderated", "moderation_blocked")],
)
def test_a_video_that_failed_says_why(client: openai.OpenAI, fault: str, code: str) -> None:
    video = client.videos.create(
        model=f"huggingface/replicate/text-to-video/fault-job-{fault}", prompt="a cat"
    )
    video = done(client, video.id)
    assert video.status == "failed"
    assert video.error is not None
    assert (video.error.code, bool(video.error.message)) == (code, True)
    error = refused(lambda: client.videos.download_content(video.id))
    assert (error.status_code, error.code) == (409, code)


def test_a_video_that_is_not_done_has_no_content(client: openai.OpenAI) -> None:
    video = client.videos.create(
        model="huggingface/replicate/text-to-video/fault-job-endless", prompt="a cat"
    )
    error = refused(lambda: client.videos.download_content(video.id))
    assert (error.status_code, error.code) == (409, "video_not_ready")
    assert error.response.headers["retry-after"] == "2"
    error = refused(lambda: client.videos.download_content(video.id, variant="thumbnail"))
    assert (error.status_code, error.param) == (400, "variant")


def test_asking_again_and_again_asks_the_provider_once_a_second(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    video = client.videos.create(
        model="huggingface/replicate/text-to-video/fault-job-endless", prompt="a cat"
    )
    before = len(behind.requests)
    for _ in range(10):
        client.videos.retrieve(video.id)
    assert len(behind.requests) - before < 10


def test_asking_counts_against_the_rate(gateway: Gateway) -> None:
    with of(gateway, gateway.new_key(limits={"requests_per_minute": 3})) as client:
        video = client.videos.create(model=WAN, prompt="a cat")
        client.videos.retrieve(video.id)
        client.videos.retrieve(video.id)
        error = refused(lambda: client.videos.retrieve(video.id))
        assert (error.status_code, error.code) == (429, "requests_exceeded")


def test_lists_sequels_and_providers_without_videos_are_errors_that_say_so(
    client: openai.OpenAI,
) -> None:
    assert "not listed" in refused(client.videos.list).message
    video = client.videos.create(model=WAN, prompt="a cat")
    error = refused(lambda: client.videos.remix(video.id, prompt="a dog"))
    assert (error.status_code, "remixed" in error.message) == (404, True)
    error = refused(lambda: client.videos.create(model="own/sandbox/any", prompt="a cat"))
    assert (error.status_code, "text-to-video" in error.message) == (404, True)


def test_a_gateway_that_was_started_again_knows_its_videos(
    behind: SandboxServer, tmp_path: Path
) -> None:
    with media_gateway(behind, tmp_path) as gateway, of(gateway, gateway.new_key()) as client:
        video = client.videos.create(model=WAN, prompt="a cat")
        assert gateway.stop() == 0
        gateway.start()
        assert done(client, video.id).status == "completed"
        assert client.videos.download_content(video.id).content[4:8] == b"ftyp"


def test_any_gateway_on_the_same_database_answers(
    behind: SandboxServer, tmp_path: Path, postgres_url: str
) -> None:
    store = f'\n[store]\nurl = "{postgres_url}"\n'
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    with (
        media_gateway(behind, folders[0], store) as one,
        media_gateway(behind, folders[1], store) as two,
    ):
        secret = one.new_key()
        with of(one, secret) as first, of(two, secret) as second:
            video = first.videos.create(model=WAN, prompt="a cat")
            wait_for(second)
            assert done(second, video.id).status == "completed"
            assert second.videos.download_content(video.id).content[4:8] == b"ftyp"


def wait_for(client: openai.OpenAI) -> None:
    """Wait until a gateway has taken note of a key that another made."""
    until = time.monotonic() + 10
    while True:
        try:
            client.models.list()
        except openai.AuthenticationError:
            assert time.monotonic() < until
            continue
        return


def test_a_server_of_ones_own_is_told_size_and_seconds_and_can_call_off(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    video = client.videos.create(
        model="other/text-to-video/fault-job-endless", prompt="a cat", size="64x32", seconds="4"
    )
    sent = [seen for seen in behind.requests if seen.path == "/server/v1/videos"][-1]
    assert b'name="size"\r\n\r\n64x32' in sent.body and b'name="seconds"\r\n\r\n4' in sent.body
    assert client.videos.delete(video.id).deleted
    assert client.videos.retrieve(video.id).status == "failed"


def test_a_video_of_an_upstream_that_is_configured_no_more_is_not_found(
    behind: SandboxServer, tmp_path: Path
) -> None:
    with (
        media_gateway(behind, tmp_path, MORE) as gateway,
        of(gateway, gateway.new_key()) as client,
    ):
        video = client.videos.create(model="priced/sandbox/text-to-video", prompt="a cat")
        text = gateway.config.read_text()
        gateway.config.write_text(text[: text.index("[upstreams.priced]")])
        assert gateway.admin("POST", "/reload")["applied"]
        error = refused(lambda: client.videos.retrieve(video.id))
        assert (error.status_code, "configured no more" in error.message) == (404, True)
