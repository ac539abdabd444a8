"""What the routes of `/admin/accounts` do: budgets and limits that keys share."""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.gateway.admin.table import Visit
from trunkline.gateway.admin.views import AccountList, AccountView, account_view
from trunkline.gateway.grants import sees
from trunkline.gateway.wishes import RefusedError, read_account
from trunkline.store.records import Account, AccountKind, Key


class AccountsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which accounts to list."""

    kind: Literal["owner", "team", ""] = ""


def list_accounts(visit: Visit) -> AccountList:
    """List the accounts that the caller may see."""
    asked = visit.query.kind
    accounts = [
        account
        for account in visit.parts.store.accounts()
        if _sees(visit.caller, account) and asked in ("", account.kind)
    ]
    accounts.sort(key=lambda account: (account.kind, account.name))
    return AccountList([account_view(account) for account in accounts])


def get_account(visit: Visit) -> AccountView:
    """Show one account."""
    kind, name = kind_of(visit.path["kind"]), visit.path["name"]
    for account in visit.parts.store.accounts():
        if (account.kind, account.name) == (kind, name) and _sees(visit.caller, account):
            return account_view(account)
    raise _unknown()


def put_account(visit: Visit) -> AccountView:
    """Set an account's budgets and limits."""
    account = read_account(kind_of(visit.path["kind"]), visit.path["name"], visit.body)
    visit.parts.store.put_account(account)
    return account_view(account)


def delete_account(visit: Visit) -> AccountView:
    """Forget an account's budgets and limits."""
    shown = get_account(visit)
    if not visit.parts.store.drop_account(shown.kind, shown.name):
        raise _unknown()
    return shown


def kind_of(text: str) -> AccountKind:
    """Read an account's kind; raises RefusedError."""
    if text == "owner":
        return "owner"
    if text == "team":
        return "team"
    raise _unknown()


def _sees(caller: Key, account: Account) -> bool:
    return sees(caller, account.name if account.kind == "team" else None)


def _unknown() -> RefusedError:
    message = "No budgets or limits are kept for such an account."
    return RefusedError(message, status=404, code="account_not_found")
