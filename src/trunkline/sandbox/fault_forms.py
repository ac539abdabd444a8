"""Faults that a client has to bear: odd forms and text, sizes and times, and usage: F7 to F11."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from trunkline.dialects.openai_server import DONE_EVENT
from trunkline.sandbox.fault import Case, Fault
from trunkline.sandbox.reply import Pause, Reply, Step

_How = Callable[[Case], Reply]


# forms


def _lines(change: Callable[[bytes], bytes]) -> _How:
    """Return a fault that writes each event in another form."""

    def how(case: Case) -> Reply:
        return case.reply([change(p) for p in case.pieces]) if case.streamed else case.good

    return how


def _mixed_lines(case: Case) -> Reply:
    if not case.streamed:
        return case.good
    ends = (b"\n", b"\r\n", b"\r")
    pieces = [p.replace(b"\n", ends[i % 3]) for i, p in enumerate(case.pieces)]
    return case.reply(pieces)


def _split_crlf(case: Case) -> Reply:
    if not case.streamed:
        return case.good
    steps: list[Step] = []
    for piece in case.pieces:
        steps += [part for part in re.split(rb"(?<=\r)", piece.replace(b"\n", b"\r\n")) if part]
    return case.reply(steps)


def _bom(case: Case) -> Reply:
    return case.reply([b"\xef\xbb\xbf", *case.pieces]) if case.streamed else case.good


def _several_data_lines(piece: bytes) -> bytes:
    return piece if piece == DONE_EVENT else piece.replace(b'","', b'",\ndata: "', 1)


def _chatter(piece: bytes) -> bytes:
    return b": keep-alive\n\nid: 7\nretry: 3000\nunknown: x\n" + piece


def _keep_alive(case: Case) -> Reply:
    if not case.streamed:
        return case.good
    beat = (b": keep-alive\n\n", Pause(case.seconds), b'data: {"choices":[]}\n\n')
    return case.reply([step for piece in case.pieces for step in (*beat, piece)])


# text


def _with_text(raw: bytes, *, split: bool = False) -> _How:
    """Return a fault that puts `raw` bytes into the text, split between reads if asked."""

    def how(case: Case) -> Reply:
        if not case.streamed:
            body = b"".join(case.pieces).replace(b'"content":"', b'"content":"' + raw, 1)
            return case.reply([body])
        pieces = case.pieces
        at = next((i for i, p in enumerate(pieces) if _SAID.search(p)), 0)
        odd = _SAID.sub(lambda found: found[1] + raw + b'"', pieces[at], count=1)
        parts = [odd[i : i + 1] for i in range(len(odd))] if split else [odd]
        return case.reply([*pieces[:at], *parts, *pieces[at:]])

    return how


_SAID = re.compile(rb'("content":")[^"\\]+"')
_ODD = " naïve 日本 🎉".encode()


# size and time


def _huge(case: Case) -> Reply:
    return _with_text(b"x" * (2 << 20))(case)


def _endless(piece: Callable[[Case], bytes]) -> _How:
    """Return a fault that goes on for ever with the same piece."""

    def how(case: Case) -> Reply:
        def steps() -> Iterator[Step]:
            yield from case.opened()
            again = piece(case)
            while True:
                if case.seconds:
                    yield Pause(case.seconds)
                yield again

        return case.reply(steps())

    return how


def _last_said(case: Case) -> bytes:
    return case.content[-1]


def _drip(case: Case) -> Reply:
    steps: list[Step] = []
    for byte in b"".join(case.pieces):
        steps += [bytes((byte,)), Pause(case.seconds)]
    return case.reply(steps)


def _stall_head(case: Case) -> Reply:
    return msgspec.structs.replace(case.good, before=(Pause(case.seconds),))


def _stall_first(case: Case) -> Reply:
    return case.reply([Pause(case.seconds), *case.pieces], "chunked")


def _stall(case: Case) -> Reply:
    opened = case.opened()
    rest = case.pieces[len(opened) :] if case.streamed else [case.pieces[0][len(opened[0]) :]]
    return case.reply([*opened, Pause(case.seconds), *rest], "chunked")


# usage


_Chunks = list[dict[str, Any]]
_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def _usage(edit: Callable[[_Chunks], _Chunks]) -> _How:
    """Return a fault that changes where usage stands."""

    def how(case: Case) -> Reply:
        return case.edited(lambda chunks: edit(_without_usage(chunks)))

    return how


def _without_usage(chunks: _Chunks) -> _Chunks:
    bare = [{k: v for k, v in chunk.items() if k not in ("usage", "x_groq")} for chunk in chunks]
    return [chunk for chunk in bare if chunk.get("choices")]


def _on_last(chunks: _Chunks, **fields: Any) -> _Chunks:
    return [*chunks[:-1], {**chunks[-1], **fields}]


def _apart(chunks: _Chunks, times: int = 1) -> _Chunks:
    if "message" in chunks[0]["choices"][0]:
        return _on_last(chunks, usage=_USAGE)
    alone = {**chunks[-1], "choices": [], "usage": _USAGE}
    return [*chunks, *([alone] * times)]


def _everywhere(chunks: _Chunks) -> _Chunks:
    return [
        {**chunk, "usage": {**_USAGE, "completion_tokens": i}} for i, chunk in enumerate(chunks)
    ]


def _first(chunks: _Chunks) -> _Chunks:
    return [{**chunks[0], "usage": _USAGE}, *chunks[1:]]


_MINUS = {"prompt_tokens": -1, "completion_tokens": -7, "total_tokens": -8}


FORMS: tuple[Fault, ...] = (
    Fault("cr-lines", "F7", "lines end with CR", _lines(lambda p: p.replace(b"\n", b"\r"))),
    Fault("crlf-lines", "F7", "lines end with CRLF", _lines(lambda p: p.replace(b"\n", b"\r\n"))),
    Fault("mixed-lines", "F7", "lines end with LF, CRLF and CR in turn", _mixed_lines),
    Fault("split-crlf", "F7", "each CRLF is split between reads", _split_crlf),
    Fault("bom", "F7", "a byte order mark in front", _bom),
    Fault("no-space", "F7", "`data:` without a space",
          _lines(lambda p: p.replace(b"data: ", b"data:", 1))),
    Fault("data-lines", "F7", "several `data:` lines an event", _lines(_several_data_lines)),
    Fault("chatter", "F7", "comments, `id`, `retry` and unknown fields", _lines(_chatter)),
    Fault("split-utf8", "F8", "characters split between reads", _with_text(_ODD, split=True)),
    Fault("invalid-utf8", "F8", "a byte that is not UTF-8", _with_text(b"caf\xe9 ")),
    Fault("separators", "F8", "U+2028, U+2029 and U+0085, raw",
          _with_text("a\u2028b\u2029c\u0085d".encode())),
    Fault("surrogate", "F8", "half of a surrogate pair, escaped", _with_text(rb"x\ud83d ")),
    Fault("huge-event", "F9", "one event of two megabytes", _huge),
    Fault("endless-line", "F9", "a line that never ends", _endless(lambda _: b"x" * 65536)),
    Fault("endless", "F10", "goes on for ever with text", _endless(_last_said), seconds=0.01),
    Fault("endless-empty", "F10", "goes on for ever with chunks that say nothing",
          _endless(lambda _: b'data: {"choices":[]}\n\n'), seconds=0.01),
    Fault("endless-comments", "F10", "goes on for ever with comments",
          _endless(lambda _: b": keep-alive\n\n"), seconds=0.01),
    Fault("keep-alive", "F10", "comments and empty chunks between events", _keep_alive),
    Fault("drip", "F10", "one byte at a time", _drip, seconds=0.002),
    Fault("stall-head", "F10", "the answer does not begin", _stall_head, seconds=60.0, always=True),
    Fault("stall-first", "F10", "the head comes and then nothing", _stall_first, seconds=60.0),
    Fault("stall", "F10", "stops in the middle", _stall, seconds=60.0),
    Fault("usage-missing", "F11", "no usage", _usage(lambda chunks: chunks)),
    Fault("usage-apart", "F11", "usage on a chunk with `choices: []`", _usage(_apart)),
    Fault("usage-twice", "F11", "that chunk twice", _usage(lambda c: _apart(c, 2))),
    Fault("usage-first", "F11", "usage on the first chunk", _usage(_first)),
    Fault("usage-everywhere", "F11", "usage on every chunk", _usage(_everywhere)),
    Fault("usage-aside", "F11", "usage under x_groq",
          _usage(lambda c: _on_last(c, x_groq={"id": "req_1", "usage": _USAGE}))),
    Fault("usage-negative", "F11", "counts below zero",
          _usage(lambda c: _on_last(c, usage=_MINUS))),
)  # fmt: skip
