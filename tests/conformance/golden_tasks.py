"""Golden requests of the tasks other than chat, and our own for the same wishes.

Theirs were taken from huggingface_hub and @huggingface/inference with the network cut off. Ours are
made by a real client, through its public methods, and kept by its transport.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from recordings import JAVASCRIPT, PYTHON, oracle_tasks
from test_queued_golden import ASKED, FILES, PNG, WAV, Request
from wishes import words

from trunkline import Client
from trunkline.dialects.multipart import read_form
from trunkline.errors import BadRequestError
from trunkline.settings import read_settings
from trunkline.types import Timeouts
from trunkline.types.tasks import TASKS
from trunkline.wire.message import HttpRequest, ResponseHead

ENOUGH = "The request has been seen"
"""What every call is refused with: how answers are read is tested with real ones."""
KEYS = {"hf": "hf_testtoken", "direct": "direct-key"}
HUB_NAME = "org/hf-model"
PROVIDERS_NAME = "prov/model-id"
WEIGHTS = "w.safetensors"
MINIMAX = "MiniMax-H3"
ALWAYS_OURS = {"user-agent", "accept", "accept-encoding"}
"""Headers in which every client speaks for itself; the records leave most of theirs out."""

ARGUMENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    **ASKED,
    "audio-classification": (WAV, {}),
    "document-question-answering": ({"question": "q", "image": PNG}, {}),
    "feature-extraction": ("hello", {}),
    "fill-mask": ("a [MASK]", {}),
    "image-classification": (PNG, {}),
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
    "token-classification": ("x", {}),
    "translation": ("x", {"src_lang": "en", "tgt_lang": "fr"}),
    "visual-question-answering": ({"question": "q", "image": PNG}, {}),
    "zero-shot-classification": ("x", {"candidate_labels": ["a", "b"]}),
    "zero-shot-image-classification": ({"image": PNG}, {"candidate_labels": ["a", "b"]}),
}
"""What the JavaScript client was asked for; its rows do not keep it, but for the texts to embed."""

NONSENSE = {
    "audio-classification": PNG,
    "audio-to-audio": PNG,
    "document-question-answering": "hello",
    "question-answering": "hello",
    "sentence-similarity": "hello",
    "table-question-answering": "hello",
    "tabular-classification": "hello",
    "visual-question-answering": PNG,
    "zero-shot-classification": "hello",
    "zero-shot-image-classification": PNG,
}
"""What the Python client was given and writes unseen, and our functions refuse: a picture as a sound,
a text without its question. These are carried as raw calls of their task."""

NO_KEYWORD = {
    ("image-to-text", "top_k"),
    ("object-detection", "top_k"),
    ("summarization", "top_k"),
    ("token-classification", "top_k"),
    ("translation", "top_k"),
}
"""Parameters that the task does not have in Hugging Face's own specification: no keyword of ours, so
they go through `extra_body`."""

NEEDS_LEAVE = {("nscale", "text-to-image")}
"""Providers that do not take a parameter of the wish. huggingface_hub drops it without a word; we
refuse the call unless it says `drop_params=True`, as it does here."""


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
        lora = "-lora" if self.lora else ""
        return f"{self.client}-{self.number}-{self.provider}-{self.task}-{self.key}{lora}"

    @property
    def place(self) -> tuple[str, str]:
        return self.provider, self.task

    @property
    def repo(self) -> str:
        """The model's name on the Hub."""
        if self.client == "py":
            return HUB_NAME
        if self.place == ("novita", "image-text-to-video"):
            return f"{HUB_NAME}-h3"
        return f"org/m-{self.provider}-{self.task}-{str(self.lora).lower()}"

    @property
    def provider_name(self) -> str:
        """The model's name at the provider."""
        return MINIMAX if self.place == ("novita", "image-text-to-video") else PROVIDERS_NAME

    @property
    def nonsense(self) -> bool:
        """Whether the inputs are none for the task."""
        return self.client == "py" and NONSENSE.get(self.task) == self.inputs


def rows() -> list[Row]:
    """Return every golden request that is no chat."""
    return [
        _read_row(client, number, row)
        for client, name in (("py", PYTHON), ("js", JAVASCRIPT))
        for number, row in enumerate(oracle_tasks(name))
    ]


def _read_row(client: str, number: int, row: dict[str, Any]) -> Row:
    task = row["task"]
    headers = {name.lower(): value for name, value in row["headers"].items()}
    body, kind = _their_body(row, headers)
    told = {name: value for name, value in headers.items() if name not in ALWAYS_OURS}
    if kind is not None:
        told["content-type"] = kind
    if client == "py":
        given = row["inputs"]
        inputs = FILES.get(given, given) if isinstance(given, str) else given
        parameters = row["parameters"]
    elif task == "feature-extraction":
        inputs, parameters = row["json"].get("input") or row["json"]["inputs"], {}
    else:
        inputs, parameters = ARGUMENTS[task]
    where = (row["provider"], task, row["key"], row["lora"])
    return Row(client, number, *where, inputs, parameters, Request(row["url"], body, told))


