"""The prompts that come with Trunkline: short questions whose answers show what is wrong with a place."""

from __future__ import annotations

import pkgutil
from functools import cache
from typing import Any

import msgspec

from trunkline.bench.prompts import Expect, Prompt, prompt_of

NEEDLE_TOKENS = 4_000
"""Length of the long prompt unless another is asked for."""
_BYTES_A_TOKEN = 4
_PHRASE = "amber falcon 92"
_DEPTH = 0.08
"""Where in the long text the needle is: a context that is cut short loses its beginning."""
_ROOMS = ("cellar", "library", "kitchen", "attic", "stable", "chapel", "armoury", "orchard")
_STATES = ("in order", "lit at dusk", "cleaned", "checked twice", "without a flaw", "refilled")


@cache
def canaries() -> tuple[Prompt, ...]:
    """Return the short ones, as the package's file has them."""
    data = pkgutil.get_data("trunkline.bench", "canaries.json") or b"[]"
    rows = msgspec.json.decode(data, type=list[dict[str, Any]])
    return tuple(_canary(row) for row in rows)


def needle(tokens: int = NEEDLE_TOKENS) -> Prompt:
    """Return a long text with a phrase near its beginning, which is asked for at the end."""
    lines: list[str] = []
    size, at = 0, int(tokens * _BYTES_A_TOKEN * _DEPTH)
    hidden = False
    while size < tokens * _BYTES_A_TOKEN or not hidden:
        number = len(lines) + 1
        if not hidden and size >= at:
            lines.append(f"{number}. The pass phrase of the archive is: {_PHRASE}.")
            hidden = True
        else:
            room, state = _ROOMS[number * 5 % 8], _STATES[number * 7 % 6]
            lines.append(f"{number}. The lamp in the {room} was found {state}.")
        size += len(lines[-1]) + 1
    told = "\n".join(lines)
    asked = "What is the pass phrase of the archive? Answer with the phrase only."
    return Prompt(
        name="needle",
        messages=({"role": "user", "content": f"A log of a house:\n\n{told}\n\n{asked}"},),
        expect=Expect("contains", _PHRASE),
        looks_at="long context",
        context=tokens + tokens // 4,
    )


def _canary(row: dict[str, Any]) -> Prompt:
    """Make a prompt of a row, which has fields that users' prompts have not."""
    more = {name: row.pop(name) for name in ("looks_at", "weight") if name in row}
    return msgspec.structs.replace(prompt_of(row, row["name"]), **more)


def built_in(context: int = NEEDLE_TOKENS) -> tuple[Prompt, ...]:
    """Return all of them; with a `context` of 0 without the long one."""
    return (*canaries(), needle(context)) if context else canaries()
