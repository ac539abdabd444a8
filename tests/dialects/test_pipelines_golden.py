"""hf-inference is asked as Hugging Face's own clients ask it, or the difference is listed here."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from trunkline.dialects.pipelines import PIPELINES
from trunkline.dialects.shape import Wish
from trunkline.providers.hf_inference import HF_INFERENCE_TASKS
from trunkline.providers.served import PIPELINE_TASKS
from trunkline.types.media import Blob

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle"
PYTHON = "py-huggingface_hub-2.4.0.jsonl"
JAVASCRIPT = "js-inference-4.13.30.jsonl"
HOST = "https://router.huggingface.co/hf-inference/"

pytestmark = pytest.mark.skipif(
    not ORACLE.is_dir(), reason="no shared/oracle beside the repository"
)

PNG = Blob(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
    ),
    "image/png",
)
WAV = Blob(b"RIFFxxxxWAVE", "audio/wav")
FILES = {"<png bytes>": PNG, "<wav bytes>": WAV}

ARGUMENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "audio-classification": (WAV, {}),
    "audio-to-audio": (WAV, {}),
    "automatic-speech-recognition": (WAV, {}),
    "document-question-answering": ({"question": "q", "image": PNG}, {}),
    "fill-mask": ("a [MASK]", {}),
    "image-classification": (PNG, {}),
    "image-segmentation": (PNG, {}),
    "image-to-image": (PNG, {"prompt": "make it blue", "num_inference_steps": 4}),
    "image-to-text": (PNG, {}),
    "object-detection": (PNG, {}),
    "question-answering": ({"question": "q", "context": "c"}, {}),
    "sentence-similarity": ({"source_sentence": "a", "sentences": ["b"]}, {}),
    "summarization": ("x", {}),
    "table-question-answering": ({"query": "q", "table": {"A": ["1"]}}, {}),
    "tabular-classification": ({"data": {"A": ["1"]}}, {}),
    "tabular-regression": ({"data": {"A": ["1"]}}, {}),
    "text-classification": ("hello", {"top_k": 2}),
    "text-generation": ("hello", {"max_new_tokens": 7, "temperature": 0.1}),
    "text-to-audio": ("hello", {}),
    "text-to-image": (
        "a cat",
        {
            "width": 512,
            "height": 256,
            "num_inference_steps": 4,
            "guidance_scale": 3.5,
            "seed": 1,
        },
    ),
    "text-to-speech": ("hello", {"voice": "af_alloy"}),
    "token-classification": ("x", {}),
    "translation": ("x", {"src_lang": "en", "tgt_lang": "fr"}),
    "visual-question-answering": ({"question": "q", "image": PNG}, {}),
    "zero-shot-classification": ("x", {"candidate_labels": ["a", "b"]}),
    "zero-shot-image-classification": ({"image": PNG}, {"candidate_labels": ["a", "b"]}),
}
"""What the JavaScript client was called with; its rows keep requests only."""


def _rows(name: str) -> list[dict[str, Any]]:
    lines = (ORACLE / name).read_text(encoding="utf-8").splitlines() if ORACLE.is_dir() else []
    rows = map(json.loads, lines)
    return [r for r in rows if r["provider"] == "hf-inference" and r["task"] != "conversational"]


def _wish(row: dict[str, Any]) -> Wish:
    model = row["url"].removeprefix(HOST + "models/")
    name = "/".join(model.split("/")[:2])
    if "inputs" in row:
        inputs, parameters = row["inputs"], row["parameters"]
        inputs = FILES.get(inputs, inputs) if isinstance(inputs, str) else inputs
    elif row["task"] == "feature-extraction":
        inputs, parameters = row["json"]["inputs"], {}
    else:
        inputs, parameters = ARGUMENTS[row["task"]]
    return Wish(row["task"], name, inputs, parameters)


def _theirs(row: dict[str, Any]) -> Any:
    """Return the body that a client sent: decoded JSON, or bytes."""
    if row.get("json") is not None:
        return row["json"]
    if "blob" in row:  # only what it was is kept
        return row["blob"]
    data = row["data"].encode("latin-1")
    return json.loads(data) if row["headers"].get("content-type") else data


def _ours(row: dict[str, Any], wish: Wish) -> Any:
    body = HF_INFERENCE_TASKS[row["task"]].shape.write(wish)
    if body.content_type == "application/json":
        return json.loads(body.data)
    return f"<{body.content_type} {len(body.data)} bytes>" if "blob" in row else body.data


ROWS = [(client, row) for client in (PYTHON, JAVASCRIPT) for row in _rows(client)]
every_row = pytest.mark.parametrize(
    ("client", "row"), ROWS, ids=[f"{c[:2]}-{r['task']}-{i}" for i, (c, r) in enumerate(ROWS)]
)

COMPLETIONS = "Python posts to the model itself; JavaScript, which leads, to /v1/completions"
ALWAYS_JSON = "Python sends the bytes when there are no parameters; JavaScript always JSON"


def _difference(client: str, row: dict[str, Any]) -> str | None:
    if client == PYTHON and row["task"] == "text-generation":
        return COMPLETIONS
    if client == PYTHON and row["task"] == "image-segmentation" and not row["parameters"]:
        return ALWAYS_JSON
    return None


@every_row
def test_a_request_is_theirs_but_for_the_listed_differences(client: str, row: dict[str, Any]):
    wish = _wish(row)
    same = _ours(row, wish) == _theirs(row)
    assert same is (_difference(client, row) is None)


@every_row
def test_it_goes_to_the_path_that_theirs_goes_to(client: str, row: dict[str, Any]):
    wish = _wish(row)
    path = HF_INFERENCE_TASKS[row["task"]].path.replace("{model}", wish.model)
    same = HOST + path == row["url"]
    assert same is (_difference(client, row) != COMPLETIONS)


def test_each_difference_concerns_as_many_requests_as_are_known():
    found = Counter(_difference(client, row) for client, row in ROWS)
    assert found == {None: 120, COMPLETIONS: 2, ALWAYS_JSON: 2}


def test_pythons_text_generation_is_what_an_endpoint_with_a_pipeline_gets():
    rows = [row for client, row in ROWS if _difference(client, row) == COMPLETIONS]
    for row in rows:
        body = PIPELINE_TASKS["text-generation"].shape.write(_wish(row))
        assert json.loads(body.data) == row["json"]


def test_pythons_segmentation_differs_by_the_encoding_alone():
    rows = [row for client, row in ROWS if _difference(client, row) == ALWAYS_JSON]
    for row in rows:
        body = json.loads(PIPELINES["image-segmentation"].write(_wish(row)).data)
        assert base64.b64decode(body.pop("inputs")) == row["data"].encode("latin-1")
        assert body == {}


def test_a_completions_body_begins_with_the_model():
    (row,) = [r for c, r in ROWS if c == JAVASCRIPT and r["task"] == "text-generation"][:1]
    data = HF_INFERENCE_TASKS["text-generation"].shape.write(_wish(row)).data
    assert data.startswith(b'{"model":"prov/model-id","prompt":"hello"')
