"""What the configuration must say of the store. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trunkline.gateway.config import StoreConfig
from trunkline.gateway.config_problems import Problem, Where
from trunkline.store.urls import is_url, wrong_with, wrong_with_redis

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URL: Where = ("store", "url")


def store_problems(store: StoreConfig) -> Iterator[Problem]:
    """Yield what is wrong with where the store is; a URL is never repeated, it may have a password."""
    if store.url is not None:
        wrong = wrong_with(store.url)
        if wrong is not None:
            yield Problem(
                _URL,
                f"cannot be used: {wrong}. A database is named as "
                "postgresql://user@host:5432/name, its password in password_env.",
            )
        if store.path is not None:
            yield Problem(
                _URL, "and store.path are both set; one store serves: leave one of them out."
            )
    if store.path is not None and is_url(store.path):
        yield Problem(("store", "path"), "is a URL; it belongs into store.url.")
    yield from _redis(store.redis_url)
    yield from _password_env("password_env", store.password_env, "url", store.url)
    yield from _password_env(
        "redis_password_env", store.redis_password_env, "redis_url", store.redis_url
    )


def _redis(url: str | None) -> Iterator[Problem]:
    wrong = None if url is None else wrong_with_redis(url)
    if wrong is not None:
        yield Problem(
            ("store", "redis_url"),
            f"cannot be used: {wrong}. A server is named as redis://host:6379/0, its password in "
            "redis_password_env.",
        )


def _password_env(
    key: str, variable: str | None, needs: str, needed: str | None
) -> Iterator[Problem]:
    if variable is None:
        return
    if not _VARIABLE.fullmatch(variable):
        yield Problem(
            ("store", key),
            "must be the name of an environment variable, such as "
            '"TRUNKLINE_STORE_PASSWORD". The password itself is not written in the file.',
        )
    elif needed is None:
        yield Problem(("store", key), f"is for store.{needs}, which is not set.")
