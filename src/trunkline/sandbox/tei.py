"""Text Embeddings Inference, emulated: its routes, its limits and its errors."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

from trunkline.sandbox.answers import tokens
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.text_tasks import ranked, words
from trunkline.sandbox.vectors import fits, nearness, shortened, sigmoid, vectors_of
from trunkline.sandbox.visit import Visit

MODEL = "BAAI/bge-small-en-v1.5"
MAX_BATCH = 32
MAX_INPUT = 512
_STATUSES = {"Backend": 424, "Empty": 400, "Tokenizer": 422, "Validation": 413}


def serve(visit: Visit, parts: dict[str, str]) -> Reply:
    """Answer a POST of TEI's."""
    page = _POSTS.get(parts["path"].rstrip("/"))
    if page is None:
        raise RefusedError(404, b"")
    return json_reply(200, page(visit))


def tell(_: Visit, parts: dict[str, str]) -> Reply:
    """Answer a GET: what runs here, and that it does."""
    path = parts["path"].rstrip("/")
    if path == "/info":
        return json_reply(200, _INFO)
    if path == "/health":
        return Reply(200, (("content-type", "text/plain"),), ())
    raise RefusedError(405 if path in _POSTS else 404, b"")


def _embed(visit: Visit) -> Any:
    return _vectors(visit, _texts(visit, visit.asked.get("inputs")))


def _embed_all(visit: Visit) -> Any:
    texts = _texts(visit, visit.asked.get("inputs"))
    return [_vectors(visit, tokens(text)) for text in texts]


def _embed_sparse(visit: Visit) -> Any:
    texts = _texts(visit, visit.asked.get("inputs"))
    return [
        [
            {"index": int(visit.mark(word)[:4], 16), "value": float(found.count(word))}
            for word in sorted(set(found))
        ]
        for found in map(words, texts)
    ]


def _rerank(visit: Visit) -> Any:
    asked = visit.asked
    query = _texts(visit, asked.get("query"))[0]
    texts = _texts(visit, asked.get("texts"))
    logits = fits(visit, query, texts)
    scores = logits if asked.get("raw_scores") else [sigmoid(logit) for logit in logits]
    rows: list[dict[str, Any]] = [
        {"index": i, **({"text": texts[i]} if asked.get("return_text") else {}), "score": score}
        for i, score in enumerate(scores)
    ]
    return sorted(rows, key=lambda row: -row["score"])


def _predict(visit: Visit) -> Any:
    """Classify one text, a pair as one, or a list of lists of them."""
    inputs = visit.asked.get("inputs")
    batch = inputs if isinstance(inputs, list) and inputs and isinstance(inputs[0], list) else None
    rows = batch or [inputs if isinstance(inputs, list) else [inputs]]
    _check_batch(rows)
    found = [_labels(visit, _texts(visit, row)) for row in rows]
    return found if batch else found[0]


def _labels(visit: Visit, row: list[str]) -> list[dict[str, Any]]:
    first = int(visit.mark("predict", *row)[:8], 16) / 0xFFFFFFFF
    scores = {"LABEL_0": first, "LABEL_1": 1 - first}
    return [{"score": label["score"], "label": label["label"]} for label in ranked(scores)]


def _similarity(visit: Visit) -> Any:
    inputs = visit.asked.get("inputs")
    rows = inputs if isinstance(inputs, dict) else {}
    texts = _texts(visit, rows.get("sentences"))
    first, *others = vectors_of(visit, [*_texts(visit, rows.get("source_sentence")), *texts])
    return [nearness(first, other) for other in others]


def _openai(visit: Visit) -> Any:
    asked = visit.asked
    try:
        texts = _texts(visit, asked.get("input"))
        found = _vectors(visit, texts)
    except RefusedError as refused:
        raise _in_openais_form(refused) from refused
    packed = asked.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "embedding": as_base64(one) if packed else one, "index": i}
        for i, one in enumerate(found)
    ]
    spent = sum(len(tokens(text)) for text in texts)
    usage = {"prompt_tokens": spent, "total_tokens": spent}
    return {"object": "list", "data": rows, "model": asked.get("model", MODEL), "usage": usage}


_POSTS: dict[str, Callable[[Visit], Any]] = {
    "": _embed,
    "/embed": _embed,
    "/embed_all": _embed_all,
    "/embed_sparse": _embed_sparse,
    "/predict": _predict,
    "/rerank": _rerank,
    "/similarity": _similarity,
    "/v1/embeddings": _openai,
}


def as_base64(one: list[float]) -> str:
    """Return a vector as base64 of little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(one)}f", *one)).decode()


def _vectors(visit: Visit, texts: list[str]) -> list[list[float]]:
    try:
        return shortened(vectors_of(visit, texts), visit.asked.get("dimensions"))
    except RefusedError as refused:
        raise _failed("Validation", "`dimensions` is out of range") from refused


def _texts(visit: Visit, value: Any) -> list[str]:
    """Return texts; raises RefusedError in TEI's words for too many, too long or none."""
    rows = value if isinstance(value, list) else [value]
    if not rows:
        raise _failed("Empty", "`inputs` cannot be empty")
    _check_batch(rows)
    if not all(isinstance(row, str) for row in rows):
        raise _failed("Tokenizer", "Failed to deserialize the JSON body: expected texts")
    if not all(rows):
        raise _failed("Empty", "`inputs` cannot be empty")
    longest = max(len(tokens(row)) for row in rows)
    if longest > MAX_INPUT and not visit.asked.get("truncate"):
        message = f"`inputs` must have less than {MAX_INPUT} tokens. Given: {longest}"
        raise _failed("Validation", message)
    return rows


def _check_batch(rows: list[Any]) -> None:
    if len(rows) > MAX_BATCH:
        message = f"batch size {len(rows)} > maximum allowed batch size {MAX_BATCH}"
        raise _failed("Validation", message)


def _failed(kind: str, message: str) -> RefusedError:
    return RefusedError(_STATUSES[kind], {"error": message, "error_type": kind})


def _in_openais_form(refused: RefusedError) -> RefusedError:
    import msgspec  # only for what was refused

    told = msgspec.json.decode(refused.reply.body)
    status = refused.reply.status
    return RefusedError(
        status, {"message": told["error"], "code": status, "error_type": told["error_type"]}
    )


_INFO = {
    "model_id": MODEL,
    "model_sha": "0" * 40,
    "model_dtype": "float32",
    "served_model_name": MODEL,
    "model_type": {"embedding": {"pooling": "cls"}},
    "max_concurrent_requests": 512,
    "max_input_length": MAX_INPUT,
    "max_batch_tokens": 16384,
    "max_batch_requests": None,
    "max_client_batch_size": MAX_BATCH,
    "auto_truncate": False,
    "tokenization_workers": 2,
    "version": "1.9.0",
    "sha": None,
    "docker_label": None,
}
