"""The faces of the APIs beside chat: blocking and awaiting alike, as functions and as methods."""

from __future__ import annotations

import asyncio
import inspect
import typing

import pytest

from trunkline import AsyncClient, Client, answer_functions, set_default_client
from trunkline.settings import read_settings
from trunkline.streams import AsyncEventStream, EventStream

NAMES = ("responses", "messages", "text_completion")
ASKED = {
    "responses": ("Hello?", {}),
    "messages": ([{"role": "user", "content": "Hello?"}], {"max_tokens": 9}),
    "text_completion": ("Hello?", {"max_tokens": 9}),
}
every_name = pytest.mark.parametrize("name", NAMES)


def parameters(face) -> list[tuple]:
    found = inspect.signature(face).parameters.values()
    return [(p.name, p.kind, p.default, p.annotation) for p in found if p.name != "self"]


@every_name
def test_all_four_faces_take_the_same(name: str) -> None:
    faces = [
        getattr(Client, name),
        getattr(AsyncClient, name),
        getattr(answer_functions, name),
        getattr(answer_functions, f"a{name}"),
    ]
    assert all(parameters(face) == parameters(faces[0]) for face in faces)
    overloads = [[parameters(one) for one in typing.get_overloads(face)] for face in faces]
    assert len(overloads[0]) == 3
    assert all(those == overloads[0] for those in overloads)


@pytest.mark.parametrize(
    ("blocking", "awaiting"),
    [(EventStream, AsyncEventStream)],
)
def test_the_streams_have_the_same_names(blocking, awaiting) -> None:
    public = [{n for n in vars(kind) if not n.startswith("_")} for kind in (blocking, awaiting)]
    assert public[0] == public[1] - {"aclose"}


@every_name
def test_the_functions_use_the_default_clients(name: str) -> None:
    asked, more = ASKED[name]
    awaiting = AsyncClient(settings=read_settings({}))
    set_default_client(Client(settings=read_settings({})), awaiting)
    try:
        ask = getattr(answer_functions, name)
        whole = ask("sandbox/demo", asked, **more)
        assert whole.text
        with ask("sandbox/demo", asked, stream=True, **more) as stream:
            assert stream.collect().text == "".join(_texts(name, asked, more))

        async def main() -> None:
            ask = getattr(answer_functions, f"a{name}")
            assert (await ask("sandbox/demo", asked, **more)).text
            async with await ask("sandbox/demo", asked, stream=True, **more) as stream:
                assert (await stream.collect()).text
            await awaiting.close()

        asyncio.run(main())
    finally:
        set_default_client()


def _texts(name: str, asked: object, more: dict[str, object]) -> list[str]:
    return list(getattr(answer_functions, name)("sandbox/demo", asked, stream=True, **more).text)
