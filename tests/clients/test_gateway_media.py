"""OpenAI's Python client, unchanged, asks a gateway for pictures and sounds."""

from __future__ import annotations

import asyncio
import base64
import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from media_line import PNG, WAV, media_gateway
from running import Gateway

from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.slow

FLUX = "black-forest-labs/FLUX.1-schnell"
WHISPER = "openai/whisper-large-v3"
PICTURES = [
    "server/sandbox/any",
    "own/sandbox/any",
    f"straight/{FLUX}",
    "paints/black-forest-labs/flux-schnell",
    FLUX,
    f"huggingface/together/{FLUX}",
    f"huggingface/fal-ai/{FLUX}",
    f"huggingface/hf-inference/{FLUX}",
    f"huggingface/replicate/{FLUX}",
    "huggingface/wavespeed/black-forest-labs/FLUX.1-dev",
    "huggingface/zai-org/zai-org/GLM-Image",
]
HEARD = "[simulated] audio/wav of 64044 bytes, 2 seconds"


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with media_gateway(behind, tmp_path_factory.mktemp("media")) as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=30)
    with made:
        yield made


def refused(work: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        work()
    return caught.value


def row(gateway: Gateway, raw: Any) -> dict[str, Any]:
    return gateway.entry(raw.headers["x-request-id"])


@pytest.mark.parametrize("model", PICTURES)
def test_a_picture_comes_from_every_kind_of_provider(
    client: openai.OpenAI, gateway: Gateway, model: str
) -> None:
    raw = client.images.with_raw_response.generate(
        model=model, prompt="a cat", size="64x32", response_format="b64_json"
    )
    answer = raw.parse()
    assert answer.data
    assert base64.b64decode(answer.data[0].b64_json or "").startswith(b"\x89PNG")
    assert answer.data[0].url is None
    assert answer.created > 1_700_000_000
    entry = row(gateway, raw)
    assert (entry["endpoint"], entry["outcome"], entry["model"]) == ("images", "ok", model)
    assert entry["input_tokens"] is None
    assert (entry["cost"] is None) is not model.startswith("server/")


@pytest.mark.parametrize("model", PICTURES)
def test_a_picture_is_a_url_where_that_was_asked_for(
    client: openai.OpenAI, behind: SandboxServer, model: str
) -> None:
    answer = client.images.generate(model=model, prompt="a cat", response_format="url")
    assert answer.data
    url = answer.data[0].url or ""
    if "hf-inference" in model:
        assert url.startswith("data:image/png;base64,iVBOR")
    else:
        assert url.startswith(f"{behind.url}/files/")
        assert not [seen for seen in behind.requests if seen.method == "GET" and seen.path in url]
    assert answer.data[0].b64_json is None


def test_several_pictures_come_under_the_providers_name_for_their_number(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    answer = client.images.generate(model="server/sandbox/any", prompt="cats", n=2, quality="hd")
    assert len(answer.data or ()) == 2
    sent = behind.requests[-1].json
    assert (sent["n"], sent["quality"], sent["model"]) == (2, "hd", "sandbox/any")
    client.images.generate(model=f"huggingface/fal-ai/{FLUX}", prompt="cats", n=2)
    sent = next(r.json for r in reversed(behind.requests) if r.method == "POST")
    assert (sent["num_images"], "n" in sent) == (2, False)


@pytest.mark.parametrize(
    ("model", "more", "param"),
    [
        (f"huggingface/fal-ai/{FLUX}", {"quality": "hd"}, "quality"),
        (f"huggingface/fal-ai/{FLUX}", {"style": "vivid"}, "style"),
        (f"huggingface/together/{FLUX}", {"background": "opaque"}, "background"),
        (f"huggingface/hf-inference/{FLUX}", {"n": 2}, "n"),
        (f"huggingface/hf-inference/{FLUX}", {"output_format": "webp"}, "output_format"),
        (f"huggingface/replicate/{FLUX}", {"moderation": "low"}, "moderation"),
        (FLUX, {"output_compression": 50}, "output_compression"),
    ],
)
def test_what_a_provider_cannot_be_told_is_an_error_that_names_it(
    client: openai.OpenAI, behind: SandboxServer, model: str, more: dict[str, Any], param: str
) -> None:
    posted = len([seen for seen in behind.requests if seen.method == "POST"])
    error = refused(lambda: client.images.generate(model=model, prompt="a cat", **more))
    assert (error.status_code, error.code, error.param) == (400, "unsupported_parameter", param)
    assert f"'{param}'" in error.message
    assert len([seen for seen in behind.requests if seen.method == "POST"]) == posted


@pytest.mark.parametrize(
    ("model", "image"),
    [
        ("server/sandbox/any", ("a.png", PNG)),
        ("server/sandbox/any", [("a.png", PNG), ("b.png", PNG)]),
        ("own/sandbox/any", io.BytesIO(PNG)),
        ("black-forest-labs/FLUX.1-Kontext-dev", PNG),
        ("huggingface/hf-inference/timbrooks/instruct-pix2pix", PNG),
        ("huggingface/together/black-forest-labs/FLUX.1-Kontext-dev", PNG),
    ],
)
def test_a_picture_is_changed(client: openai.OpenAI, model: str, image: Any) -> None:
    answer = client.images.edit(
        model=model, image=image, prompt="in winter", response_format="b64_json"
    )
    assert answer.data
    assert base64.b64decode(answer.data[0].b64_json or "").startswith(b"\x89PNG")


def test_tokens_that_are_told_are_charged_and_a_call_else(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    raw = client.images.with_raw_response.edit(
        model="server/sandbox/by-tokens", image=PNG, prompt="in winter"
    )
    entry = row(gateway, raw)
    assert (entry["input_tokens"], entry["output_tokens"]) == (10, 20)
    assert (entry["cost"], entry["token_source"]) == ("0.00005", "provider")
    assert entry["reserved"] == "0.5"
    raw = client.images.with_raw_response.generate(
        model="server/sandbox/by-tokens", prompt="in winter"
    )
    entry = row(gateway, raw)
    assert (entry["cost"], entry["input_tokens"], entry["token_source"]) == (
        "0.5",
        None,
        "unknown",
    )
    assert entry["price_source"] == "configuration, for a call"


def test_a_mask_and_several_pictures_are_refused_where_there_is_no_word_for_them(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    kontext = "huggingface/fal-ai/black-forest-labs/FLUX.1-Kontext-dev"
    error = refused(lambda: client.images.edit(model=kontext, image=PNG, mask=PNG, prompt="p"))
    assert error.param == "mask"
    error = refused(lambda: client.images.edit(model=kontext, image=[PNG, PNG], prompt="p"))
    assert error.param == "image"
    client.images.edit(model="server/sandbox/any", image=[PNG, PNG], mask=PNG, prompt="p")
    body = behind.requests[-1].body
    assert body.count(b'name="image[]"') == 2
    assert body.count(b'name="mask"') == 1


@pytest.mark.parametrize(
    ("model", "voice"),
    [
        ("server/sandbox/any", "alloy"),
        ("own/sandbox/any", "alloy"),
        ("huggingface/fal-ai/hexgrad/Kokoro-82M", "af_heart"),
        ("huggingface/together/hexgrad/Kokoro-82M", "af_heart"),
        ("huggingface/replicate/hexgrad/Kokoro-82M", "af_heart"),
        ("espnet/kan-bayashi_ljspeech_vits", openai.omit),
    ],
)
def test_a_text_is_said_aloud(
    client: openai.OpenAI, gateway: Gateway, model: str, voice: Any
) -> None:
    sound = client.audio.speech.create(model=model, input="Hello there.", voice=voice)
    assert sound.response.headers["content-type"] == "audio/wav"
    assert sound.content.startswith(b"RIFF")
    entry = gateway.entry(sound.response.headers["x-request-id"])
    assert (entry["endpoint"], entry["outcome"]) == ("audio", "ok")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"voice": "alloy"}, "voice"),
        ({"voice": openai.omit, "speed": 2.0}, "speed"),
        ({"voice": openai.omit, "instructions": "sing"}, "instructions"),
        ({"voice": openai.omit, "response_format": "mp3"}, "response_format"),
    ],
)
def test_how_to_speak_is_refused_where_it_cannot_be_told(
    client: openai.OpenAI, more: dict[str, Any], param: str
) -> None:
    model = "espnet/kan-bayashi_ljspeech_vits"
    error = refused(lambda: client.audio.speech.create(model=model, input="Hello", **more))
    assert (error.status_code, error.param) == (400, param)


