"""Reranking as the one who answers: Cohere's and Jina's form, which most clients send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.dialects.asked_fields import FLAG, Field, known_fields, take_text, whole
from trunkline.dialects.openai_rules import RequestError, take_model
from trunkline.types.results import RerankResponse, RerankResult
from trunkline.wire import strict_json

_MOST = 10_000
_FIELDS: dict[str, Field] = {"return_documents": FLAG, "top_n": whole(1)}


class RankRequest(msgspec.Struct, frozen=True):
    """A request to put documents in order; its model is named as the client named it."""

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    shown: bool = False
    """Whether the documents shall be in the answer."""
    extra: dict[str, Any] = {}


def read_rerank(fields: Mapping[str, Any]) -> RankRequest:
    """Read a request; raises RequestError, naming the parameter."""
    body = dict(fields)
    model, query = take_model(body), take_text(body, "query")
    documents = _documents(body.pop("documents", None))
    known, extra = known_fields(body, _FIELDS, form=False)
    shown = known.get("return_documents", False)
    return RankRequest(model, query, documents, known.get("top_n"), shown, extra)


def _documents(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST:
        raise RequestError(
            f"'documents' must be a list of 1 to {_MOST:,} texts.", param="documents"
        )
    return tuple(_document(item, f"documents[{place}]") for place, item in enumerate(value))


def _document(item: Any, name: str) -> str:
    text = item.get("text") if isinstance(item, dict) and item.keys() == {"text"} else item
    if not isinstance(text, str):
        raise RequestError(f"'{name}' must be text, or an object with 'text' alone.", param=name)
    return text


def rerank_body(result: RerankResponse, asked: RankRequest, request_id: str) -> bytes:
    """Write an order; documents are those that were sent. The id is ours where none was told."""
    told = {"id": result.id or request_id, "model": asked.model}
    rows = [_row(row, asked) for row in result.results]
    meta = {} if result.meta is None else {"meta": result.meta}
    return strict_json.encode({**result.extra, **told, "results": rows, **meta})


def _row(row: RerankResult, asked: RankRequest) -> dict[str, Any]:
    told: dict[str, Any] = {"index": row.index, "relevance_score": row.relevance_score}
    if asked.shown:
        told["document"] = {"text": asked.documents[row.index]}
    return {**row.extra, **told}
