"""Values that fit a JSON schema, made from a seed: the same schema and seed, the same value.

Where a schema contradicts itself or has no end, the value is the nearest that there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from trunkline.sandbox.scalars import Hints, count, number, text

Schema: TypeAlias = dict[str, Any]

_DEEP = 4
"""From this depth on, what may be left out is."""
_DEEPEST = 40
_MOST = 4000
"""Values in one document, and thereby the work that a schema can ask for."""


class Spot(NamedTuple):
    """A part of a document that a value is being made for."""

    schema: Schema
    path: str
    depth: int


class Maker:
    """Makes a value for one schema document."""

    def __init__(self, document: Any, seed: str, hints: Hints) -> None:
        """`document` is the schema, and where its `$ref`s point into."""
        self._document = document
        self._seed = seed
        self.hints = hints
        self._left = _MOST

    def value(self, schema: Any, path: str = "value", depth: int = 0) -> Any:
        """Return a value for `schema`, a part of the document at `path`."""
        self._left -= 1
        if not isinstance(schema, dict) or depth > _DEEPEST or self._left < 0:
            return f"simulated {_name(path)}"
        schema = self._resolved(schema, path, depth)
        if "const" in schema:
            return schema["const"]
        options = schema.get("enum")
        if isinstance(options, list) and options:
            return options[self.pick(path, len(options))]
        make = _MAKERS.get(self._kind(schema, path, depth), _MAKERS["string"])
        return make(self, Spot(schema, path, depth))

    def _resolved(self, schema: Schema, path: str, depth: int) -> Schema:
        """Return `schema` with references followed, `allOf` merged and one alternative taken."""
        for _ in range(_DEEPEST):
            self._left -= 1
            if self._left < 0 or depth > _DEEPEST:
                break
            if isinstance(schema.get("$ref"), str):
                schema = _merged(self._pointed(schema["$ref"]), _without(schema, "$ref"))
            elif isinstance(schema.get("allOf"), list):
                parts = schema["allOf"]
                schema = _without(schema, "allOf")
                for part in parts:
                    if isinstance(part, dict):
                        schema = _merged(schema, self._resolved(part, path, depth + 1))
            elif isinstance(schema.get("anyOf"), list):
                chosen = self._alternative(schema["anyOf"], path, depth)
                schema = _merged(_without(schema, "anyOf"), chosen)
            elif isinstance(schema.get("oneOf"), list):
                chosen = self._alternative(schema["oneOf"], path, depth)
                schema = _merged(_without(schema, "oneOf"), chosen)
            else:
                break
        return schema

    def _alternative(self, options: list[Any], path: str, depth: int) -> Schema:
        usable = [option for option in options if isinstance(option, dict)] or [{}]
        if depth >= _DEEP:
            return min(usable, key=_weight)  # the shortest way out
        full = [option for option in usable if option.get("type") != "null"] or usable
        return full[self.pick(path, len(full))]

    def _pointed(self, ref: str) -> Schema:
        place = self._document
        for part in ref.removeprefix("#").strip("/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if part:
                place = place.get(key) if isinstance(place, dict) else None
        return place if isinstance(place, dict) else {}

    def _kind(self, schema: Schema, path: str, depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, str):
            return kind
        if isinstance(kind, list) and kind:
            if depth >= _DEEP and "null" in kind:
                return "null"
            full = [k for k in kind if k != "null"] or kind
            return str(full[self.pick(path, len(full))])
        return next((told for word, told in _TELLING if word in schema), "string")

    def make_object(self, at: Spot) -> dict[str, Any]:
        """Return an object: what is required, and near the surface what is not."""
        schema, path, depth = at
        told = schema.get("properties")
        properties: Schema = told if isinstance(told, dict) else {}
        required = [name for name in schema.get("required") or () if isinstance(name, str)]
        names = [name for name in properties if depth < _DEEP or name in required]
        names += [name for name in required if name not in properties]
        lack = min(count(schema, "minProperties", 0), _MOST) - len(names)
        if lack > 0:
            spare = [name for name in properties if name not in names]
            names += (spare + [f"key_{i}" for i in range(lack)])[:lack]
        most = count(schema, "maxProperties", len(names))
        if most < len(names):
            names = sorted(names, key=lambda name: name not in required)[:most]
        more = schema.get("additionalProperties")
        other = more if isinstance(more, dict) else {"type": "string"}
        return {n: self.value(properties.get(n, other), f"{path}.{n}", depth + 1) for n in names}

    def make_array(self, at: Spot) -> list[Any]:
        """Return an array: two items unless it must have more or fewer, none in the depth."""
        schema, path, depth = at
        first, items = schema.get("prefixItems"), schema.get("items")
        if isinstance(items, list):  # how older drafts write a tuple
            first, items = items, schema.get("additionalItems")
        first = first if isinstance(first, list) else []
        low = min(count(schema, "minItems", 0), _MOST)
        size = low if depth >= _DEEP else max(low, len(first), 2)
        size = min(size, count(schema, "maxItems", size))
        if items is False:
            size = min(size, len(first))
        made = [self.value(s, f"{path}[{i}]", depth + 1) for i, s in enumerate(first[:size])]
        if isinstance(schema.get("contains"), dict) and len(made) < max(size, 1):
            made.append(self.value(schema["contains"], f"{path}.contains", depth + 1))
        for attempt in range(size * 8):
            if len(made) >= size or self._left < 0:
                break
            item = self.value(items if items is not None else {}, f"{path}[{attempt}]", depth + 1)
            if not (schema.get("uniqueItems") and item in made):
                made.append(item)
        return made

    def pick(self, path: str, among: int) -> int:
        """Choose one of so many, always the same for the same seed and place."""
        digest = hashlib.blake2b(f"{self._seed}\0{path}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % among

    def picker(self, path: str) -> Callable[[int], int]:
        """Return a chooser for `path` that chooses anew each time it is asked."""
        asked = iter(range(1 << 30))
        return lambda among: self.pick(f"{path}#{next(asked)}", among)


_MAKERS: dict[str, Callable[[Maker, Spot], Any]] = {
    "array": Maker.make_array,
    "boolean": lambda maker, at: maker.pick(at.path, 2) == 0,
    "integer": lambda maker, at: number(at.schema, maker.picker(at.path), maker.hints),
    "null": lambda _, __: None,
    "number": lambda maker, at: number(at.schema, maker.picker(at.path), maker.hints),
    "object": Maker.make_object,
    "string": lambda maker, at: text(at.schema, _name(at.path), maker.picker(at.path), maker.hints),
}

_TELLING = (
    ("properties", "object"),
    ("required", "object"),
    ("additionalProperties", "object"),
    ("items", "array"),
    ("prefixItems", "array"),
    ("minItems", "array"),
    ("minimum", "number"),
    ("maximum", "number"),
    ("multipleOf", "number"),
)
"""Words that tell a schema's type where it has no `type`."""


