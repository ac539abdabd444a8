"""What may be said of sites whose scripts call. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trunkline.gateway.config import Cors
from trunkline.gateway.config_problems import Problem, quoted

_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://([a-z0-9_](?:[a-z0-9_.-]*)|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
)
_USUAL = {("http", ":80"), ("https", ":443")}
_METHODS = frozenset({"GET", "POST", "PUT"})
_HEADER = re.compile(r"[A-Za-z0-9_*-]+")


def cors_problems(cors: Cors) -> Iterator[Problem]:
    """Yield everything that is wrong with what is said of other sites."""
    for at, origin in enumerate(cors.origins):
        says = _origin_problem(origin)
        if origin == "*" and len(cors.origins) > 1:
            says = "is every site; leave the others out, or this one."
        if says:
            yield Problem(("cors", "origins", at), says)
    for at, method in enumerate(cors.methods):
        if method not in _METHODS:
            says = f"is {quoted(method)}; what is served to scripts takes GET, POST and PUT."
            yield Problem(("cors", "methods", at), says)
    for at, name in enumerate(cors.headers):
        if not _HEADER.fullmatch(name):
            says = f"is {quoted(name)}; allowed is a header's name, in which * is any run of characters."
            yield Problem(("cors", "headers", at), says)


def _origin_problem(origin: str) -> str:
    if origin == "*":
        return ""
    if origin.lower() == "null":
        return "is what any sandboxed page sends: it names no site. Serve the page from an address."
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return (
            f"is {quoted(origin)}; allowed is an origin as browsers send it, in small letters and "
            "without a path, such as https://chat.example.org or http://localhost:5173."
        )
    if (found[1], found[3]) in _USUAL:
        return f"has the usual port, which browsers leave out: {origin.removesuffix(found[3])}."
    return ""
