"""Questions to the catalog on the default clients; with an `a` in front, the same awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial, update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from trunkline.client import AsyncClient, Client
from trunkline.functions import default_async_client, default_client

P = ParamSpec("P")
R = TypeVar("R")


def _function(method: Callable[Concatenate[Any, P], R]) -> Callable[P, R]:
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return method(default_client(), *args, **kwargs)

    return _without_self(call, method, method.__name__)


def _async_function(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await method(default_async_client(), *args, **kwargs)

    return _without_self(call, method, f"a{method.__name__}")


F = TypeVar("F", bound=Callable[..., Any])


def _without_self(call: F, method: Callable[..., Any], name: str) -> F:
    update_wrapper(call, method)
    call.__wrapped__ = partial(method, None)  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = name
    return call


models = _function(Client.models)
model_info = _function(Client.model_info)
supports = _function(Client.supports)
cost = _function(Client.cost)
estimate = _function(Client.estimate)
plan = _function(Client.plan)

amodels = _async_function(AsyncClient.models)
amodel_info = _async_function(AsyncClient.model_info)
asupports = _async_function(AsyncClient.supports)
acost = _async_function(AsyncClient.cost)
aestimate = _async_function(AsyncClient.estimate)
aplan = _async_function(AsyncClient.plan)
