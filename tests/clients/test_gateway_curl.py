"""curl against a gateway: what anyone types first."""

from __future__ import annotations

import json
import shutil
import subprocess
import wave
from pathlib import Path

import pytest
from questions import LLAMA, MESSAGES
from running import Gateway

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl not found")


def curl(url: str, *options: str, key: str | None = None, **body: object) -> str:
    """Return what curl prints; with a body it is a POST."""
    sent = ("-H", "Content-Type: application/json", "-d", json.dumps(body)) if body else ()
    known = ("-H", f"Authorization: Bearer {key}") if key else ()
    run = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *options, *known, *sent, url],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_curl_chats_and_streams_events_up_to_done(gateway: Gateway, key: str) -> None:
    url = f"{gateway.url}/v1/chat/completions"
    whole = json.loads(curl(url, key=key, model=LLAMA, messages=MESSAGES))
    said = whole["choices"][0]["message"]["content"]
    assert said.startswith("[simulated]")
    told = curl(url, "-N", "-i", key=key, model=LLAMA, messages=MESSAGES, stream=True)
    head, _, body = told.partition("\n\n")
    assert "content-type: text/event-stream" in head.lower()
    assert "x-inference-provider: " in head.lower()
    events = [event.removeprefix("data: ") for event in body.strip().split("\n\n")]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    texts = [choice["delta"].get("content") or "" for c in chunks for choice in c["choices"]]
    assert "".join(texts) == said


def test_curl_is_told_what_is_wrong(gateway: Gateway, key: str) -> None:
    url = f"{gateway.url}/v1/chat/completions"
    status = ("-w", "\n%{http_code}")
    told, code = curl(url, *status, model=LLAMA, messages=MESSAGES).splitlines()
    assert code == "401"
    assert json.loads(told)["error"]["code"] == "invalid_api_key"
    told, code = curl(url, *status, "-X", "POST", "-d", "{'no': json}", key=key).splitlines()
    assert (code, json.loads(told)["error"]["code"]) == ("400", "invalid_json")
    told, code = curl(f"{gateway.url}/v1/chats", *status, key=key).splitlines()
    assert (code, json.loads(told)["error"]["code"]) == ("404", "not_found")
    told, code = curl(url, *status, key=key).splitlines()
    assert (code, json.loads(told)["error"]["code"]) == ("405", "method_not_allowed")


def test_a_body_that_names_no_kind_of_content_is_read_as_json(gateway: Gateway, key: str) -> None:
    body = json.dumps({"model": LLAMA, "messages": MESSAGES})
    told = curl(f"{gateway.url}/v1/chat/completions", "-d", body, key=key)
    assert json.loads(told)["choices"]


def test_curl_waits_for_leave_to_send_a_large_body_and_may_send_it_in_chunks(
    gateway: Gateway, key: str
) -> None:
    large = [{"role": "user", "content": "word " * 100_000}]
    for way in ("Expect: 100-continue", "Transfer-Encoding: chunked"):
        run = subprocess.run(
            [
                *("curl", "-sS", "--noproxy", "*", "-H", f"Authorization: Bearer {key}"),
                *("-H", way, "--data-binary", "@-", f"{gateway.url}/v1/chat/completions"),
            ],
            input=json.dumps({"model": LLAMA, "messages": large}),
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert run.returncode == 0, run.stderr
        said = json.loads(run.stdout)["choices"][0]["message"]["content"]
        assert said.startswith("[simulated]")


def test_curl_keeps_one_connection_for_several_calls(gateway: Gateway, key: str) -> None:
    url = f"{gateway.url}/v1/models"
    told = curl(url, "-o", "/dev/null", "-w", "%{num_connects} ", url, "-o", "/dev/null", key=key)
    assert told.split() == ["1", "0"]


def test_curl_asks_as_http_1_0_too(gateway: Gateway, key: str) -> None:
    told = curl(
        f"{gateway.url}/v1/chat/completions", "-0", "-i", key=key, model=LLAMA, messages=MESSAGES,
        stream=True,
    )  # fmt: skip
    head, _, body = told.partition("\n\n")
    assert "transfer-encoding" not in head.lower()
    assert body.rstrip().endswith("data: [DONE]")


def test_curl_asks_a_providers_own_route_with_files_as_they_are(
    gateway: Gateway, key: str, tmp_path: Path
) -> None:
    route = f"{gateway.url}/hf"
    sound = tmp_path / "silence.wav"
    with wave.open(str(sound), "wb") as written:
        written.setparams((1, 2, 8000, 4000, "NONE", ""))
        written.writeframes(bytes(8000))
    heard = json.loads(
        curl(
            f"{route}/deepinfra/v1/openai/audio/transcriptions",
            *("-F", f"file=@{sound};type=audio/wav", "-F", "model=openai/whisper-large-v3"),
            key=key,
        )
    )
    assert heard["text"].startswith("[simulated] audio/wav of")
    own = f"{route}/hf-inference/models/openai/whisper-large-v3"
    sent = ("-H", "Content-Type: audio/wav", "--data-binary", f"@{sound}")
    assert json.loads(curl(own, *sent, key=key))["text"] == heard["text"]
    picture = tmp_path / "cat.png"
    curl(
        f"{route}/hf-inference/models/black-forest-labs/FLUX.1-schnell",
        *("-o", str(picture), "-H", "Accept: image/png"),
        key=key,
        inputs="a cat",
    )
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_curl_follows_a_job_by_the_urls_that_it_is_told(gateway: Gateway, key: str) -> None:
    place = f"{gateway.url}/hf/fal-ai/fal-ai/flux/schnell?_subdomain=queue"
    job = json.loads(curl(place, key=key, prompt="a cat"))
    assert job["status_url"].startswith(f"{gateway.url}/hf/fal-ai/")
    while json.loads(curl(job["status_url"], key=key))["status"] != "COMPLETED":
        pass
    assert json.loads(curl(job["response_url"], key=key))["images"][0]["url"]


def test_curl_is_told_what_is_wrong_as_the_router_tells_it(gateway: Gateway, key: str) -> None:
    place = f"{gateway.url}/hf/groq/openai/v1/chat/completions"
    for known, path, words in (
        (None, place, "No valid key was given"),
        (key, f"{gateway.url}/hf/grok/v1/chat/completions", "Did you mean 'groq'?"),
    ):
        told = json.loads(curl(path, key=known, model="x", messages=MESSAGES))
        assert words in told["error"]
        assert set(told) == {"error", "code", "request_id"}
