"""Python types as JSON schema, and JSON as values of those types: msgspec's, and pydantic's models.

pydantic is known by its methods and never imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

Schema: TypeAlias = dict[str, Any]

_PREFIX = "#/$defs/"


class UnsupportedTypeError(TypeError):
    """A type that has no JSON schema."""


class MisfitError(ValueError):
    """JSON that does not fit a type; the message says where and why."""


def is_pydantic(kind: object) -> bool:
    """Tell whether `kind` is a pydantic model's class."""
    return (
        isinstance(kind, type)
        and hasattr(kind, "model_json_schema")
        and hasattr(kind, "model_validate_json")
    )


def schemas_of(kinds: Sequence[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """Return the schema of each type, and the definitions that recursive types refer to.

    Every other reference is written out where it stands, and titles are left out: chat templates
    print tools as they are, and small models read plain schemas best. Raises UnsupportedTypeError.
    """
    from msgspec.json import schema_components  # slow to load, and few calls need it

    try:
        raw, components = schema_components(
            kinds, schema_hook=_pydantic_schema, ref_template=_PREFIX + "{name}"
        )
        orders = _written_orders(kinds)
    except (TypeError, ValueError, NameError) as error:
        raise UnsupportedTypeError(_first_line(error)) from error
    writer = _Inliner(components, orders)
    schemas = [writer.inline(schema) for schema in raw]
    for kind, schema in zip(kinds, schemas, strict=True):
        # msgspec names the format only where a time zone is demanded, and models need to be told
        if kind is datetime and schema == {"type": "string"}:
            schema["format"] = "date-time"
    return schemas, writer.kept


def rebuilt(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return `schema` with `change` applied to each schema directly within it."""

    def rebuild(key: str, value: Any) -> Any:
        if key in _MAPS and isinstance(value, dict):
            return {name: _changed(inner, change) for name, inner in value.items()}
        if key in _LISTS and isinstance(value, list):
            return [_changed(inner, change) for inner in value]
        return _changed(value, change) if key in _SINGLES else value

    return {key: rebuild(key, value) for key, value in schema.items()}


_MAPS = frozenset({"properties", "patternProperties", "$defs"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLES = frozenset({"items", "additionalProperties", "propertyNames", "contains", "not"})


def _changed(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    return change(schema) if isinstance(schema, dict) else schema  # True and False are schemas too


def _type_of(values: list[Any]) -> Schema:
    """Return the type that an enumeration's values share; some servers insist on one."""
    kinds = {type(value) for value in values}
    names = {str: "string", int: "integer"}
    return {"type": names[kind]} if len(kinds) == 1 and (kind := kinds.pop()) in names else {}


class _Inliner:
    """Writes references out; those that lead back to themselves stay, with what they name."""

    def __init__(
        self, components: dict[str, Schema], orders: dict[frozenset[str], list[str]]
    ) -> None:
        self._components = dict(components)
        self._orders = orders
        self._open: list[str] = []
        self._recursive: set[str] = set()
        self.kept: dict[str, Schema] = {}

    def inline(self, schema: Schema) -> Schema:
        schema = self._hoisted(schema)
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith(_PREFIX):
            return self._referred(reference, schema)
        dropped = {"discriminator"} | ({"title"} if isinstance(schema.get("title"), str) else set())
        written = {key: value for key, value in schema.items() if key not in dropped}
        if "enum" in written:
            written = {**_type_of(written["enum"]), **written}
        order = self._orders.get(frozenset(written.get("properties") or ()))
        if order:
            written["properties"] = {name: written["properties"][name] for name in order}
            written["required"] = [name for name in order if name in written.get("required", ())]
        return rebuilt(written, self.inline)

    def _referred(self, reference: str, schema: Schema) -> Schema:
        name = reference.removeprefix(_PREFIX)
        if name in self._open:
            self._recursive.add(name)
        if name in self._open or name in self.kept:
            return schema
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        self._open.append(name)
        whole = self.inline(self._components[name])
        self._open.pop()
        if name in self._recursive:
            self.kept[name] = whole
            return schema
        return {**whole, **beside}

    def _hoisted(self, schema: Schema) -> Schema:
        """Move the definitions that a pydantic schema brings along to where all the others are."""
        if "$defs" not in schema:
            return schema
        for name, definition in schema["$defs"].items():
            if self._components.setdefault(name, definition) != definition:
                raise UnsupportedTypeError(f"two different types are called {name!r}")
        return {key: value for key, value in schema.items() if key != "$defs"}


def _written_orders(kinds: Sequence[Any]) -> dict[frozenset[str], list[str]]:
    """Return the order in which each TypedDict's keys were written.

    msgspec sorts them, but a model answers in the order of the schema, and what it writes first
    bears on what it writes next.
    """
    from msgspec import inspect  # slow to load, and few calls need it

    orders: dict[frozenset[str], list[str]] = {}
    seen: set[Any] = set()

    def visit(info: Any) -> None:
        if isinstance(info, (tuple, list)):
            for item in info:
                visit(item)
        elif isinstance(info, (inspect.Type, inspect.Field)):
            cls = getattr(info, "cls", None)
            if cls is not None:
                if cls in seen:
                    return
                seen.add(cls)
            if isinstance(info, inspect.TypedDictType):
                names = {field.encode_name for field in info.fields}
                orders[frozenset(names)] = _keys_as_written(info.cls, names)
            visit([getattr(info, name) for name in info.__struct_fields__])

    visit(inspect.multi_type_info(kinds))
    return orders


def _keys_as_written(cls: Any, names: set[str]) -> list[str]:
    written = getattr(getattr(cls, "__origin__", cls), "__annotations__", {})
    return [*(name for name in written if name in names), *sorted(names - set(written))]


def _pydantic_schema(kind: Any) -> Schema:
    if is_pydantic(kind):
        schema: Schema = kind.model_json_schema()
        return schema
    raise NotImplementedError


def reader(kind: Any, *, strict: bool = True) -> Callable[[str | bytes], Any]:
    """Return a function that reads JSON as a value of `kind` and raises MisfitError where it cannot.

    Without `strict`, "5" is taken for 5 where a number is expected, and so on.
    """
    if is_pydantic(kind):
        read = kind.model_validate_json
    else:
        read = msgspec.json.Decoder(kind, strict=strict, dec_hook=_from_builtins).decode

    def decode(text: str | bytes) -> Any:
        try:
            return read(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise MisfitError(misfit(error)) from error

    return decode


def _from_builtins(kind: Any, value: Any) -> Any:
    if is_pydantic(kind):
        return kind.model_validate_json(msgspec.json.encode(value))
    raise NotImplementedError


def misfit(error: BaseException) -> str:
    """Say in one line why a value did not fit, without pydantic's links."""
    place = _PLACE.search(str(error))
    for raised in (error, error.__cause__):
        tell: Any = getattr(raised, "errors", None)
        if tell is not None:
            told = "; ".join(_fault(fault["loc"], fault["msg"]) for fault in tell())
            return f"{told}{place[0]}" if place else told
    return _first_line(error)


_PLACE = re.compile(r" - at `[^`]*`\Z")


def _fault(path: Sequence[object], message: str) -> str:
    return f"{'.'.join(map(str, path))}: {message}" if path else message


def to_json(value: Any) -> str:
    """Write `value` as JSON, pydantic's models included; raises TypeError or ValueError."""
    return msgspec.json.encode(value, enc_hook=_to_builtins).decode()


def _to_builtins(value: Any) -> Any:
    if is_pydantic(type(value)):
        return value.model_dump(mode="json")
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _first_line(error: BaseException) -> str:
    """Return msgspec's reason: the last line where it explains what it wants at length."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1].strip() if lines[0].startswith("Generating JSON schema") else lines[0].strip()
