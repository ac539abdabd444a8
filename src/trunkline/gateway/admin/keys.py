"""What the routes of `/admin/keys` do."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from trunkline.gateway import keyring
from trunkline.gateway.admin.table import Visit
from trunkline.gateway.admin.views import KeyMade, KeyPage, KeyView, key_view, key_views
from trunkline.gateway.grants import sees
from trunkline.gateway.wishes import RefusedError
from trunkline.store.records import Key

PageSize = Annotated[int, Meta(ge=1, le=1000)]


class KeysQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which keys to list."""

    team: str = ""
    owner: str = ""
    limit: PageSize = 100
    cursor: str = ""


def list_keys(visit: Visit) -> KeyPage:
    """List the keys that the caller may see."""
    query: KeysQuery = visit.query
    every = visit.parts.store.keys()
    seen = [key for key in every if _is_asked(key, query, visit.caller)]
    seen.sort(key=lambda key: (key.created, key.id), reverse=True)
    start = 0
    if query.cursor:
        ids = [key.id for key in seen]
        if query.cursor not in ids:
            raise RefusedError("The cursor is none of a page before.", param="cursor")
        start = ids.index(query.cursor) + 1
    page = seen[start : start + query.limit]
    secrets = visit.parts.store.secrets()
    more = len(seen) > start + query.limit
    return KeyPage(key_views(page, secrets, visit.now), page[-1].id if more else None)


def create_key(visit: Visit) -> KeyMade:
    """Make a key."""
    made = keyring.issue(visit.parts.store, visit.body, visit.caller, visit.now)
    return _made(visit, *made)


def get_key(visit: Visit) -> KeyView:
    """Show one key."""
    return _shown(visit, keyring.find(visit.parts.store, visit.path["id"], visit.caller))


def change_key(visit: Visit) -> KeyView:
    """Change a key."""
    store = visit.parts.store
    key = keyring.change(store, visit.path["id"], visit.body, visit.caller, visit.now)
    return _shown(visit, key)


def rotate_key(visit: Visit) -> KeyMade:
    """Give a key a new secret."""
    overlap = visit.body.overlap_seconds
    store = visit.parts.store
    made = keyring.rotate(store, visit.path["id"], overlap, visit.caller, visit.now)
    return _made(visit, *made)


def revoke_key(visit: Visit) -> KeyView:
    """Take a key back."""
    key = keyring.revoke(visit.parts.store, visit.path["id"], visit.caller, visit.now)
    return _shown(visit, key)


def _is_asked(key: Key, query: KeysQuery, caller: Key) -> bool:
    return (
        sees(caller, key.team) and query.team in ("", key.team) and query.owner in ("", key.owner)
    )


def _shown(visit: Visit, key: Key) -> KeyView:
    return key_view(key, visit.parts.store.secrets(), visit.now)


def _made(visit: Visit, key: Key, secret: str) -> KeyMade:
    return KeyMade(_shown(visit, key), secret)
