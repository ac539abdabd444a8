"""The requests of Hugging Face's own clients for these providers are ours, or the difference is here.

Their requests were taken from huggingface_hub and @huggingface/inference with the network cut off.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from recordings import ORACLE, needs_oracle

from trunkline.dialects.multipart import read_form
from trunkline.dialects.shape import Wish
from trunkline.providers.openai_shaped import OPENAI_SHAPED
from trunkline.providers.table import PROVIDERS
from trunkline.types.media import Blob

pytestmark = needs_oracle

FILES = {"py": "py-huggingface_hub-2.4.0.jsonl", "js": "js-inference-4.13.30.jsonl"}
MODEL = "prov/model-id"
WAV = Blob(b"RIFFxxxxWAVE", "audio/wav")

IMAGE = {"width": 512, "height": 256, "num_inference_steps": 4, "guidance_scale": 3.5, "seed": 1}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "automatic-speech-recognition": {},
    "feature-extraction": {},
    "image-to-image": {"prompt": "make it blue", "num_inference_steps": 4},
    "image-to-text": {},
    "text-generation": {"max_new_tokens": 7, "temperature": 0.1},
    "text-to-image": IMAGE,
    "text-to-speech": {"voice": "af_alloy"},
}
"""The parameters of each JavaScript call: its rows do not keep them."""


@dataclass(frozen=True)
class Sent:
    """What goes over the wire, as far as it matters here."""

    url: str
    body: dict[str, Any]
    """JSON, or a form's fields; a file in it is its type and length."""


@dataclass(frozen=True)
class Row:
    """One golden request: who asked for what, and what was sent."""

    client: str
    number: int
    provider: str
    task: str
    key: str
    inputs: Any
    parameters: dict[str, Any]
    theirs: Sent

    def __str__(self) -> str:
        return f"{self.client}-{self.number}-{self.provider}-{self.task}-{self.key}"


def _rows() -> list[Row]:
    return [
        _read(client, number, json.loads(line))
        for client, name in FILES.items()
        if (ORACLE / name).is_file()
        for number, line in enumerate((ORACLE / name).read_text("utf-8").splitlines())
        if json.loads(line)["task"] in OPENAI_SHAPED.get(json.loads(line)["provider"], {})
    ]


def _read(client: str, number: int, row: dict[str, Any]) -> Row:
    task, body = row["task"], _their_body(row)
    parameters = row["parameters"] if client == "py" else ARGUMENTS[task]
    return Row(
        client,
        number,
        row["provider"],
        task,
        row["key"],
        _inputs(task, row, body),
        parameters,
        Sent(row["url"], body),
    )


def _their_body(row: dict[str, Any]) -> dict[str, Any]:
    if row.get("formData"):  # <file audio.wav audio/wav 12>
        return {
            name: tuple(value.strip("<>").split()[1:]) if value.startswith("<file") else value
            for name, value in row["formData"].items()
        }
    if row.get("json"):
        return row["json"]
    headers = {name.lower(): value for name, value in row["headers"].items()}
    return _form(row["data"].encode("latin1"), headers["content-type"])


def _form(data: bytes, content_type: str) -> dict[str, Any]:
    return {
        part.name: part.text
        if part.filename is None
        else (part.filename, part.content_type, str(len(part.content)))
        for part in read_form(data, content_type)
    }


def _inputs(task: str, row: dict[str, Any], body: dict[str, Any]) -> Any:
    """Return what was asked; a picture is taken back from the request itself."""
    if task == "automatic-speech-recognition":
        return WAV
    if task in ("image-to-image", "image-to-text"):
        url = body["file"] if "file" in body else body["reference_images"][0]
        return Blob(base64.b64decode(url.partition(",")[2]), "image/png")
    if "inputs" in row:
        return row["inputs"]
    return body.get("input") or body.get("prompt") or body.get("inputs")


ROWS = _rows()


def ours(row: Row) -> Sent:
    """Return what we would send, parameters that the provider does not take left out."""
    route = OPENAI_SHAPED[row.provider][row.task]
    names = dict(route.renames)
    parameters = {
        names.get(name, name): value
        for name, value in row.parameters.items()
        if name not in route.refuses
    }
    body = route.shape.write(Wish(row.task, MODEL, row.inputs, parameters))
    base = f"https://router.huggingface.co/{row.provider}"
    if row.key == "direct":
        base = PROVIDERS[row.provider].base_url
    if body.content_type == "application/json":
        return Sent(f"{base}/{route.path}", json.loads(body.data))
    return Sent(f"{base}/{route.path}", _form(body.data, body.content_type or ""))


