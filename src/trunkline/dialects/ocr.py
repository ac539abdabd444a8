"""Z.ai's layout parsing: a picture or a page in, its text as Markdown out."""

from __future__ import annotations

from typing import Any

from trunkline.dialects.answer_parts import an_object, misfit, reads
from trunkline.dialects.bodies import given, merged
from trunkline.dialects.shape import Body, Shape, Wish, json_body
from trunkline.errors import InvalidInputError
from trunkline.types.media import Blob
from trunkline.types.results import TextOutput


def write_page(wish: Wish) -> Body:
    """Write `{"model", "file"}`, the file as a data URL; raises InvalidInputError without one."""
    if not isinstance(wish.inputs, Blob):
        raise InvalidInputError("There is no picture to read.", hint="Give a file.")
    body = {"model": wish.model, "file": wish.inputs.data_url, **given(wish.parameters)}
    return json_body(merged(body, wish.extra_body))


def parse_page(answer: Any, _: Wish) -> TextOutput:
    """Read `md_results`; ids, usage and the layout in detail are kept in `extra`."""
    body = an_object(answer, "an object with md_results")
    text = body.pop("md_results", None)
    if not isinstance(text, str):
        raise misfit(answer, "an object with the text md_results")
    return TextOutput(text, body)


LAYOUT_PARSING = Shape(write_page, reads(parse_page))
"""image-to-text at `POST layout_parsing`; of Hugging Face's clients the JavaScript one has it."""
