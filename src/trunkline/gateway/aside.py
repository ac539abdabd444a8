"""Work on one request that takes long enough to be felt by others: done in steps, between other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar

from trunkline.dialects.openai_rules import RequestError
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.pages import failed

T = TypeVar("T")


class Aside:
    """Takes such work, and goes on with what came of it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(
        self,
        exchange: Exchange,
        work: Generator[None, None, T],
        then: Callable[[T | RequestError], None],
    ) -> None:
        """Do `work` step by step, then call `then` with what came: its result, or what is wrong.

        Nothing follows if the client has left meanwhile.
        """
        task = asyncio.get_running_loop().create_task(_do(exchange, work, then))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _do(
    exchange: Exchange,
    work: Generator[None, None, T],
    then: Callable[[T | RequestError], None],
) -> None:
    try:
        while not exchange.gone:
            try:
                next(work)
            except StopIteration as end:
                then(end.value)
                return
            except RequestError as wrong:
                then(wrong.with_traceback(None))  # which would hold what is large
                return
            await asyncio.sleep(0)
    except Exception:
        failed(exchange)
    finally:
        work.close()
