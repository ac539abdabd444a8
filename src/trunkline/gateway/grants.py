"""Who may do what to which key, and that nobody gives more than they have. Pure rules on values."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.gateway.wishes import RefusedError
from trunkline.store.records import Budget, Key, Limits, Scope

READERS = frozenset({"viewer", "admin"})
"""Roles that see everything."""
LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")


def sees(caller: Key, team: str | None) -> bool:
    """Tell whether `caller` may know of what belongs to `team`."""
    if caller.role in READERS:
        return True
    return caller.role == "team-admin" and caller.team is not None and caller.team == team


def check_rule(caller: Key, key: Key) -> None:
    """Refuse, unless `caller` may change `key` as it stands; raises RefusedError."""
    if caller.role == "admin":
        return
    if caller.role != "team-admin" or caller.team is None or key.team != caller.team:
        raise _forbidden("Your key may not change this one.")
    if key.role != "caller":
        raise _forbidden(f"A team-admin may not change a key with the role {key.role!r}.", "role")


def check_grant(grantor: Key, key: Key) -> None:
    """Refuse, unless `grantor` may hand out `key`: all of it within what is its own."""
    check_rule(grantor, key)
    if grantor.role == "admin":
        return
    field = too_wide(grantor, key)
    if field is not None:
        raise _forbidden(f"A key may not have wider {field} than the one that grants it.", field)


def too_wide(grantor: Key, key: Key) -> str | None:
    """Return the field in which `key` has more than `grantor`, if there is one."""
    if not _within_scope(grantor.scope, key.scope):
        return "scope"
    if not _within_limits(grantor.limits, key.limits):
        return "limits"
    if not all(_is_kept(budget, key.budgets) for budget in grantor.budgets):
        return "budgets"
    if grantor.priority == "batch" != key.priority:
        return "priority"
    longest = grantor.deadline_seconds
    if longest is not None and (key.deadline_seconds is None or key.deadline_seconds > longest):
        return "deadline_seconds"
    if grantor.expires is not None and (key.expires is None or key.expires > grantor.expires):
        return "expires"
    return None


def covers(granted: str, wanted: str) -> bool:
    """Tell whether the pattern `granted` matches all that `wanted`, a name or a pattern, does.

    `*` is any run of characters. A star in `wanted` can only be matched by one in `granted`, so it is
    one more character here. Linear in the pieces: no backtracking.
    """
    pieces = granted.split("*")
    if len(pieces) == 1:
        return granted == wanted
    first, *middle, last = pieces
    if len(wanted) < len(first) + len(last):
        return False
    if not wanted.startswith(first) or not wanted.endswith(last):
        return False
    at, end = len(first), len(wanted) - len(last)
    for piece in middle:
        found = wanted.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _within_scope(granted: Scope, wanted: Scope) -> bool:
    return (
        _all_covered(granted.models, wanted.models)
        and _all_covered(granted.providers, wanted.providers)
        and _all_covered(granted.endpoints, wanted.endpoints)
    )


def _all_covered(granted: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if not granted:
        return True
    return bool(wanted) and all(any(covers(mine, one) for mine in granted) for one in wanted)


def _within_limits(granted: Limits, wanted: Limits) -> bool:
    for name in LIMITS:
        mine, asked = getattr(granted, name), getattr(wanted, name)
        if mine is not None and (asked is None or asked > mine):
            return False
    return True


def _is_kept(granted: Budget, wanted: Iterable[Budget]) -> bool:
    """A month's budget that is within a day's keeps the day's, too."""
    return any(
        budget.amount <= granted.amount and budget.period in (granted.period, "month")
        for budget in wanted
    )


def _forbidden(message: str, param: str | None = None) -> RefusedError:
    return RefusedError(message, status=403, code="not_allowed", param=param)
