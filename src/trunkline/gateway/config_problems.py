"""What is wrong with a configuration: where, in words that say what to do; keys' dotted names.

Pure values. Nothing here shows what looks like a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from trunkline.errors import ConfigurationError

Where = tuple[str | int, ...]
"""A place in the configuration: `("listen", "port")`; numbers count the items of lists."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# Narrower than `secret_shapes`, which may hide a harmless word: here one would be refused.
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{8,}|api_org_[A-Za-z0-9]{8,}"  # Hugging Face
    r"|(?:tl|sk|csk|pplx|xai|nvapi)-(?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{16,}"  # ours, OpenAI's, ...
    r"|(?:gsk|fw|r8)_[A-Za-z0-9]{16,}|tgp_v1_[A-Za-z0-9_-]{16,}"  # Groq, Fireworks, Replicate, ...
    r"|gh[a-z]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"  # JSON web tokens
    r"|[Bb]earer [A-Za-z0-9._~+/-]{8,}"
    r")"
)


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    where: Where
    says: str
    """The rest of the sentence that the key's name begins."""
    spoils: tuple[Where, ...] = ()
    """Other places whose value is therefore not what was meant."""
    leans_on: tuple[Where, ...] = ()
    """Places that have to be right for this to be one."""
    leaks: bool = False
    """Whether a key stands there."""


def dotted(where: Where) -> str:
    """Return a place as TOML has it: `upstreams.vllm.prices."org/model".input`, `targets[0]`."""
    said = ""
    for part in where:
        if isinstance(part, int):
            said += f"[{part}]"
        else:
            said += f"{'.' if said else ''}{_written(part)}"
    return said


def _written(name: str) -> str:
    if looks_secret(name):
        return '"****"'
    if _BARE.fullmatch(name):
        return name
    return msgspec.json.encode(name[:200]).decode()


def looks_secret(text: str) -> bool:
    """Tell whether there is something in `text` that has the form of a key or token."""
    return _TOKEN.search(text) is not None


def masked(text: str) -> str:
    """Return `text` without what looks like a key."""
    return _TOKEN.sub("****", text)


def quoted(text: str) -> str:
    """Return a value for a message: in quotes, short, and masked."""
    return masked(repr(text if len(text) <= 80 else f"{text[:77]}..."))


def meant(name: str, names: Iterable[str]) -> str | None:
    """Return the name that `name` is probably a misspelling of."""
    import difflib  # slow to load and rarely needed

    known = {each.lower().replace("-", "_"): each for each in names}
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    return known[near[0]] if near else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a sentence that suggests, with a space before it; empty where nothing is near."""
    near = meant(name, names)
    return f" Did you mean {quoted(near)}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Return names for a message: `a, b and c`, or `nothing`."""
    known = [masked(name) for name in names]
    if len(known) < 2:
        return known[0] if known else "nothing"
    return f"{', '.join(known[:-1])} and {known[-1]}"


def standing(problems: Sequence[Problem], later: Iterable[Problem]) -> list[Problem]:
    """Return `problems`, and those of `later` that are not mere consequences of them."""
    spoilt = {place for problem in problems for place in (problem.where, *problem.spoils)}

    def is_spoilt(where: Where) -> bool:
        return any(where[:end] in spoilt for end in range(1, len(where) + 1))

    return [
        *problems,
        *(p for p in later if not any(map(is_spoilt, (p.where, *p.leans_on)))),
    ]


def as_error(
    problems: Sequence[Problem], origin: Callable[[Where], tuple[str, int]]
) -> ConfigurationError:
    """Return one error that tells every problem; `origin` says where a value is from, and its line."""
    found = sorted(((origin(problem.where), problem) for problem in problems), key=_by_line)
    lines = [f"{place}: {dotted(p.where)} {p.says}" for (place, _), p in found]
    if len(lines) == 1:
        return ConfigurationError(lines[0])
    return ConfigurationError(
        f"The configuration has {len(lines)} errors.\n" + "\n".join(f"  {line}" for line in lines)
    )


def _by_line(found: tuple[tuple[str, int], Problem]) -> int:
    return found[0][1]
