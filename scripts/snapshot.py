"""Writes the catalog that Trunkline ships. Run by scripts/snapshot, which says from what.

A price or a capability that a source does not tell is left unknown; so is one on which sources that
should agree do not.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

from trunkline.catalog import read_models
from trunkline.providers.prices import exact
from trunkline.providers.table import PROVIDERS

SNAPSHOT = Path(__file__).parent.parent / "src/trunkline/providers/snapshot.json"
ELSEWHERE = {"novita": "novita-ai", "together": "togetherai", "zai-org": "zai"}
"""Providers under the names that models.dev has for them, where those differ."""

Models = dict[str, dict[str, Any]]
"""What the file has under `models`."""


def routed(provider: str) -> bool:
    """Tell whether Hugging Face still routes to a provider."""
    row = PROVIDERS.get(provider)
    return row is not None and row.dropped is None


class Capabilities:
    """What models.dev knows: of a model at Hugging Face, and of a provider's own offers."""

    def __init__(self, database: str) -> None:
        """Read the rows that are asked for later."""
        rows = sqlite3.connect(database).execute(
            "select full_id, provider_id, id, reasoning, tool_call, structured_output,"
            " limit_context from models"
        )
        self._rows = list(rows)
        by_trust = sorted(self._rows, key=lambda row: row[1] == "huggingface")
        self.names = {row[2].lower(): row[2] for row in by_trust if row[2] != row[2].lower()}
        self._kinds: dict[tuple[str, str], list[str]] = {}
        kinds = sqlite3.connect(database).execute(
            "select model_full_id, direction, value from model_modalities order by position"
        )
        for name, direction, value in kinds:
            self._kinds.setdefault((name, direction), []).append(value)

    def of_model(self, name: str) -> dict[str, Any]:
        """Return what Hugging Face's own row says of a model."""
        for full, provider, own, reasoning, *_ in self._rows:
            if provider == "huggingface" and own.lower() == name.lower():
                return {
                    "input": self._kinds.get((full, "input"), []),
                    "output": self._kinds.get((full, "output"), []),
                    "reasoning": bool(reasoning),
                }
        return {}

    def of_offer(
        self, provider: str, name: str, context: int | None
    ) -> tuple[bool | None, bool | None]:
        """Return whether a provider's model of that name and context takes tools and schemas."""
        found = {
            (bool(tools), None if structured is None else bool(structured))
            for _, other, own, _, tools, structured, length in self._rows
            if other == ELSEWHERE.get(provider, provider)
            and own.lower().rpartition("/")[2] == name.lower().rpartition("/")[2]
            and length == context
        }
        return found.pop() if len(found) == 1 else (None, None)


def from_packages(priced_on: date, known: Capabilities) -> Models:
    """Return the prices of genai-prices with the capabilities of models.dev."""
    from genai_prices.data import providers  # there in the maintainer's environment only

    models: Models = {}
    for listed in providers:
        provider = listed.id.removeprefix("huggingface_")
        if provider == listed.id or not routed(provider):
            continue
        for row in listed.models:
            price = row.get_prices(datetime(priced_on.year, priced_on.month, priced_on.day, 12))  # noqa: DTZ001 - theirs
            for name in names(row, known):
                context = row.context_window if name == row.id else None
                told = [context, text(price.input_mtok), text(price.output_mtok)]
                tools, structured = known.of_offer(provider, name, context)
                sources = [0] if tools is None else [0, 1]
                model = models.setdefault(name, {**known.of_model(name), "offers": {}})
                model["offers"][provider] = [*told, tools, structured, sources]
    return models


def names(row: Any, known: Capabilities) -> list[str]:
    """Return the models that a row stands for: its own, and others of the same price.

    Those come in small letters; models.dev knows how they are written. `-fast` is not a model of
    the router's.
    """
    clauses = getattr(row.match, "or_", [row.match])
    others = {getattr(clause, "equals", "") for clause in clauses} - {"", row.id.lower()}
    bare = {name for name in others if not name.endswith("-fast")}
    return [row.id, *sorted(known.names.get(name, name) for name in bare)]


def from_router(path: str) -> Models:
    """Return what a saved answer of `/v1/models` tells and does not change by the hour."""
    models: Models = {}
    for entry in read_models(Path(path).read_bytes()):
        offers = {
            offer.provider: [
                offer.context_length,
                text(offer.pricing.input),
                text(offer.pricing.output),
                offer.supports_tools,
                offer.supports_structured_output,
                [0],
            ]
            for offer in entry.providers
            if offer.live
        }
        kinds = {"input": entry.input_modalities, "output": entry.output_modalities}
        models[entry.id] = {**{k: list(v) for k, v in kinds.items() if v}, "offers": offers}
    return models


def text(price: Any) -> str | None:
    """Write a price as text, which is exact."""
    found = exact(str(exact(float(price)))) if price is not None else None
    return None if found is None else f"{found:f}"


def source(name: str, version: str, day: str, url: str, tells: str) -> dict[str, str]:
    """Return what the file says of where its figures are from."""
    return {"name": name, "version": version, "date": day, "url": url, "tells": tells}


def write(as_of: str, sources: list[dict[str, str]], models: Models) -> None:
    """Write the file, a model a line, so that a diff can be read."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(models[name], separators=(',', ':'))}"
        for name in sorted(models, key=str.lower)
    ]
    head = json.dumps({"as_of": as_of, "sources": sources}, indent=1)[:-2]
    body = ",\n".join(lines)
    SNAPSHOT.write_text(f'{head},\n "models": {{\n{body}\n }}\n}}\n', encoding="utf-8")
    offers = [offer for model in models.values() for offer in model["offers"].values()]
    priced = sum(offer[1] is not None for offer in offers)
    print(f"{len(models)} models, {len(offers)} offers, {priced} of them with a price: {SNAPSHOT}")


def main() -> None:
    """Read the arguments that scripts/snapshot passes."""
    kind, *rest = sys.argv[1:]
    if kind == "--router":
        path, day = rest
        url = "https://router.huggingface.co/v1/models"
        write(day, [source("the router's list", day, day, url, "everything")], from_router(path))
        return
    version, day, other_version, other_day, database = rest
    sources = [
        source(
            "genai-prices", version, day, "https://github.com/pydantic/genai-prices",
            "models, offers, prices, context lengths, as read off the router's /v1/models",
        ),
        source(
            "models.dev", other_version, other_day, "https://github.com/anomalyco/models.dev",
            "modalities, reasoning, tools, structured output",
        ),
    ]  # fmt: skip
    write(day, sources, from_packages(date.fromisoformat(day), Capabilities(database)))


if __name__ == "__main__":
    main()