@pytest.mark.parametrize(
    "model",
    [
        "server/sandbox/any",
        "own/sandbox/any",
        WHISPER,
        f"huggingface/hf-inference/{WHISPER}",
        f"huggingface/fal-ai/{WHISPER}",
        f"huggingface/together/{WHISPER}",
    ],
)
def test_a_recording_is_written_down_in_every_form(client: openai.OpenAI, model: str) -> None:
    def ask(form: Any) -> Any:
        return client.audio.transcriptions.create(
            model=model, file=("a.wav", WAV), response_format=form
        )

    assert ask("json").text == HEARD
    assert ask("text").strip() == HEARD
    verbose = ask("verbose_json")
    assert [segment.text for segment in verbose.segments] == [HEARD]
    assert ask("srt") == f"1\n00:00:00,000 --> 00:00:02,000\n{HEARD}\n\n"
    assert ask("vtt").startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.000")


@pytest.mark.filterwarnings("ignore:deprecated")
def test_a_recording_is_translated_where_a_provider_can(client: openai.OpenAI) -> None:
    for model in ("server/sandbox/any", "own/sandbox/any"):
        answer = client.audio.translations.create(model=model, file=("a.wav", WAV))
        assert answer.text == f"{HEARD} in English"
    answer = client.audio.translations.create(
        model=f"huggingface/fal-ai/{WHISPER}", file=("a.wav", WAV)
    )
    assert answer.text == HEARD
    model = f"huggingface/hf-inference/{WHISPER}"
    error = refused(lambda: client.audio.translations.create(model=model, file=("a.wav", WAV)))
    assert (error.status_code, "does not translate" in error.message) == (404, True)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"language": "de"}, "language"),
        ({"temperature": 0.5}, "temperature"),
        (
            {"response_format": "verbose_json", "timestamp_granularities": ["word"]},
            "timestamp_granularities",
        ),
        ({"include": ["logprobs"]}, "include"),
    ],
)
def test_what_hf_inference_cannot_be_told_of_a_recording_is_named(
    client: openai.OpenAI, more: dict[str, Any], param: str
) -> None:
    model = f"huggingface/hf-inference/{WHISPER}"
    error = refused(
        lambda: client.audio.transcriptions.create(model=model, file=("a.wav", WAV), **more)
    )
    assert (error.status_code, error.param) == (400, param)


