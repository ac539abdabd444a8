"""How every result reads: attributes, `["keys"]`, `model_dump()`, and fields nobody declared.

A mixin without state; the structs that use it declare their own fields and options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIDDEN = frozenset({"extra", "receipt"})


class Record:
    """Attribute and `["key"]` access over a struct whose undeclared fields live in `extra`."""

    __slots__ = ()
    __struct_fields__: tuple[str, ...]

    def __getitem__(self, key: str) -> Any:
        """Return the field `key`; raises KeyError for one that the answer did not have."""
        try:
            return getattr(self, key)
        except AttributeError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        """Tell whether `record["key"]` would answer."""
        return isinstance(key, str) and key in self.keys()

    def __iter__(self) -> Iterator[str]:
        """Iterate the field names, as a mapping does."""
        return iter(self.keys())

    def keys(self) -> list[str]:
        """Return the names of all fields, the undeclared ones last."""
        extra: dict[str, Any] = getattr(self, "extra", {})
        return [name for name in self.__struct_fields__ if name not in _HIDDEN] + list(extra)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the field `key`, or `default` where the answer did not have it."""
        return getattr(self, key, default)

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        """Return plain dicts and lists as they stood on the wire, without the receipt."""
        extra: dict[str, Any] = getattr(self, "extra", {})
        declared = [name for name in self.__struct_fields__ if name not in _HIDDEN]
        fields = {**{name: getattr(self, name) for name in declared}, **extra}
        return {
            name: _plain(value, exclude_none=exclude_none)
            for name, value in fields.items()
            if not (exclude_none and value is None)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return `model_dump(exclude_none=True)`."""
        return self.model_dump(exclude_none=True)

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        """Return `model_dump()` as JSON text."""
        text = msgspec.json.encode(self.model_dump(exclude_none=exclude_none))
        return (msgspec.json.format(text, indent=indent) if indent else text).decode()

    if not TYPE_CHECKING:  # a typing error stays one; only run time finds undeclared fields

        def __getattr__(self, name: str) -> Any:
            """Find a field that the provider sent and no struct declares."""
            if name.startswith("__") or name == "extra":
                raise AttributeError(name)
            try:
                return self.extra[name]
            except KeyError:
                what = type(self).__name__
                raise AttributeError(f"this {what} has no field {name!r}") from None


def _plain(value: Any, *, exclude_none: bool) -> Any:
    if isinstance(value, Record):
        return value.model_dump(exclude_none=exclude_none)
    if isinstance(value, (list, tuple)):
        return [_plain(item, exclude_none=exclude_none) for item in value]
    return value


def shorten(text: str, limit: int = 60) -> str:
    """Return `text` as one quoted line of at most about `limit` characters, for a repr."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