def _their_body(row: dict[str, Any], headers: dict[str, str]) -> tuple[Any, str | None]:
    """Return a decoded body, and the type that it has where the record's headers do not tell it."""
    if row.get("json") is not None:
        return row["json"], None
    if "formData" in row:
        fields = row["formData"].items()
        return {name: _file(value) or value for name, value in fields}, "multipart/form-data"
    if "blob" in row:
        kind, size, _ = row["blob"].strip("<>").split()
        (blob,) = (b for b in (PNG, WAV) if (b.media_type, str(len(b.content))) == (kind, size))
        return blob.content, kind  # which fetch() adds
    data, kind = row["data"].encode("latin-1"), headers.get("content-type", "")
    if kind == "application/json":
        return json.loads(data), None
    return (
        (_form(data, kind), "multipart/form-data")
        if kind.startswith("multipart/")
        else (data, None)
    )


def _file(value: str) -> tuple[str, ...] | None:
    """Read `<file audio.wav audio/wav 12>`."""
    return tuple(value.strip("<>").split()[1:]) if value.startswith("<file ") else None


def _form(data: bytes, kind: str) -> dict[str, Any]:
    """Return a form's fields; a file in it is its name, type and size."""
    return {
        part.name: part.text
        if part.filename is None
        else (part.filename, part.content_type, str(len(part.content)))
        for part in read_form(data, kind)
    }


# ours


class KeepingTransport:
    """Keeps the requests that it is given; tells what the Hub would, and refuses everything else."""

    def __init__(self, row: Row) -> None:
        self.requests: list[HttpRequest] = []
        lora = {"adapter": "lora", "adapterWeightsPath": WEIGHTS} if row.lora else {}
        told = {"status": "live", "providerId": row.provider_name, "task": row.task, **lora}
        self._mapping = {row.provider: told}

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> CannedExchange:
        self.requests.append(request)
        if request.method == "GET":
            return CannedExchange(200, {"inferenceProviderMapping": self._mapping})
        return CannedExchange(400, {"error": ENOUGH})

    def close(self) -> None:
        """Nothing is open."""


class CannedExchange:
    """A whole answer, ready to be read."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.head = ResponseHead(status, {"content-type": "application/json"})
        self.started = time.monotonic()
        self._parts = [json.dumps(body).encode()]

    def read(self, until: float) -> bytes:
        return self._parts.pop() if self._parts else b""

    def close(self) -> None:
        """Nothing is open."""


def ask(row: Row, transport: KeepingTransport, **options: Any) -> None:
    """Make the call; raises what comes of it, BadRequestError once its request was sent."""
    with Client(KEYS[row.key], settings=read_settings({}), transport=transport) as client:
        _call(row, client, options)


def _call(row: Row, client: Client, options: dict[str, Any]) -> None:
    model = f"{row.provider}/{row.repo}"
    if row.nonsense:
        client.carry_out(
            lambda calls: calls.ask(row.task, model, row.inputs, row.parameters, {}),
        )
    else:
        first, named = _asked(row)
        getattr(client, TASKS[row.task].function)(model, *first, **{**named, **options})


def _asked(row: Row) -> tuple[tuple[Any, ...], dict[str, Any]]:
    first, named = words(row.task, row.inputs, row.parameters)
    return first, {**named, **({"drop_params": True} if row.place in NEEDS_LEAVE else {})}


def beside_keywords(row: Row) -> dict[str, Any]:
    """Return the parameters of a wish that our function has no keyword for."""
    _, named = words(row.task, row.inputs, row.parameters)
    extra: dict[str, Any] = named.get("extra_body", {}).get("parameters", {})
    return extra


def ours(row: Row) -> tuple[list[HttpRequest], HttpRequest, Request]:
    """Return what our client sends for the same wish: questions to the Hub, and the request."""
    transport = KeepingTransport(row)
    with pytest.raises(BadRequestError, match=ENOUGH):
        ask(row, transport)
    *questions, last = transport.requests
    headers = {name: value for name, value in last.headers if name not in ALWAYS_OURS}
    kind = headers.get("content-type", "")
    if kind == "application/json":
        body = json.loads(last.body)
    elif kind.startswith("multipart/form-data;"):
        body = _form(last.body, kind)
        headers["content-type"] = "multipart/form-data"
    else:
        body = last.body
    return questions, last, Request(str(last.url), body, headers)
