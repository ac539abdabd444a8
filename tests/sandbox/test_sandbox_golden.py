"""What real clients send for every task, taken by the sandbox; and what a chat must not load."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from samples import form, png, wav

from trunkline.sandbox import Sandbox
from trunkline.wire.http1_read import RequestHead

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle"
ROUTER = "router.huggingface.co"
STRANGE = ("groq textGeneration", "novita textGeneration")
"""Requests that no server takes: a pipeline's body on a path for chats."""


def golden(name: str) -> Iterator[dict[str, Any]]:
    for line in (ORACLE / name).read_text().splitlines():
        row = json.loads(line)
        if ROUTER in row.get("url", ""):
            yield row


def body_of(row: dict[str, Any]) -> tuple[bytes, str]:
    """The row's body; files are ours, since the rows only name theirs."""
    if row.get("json") is not None:
        return json.dumps(row["json"]).encode(), "application/json"
    if row.get("formData"):
        files = {k: ("audio.wav", wav()) if "<file" in v else v for k, v in row["formData"].items()}
        return form(files)
    if row.get("blob"):
        return (wav() if "audio" in row["blob"] else png()), "application/octet-stream"
    return row["data"].encode("latin-1"), "application/octet-stream"


def asked(row: dict[str, Any], body: bytes, kind: str) -> Any:
    url = urlsplit(row["url"])
    target = url.path + (f"?{url.query}" if url.query else "")
    told = {name.lower(): value for name, value in (row.get("headers") or {}).items()}
    headers = {**told, "content-type": kind, "host": "127.0.0.1"}
    head = RequestHead("POST", target, url.path, url.query, headers)
    return Sandbox().answer(head, body, inside=True)


@pytest.mark.skipif(not ORACLE.is_dir(), reason="no shared/oracle beside the repository")
def test_every_request_of_the_javascript_client_is_taken() -> None:
    for row in golden("js-inference-4.13.30.jsonl"):
        name = f"{row['provider']} {row['fn']}"
        reply = asked(row, *body_of(row))
        good = (400,) if name in STRANGE else (200, 201)
        assert reply.status in good, (name, reply.body)


@pytest.mark.skipif(not ORACLE.is_dir(), reason="no shared/oracle beside the repository")
def test_every_request_of_the_python_client_to_a_provider_is_taken() -> None:
    for row in golden("py-huggingface_hub-2.4.0.jsonl"):
        if row["provider"] == "hf-inference":
            continue  # the inputs of these rows are not what their tasks take
        if row["provider"] == "nscale" and "tools" in (row.get("json") or {}):
            continue  # refused in life, too
        if row.get("data"):
            row["data"] = _with_sound(row["data"])
        body, kind = body_of(row)
        kind = (row.get("headers") or {}).get("content-type", kind)
        reply = asked(row, body, kind)
        assert reply.status in (200, 201), (row["provider"], row["task"], reply.body)


def _with_sound(data: str) -> str:
    return data if "RIFF" in data or data.startswith("{") else base64.b64encode(wav()).decode()


LOADED = """
import sys
from trunkline import completion
completion(model="sandbox/demo", messages=[{"role": "user", "content": "Hello"}])
print("\\n".join(name for name in sys.modules if name.startswith("trunkline.sandbox.")))
"""


def test_a_chat_loads_nothing_of_the_other_tasks() -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {name.rpartition(".")[2] for name in run.stdout.split()}
    assert "router" in loaded
    others = {
        "anthropic", "arrivals", "asking", "completions", "fal", "forms", "job_results",
        "media_files", "media_tasks", "openai_tasks", "pipelines", "queues", "replicate",
        "responses", "task_routes", "tei", "text_tasks", "tgi", "vectors",
    }  # fmt: skip
    assert not loaded & others
    package = Path(sys.modules["trunkline.sandbox"].__path__[0])
    assert others <= {path.stem for path in package.glob("*.py")}
