"""The admin API: every route, once. Serving, authorisation, the document and the tests read this."""

from __future__ import annotations

from typing import Any

from trunkline.gateway.admin import accounts, keys, ledger, operations
from trunkline.gateway.admin.parts import ReloadReport
from trunkline.gateway.admin.table import Row
from trunkline.gateway.admin.views import (
    AccountList,
    AccountView,
    EntryPage,
    EntryView,
    KeyMade,
    KeyPage,
    KeyView,
)
from trunkline.gateway.spend import SpendReport
from trunkline.gateway.wishes import AccountWish, KeyChange, KeyWish, RotationWish
from trunkline.store.records import Role

ADMIN: tuple[Role, ...] = ("admin",)
GIVERS: tuple[Role, ...] = ("admin", "team-admin")
READERS: tuple[Role, ...] = ("admin", "viewer")
ALL: tuple[Role, ...] = ("admin", "team-admin", "viewer")
"""A team-admin sees what is its team's, and nothing else."""

_KEY, _ACCOUNT = "/admin/keys/{id}", "/admin/accounts/{kind}/{name}"

# fmt: off
ROUTES: tuple[Row, ...] = (
    Row("GET", "/admin/keys", ALL, keys.list_keys, KeyPage,
        "List keys, the newest first.", query=keys.KeysQuery),
    Row("POST", "/admin/keys", GIVERS, keys.create_key, KeyMade,
        "Make a key; its secret is in the answer and nowhere else.",
        body=KeyWish, status=201, changes=True),
    Row("GET", _KEY, ALL, keys.get_key, KeyView, "Show a key."),
    Row("PATCH", _KEY, GIVERS, keys.change_key, KeyView,
        "Change a key; what is left out stays.", body=KeyChange, changes=True),
    Row("POST", f"{_KEY}/rotate", GIVERS, keys.rotate_key, KeyMade,
        "Give a key a new secret.", body=RotationWish, changes=True),
    Row("POST", f"{_KEY}/revoke", GIVERS, keys.revoke_key, KeyView,
        "Take a key back, for good.", changes=True),
    Row("GET", "/admin/accounts", ALL, accounts.list_accounts, AccountList,
        "List owners and teams that have budgets or limits.", query=accounts.AccountsQuery),
    Row("GET", _ACCOUNT, ALL, accounts.get_account, AccountView, "Show an account."),
    Row("PUT", _ACCOUNT, ADMIN, accounts.put_account, AccountView,
        "Set an account's budgets and limits.", body=AccountWish, changes=True),
    Row("DELETE", _ACCOUNT, ADMIN, accounts.delete_account, AccountView,
        "Forget an account's budgets and limits.", changes=True),
    Row("GET", "/admin/spend", ALL, ledger.get_spend, SpendReport,
        "Add up what was spent.", query=ledger.SpendQuery, csv=True),
    Row("GET", "/admin/entries", ALL, ledger.list_entries, EntryPage,
        "List calls in the ledger, the newest first.", query=ledger.EntriesQuery),
    Row("GET", "/admin/entries/{id}", ALL, ledger.get_entry, EntryView, "Show a call."),
    Row("POST", "/admin/reload", ADMIN, operations.reload, ReloadReport,
        "Read the configuration again, on every replica; a bad one is refused and the old one stays."),
    Row("GET", "/admin/replicas", READERS, operations.replicas, operations.ReplicaList,
        "List the processes that serve from the store."),
    Row("GET", "/admin/places", READERS, operations.places, operations.PlaceList,
        "Tell how the targets of routes do."),
    Row("GET", "/admin/config", READERS, operations.config, operations.ConfigView,
        "Show the configuration and where each setting is from."),
    Row("GET", "/admin/status", READERS, operations.status, dict[str, Any],
        "Tell how the gateway is."),
    Row("GET", "/admin/openapi.json", ALL, operations.openapi, dict[str, Any],
        "Describe this API."),
)
# fmt: on