def test_the_async_client_asks_for_several_things_at_once(gateway: Gateway, key: str) -> None:
    async def story() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client:
            return await asyncio.gather(
                client.images.generate(model=FLUX, prompt="a cat"),
                client.audio.transcriptions.create(model=WHISPER, file=("a.wav", WAV)),
                client.images.edit(model="server/sandbox/any", image=PNG, prompt="p"),
            )

    picture, heard, changed = asyncio.run(story())
    assert picture.data[0].b64_json and changed.data[0].b64_json
    assert heard.text == HEARD


def test_the_next_target_of_a_route_is_asked(client: openai.OpenAI, gateway: Gateway) -> None:
    raw = client.images.with_raw_response.generate(model="pictures", prompt="a cat")
    entry = row(gateway, raw)
    assert (entry["upstream"], entry["target_model"]) == ("server", "sandbox/b")
    assert entry["attempts"] == len(entry["tries"]) > 1


def test_a_budget_holds_the_price_of_a_call(gateway: Gateway) -> None:
    secret = gateway.new_key(budgets=[{"amount": "0.015", "period": "day"}])
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret, max_retries=0) as client:
        client.images.generate(model="server/sandbox/any", prompt="a cat")
        error = refused(lambda: client.images.generate(model="server/sandbox/any", prompt="a cat"))
        assert (error.status_code, error.code) == (402, "budget_exceeded")
        error = refused(lambda: client.images.generate(model="other/sandbox/any", prompt="a cat"))
        assert (error.status_code, error.code) == (402, "price_unknown")
        assert "upstreams.<name>.prices.<model>.request" in error.message


@pytest.mark.parametrize("endpoint", ["images", "audio", "rerank"])
def test_a_key_may_be_for_one_endpoint_alone(gateway: Gateway, endpoint: str) -> None:
    secret = gateway.new_key(scope={"endpoints": [endpoint]})
    body = {"model": "server/sandbox/any", "prompt": "p", "input": "i", "query": "q"}
    body["documents"] = ["a"]  # type: ignore[assignment]
    paths = {
        "images": "images/generations",
        "audio": "audio/speech",
        "rerank": "rerank",
        "chat": "chat/completions",
    }
    for name, path in paths.items():
        status, _, told = gateway.ask("POST", f"/v1/{path}", body, secret)
        assert status == (200 if name == endpoint else 403), told


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("server/sandbox/any", True),
        ("tei/sandbox/any", False),
        ("BAAI/bge-reranker-v2-m3", False),
    ],
)
def test_documents_are_put_in_order(gateway: Gateway, key: str, model: str, tokens: bool) -> None:
    wish = {"model": model, "query": "cats", "documents": ["dogs bark", "cats purr"]}
    wish |= {"return_documents": True, "top_n": 1}
    status, headers, body = gateway.ask("POST", "/v1/rerank", wish, key)
    assert status == 200, body
    assert [row["index"] for row in body["results"]] == [1]
    assert body["results"][0]["document"] == {"text": "cats purr"}
    assert (body["model"], bool(body["id"])) == (model, True)
    entry = gateway.entry(headers["x-request-id"])
    assert (entry["endpoint"], entry["outcome"]) == ("rerank", "ok")
    assert (entry["input_tokens"] is not None) is tokens


