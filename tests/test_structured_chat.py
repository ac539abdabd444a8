"""Typed answers asked for, and asked for again."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec
import pytest

from trunkline.errors import OutputValidationError
from trunkline.structured import Ask, repair_messages, response_format_for, structured_chat
from trunkline.types import Choice, Completion, Message, Receipt, TokenCount

ADA = '{"name": "Ada", "age": 36}'


class Person(msgspec.Struct):
    name: str
    age: int


def answered(content: str | None, finish: str | None = "stop", **more: Any) -> Completion:
    return Completion("c", "org/m", [Choice(0, Message(content=content, **more), finish)])


ASKED = [{"role": "user", "content": "Who?"}]


def start(rounds: int, **parameters: Any) -> tuple[Generator[Ask, Completion, Person], Ask]:
    asking = structured_chat(Person, ASKED, parameters, rounds)
    return asking, next(asking)


def ended(asking: Generator[Ask, Completion, Person], completion: Completion) -> Person:
    with pytest.raises(StopIteration) as caught:
        asking.send(completion)
    value: Person = caught.value.value
    return value


def test_a_good_answer_is_asked_for_once() -> None:
    asking, ask = start(0, temperature=0)
    assert ask.messages == ASKED
    assert ask.parameters == {"temperature": 0, "response_format": response_format_for(Person)}
    assert ended(asking, answered(ADA)) == Person("Ada", 36)


def test_a_bad_answer_is_repaired_as_often_as_allowed() -> None:
    asking, _ = start(2)
    second = asking.send(answered("Ada."))
    third = asking.send(answered("{}"))
    assert [m["role"] for m in second.messages] == ["user", "assistant", "user"]
    assert second.messages[1]["content"] == "Ada."
    assert "does not fit Person" in second.messages[2]["content"]
    assert third.messages[:3] == second.messages
    assert "missing required field" in third.messages[4]["content"]
    assert ended(asking, answered(ADA)) == Person("Ada", 36)


def test_repairs_end_with_the_last_error() -> None:
    asking, _ = start(1)
    asking.send(answered("first"))
    with pytest.raises(OutputValidationError) as caught:
        asking.send(answered("second"))
    assert caught.value.text == "second"


@pytest.mark.parametrize("answer", [answered("{", "length"), answered(None, refusal="No.")])
def test_what_asking_again_cannot_mend_is_not_repaired(answer: Completion) -> None:
    asking, _ = start(3)
    with pytest.raises(OutputValidationError):
        asking.send(answer)


def test_an_empty_answer_is_not_sent_back() -> None:
    error = OutputValidationError("It is empty.", text="")
    assert [m["role"] for m in repair_messages(ASKED, error)] == ["user", "user"]


def test_a_format_of_the_callers_own_goes_out_as_it_is() -> None:
    own = {"type": "json_object", "schema": {"type": "object"}}
    _, ask = start(0, response_format=own)
    assert ask.parameters["response_format"] == own


def timed(content: str, seconds: float) -> Completion:
    made = Receipt(None, None, None, (), None, seconds, TokenCount(None, None, "unknown"))
    return msgspec.structs.replace(answered(content), receipt=made)


def test_all_rounds_are_over_by_the_deadline() -> None:
    asking = structured_chat(Person, ASKED, {}, 5, deadline=10.0)
    assert "deadline" not in next(asking).parameters
    assert asking.send(timed("Ada.", 4.0)).parameters["deadline"] == 6.0
    assert asking.send(timed("Ada.", 5.0)).parameters["deadline"] == 1.0
    with pytest.raises(OutputValidationError):
        asking.send(timed("Ada.", 1.0))
