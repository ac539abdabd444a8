"""The wall: every fault that a client of chats can meet, and what is true of it."""

from __future__ import annotations

from trunkline.conformance.rows import Row, bears, either, fails
from trunkline.conformance.wall_statuses import STATUSES

_STREAM = ("stream",)
_WHOLE = ("whole",)
_TOLD = (11, 7, 18)

_CUT = "the upstream stopped before its end, and the rest is nowhere"
_FORM = "the form is allowed, or plain to read; nothing is lost"
_MEANT = "what is meant is there; an error is honest, too"
_NONE = "there is no answer in it"
_SILENT = "nothing more comes; only an error can end it"
_ENDLESS = "it has no end; either a limit ends it with an error, or the client's leaving ends both"
_USAGE = "the answer is whole; tokens are those that the upstream told"
_CALLS = "both calls can be put together; clients need an index, an id and text"
_FRAMING = "the end of the body is nowhere"
_HEAD = "the head is beyond reason; the answer behind it may be left"
_COOKIE = (b"session=of-the-upstream", b"elsewhere.example.org", b"clear-site-data")

ENDINGS: tuple[Row, ...] = (
    fails("truncated", _CUT),
    fails("truncated-close", _CUT),
    fails("no-finish", "no reason for the end was given, and none may be made up"),
    bears("no-done", "the finish reason says that it is whole", shapes=_STREAM),
    bears("after-done", "[DONE] is the end; what follows is nobody's", shapes=_STREAM),
    fails("cut-event", _CUT),
    fails("broken-json", _CUT),
    fails("cut", _CUT),
    fails("cut-length", _CUT),
    fails("reset", _CUT),
    fails("reset-head", _CUT),
    fails("cut-head", _CUT),
    fails("no-answer", _NONE),
    fails("reset-at-once", _NONE),
    fails("bad-chunk", _FRAMING),
    fails("chunk-short", _FRAMING),
    fails("length-short", "half of it is announced, and the rest is not part of it", then=True),
    either("length-twice", "which length is true cannot be known", then=True),
    either("length-and-chunks", "chunks count (RFC 9112), but the head is suspect", then=True),
)

ERRORS: tuple[Row, ...] = (
    fails("error-first", "the upstream says that it is overloaded", told="busy"),
    fails("error-mid-stream", "the upstream says that it failed"),
    fails("error-then-done", "the upstream says that it failed; [DONE] does not mend it"),
    fails("error-tgi", "the upstream says that the prompt is too long", told="either"),
    fails("error-string", "the upstream says that the model failed"),
    fails("event-error", "the upstream says that a tool call was wrong", told="either"),
    fails("json-error-200", "the body is an error, whatever the status", told="busy"),
    either("json-200", "the answer is there, in another form than asked for", shapes=_STREAM),
    either("events-200", "the answer is there, in another form than asked for", shapes=_WHOLE),
    fails("html-200", _NONE),
    fails("empty-200", _NONE),
    fails("null-200", _NONE),
    either("type-text", "it is an answer by another name"),
    either("type-none", "it is an answer without a name"),
)

FORMS: tuple[Row, ...] = (
    *(
        bears(fault, _FORM, shapes=_STREAM)
        for fault in ("cr-lines", "crlf-lines", "mixed-lines", "split-crlf", "bom", "no-space",
                      "data-lines", "chatter", "keep-alive", "drip")
    ),
    bears("split-utf8", "a character may come in two reads", front=(" naïve 日本 🎉",)),
    either("invalid-utf8", "one byte is no text: a mark for it, or an error", front=("caf\ufffd ",)),
    bears("separators", "they are text, and end no line", front=("a\u2028b\u2029c\u0085d",)),
    either("surrogate", "half a character: a mark for it, or an error",
           front=("x\ufffd ", "x\ud83d ")),
    either("huge-event", "an event of two megabytes may be more than is taken",
           front=("x" * (2 << 20),), heavy=True),
)  # fmt: skip