def test_variations_and_streams_are_errors_that_say_so(
    client: openai.OpenAI, gateway: Gateway, key: str
) -> None:
    status, _, told = gateway.ask("POST", "/v1/images/variations", {}, key)
    assert status == 404
    assert "/v1/images/edits" in told["error"]["message"]
    error = refused(
        lambda: client.images.generate(model="server/sandbox/any", prompt="p", stream=True)
    )
    assert (error.status_code, error.param) == (400, "stream")


@pytest.mark.parametrize(
    ("fault", "status"),
    [("fault-400", 400), ("fault-429", 429), ("fault-503", 503), ("fault-404", 404)],
)
def test_a_providers_refusal_is_told_and_costs_nothing(
    client: openai.OpenAI, gateway: Gateway, fault: str, status: int
) -> None:
    error = refused(lambda: client.images.generate(model=f"server/sandbox/{fault}", prompt="p"))
    assert error.status_code == status
    entry = gateway.entry(error.response.headers["x-request-id"])
    assert (entry["outcome"], entry["cost"]) == ("refused", "0")


@pytest.mark.parametrize("fault", ["file-404", "file-html", "file-url-private-tls", "file-short"])
def test_a_file_that_cannot_be_had_costs_what_nobody_knows(
    client: openai.OpenAI, gateway: Gateway, fault: str
) -> None:
    model = f"huggingface/fal-ai/text-to-image/fault-{fault}"
    error = refused(
        lambda: client.images.generate(model=model, prompt="p", response_format="b64_json")
    )
    assert error.status_code == 502
    entry = gateway.entry(error.response.headers["x-request-id"])
    assert (entry["outcome"], entry["cost"]) == ("failed", None)


@pytest.mark.parametrize(
    ("fault", "status"), [("job-failed", 502), ("job-moderated", 400), ("job-lost", 502)]
)
def test_a_job_that_ends_badly_costs_what_nobody_knows(
    client: openai.OpenAI, gateway: Gateway, fault: str, status: int
) -> None:
    model = f"huggingface/replicate/text-to-image/fault-{fault}"
    error = refused(lambda: client.images.generate(model=model, prompt="p"))
    assert error.status_code == status
    entry = gateway.entry(error.response.headers["x-request-id"])
    assert (entry["outcome"], entry["cost"]) == ("failed", None)


def test_an_upload_that_names_itself_is_done_once(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    def ask(**more: Any) -> Any:
        return client.images.with_raw_response.edit(
            model="server/sandbox/any",
            image=("a.png", PNG),
            extra_headers={"Idempotency-Key": "one picture"},
            **{"prompt": "in winter", **more},
        )

    first = ask()
    posted = len(behind.requests)
    again = ask()
    assert len(behind.requests) == posted
    assert again.parse() == first.parse()
    error = refused(lambda: ask(prompt="in summer"))
    assert error.status_code in (409, 422)


def test_what_is_kept_of_an_upload_has_no_file_in_it(behind: SandboxServer, tmp_path: Path) -> None:
    with media_gateway(behind, tmp_path, "\n[content]\nstore = true\n") as gateway:
        form = {"model": "server/sandbox/any", "prompt": "in winter"}
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.new_key()) as client:
            raw = client.images.with_raw_response.edit(image=("a.png", PNG), **form)
            sound = client.audio.transcriptions.with_raw_response.create(
                model=WHISPER, file=("a.wav", WAV), prompt="Trunkline"
            )
        assert gateway.stop() == 0
        with sqlite3.connect(gateway.store) as store:
            kept = {
                row[0]: row[1:] for row in store.execute("SELECT id, prompt, answer FROM contents")
            }
    prompt, answer = kept[raw.headers["x-request-id"]]
    assert (prompt, answer) == ("in winter", "")
    prompt, answer = kept[sound.headers["x-request-id"]]
    assert (prompt, HEARD in answer) == ("Trunkline", True)


def test_a_provider_that_only_paints_chats_not(client: openai.OpenAI) -> None:
    model = "paints/black-forest-labs/flux-schnell"
    messages: Any = [{"role": "user", "content": "Hello"}]
    error = refused(lambda: client.chat.completions.create(model=model, messages=messages))
    assert (error.status_code, "no chat" in error.message) == (400, True)
