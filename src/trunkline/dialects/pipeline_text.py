"""Answers of transformers pipelines to questions about text and tables, as hf-inference gives them.

Forms differ by the age of the server: objects stand alone or in lists, lists within lists.
"""

from __future__ import annotations

from typing import Any

from trunkline.dialects.answer_parts import (
    MisfitError,
    alone,
    an_object,
    misfit,
    name,
    number,
    optional_count,
    optional_number,
    optional_text,
    several,
    shown,
    text,
)
from trunkline.dialects.shape import Wish
from trunkline.types.results import (
    Answer,
    Entity,
    Filling,
    Items,
    Label,
    TableAnswer,
    TextOutput,
)

_TEXTS = ("summary_text", "translation_text", "generated_text", "text")


def label(answer: Any) -> Label:
    """Read `{"label", "score"}`."""
    row = an_object(answer, "an object with label and score")
    if "label" not in row:
        raise misfit(answer, "an object with label and score")
    return Label(name(row, "label"), optional_number(row, "score"), row)


def parse_labels(answer: Any, wish: Wish) -> Items[Any]:
    """Read labels in the server's order; `[[...]]` is unwrapped for a single input."""
    return several(answer, wish, label)


def parse_zero_shot(answer: Any, wish: Wish) -> Items[Any]:
    """Read labels, also in the older form `{"sequence", "labels": [...], "scores": [...]}`."""
    rows = [answer] if isinstance(answer, dict) else answer
    if isinstance(rows, list) and rows and all(_is_columns(row) for row in rows):
        each = [_columns(row) for row in rows]
        nested = len(each) > 1 or isinstance(wish.inputs, list)
        return Items(each) if nested else each[0]
    return several(answer, wish, label)


def _is_columns(row: Any) -> bool:
    return isinstance(row, dict) and "labels" in row and "scores" in row


def _columns(row: dict[str, Any]) -> Items[Label]:
    labels, scores = row["labels"], row["scores"]
    if not isinstance(labels, list) or not isinstance(scores, list) or len(labels) != len(scores):
        raise MisfitError(f"its labels are {shown(labels)}, its scores {shown(scores)}")
    pairs = zip(labels, scores, strict=True)
    return Items(label({"label": said, "score": score}) for said, score in pairs)


def entity(answer: Any) -> Entity:
    """Read a token (`entity`) or a group of them (`entity_group`)."""
    row = an_object(answer, "an object with word and entity")
    if "word" not in row:
        raise misfit(answer, "an object with word and entity")
    return Entity(
        word=text(row, "word"),
        entity=optional_text(row, "entity"),
        entity_group=optional_text(row, "entity_group"),
        score=optional_number(row, "score"),
        start=optional_count(row, "start"),
        end=optional_count(row, "end"),
        extra=row,
    )


def parse_entities(answer: Any, wish: Wish) -> Items[Any]:
    """Read the entities of a text."""
    return several(answer, wish, entity)


def filling(answer: Any) -> Filling:
    """Read a word for a mask."""
    row = an_object(answer, "an object with token_str")
    if "token_str" not in row:
        raise misfit(answer, "an object with token_str")
    return Filling(
        token_str=text(row, "token_str"),
        sequence=optional_text(row, "sequence"),
        score=optional_number(row, "score"),
        token=optional_count(row, "token"),
        extra=row,
    )


def parse_fillings(answer: Any, wish: Wish) -> Items[Any]:
    """Read words for a mask; for several masks, Items of them for each."""
    return several(answer, wish, filling)


def found_answer(answer: Any) -> Answer:
    """Read an answer found in a text, a picture or a document."""
    row = an_object(answer, "an object with answer")
    if "answer" not in row:
        raise misfit(answer, "an object with answer")
    return Answer(
        answer=name(row, "answer"),
        score=optional_number(row, "score"),
        start=optional_count(row, "start"),
        end=optional_count(row, "end"),
        extra=row,
    )


def parse_answers(answer: Any, wish: Wish) -> Items[Any]:
    """Read answers, best first."""
    return several(answer, wish, found_answer)


def table_answer(answer: Any) -> TableAnswer:
    """Read an answer from a table and the cells it rests on."""
    row = an_object(answer, "an object with answer and cells")
    if "answer" not in row:
        raise misfit(answer, "an object with answer and cells")
    places, cells = row.pop("coordinates", None), row.pop("cells", None)
    return TableAnswer(
        answer=name(row, "answer"),
        coordinates=[_place(place) for place in _listed(places, "coordinates")],
        cells=[name({"cell": cell}, "cell") for cell in _listed(cells, "cells")],
        aggregator=optional_text(row, "aggregator"),
        extra=row,
    )


def _listed(value: Any, name: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise MisfitError(f"{name} is {shown(value)}, not a list")
    return value or []


def _place(value: Any) -> list[int]:
    if not isinstance(value, list) or [type(part) for part in value] != [int, int]:
        raise MisfitError(f"a coordinate is {shown(value)}, not a row and a column")
    return value


def parse_table_answers(answer: Any, wish: Wish) -> Items[TableAnswer]:
    """Read answers from a table."""
    return several(answer, wish, table_answer)


def text_output(answer: Any) -> TextOutput:
    """Read a text, which stays in the extras under the wire's own name too."""
    row = an_object(answer, "an object with a text")
    place = next((place for place in _TEXTS if place in row), None)
    if place is None:
        raise misfit(answer, "an object with a text")
    said = text(dict(row), place)
    row.pop("text", None)
    return TextOutput(said, row)


def parse_text(answer: Any, wish: Wish) -> TextOutput | Items[TextOutput]:
    """Read a summary, a translation or a caption.

    Several for one input (`num_return_sequences`) are the first, with the others as they came in
    its extras under `alternatives`; for a list of inputs they are Items.
    """
    answer = alone(answer)
    if not isinstance(answer, list):
        said = text_output(answer)
        return Items([said]) if isinstance(wish.inputs, list) else said
    if not answer:
        raise misfit(answer, "an object with a text")
    texts = [text_output(alone(item)) for item in answer]
    if isinstance(wish.inputs, list):
        return Items(texts)
    first = texts[0]
    return TextOutput(first.text, {**first.extra, "alternatives": answer[1:]})


def parse_values(answer: Any, wish: Wish) -> Items[Any]:
    """Read the class of each row of a table: texts or numbers."""
    values = _for_each_row(answer, wish)
    if any(value is None or isinstance(value, (list, dict)) for value in values):
        raise misfit(answer, "a class for each row")
    return Items(values)


def parse_numbers(answer: Any, wish: Wish) -> Items[float]:
    """Read the number for each row of a table."""
    return Items(number(value, "a value") for value in _for_each_row(answer, wish))


def _for_each_row(answer: Any, wish: Wish) -> list[Any]:
    if not isinstance(answer, list):
        raise misfit(answer, "a value for each row")
    data = wish.inputs.get("data") if isinstance(wish.inputs, dict) else None
    columns = data.values() if isinstance(data, dict) else ()
    rows = {len(column) for column in columns if isinstance(column, list)}
    if len(rows) == 1 and rows != {len(answer)}:
        raise MisfitError(f"the values ({len(answer)}) are not as many as the rows ({rows.pop()})")
    return answer
