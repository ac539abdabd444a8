"""The fields of a multipart form, as far as a relay reads them: the model's name. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trunkline.dialects.openai_server import RequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_LONGEST = 500
_MOST_PARTS = 100
"""Parts that a form may have."""
_Options = Callable[[bytes], tuple[bytes, dict[bytes, bytes]]]


def model_in_form(content_type: str, data: bytes) -> str | None:
    """Return the field `model`; None without one. Raises RequestError for what is no form."""
    # loads a parser that other calls do without
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise _wrong("its content-type has no boundary")
    reader = _Reader(parse_options_header)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(data)
        parser.finalize()
    except FormParserError as error:
        raise _wrong(str(error)) from error
    if len(reader.models) > 1:
        raise _wrong("'model' is there twice")
    if not reader.models:
        return None
    name = reader.models[0].decode("utf-8", "replace")
    return name if 0 < len(name) <= _LONGEST else None


class _Reader:
    """Gathers the values of `model`."""

    def __init__(self, options: _Options) -> None:
        self._options = options
        self._name = b""
        self._value = b""
        self._wanted = False
        self._parts = 0
        self.models: list[bytes] = []

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_header_field": self._field,
            "on_header_value": self._header,
            "on_header_end": self._header_end,
        }

    def _begin(self) -> None:
        self._wanted = False
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _wrong(f"it has more than {_MOST_PARTS} parts")

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        name, value = self._name.lower(), self._value
        self._name = self._value = b""
        if name == b"content-disposition":
            self._wanted = self._options(value)[1].get(b"name") == b"model"
            if self._wanted:
                self.models.append(b"")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self.models[-1] = (self.models[-1] + data[start:end])[: _LONGEST + 1]

    def _end(self) -> None:
        self._wanted = False


def _wrong(why: str) -> RequestError:
    return RequestError(f"The body is not a form that can be read: {why}.", code="invalid_form")