@dataclass(frozen=True)
class Difference:
    """Rows whose request is not ours, what ours is instead, and why."""

    reason: str
    client: str
    rows: set[tuple[str, str]]
    """Provider and task; two rows each, one a kind of key."""
    change: Callable[[Sent], Sent]


def _without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


def _max_tokens(sent: Sent) -> Sent:
    body = {**_without(sent.body, "max_new_tokens"), "max_tokens": 7}
    return replace(sent, body=body)


def _completion(sent: Sent) -> Sent:
    body = {**_without(sent.body, "inputs", "parameters"), "prompt": "hello"}
    return Sent(
        sent.url.replace("chat/completions", "completions"),
        {**body, "max_tokens": 7, "temperature": 0.1},
    )


def _as_size(*dropped: str) -> Callable[[Sent], Sent]:
    return lambda sent: replace(
        sent, body={**_without(sent.body, "width", "height", *dropped), "size": "512x256"}
    )


def _typed(sent: Sent) -> Sent:
    return replace(sent, body={**sent.body, "file": ("audio.wav", "audio/wav", "12")})


def _png(sent: Sent) -> Sent:
    urls = [url.replace("image/jpeg", "image/png") for url in sent.body["reference_images"]]
    return replace(sent, body={**sent.body, "reference_images": urls})


DIFFERENCES = (
    Difference(
        "OpenAI's completions know max_tokens; max_new_tokens would be overlooked",
        "py",
        {("novita", "text-generation"), ("together", "text-generation")},
        _max_tokens,
    ),
    Difference(
        "inputs and parameters are no fields of completions, so that max_new_tokens is lost; and"
        " Novita's go to the chat, which takes no prompt",
        "js",
        {
            ("novita", "text-generation"),
            ("scaleway", "text-generation"),
            ("together", "text-generation"),
        },
        _completion,
    ),
    Difference(
        "Nscale takes a size, as the Python client has it; width, height and steps are no fields",
        "js",
        {("nscale", "text-to-image")},
        _as_size("num_inference_steps"),
    ),
    Difference(
        "DeepInfra's documentation of this path has a size, and neither width nor height",
        "js",
        {("deepinfra", "text-to-image")},
        _as_size(),
    ),
    Difference(
        "the Python client does not tell the type of a recording given as bytes; we look",
        "py",
        {("deepinfra", "automatic-speech-recognition")},
        _typed,
    ),
    Difference(
        "the Python client calls bytes of unknown type a JPEG; we look, and it is a PNG",
        "py",
        {("together", "image-to-image")},
        _png,
    ),
)

LEFT_OUT = {("js", "groq", "text-generation")}
"""Requests that cannot work: Groq serves no completions, and its chat takes neither `inputs` nor a
`prompt`. There is no route, and the caller is told to use `completion()`."""


def _difference(row: Row) -> Difference | None:
    place = (row.provider, row.task)
    found = [each for each in DIFFERENCES if each.client == row.client and place in each.rows]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_we_send_what_hugging_faces_clients_send(row: Row) -> None:
    difference = _difference(row)
    expected = difference.change(row.theirs) if difference else row.theirs
    if difference:
        assert expected != row.theirs, "this difference is none any more"
    assert ours(row) == expected


def test_every_golden_request_of_these_providers_is_compared() -> None:
    assert Counter(row.client for row in ROWS) == {"py": 32, "js": 42}
    assert sum(_difference(row) is not None for row in ROWS) == 18


def test_every_task_of_these_providers_in_the_clients_has_a_route() -> None:
    queued = {"image-text-to-video", "image-to-video", "text-to-video"}
    missing = set()
    for client, name in FILES.items():
        for line in (ORACLE / name).read_text("utf-8").splitlines():
            row = json.loads(line)
            known = PROVIDERS.get(row["provider"])
            if known is None or row["task"] in {"conversational", *queued}:
                continue
            if row["provider"] not in {*OPENAI_SHAPED, "groq"}:
                continue
            if row["task"] not in OPENAI_SHAPED.get(row["provider"], {}):
                missing.add((client, row["provider"], row["task"]))
    zai = {("py", "zai-org", "text-to-image"), ("js", "zai-org", "text-to-image")}
    assert missing == LEFT_OUT | zai  # Z.ai's pictures are jobs
