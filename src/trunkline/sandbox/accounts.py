"""Who asks the sandbox: what a token's form says of its account, and how Hugging Face refuses it.

Any token that begins with `hf_` is good, save those that say otherwise: `hf_invalid...`,
`hf_nocredits...` and `hf_nopermission...`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.sandbox.reply import Reply, json_reply

USER = "sandbox-user"
NO_CREDITS = (
    "You have depleted your monthly included credits. Purchase pre-paid credits to continue using "
    "Inference Providers. Alternatively, subscribe to PRO to get 20x more included usage."
)
NO_PERMISSION = (
    "This authentication method does not have sufficient permissions to call Inference Providers "
    f"on behalf of user {USER}"
)
GATED = "You cannot access this model unless you agree to its conditions, accepting the terms."
BAD_TOKEN = "Invalid username or password."  # noqa: S105  # what Hugging Face says
BAD_HEADER = "Invalid credentials in Authorization header"


class Account(msgspec.Struct, frozen=True):
    """What a token stands for."""

    credits: bool = True
    permitted: bool = True


def find_account(headers: dict[str, str]) -> Account | None:
    """Return the account of a request's token; None for no token, or none that is valid."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token.startswith("hf_") or token.startswith("hf_invalid"):
        return None
    return Account(
        credits=not token.startswith("hf_nocredits"),
        permitted=not token.startswith("hf_nopermission"),
    )


def refusal(
    headers: dict[str, str], orgs: tuple[str, ...], *, anonymous: bool = False
) -> Reply | None:
    """Return the answer to a call that the account may not make; None where it may."""
    if anonymous and "authorization" not in headers:
        return None
    account = find_account(headers)
    if account is None:
        given = headers.get("authorization", "")
        return unauthorized(BAD_HEADER if given and " " not in given.strip() else BAD_TOKEN)
    if not account.permitted:
        return json_reply(403, {"error": NO_PERMISSION}, ("x-error-message", NO_PERMISSION))
    payer = headers.get("x-hf-bill-to")
    if payer is not None and payer not in orgs:
        return unauthorized(f"You are not allowed to bill Inference Providers to {_shown(payer)}")
    if not account.credits:
        return json_reply(402, {"error": NO_CREDITS})
    return None


def unauthorized(message: str) -> Reply:
    """Return a 401 as Hugging Face gives it."""
    return json_reply(
        401,
        {"error": message},
        ("www-authenticate", 'Bearer realm="Authentication required", charset="UTF-8"'),
        ("x-error-message", message),
    )


def whoami(account: Account, orgs: tuple[str, ...]) -> dict[str, Any]:
    """Return what the Hub tells of an account."""
    granted = ["inference.serverless.write"] if account.permitted else []
    return {
        "type": "user",
        "id": "5f0000000000000000000001",
        "name": USER,
        "fullname": "Sandbox User",
        "email": "sandbox@example.org",
        "emailVerified": True,
        "canPay": account.credits,
        "isPro": False,
        "billingMode": "prepaid",
        "periodEnd": 1_793_491_200,
        "avatarUrl": "/avatars/sandbox.svg",
        "orgs": [_org(index, name) for index, name in enumerate(orgs)],
        "auth": {
            "type": "access_token",
            "accessToken": {
                "displayName": "sandbox",
                "role": "fineGrained",
                "createdAt": "2026-10-01T00:00:00.000Z",
                "fineGrained": {
                    "canReadGatedRepos": True,
                    "global": [],
                    "scoped": [{"entity": {"type": "user", "name": USER}, "permissions": granted}],
                },
            },
        },
    }


def _org(index: int, name: str) -> dict[str, Any]:
    return {
        "type": "org",
        "id": f"5f00000000000000000001{index:02d}",
        "name": name,
        "fullname": name,
        "email": None,
        "canPay": True,
        "isEnterprise": True,
        "roleInOrg": "admin",
    }


def _shown(text: str) -> str:
    """Return a header's value so that it can stand in another header."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)[:80].strip()
