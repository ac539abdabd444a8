"""What runs at an address of one's own, as the server itself tells."""

from __future__ import annotations

import pytest

from trunkline import APIConnectionError, AsyncClient, Client, InvalidInputError
from trunkline.sandbox import serve_in_thread
from trunkline.settings import read_settings


def test_an_endpoint_tells_its_engine_model_and_limits() -> None:
    with serve_in_thread() as server, Client(settings=read_settings({})) as client:
        base = server.environment["HF_ENDPOINT"]
        tei, tgi = client.endpoint_info(f"{base}/tei"), client.endpoint_info(f"{base}/tgi")
        other = client.endpoint_info(f"{base}/v1")
    assert (tei.kind, tei.max_batch) == ("tei", 32)
    assert tei.model
    assert tei.info["max_client_batch_size"] == 32
    assert tgi.kind == "tgi"
    assert tgi.max_input
    assert (other.kind, other.model, other.guessed) == ("openai", None, False)


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_a_server_that_is_not_there_is_an_error(awaited: bool) -> None:
    import asyncio

    async def ask() -> None:
        async with AsyncClient(settings=read_settings({}), max_retries=0) as client:
            await client.endpoint_info("http://127.0.0.1:9")

    with pytest.raises(APIConnectionError, match="could not be asked"):
        if awaited:
            asyncio.run(ask())
        else:
            with Client(settings=read_settings({}), max_retries=0) as client:
                client.endpoint_info("http://127.0.0.1:9")


def test_an_address_is_needed() -> None:
    with Client(settings=read_settings({})) as client:
        with pytest.raises(InvalidInputError):
            client.endpoint_info("")
        with pytest.raises(InvalidInputError):
            client.endpoint_info("not a url")
