"""What models write cannot drive a terminal."""

from __future__ import annotations

import json

import pytest

from trunkline.cli.inert import Inert, hide_secrets, inert, inert_json, inert_line

NASTY = [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b[2J\x1b[1;1Hgone", "gone"),
    ("\x1b]0;title\x07text", "text"),
    ("\x1b]52;c;cm0gLXJm\x1b\\text", "text"),
    ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x1bP1$r0m\x1b\\text", "text"),
    ("\x9b31mred\x9b0m", "red"),
    ("\x9d0;title\x9ctext", "text"),
    ("\x1bctext", "text"),
    ("\x1b(0text", "text"),
    ("a\x08\x08b\x7f\x00\x07", "ab"),
    ("over\rwritten", "overwritten"),
    ("user\u202etxt.exe", "usertxt.exe"),
    ("\u2066isolated\u2069", "isolated"),
    ("\x1b", ""),
    ("\x1b[\x1b[31mstill text", "[still text"),
]


@pytest.mark.parametrize(("text", "shown"), NASTY)
def test_what_a_terminal_would_obey_is_left_out(text: str, shown: str) -> None:
    assert inert(text) == shown


@pytest.mark.parametrize(("text", "shown"), NASTY)
def test_it_is_found_when_it_comes_character_by_character(text: str, shown: str) -> None:
    reader = Inert()
    assert "".join(map(reader.feed, text)) + reader.finish() == shown


def test_ordinary_text_stays_whole() -> None:
    text = "Zeile 1\n\tTab — 日本語 שלום\u200f עולם 👩\u200d🔬 café | a[0-9]m"
    assert inert(text) == text
    assert Inert().feed(text) == text


def test_a_sequence_that_never_ends_does_not_swallow_the_answer() -> None:
    reader = Inert()
    shown = "".join(reader.feed("\x1b]0;" + "x" * 500) for _ in range(20)) + reader.finish()
    assert len(shown) >= 20 * 500
    assert "\x1b" not in shown


def test_removing_one_sequence_does_not_make_another() -> None:
    assert "\x1b" not in inert("\x1b\x1b[31m[32mtext")
    reader = Inert()
    assert "\x1b" not in reader.feed("\x1b\x1b[31m") + reader.feed("[32mtext") + reader.finish()


def test_json_keeps_its_value() -> None:
    value = {"text": "\x1b[31m\x9b\u202e\x7f é\n"}
    written = inert_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(written) == value
    assert not set("\x1b\x9b\u202e\x7f") & set(written)


def test_a_line_is_one_line() -> None:
    assert inert_line(" a\nb\x1b[1m \t c ") == "a b c"


def test_tokens_are_hidden_wherever_they_stand() -> None:
    text = "token hf_abcdefghij and key-42 were refused"
    assert hide_secrets(text, "key-42", None) == "token hf_**** and **** were refused"
