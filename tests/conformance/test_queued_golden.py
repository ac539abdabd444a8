"""What Hugging Face's own clients send to the providers that queue is ours too, or listed here.

A row says who asked for what with which key; ours is a shape's body under a route's address.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from recordings import ORACLE, needs_oracle

from trunkline.dialects.shape import Lora, Wish
from trunkline.providers.queued import QUEUED
from trunkline.providers.table import PROVIDERS
from trunkline.types.media import Blob

pytestmark = needs_oracle

PYTHON = "py-huggingface_hub-2.4.0.jsonl"
JAVASCRIPT = "js-inference-4.13.30.jsonl"
ROUTER = "https://router.huggingface.co"
THEIR_OWN = frozenset({"authorization", "content-type", "user-agent", "accept"})
"""Headers that do not depend on the task."""

_PIXEL = (
    "89504e470d0a1a0a0000000d49484452000000010000000108040000"
    "00b51c0c020000000b4944415478da6364600000000600023081d02f0000000049454e44ae426082"
)
PNG = Blob(bytes.fromhex(_PIXEL), "image/png")
WAV = Blob(b"RIFFxxxxWAVE", "audio/wav")
FILES = {"<png bytes>": PNG, "<wav bytes>": WAV}
AS_JPEG = PNG.data_url.replace("image/png", "image/jpeg")

_IMAGE = {"width": 512, "height": 256, "num_inference_steps": 4, "guidance_scale": 3.5, "seed": 1}
_VIDEO = {
    "prompt": "zoom",
    "num_inference_steps": 4,
    "target_size": {"width": 640, "height": 360},
}
ASKED: dict[str, tuple[Any, dict[str, Any]]] = {
    "audio-to-audio": (WAV, {}),
    "automatic-speech-recognition": (WAV, {}),
    "image-segmentation": (PNG, {}),
    "image-text-to-image": (PNG, {"prompt": "p"}),
    "image-text-to-video": (PNG, {"prompt": "p"}),
    "image-to-image": (PNG, {"prompt": "make it blue", "num_inference_steps": 4}),
    "image-to-video": (PNG, _VIDEO),
    "text-to-audio": ("hello", {}),
    "text-to-image": ("a cat", _IMAGE),
    "text-to-speech": ("hello", {"voice": "af_alloy"}),
    "text-to-video": ("a dog", {"num_frames": 24, "num_inference_steps": 4, "seed": 2}),
}
"""What the JavaScript client was asked for; its rows do not keep it."""


@dataclass(frozen=True)
class Request:
    """What goes over the wire, as far as it matters here."""

    url: str
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True)
class Row:
    """One golden request: who asked for what, and what was sent."""

    client: str
    number: int
    provider: str
    task: str
    key: str
    lora: bool
    inputs: Any
    parameters: dict[str, Any]
    sent: Request

    def __str__(self) -> str:
        return f"{self.client}-{self.number}-{self.provider}-{self.task}-{self.key}"

    @property
    def place(self) -> tuple[str, str]:
        return self.provider, self.task

    @property
    def repo(self) -> str:
        if self.client == "py":
            return "org/hf-model"
        return f"org/m-{self.provider}-{self.task}-{str(self.lora).lower()}"


def _rows() -> list[Row]:
    rows: list[Row] = []
    for client, name in (("py", PYTHON), ("js", JAVASCRIPT)):
        path = ORACLE / name
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for number, row in enumerate(json.loads(line) for line in lines):
            if row["task"] in QUEUED.get(row["provider"], {}) and "error" not in row:
                rows.append(_read_row(client, number, row))
    return rows


def _read_row(client: str, number: int, row: dict[str, Any]) -> Row:
    headers = {name.lower(): value for name, value in row["headers"].items()}
    told = {name: value for name, value in headers.items() if name not in THEIR_OWN}
    inputs, parameters = ASKED[row["task"]]
    if client == "py":
        inputs, parameters = FILES.get(row["inputs"], row["inputs"]), row["parameters"]
    sent = Request(row["url"], row["json"], told)
    place = (row["provider"], row["task"], row["key"], row["lora"])
    return Row(client, number, *place, inputs, parameters, sent)


ROWS = _rows()


@dataclass(frozen=True)
class Difference:
    """Rows whose request is not ours, what ours is instead, and why."""

    name: str
    reason: str
    applies: Callable[[Row], bool]
    ours: Callable[[Row, Request], Request]
    rows: int


def _with(request: Request, *without: str, **fields: Any) -> Request:
    kept = {name: value for name, value in request.body.items() if name not in without}
    return replace(request, body={**kept, **fields})


def _queued(row: Row, request: Request) -> Request:
    if row.key == "hf":
        return replace(request, url=f"{request.url}?_subdomain=queue")
    return replace(request, url=request.url.replace("//fal.run", "//queue.fal.run"))


def _as_png(_row: Row, request: Request) -> Request:
    text = json.dumps(request.body).replace(AS_JPEG, PNG.data_url)
    return replace(request, body=json.loads(text))


def _with_lora_weights(row: Row, request: Request) -> Request:
    given = {**request.body["input"], "lora_weights": f"https://huggingface.co/{row.repo}"}
    return _with(request, input=given)


DIFFERENCES = (
    Difference(
        "fal makes images through its queue",
        "huggingface_hub asks the synchronous host; a queued job outlives the connection, and the "
        "JavaScript client queues every image",
        lambda row: row.client == "py" and row.place == ("fal-ai", "text-to-image"),
        _queued,
        4,
    ),
    Difference(
        "fal's image_size",
        "the JavaScript client passes width and height on, which fal's image models do not have "
        "and pass over in silence; huggingface_hub writes image_size",
        lambda row: row.client == "js" and row.place == ("fal-ai", "text-to-image"),
        lambda _row, request: _with(
            request, "width", "height", image_size={"width": 512, "height": 256}
        ),
        4,
    ),
    Difference(
        "an image is called what it is",
        "huggingface_hub calls bytes image/jpeg whatever they are",
        lambda row: row.client == "py" and AS_JPEG in json.dumps(row.sent.body),
        _as_png,
        20,
    ),
    Difference(
        "a sound is called what it is, in fal's words",
        "huggingface_hub calls every sound audio/mpeg",
        lambda row: row.client == "py" and row.place == ("fal-ai", "automatic-speech-recognition"),
        lambda _row, request: _with(
            request, audio_url=WAV.data_url.replace("audio/wav", "audio/x-wav")
        ),
        2,
    ),
    Difference(
        "a LoRA for Replicate's image-to-image",
        "huggingface_hub leaves it out and calls the plain model",
        lambda row: (
            row.client == "py" and row.lora and row.place == ("replicate", "image-to-image")
        ),
        _with_lora_weights,
        2,
    ),
    Difference(
        "WaveSpeedAI's images as bare base64, alone and in a list",
        "huggingface_hub writes one data URL; some of its models take only a list",
        lambda row: row.client == "py" and row.provider == "wavespeed" and row.inputs is PNG,
        lambda _row, request: _with(request, image=PNG.base64, images=[PNG.base64]),
        8,
    ),
    Difference(
        "a LoRA for WaveSpeedAI",
        "huggingface_hub leaves it out and calls the plain model",
        lambda row: row.client == "py" and row.provider == "wavespeed" and row.lora,
        lambda row, request: _with(request, loras=[{"path": row.repo, "scale": 1}]),
        8,
    ),
    Difference(
        "Novita makes videos through its queue",
        "huggingface_hub holds a connection open for as long as it takes, and leaves the number "
        "of steps under a name that Novita does not know",
        lambda row: row.client == "py" and row.place == ("novita", "text-to-video"),
        lambda _row, request: replace(
            _with(request, "num_inference_steps", steps=4),
            url=request.url.replace("/v3/hf/", "/v3/async/"),
        ),
        2,
    ),
    Difference(
        "Z.ai's size",
        "the JavaScript client passes width and height on, which Z.ai does not have; "
        "huggingface_hub writes size",
        lambda row: row.client == "js" and row.place == ("zai-org", "text-to-image"),
        lambda _row, request: _with(request, "width", "height", size="512x256"),
        2,
    ),
)


def _ours(row: Row) -> Request:
    route, provider = QUEUED[row.provider][row.task], PROVIDERS[row.provider]
    model = "MiniMax-H3" if row.place == ("novita", "image-text-to-video") else "prov/model-id"
    lora = Lora(row.repo, "w.safetensors") if row.lora else None
    body = route.shape.write(Wish(row.task, model, row.inputs, row.parameters, lora=lora))
    base = f"{ROUTER}/{row.provider}" if row.key == "hf" else route.base_url or provider.base_url
    url = f"{base}/{route.path.replace('{model}', model)}"
    if row.key == "hf" and route.shape.job and route.shape.job.routed_query:
        url += f"?{route.shape.job.routed_query}"
    assert (body.content_type, body.accept) == ("application/json", "application/json")
    headers = dict((*provider.headers, *route.headers, *body.headers))
    return Request(url, json.loads(body.data), headers)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_our_request_is_theirs_but_for_the_listed_differences(row: Row) -> None:
    expected = row.sent
    for difference in DIFFERENCES:
        if difference.applies(row):
            assert difference.ours(row, expected) != expected, "no difference any more"
            expected = difference.ours(row, expected)
    assert _ours(row) == expected


def test_every_difference_has_as_many_rows_as_it_says() -> None:
    found = {d.name: sum(d.applies(row) for row in ROWS) for d in DIFFERENCES}
    assert found == {d.name: d.rows for d in DIFFERENCES}


def test_every_row_is_covered() -> None:
    assert Counter((row.client, row.provider) for row in ROWS) == {
        ("py", "fal-ai"): 24,
        ("py", "novita"): 2,
        ("py", "replicate"): 16,
        ("py", "together"): 4,
        ("py", "wavespeed"): 16,
        ("py", "zai-org"): 2,
        ("js", "fal-ai"): 34,
        ("js", "novita"): 4,
        ("js", "replicate"): 16,
        ("js", "together"): 4,
        ("js", "wavespeed"): 24,
        ("js", "zai-org"): 2,
    }
    same = [row for row in ROWS if not any(d.applies(row) for d in DIFFERENCES)]
    assert (len(same), len(ROWS)) == (110, 148)
    served = {(name, task) for name, tasks in QUEUED.items() for task in tasks}
    assert served - {row.place for row in ROWS} == {("black-forest-labs", "text-to-image")}
