"""The blocking and the awaiting faces take the same and have the same names."""

from __future__ import annotations

import inspect
import typing

import pytest

import trunkline
from trunkline import AsyncClient, AsyncStream, Client, Stream, acompletion, completion

ONLY_ASYNC = {"aclose"}  # what contextlib.aclosing() and async generators call it

TWINS = [
    (completion, acompletion),
    (trunkline.run_tools, trunkline.arun_tools),
    *(
        (getattr(Client, name), getattr(AsyncClient, name))
        for name in ("__init__", "chat", "stream", "close")
    ),
    *((getattr(Stream, name), getattr(AsyncStream, name)) for name in ("collect", "close")),
]


def parameters(face) -> list[tuple]:
    found = inspect.signature(face).parameters.values()
    return [(p.name, p.kind, p.default) for p in found if p.name not in ("client", "transport")]


@pytest.mark.parametrize(("blocking", "awaiting"), TWINS, ids=lambda face: face.__qualname__)
def test_twins_take_the_same(blocking, awaiting) -> None:
    assert parameters(blocking) == parameters(awaiting)
    overloads = [typing.get_overloads(face) for face in (blocking, awaiting)]
    one, other = ([parameters(face) for face in faces] for faces in overloads)
    assert one == other


@pytest.mark.parametrize(("blocking", "awaiting"), [(Client, AsyncClient), (Stream, AsyncStream)])
def test_twins_have_the_same_names(blocking, awaiting) -> None:
    public = [{n for n in vars(kind) if not n.startswith("_")} for kind in (blocking, awaiting)]
    assert public[0] == public[1] - ONLY_ASYNC