TIMES: tuple[Row, ...] = (
    fails(
        "endless-line",
        "a line without end can be neither kept nor passed on",
        told="late",
        shapes=_STREAM,
        heavy=True,
    ),
    fails("huge-length", "10 GB are no chat", told="late"),
    either("endless", _ENDLESS, told="late", shapes=_STREAM, leaves=True),
    either("endless-empty", _ENDLESS, told="late", shapes=_STREAM, leaves=True),
    either("endless-comments", _ENDLESS, told="late", shapes=_STREAM, leaves=True),
    bears("slow", "late is not wrong"),
    fails("stall-head", _SILENT, told="late"),
    fails("stall-first", _SILENT, told="late"),
    fails("stall", _SILENT, told="late"),
)

USAGE: tuple[Row, ...] = (
    bears("usage-missing", "the answer is whole; its tokens are unknown", tokens="unknown"),
    bears("usage-apart", _USAGE, tokens=_TOLD),
    bears("usage-twice", _USAGE, tokens=_TOLD),
    bears("usage-first", _USAGE, tokens=_TOLD),
    bears("usage-everywhere", "each chunk tells the count so far", tokens="last", shapes=_STREAM),
    bears("usage-aside", _USAGE, tokens=_TOLD),
    either("usage-negative", "a count below zero is none: tokens are unknown", tokens="unknown"),
)

TOOLS: tuple[Row, ...] = (
    *(
        either(fault, _CALLS, calls=2)
        for fault in ("tools-in-turn", "tools-backwards", "tools-repeated-id", "tools-empty-id",
                      "tools-no-index", "tools-same-index", "tools-whole", "tools-object",
                      "tools-single")
    ),
    either("tools-one-id", "two calls with one id are two calls, or an error", calls=2,
           shapes=_STREAM, one_id=True),
    fails("tools-cut", "half of a call is none", calls=1, shapes=_STREAM),
    fails("tools-orphan", "a fragment of no call is nothing that could be called", calls=1,
          shapes=_STREAM),
)  # fmt: skip

CONNECTIONS: tuple[Row, ...] = (
    bears("reset-after", "the answer is whole; the next call needs another connection", then=True),
    bears("close-after", "the answer is whole; the next call needs another connection", then=True),
    either("two-answers", "the second answer is nobody's, least of all the next caller's", then=True),
    either("gzip", "it was not asked for compressed, and can be read"),
    fails("gzip-short", _CUT),
    fails("gzip-bomb", "80 MB from 80 kB are an attack on whoever unpacks them", told="late",
          heavy=True),
    bears("headers-foreign", "the answer is right; the upstream's cookies are not the client's",
          hidden=_COOKIE),
    either("header-huge", _HEAD, heavy=True),
    either("headers-many", _HEAD, heavy=True),
    either("header-split", "a head that breaks its own lines is suspect", hidden=(b"stolen",)),
    fails("bad-head", "it is not HTTP"),
    either("http-1.0", "an older HTTP, and all is there"),
    bears("100", "interim answers come before the answer"),
    bears("103", "interim answers come before the answer"),
    fails("101", "nobody asked for another protocol"),
    fails("204", _NONE),
    *(
        fails(fault, "a credential goes to the host that it is for, and to no other",
              told="upstream")
        for fault in ("302", "307", "308")
    ),
)  # fmt: skip

ANSWERS: tuple[Row, ...] = (
    either("wrong-model", "who answers is for the client to know"),
    either("wrong-id", "ids name the answer; the text is right"),
    either("null-content", "an answer may be without words; none may be made up", wordless=True),
    fails("no-choices", _NONE),
    fails("null-choices", _NONE),
    either("no-message", "a choice that says nothing: an error, or nothing", shapes=_STREAM,
           wordless=True),
    fails("no-message", _NONE, shapes=_WHOLE),
    either("null-finish", "the reason is unknown, and none may be made up", shapes=_WHOLE,
           finishes=(None,)),
    fails("null-finish", "the reason is unknown, and none may be made up", shapes=_STREAM),
    either("odd-finish", "TGI's `eos_token` is OpenAI's `stop`", finishes=("eos_token", "stop")),
)  # fmt: skip

WALL: tuple[Row, ...] = (
    *ENDINGS,
    *ERRORS,
    *FORMS,
    *TIMES,
    *USAGE,
    *TOOLS,
    *CONNECTIONS,
    *ANSWERS,
    *STATUSES,
)
"""Every row, in the order in which they are told."""