def value_for(schema: Any, seed: str, hints: Hints | None = None) -> Any:
    """Return a value that fits `schema`; the words and numbers of `hints` come first."""
    return Maker(schema, seed, hints or Hints()).value(schema)


def _merged(one: Schema, other: Schema) -> Schema:
    """Return what both schemas demand; where they differ, `other` has the last word."""
    merged = {**one, **other}
    for name in ("properties", "$defs", "definitions"):
        both = one.get(name), other.get(name)
        if isinstance(both[0], dict) and isinstance(both[1], dict):
            merged[name] = {**both[0], **both[1]}
    both_required = one.get("required"), other.get("required")
    if isinstance(both_required[0], list) and isinstance(both_required[1], list):
        merged["required"] = [*both_required[0], *both_required[1]]
    return merged


def _without(schema: Schema, name: str) -> Schema:
    return {key: value for key, value in schema.items() if key != name}


def _weight(schema: Schema) -> int:
    """Return how far from an end an alternative leads, roughly."""
    if schema.get("type") == "null":
        return 0
    if "const" in schema or "enum" in schema:
        return 1
    leads_on = any(word in schema for word in ("$ref", "properties", "items", "anyOf", "allOf"))
    return 3 if leads_on else 2


def _name(path: str) -> str:
    """Return the property that a path ends in, and which item of it: `tags 2`."""
    return path.rpartition(".")[2].replace("[", " ").replace("]", "")
