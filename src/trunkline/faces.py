"""The task functions' four faces: a method of each client, and a function, blocking and awaited.

What a task takes and brings is said once, in `tasks/`; these give it to a client to carry out.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from trunkline.calls import Calls
from trunkline.routing.ask import Ask

P = ParamSpec("P")
R = TypeVar("R")
Asking = Callable[Concatenate[Calls, P], Ask[R]]
"""Makes a call of its arguments; the first one, the maker of calls, is the client's affair."""


class Blocking(Protocol):
    """A client that carries out a call before it returns."""

    def carry_out(self, asking: Asking[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the call brings; raises APIError."""
        ...


class Awaiting(Protocol):
    """A client that carries out a call when it is awaited."""

    def carry_out(self, asking: Asking[P, R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Return what the call brings; raises APIError."""
        ...


def _named(asking: Asking[P, R]) -> Asking[P, R]:
    """Have `help()` show what a task brings, not that it is asked for first."""
    shown = asking.__annotations__.get("return", "")
    if isinstance(shown, str) and shown.startswith("Ask["):
        asking.__annotations__["return"] = shown[4:-1]
    return asking


def method(asking: Asking[P, R]) -> Callable[Concatenate[Any, P], R]:
    """Return a blocking client's method of a task."""

    def call(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.carry_out(asking, *args, **kwargs)

    return functools.update_wrapper(call, _named(asking))


def async_method(asking: Asking[P, R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Return an awaiting client's method of a task."""

    async def call(self: Awaiting, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.carry_out(asking, *args, **kwargs)

    return functools.update_wrapper(call, _named(asking))


def function(asking: Asking[P, R], client: Callable[[], Blocking]) -> Callable[P, R]:
    """Return a function of a task, on the client that is the default when it is called."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return client().carry_out(asking, *args, **kwargs)

    return _without_calls(call, asking)


def async_function(
    asking: Asking[P, R], client: Callable[[], Awaiting]
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Return a function of a task, awaited, on the client that is the default then."""

    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await client().carry_out(asking, *args, **kwargs)

    found = _without_calls(call, asking)
    found.__name__ = found.__qualname__ = f"a{asking.__name__}"
    return found


CallT = TypeVar("CallT", bound=Callable[..., Any])


def _without_calls(call: CallT, asking: Callable[..., Any]) -> CallT:
    """Give `call` the name and text of `asking`, and its signature but for the first argument."""
    functools.update_wrapper(call, _named(asking))
    call.__wrapped__ = functools.partial(asking, None)  # type: ignore[attr-defined]
    return call
