"""The program's parts that need no process: inputs, blocks of Markdown, conversations, footers."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from trunkline.cli.answer import Answer, footer
from trunkline.cli.conversation import Conversation
from trunkline.cli.inputs import as_text, gather
from trunkline.cli.screen import MarkdownPaper, split_blocks
from trunkline.errors import InvalidInputError
from trunkline.types import Attempt, Choice, Completion, Message, Receipt, TokenCount
from trunkline.types.receipt import TokenSource

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def _answer(text: str, *, interrupted: bool = False) -> Answer:
    return Answer(Completion("1", "m", [Choice(0, Message(content=text))]), interrupted)


# inputs


def test_files_come_first_then_the_prompt_then_what_was_piped(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("milk\neggs\n")
    message = gather("count them", b"and bread\n", [str(path)], [])
    file = f'<file name="{path}">\nmilk\neggs\n</file>'
    assert message == {"role": "user", "content": f"{file}\n\ncount them\n\nand bread"}


def test_images_become_parts_however_they_come(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    message = gather("what is it", PNG, [str(path)], ["https://example.org/dog.png"])
    kinds = [part["type"] for part in message["content"]]
    assert kinds == ["text", "image_url", "image_url", "image_url"]
    assert message["content"][1]["image_url"]["url"] == "https://example.org/dog.png"
    assert message["content"][2]["image_url"]["url"].startswith("data:image/png;base64,")


def test_an_image_alone_is_a_message() -> None:
    assert [part["type"] for part in gather(None, PNG, [], [])["content"]] == ["image_url"]


@pytest.mark.parametrize(
    ("prompt", "piped", "files", "why"),
    [
        (None, b"", [], "nothing to say"),
        ("", b"\n \n", [], "nothing to say"),
        ("x", b"", ["no/such/file"], "No such file"),
        ("x", b"", ["."], "cannot be read"),
        ("x", b"\x00\x01\x02", [], "neither UTF-8 text nor an image"),
        ("x", b"%PDF-1.7\0", [], "PDF"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_reason(
    prompt: str | None, piped: bytes, files: list[str], why: str
) -> None:
    with pytest.raises(InvalidInputError, match=why):
        gather(prompt, piped, files, [])


def test_text_is_told_from_bytes() -> None:
    assert as_text("é".encode()) == "é"
    assert as_text(b"\xef\xbb\xbfbom") == "bom"
    assert as_text(b"a\0b") is None
    assert as_text(b"caf\xe9") is None


# blocks of Markdown


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("", ""),
        ("one line", ""),
        ("one\n\n", ""),
        ("one\n\ntwo", "one\n\n"),
        ("one\n\ntwo\n\nthree", "one\n\ntwo\n\n"),
        ("- item\n\n  more of it\n", ""),
        ("```\ncode\n\nmore", ""),
        ("```py\ncode\n\nmore\n```\n\nafter", "```py\ncode\n\nmore\n```\n\n"),
        ("````\n```\n\ninside\n````\n\nafter", "````\n```\n\ninside\n````\n\n"),
        ("~~~\n```\n\nin\n~~~\n\nafter", "~~~\n```\n\nin\n~~~\n\n"),
    ],
)
def test_blocks_end_at_empty_lines_outside_of_fences(text: str, done: str) -> None:
    assert split_blocks(text) == (done, text[len(done) :])


def test_an_answer_longer_than_the_screen_is_formatted_block_by_block() -> None:
    shown = io.StringIO()
    paper = MarkdownPaper(Console(file=shown, force_terminal=True, width=40, height=8))
    code = "".join(f"line {number}\n\n" for number in range(30))
    for piece in re.findall(r"(?s).{1,5}", f"# Title\n\n**bold** words\n\n```\n{code}```\n\nend"):
        paper.write(piece)
    paper.finish()
    paper.finish()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    for number in range(30):
        assert re.search(rf"line {number}\s*\n", text)
    assert text.rstrip().endswith("end")
    assert "\x1b[1mbold\x1b[0m words" in shown.getvalue()
    assert shown.getvalue().rfind("\x1b[?25h") > shown.getvalue().rfind("\x1b[?25l")


# conversations


def test_a_conversation_sends_everything_said_so_far() -> None:
    talk = Conversation("be brief")
    first = talk.message("hello")
    assert talk.keep(first, _answer("hi"))
    assert talk.messages(talk.message("more")) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "more"},
    ]


def test_an_interrupted_answer_is_kept_and_marked() -> None:
    talk = Conversation()
    talk.keep(talk.message("count"), _answer("1, 2,", interrupted=True))
    assert talk.messages({})[1]["content"] == "1, 2,\n\n[interrupted]"


def test_a_message_without_an_answer_is_not_kept_and_its_images_wait() -> None:
    talk = Conversation()
    talk.images = [{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]
    assert not talk.keep(talk.message("see"), Answer(None, interrupted=True))
    assert talk.turns == []
    assert len(talk.message("again")["content"]) == 2


def test_a_saved_conversation_is_inert() -> None:
    talk = Conversation("sys")
    talk.images = [{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]
    talk.keep(talk.message("see"), _answer("\x1b[31mred"))
    assert talk.as_markdown("m") == (
        "# Chat with m\n\n## System\n\nsys\n\n## You\n\nsee\n\n(an image)\n\n## Model\n\nred\n"
    )
    assert "\x1b" not in talk.as_json("m")
    assert json.loads(talk.as_json("m"))["messages"][-1]["content"] == "\x1b[31mred"


# footers


@pytest.mark.parametrize(
    ("source", "tokens", "said"),
    [
        ("provider", (4, 5), "tokens 4 in + 5 out"),
        ("provider", (None, 5), "tokens 5 out"),
        ("estimated", (4, 5), "tokens about 4 in + about 5 out"),
        ("unknown", (None, None), "tokens unknown"),
    ],
)
def test_a_footer_never_invents_a_number(
    source: TokenSource, tokens: tuple[int | None, int | None], said: str
) -> None:
    receipt = Receipt(None, "m", None, (), None, 1.5, TokenCount(*tokens, source))
    assert footer(receipt) == f"unknown provider · 1.50 s · {said}"


def test_a_footer_names_a_call_that_was_logged() -> None:
    tokens = TokenCount(1, 2, "provider")
    receipt = Receipt("groq", "m", "r", (), None, 1.0, tokens, call_id="call_1")
    assert footer(receipt).endswith(" · call_1")


def test_a_footer_counts_attempts() -> None:
    tries = tuple(Attempt(n, "groq", "m", "u", 200, None, None, 0.0, 0.1) for n in (1, 2))
    receipt = Receipt("groq", "m", None, tries, 0.25, 1.0, TokenCount(1, 2, "provider"))
    assert footer(receipt).startswith("groq · 2 attempts · first token 0.25 s · 1.00 s")
