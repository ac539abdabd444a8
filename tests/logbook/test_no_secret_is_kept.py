"""Whatever a call's credential looks like and wherever it appears, it is not in the log."""

from __future__ import annotations

import time
from urllib.parse import quote

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.catalog.kept import shipped
from trunkline.logbook.notes import Ended, Trouble
from trunkline.logbook.rows import Rows
from trunkline.model_id import parse
from trunkline.providers.mapping import ModelMaps
from trunkline.routing.carry import Account, Journey
from trunkline.routing.retry import Retry
from trunkline.types import Attempt, Chat, Receipt, Secret, TokenCount
from trunkline.types.route import Candidate, RouteReport

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)
AROUND = st.text(max_size=20)


def ended(secret: str, text: str) -> Ended:
    """Return a call in every text of which the secret is."""
    chat = Chat(
        parse("org/model"),
        [{"role": "user", "content": text}, {"role": "user", "content": [{"type": "text", "text": text}]}],
        {"user": text, "metadata": {text: [text, 1, None]}},
    )  # fmt: skip
    journey = Journey(
        chat, Retry(0, lambda: 0.0), 0.0, ModelMaps("https://hub"),
        account=Account(Secret(secret, "the argument token="), None),
    )  # fmt: skip
    url = f"https://host/{quote(secret, safe='')}/v1"
    attempt = Attempt(1, "p", "m", url, 400, "BadRequestError", "r", 0.0, 0.1, moved=text)
    receipt = Receipt("p", "m", "r", (attempt,), None, 0.1, TokenCount(1, 2, "provider"))
    return Ended(
        id="call_1", started=time.time(), seconds=0.1, journey=journey, stream=False, outcome="failed",
        receipt=receipt, usage=None, attempts=(attempt,), error=Trouble("BadRequestError", text),
        job=None, route=RouteReport(text, (Candidate(text, "p", "m", excluded=text),), (text,)),
        content=True, result={"answer": [text], text: text},
    )  # fmt: skip


@settings(max_examples=often(60))
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_no_text_of_a_row_has_the_calls_secret(secret: str, before: str, after: str) -> None:
    made = Rows(shipped)(ended(secret, f"{before}{secret}{after}"))
    texts = [
        value
        for part in (made.call, *made.attempts, made.content)
        for value in msgspec.structs.astuple(part)
        if isinstance(value, str)
    ]
    escaped = secret.replace("\\", "\\\\").replace('"', '\\"')
    for form in (secret, quote(secret, safe=""), escaped):
        assert [text for text in texts if form in text] == []
    assert len([text for text in texts if "[hidden]" in text]) >= 5
