"""Raw values into the frozen configuration: every unknown key and wrong type, all at once.

It knows types, not meaning: `config_rules` looks at what the values say.
"""

from __future__ import annotations

import datetime as dt
import types
import typing
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from trunkline.gateway.config import Config
from trunkline.gateway.config_problems import (
    Problem,
    Where,
    dotted,
    listed,
    looks_secret,
    meant,
    quoted,
)
from trunkline.providers.prices import exact

_SECRET_NAMES = ("key", "token", "secret", "password", "authorization", "bearer", "credential")
_EXPECTED: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    Decimal: "an amount of US dollars such as 0.59",
    tuple: "a list of texts, such as ['a', 'b']",
}
_STAND_INS: dict[Any, Any] = {str: "", Decimal: Decimal(0), tuple: ()}
"""For required fields, so that the rest can be looked at."""
_GOT = (
    (bool, "true or false"),
    (str, "text"),
    (int, "a whole number"),
    ((float, Decimal), "a number with a fraction"),
    ((list, tuple), "a list"),
    (dict, "a table"),
    ((dt.date, dt.time), "a date or time"),
)


def convert(raw: Mapping[str, Any], lax: frozenset[Where]) -> tuple[Config, list[Problem]]:
    """Return the configuration and what is wrong; something stands in for what is not usable.

    `lax` are the places whose values are text from outside the file, to be read as what they mean.
    """
    reader = _Reader(lax)
    config: Config = reader.struct(Config, raw, ())
    return config, reader.problems


def leaves(value: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Yield each value of a configuration that is neither a struct nor a table, in their order."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from leaves(getattr(value, name), (*where, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*where, name))
    else:
        yield where, value


class _Reader:
    """Walks over raw values along a struct's fields and collects problems."""

    def __init__(self, lax: frozenset[Where]) -> None:
        self._lax = lax
        self.problems: list[Problem] = []

    def struct(self, cls: type[Any], raw: Any, where: Where) -> Any:
        """Return a struct; its default, or nothing, stands in for a field that is wrong."""
        if not isinstance(raw, Mapping):
            self._say(where, f"must be a table, [{dotted(where)}], not {_got(raw)}.")
            raw = {}
        fields = {field.name: field for field in msgspec.structs.fields(cls)}
        for name in raw:
            if name not in fields:
                self.problems.append(_unknown(cls, name, raw, where))
        values: dict[str, Any] = {}
        for name, field in fields.items():
            place = (*where, name)
            if name in raw:
                value = self._value(field.type, raw[name], place)
                if value is not None:
                    values[name] = value
            elif field.required and self._is_sound(place):
                self._say(place, "is missing.")
            if name not in values and field.required:
                values[name] = _STAND_INS[typing.get_origin(field.type) or field.type]
        return cls(**values)

    def _value(self, kind: Any, raw: Any, where: Where) -> Any:
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(kind, raw, where)
        if origin is dict:
            return self._table(arguments[1], raw, where)
        if origin is tuple and _is_struct(arguments[0]):
            return self._list(arguments[0], raw, where)
        return self._leaf(kind, raw, where)

    def _table(self, kind: type[Any], raw: Any, where: Where) -> dict[str, Any] | None:
        if not isinstance(raw, Mapping):
            self._say(where, f"must be tables by name, [{dotted(where)}.NAME], not {_got(raw)}.")
            return None
        if _is_struct(kind):
            return {name: self.struct(kind, item, (*where, name)) for name, item in raw.items()}
        found = {name: self._leaf(kind, item, (*where, name)) for name, item in raw.items()}
        return {name: item for name, item in found.items() if item is not None}

    def _list(self, kind: type[Any], raw: Any, where: Where) -> tuple[Any, ...] | None:
        if not isinstance(raw, (list, tuple)):
            needed = [field.name for field in msgspec.structs.fields(kind) if field.required]
            names = ", ".join(f"{name} = ..." for name in needed)
            self._say(where, f"must be a list of tables, [{{{names}}}], not {_got(raw)}.")
            return None
        return tuple(self.struct(kind, item, (*where, at)) for at, item in enumerate(raw))

    def _leaf(self, kind: Any, raw: Any, where: Where) -> Any:
        if _holds_a_secret(raw):
            says = _no_keys("holds what looks like a key or token")
            self.problems.append(Problem(where, says, leaks=True))
            return None
        plain = _without_none(kind)
        if plain is Decimal:
            amount = exact(raw)
            if amount is None:
                self._say(where, f"must be {_EXPECTED[Decimal]}, zero or more{_value_of(raw)}.")
            return amount
        try:
            return msgspec.convert(raw, plain, strict=where not in self._lax)
        except msgspec.ValidationError:
            self._say(where, _mistyped(plain, raw))
            return None

    def _say(self, where: Where, says: str) -> None:
        self.problems.append(Problem(where, says))

    def _is_sound(self, place: Where) -> bool:
        """Tell whether nothing has been said of a place: not meant by a misspelt key."""
        return not any(place[: len(p.where)] == p.where or place in p.spoils for p in self.problems)


def _unknown(cls: type[Any], name: str, raw: Mapping[str, Any], where: Where) -> Problem:
    place = (*where, name)
    known: tuple[str, ...] = cls.__struct_fields__
    near = meant(name, known)
    spoils = ((*where, near),) if near and near not in raw else ()
    value = raw[name]
    if _holds_a_secret(value) or (isinstance(value, str) and _names_a_secret(name)):
        return Problem(place, _no_keys("would be a key in the file"), spoils, leaks=True)
    suggested = f" Did you mean {quoted(near)}?" if near else ""
    room = f"[{dotted(where)}]" if where else "A configuration"
    return Problem(place, f"is unknown.{suggested} {room} has {listed(known)}.", spoils)


def _holds_a_secret(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, str) and looks_secret(item) for item in value)
    return isinstance(value, str) and looks_secret(value)


def _names_a_secret(name: str) -> bool:
    words = name.lower().replace("-", "_").removesuffix("s").split("_")
    return words[-1] in _SECRET_NAMES or "".join(words).endswith("apikey")


def _no_keys(what: str) -> str:
    return (
        f"{what}, and keys are never written there: put it into an environment variable "
        'and name that, key_env = "NAME_OF_THE_VARIABLE".'
    )


def _mistyped(kind: Any, raw: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Literal:
        allowed = [str(each) for each in typing.get_args(kind)]
        near = meant(raw, allowed) if isinstance(raw, str) else None
        suggested = f" Did you mean {quoted(near)}?" if near else ""
        return f"must be {_one_of(allowed)}{_value_of(raw)}.{suggested}"
    expected = _EXPECTED[origin or kind]
    if isinstance(raw, Decimal) and not raw.is_finite():
        return f"must be {expected}, and a finite one."
    return f"must be {expected}, not {_got(raw)}."


def _one_of(allowed: list[str]) -> str:
    words = [f'"{each}"' for each in allowed]
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _got(raw: Any) -> str:
    return next((name for kind, name in _GOT if isinstance(raw, kind)), type(raw).__name__)


def _value_of(raw: Any) -> str:
    """Return a value, where it is one that can be shown, as the end of a sentence."""
    if isinstance(raw, str):
        return f", not {quoted(raw)}"
    if isinstance(raw, (int, float, Decimal)) and not isinstance(raw, bool):
        return f", not {str(raw)[:40]}"
    return f", not {_got(raw)}"


def _without_none(kind: Any) -> Any:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return next(each for each in typing.get_args(kind) if each is not type(None))
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
