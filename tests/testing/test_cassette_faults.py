"""Every fault of the sandbox, recorded and replayed: the program cannot tell one from the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import trunkline
from faces import Face
from trunkline import APIError, Timeouts
from trunkline.sandbox.faults import FAULTS
from trunkline.testing import record, replay

ASKED = [{"role": "user", "content": "Tell me of Zurich, please."}]
BRIEF = Timeouts(connect=1.0, total=0.3, idle=0.3, quiet=0.4, stream=0.6)


def outcome(
    face: Face, client: Any, model: str, limits: Timeouts, *, stream: bool
) -> tuple[Any, ...]:
    """Return all that a program sees of a call."""
    options: dict[str, Any] = {"max_retries": 0, "timeout": limits}
    try:
        if not stream:
            whole = face.run(client.chat(model, ASKED, **options))
            return "whole", whole.text, whole.usage, [c.finish_reason for c in whole.choices]
        texts = []
        opened = face.opened(client.stream(model, ASKED, **options))
        while (chunk := face.next(opened)) is not None:
            texts.append(chunk.text)
            if len(texts) == 400:  # one that never ends
                face.run(opened.close())
                return "left", texts
        return "stream", texts, opened.usage
    except APIError as error:
        partial = getattr(error.partial, "text", None)
        return type(error).__name__, error.message, error.hint, error.status, partial


def compare(
    face: Face,
    path: Path,
    names: list[str],
    limits: Timeouts | None = None,
    *,
    stream: bool = True,
    by: Callable[[tuple[Any, ...]], Any] = lambda told: told,
) -> dict[str, tuple[Any, ...]]:
    """Record, replay and compare `by` what counts."""
    client = face.client()
    models = [f"sandbox/fault-{name}" for name in names]

    def program() -> dict[str, tuple[Any, ...]]:
        return {m: outcome(face, client, m, limits or Timeouts(), stream=stream) for m in models}

    with record(path):
        first = program()
    with replay(path):
        again = program()
    assert {m: by(told) for m, told in again.items()} == {m: by(told) for m, told in first.items()}
    return first


SLOW = ("stall", "endless", "drip", "loading", "flaky", "storm", "busy")
QUICK = [name for name in FAULTS if not any(word in name for word in SLOW)]


def test_faults_of_streams_are_told_again(bare_environment, tmp_path) -> None:
    face = Face()
    streams = [name for name in QUICK if name[0].isalpha()]
    assert len(streams) > 30
    compare(face, tmp_path / "c.json", streams[::8])
    face.close()


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_every_fault_is_told_again(face: Face, bare_environment, tmp_path, stream) -> None:
    compare(face, tmp_path / "c.json", QUICK, stream=stream)


@pytest.mark.slow
def test_silent_and_endless_answers_are_told_again(face: Face, bare_environment, tmp_path) -> None:
    names = [name for name in FAULTS if "stall" in name or "endless" in name or name == "drip"]
    seen = compare(face, tmp_path / "c.json", names, BRIEF, by=lambda told: (told[0], told[3:]))
    assert {told[0] for told in seen.values()} >= {"StreamTruncated", "Timeout"}


# other faces


def test_other_streams_and_prices_are_told_again(trunkline_sandbox, tmp_path) -> None:
    model = "huggingface/together/deepseek-ai/DeepSeek-R1"

    def program() -> list[Any]:
        answered = list(trunkline.responses(model, "Hello?", stream=True))
        said = list(trunkline.messages(model, ASKED, max_tokens=50, stream=True))
        whole = trunkline.completion(model, ASKED)
        return [[str(e) for e in (*answered, *said)], whole.text, trunkline.cost(whole).amount]

    with record(tmp_path / "c.json"):
        first = program()
    count = len(trunkline_sandbox.requests)
    with replay(tmp_path / "c.json") as cassette:
        assert program() == first
    assert len(trunkline_sandbox.requests) == count
    assert cassette.requests[0]["json"]["input"] == "Hello?"


def test_a_loop_of_tools_is_told_again(tmp_path) -> None:
    def weather(city: str) -> str:
        """Tell the weather in a city."""
        return f"sunny in {city}"

    def program() -> str:
        return trunkline.run_tools("sandbox/demo", ASKED, tools=[weather]).completion.text

    with record(tmp_path / "c.json") as cassette:
        first = program()
    assert len(cassette) == len(cassette.requests) >= 2
    with replay(tmp_path / "c.json"):
        assert program() == first
