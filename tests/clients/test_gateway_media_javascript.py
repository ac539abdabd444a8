"""OpenAI's JavaScript client, unchanged, asks a gateway for pictures, sounds and videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from javascript import Ask, Scenarios
from media_line import media_gateway
from running import Gateway

from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with media_gateway(behind, tmp_path_factory.mktemp("media")) as started:
        yield started


@pytest.fixture
def ask(scenarios: Scenarios) -> Ask:
    """Run a scenario."""
    return scenarios("gateway_media.mjs")


def test_it_has_pictures_made_and_changed(ask: Ask, behind: SandboxServer) -> None:
    found = ask("pictures")
    assert found["url"].startswith(f"{behind.url}/files/")
    assert {found[name] for name in ("bytes", "edited", "several")} == {"PNG"}


def test_it_speaks_and_listens(ask: Ask) -> None:
    found = ask("sounds")
    assert (found["type"], found["begins"]) == ("audio/wav", "RIFF")
    assert found["heard"].startswith("[simulated] audio/wav")
    assert found["srt"].startswith("1\n00:00:00,000 --> ")
    assert found["english"].endswith("in English")


def test_it_has_videos_made(ask: Ask) -> None:
    assert ask("videos") == {"first": "queued", "last": "completed", "begins": "ftyp", "off": True}


def test_its_errors_say_what_is_wrong(ask: Ask) -> None:
    assert ask("errors") == {
        "quality": {"status": 400, "code": "unsupported_parameter", "param": "quality"},
        "file": {"status": 400, "code": "invalid_request", "param": "file"},
        "video": {"status": 404, "code": "not_found", "param": None},
    }


def test_a_job_is_cancelled_when_it_aborts(
    ask: Ask, behind: SandboxServer, soon: Callable[[Callable[[], object]], bool]
) -> None:
    assert ask("leaving") is not None
    assert soon(lambda: any(r.method == "PUT" and "/cancel" in r.path for r in behind.requests))
