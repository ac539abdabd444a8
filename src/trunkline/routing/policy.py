"""What a route is to be: in which order places are asked, which are left out, when to go on. Pure.

A caller writes a word (`"fastest"`), a list of places (`["groq", "together"]`), a mapping or a Policy;
`read_policy` makes a checked Policy of each, so that what cannot be meant is refused before a call is made.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec

from trunkline.errors import InvalidInputError
from trunkline.providers.prices import exact
from trunkline.types.route import RouteLike

Order = Literal["fixed", "fastest", "cheapest", "balanced", "weighted", "sticky"]
By = Literal["first_token", "throughput"]
OnCut = Literal["error", "restart", "continue", "hold"]
Reason = Literal["content", "capability"]
"""What a call moves on for only where its route names it: refusals that may be the caller's own doing."""
Need = Literal["tools", "vision", "audio", "json_schema", "reasoning"]

_ORDERS: frozenset[str] = frozenset(get_args(Order))
_CHOICES: dict[str, frozenset[str]] = {
    "order": _ORDERS,
    "by": frozenset(get_args(By)),
    "on_cut": frozenset(get_args(OnCut)),
}
_MANY: dict[str, frozenset[str]] = {
    "move_on": frozenset(get_args(Reason)),
    "needs": frozenset(get_args(Need)),
}
_LISTS = ("places", "allow", "deny", "regions", "fallbacks", "takes_prefix", *_MANY)
_ORDERED = ("places", "fallbacks")
_NAMES = ("places", "allow", "deny", "takes_prefix", "weights", "regions")
_NUMBERS = ("first_token_seconds", "hold_seconds", "max_price", "max_input_price")
_COUNTS = ("min_context", "hold_tokens")
MOST_PLACES = 50


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a call's route is made, and what is done where a place on it fails."""

    order: Order = "fixed"
    """`fixed`: as `places` has them. `fastest`, `cheapest`, `balanced` (both): by numbers. `weighted`: by
    chance. `sticky`: a session stays where it was, so that the provider's prompt cache is of use."""
    places: tuple[str, ...] = ()
    """Providers (`groq`), or whole model strings; empty is every provider that serves the model."""
    by: By = "first_token"
    """What `fastest` and `balanced` go by."""
    weights: dict[str, float] = {}
    """For `weighted`: parts of the calls by place; a place without one gets 1, one with 0 none."""
    max_price: Decimal | None = None
    """US dollars for a million tokens that neither price may exceed."""
    max_input_price: Decimal | None = None
    """The same, of the price of input alone."""
    min_context: int | None = None
    """Tokens that the context has to hold."""
    needs: frozenset[Need] = frozenset()
    """What has to be known to work there."""
    allow: frozenset[str] = frozenset()
    """Providers that may be asked; empty is all."""
    deny: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    """Regions (`eu`) of which a provider must be known to be; empty is anywhere."""
    fallbacks: tuple[str, ...] = ()
    """Models that are asked after every place of the call's own has failed, in their order."""
    move_on: frozenset[Reason] = frozenset()
    """Refusals that send a call on; they end it where they are not named here."""
    on_cut: OnCut = "error"
    """What is done where a stream breaks after its first token."""
    hold_tokens: int | None = None
    """For `hold`: how many tokens are kept back before the first is delivered."""
    hold_seconds: float | None = None
    """For `hold`: how long. With neither, everything is kept back until the end."""
    takes_prefix: frozenset[str] = frozenset()
    """For `continue`: the places that are known to go on from a beginning of their answer."""
    first_token_seconds: float = 10.0
    """How long a place may be silent while another one remains."""
    hedge: bool = False
    """Whether a second place is asked too where the first is slower than it nearly ever is."""

    def __post_init__(self) -> None:
        """Read lists and prices as they are written; raises InvalidInputError for what cannot be meant."""
        put = msgspec.structs.force_setattr
        for name in _LISTS:
            value = getattr(self, name)
            if not isinstance(value, tuple if name in _ORDERED else frozenset):
                put(self, name, _listed(name, value))
        for name in ("max_price", "max_input_price"):
            value = getattr(self, name)
            if value is not None:
                put(self, name, _price(name, value))
        _check(self)

    @property
    def title(self) -> str:
        """The policy in a few words."""
        by = f" by {self.by.replace('_', ' ')}" if self.order in ("fastest", "balanced") else ""
        return self.order + by


def read_policy(given: RouteLike) -> Policy:
    """Return the policy that a caller means; raises InvalidInputError for what cannot be meant.

    A word is an order; a list is places in a fixed order; a mapping has a Policy's fields.
    """
    if isinstance(given, Policy):
        return given
    if isinstance(given, str):
        if given not in _ORDERS - {"fixed", "weighted"}:
            raise _no_word("route", given, _ORDERS - {"fixed", "weighted"})
        return Policy(order=given)  # type: ignore[arg-type]  # one of them, as has been looked
    if isinstance(given, Mapping):
        return _of_mapping(given)
    if isinstance(given, Sequence):
        return _of_mapping({"places": given})
    raise InvalidInputError(
        f"route is a {type(given).__name__}; a policy's name, a list of providers or a Policy is expected."
    )


def in_small_letters(policy: Policy) -> Policy:
    """Return a policy whose providers are written as Hugging Face writes them: `Groq` is `groq`."""
    changed: dict[str, Any] = {}
    for name in _NAMES:
        value = getattr(policy, name)
        small = [_small(place) for place in value]
        if isinstance(value, dict):
            folded: Any = dict(zip(small, value.values(), strict=True))
        else:
            folded = type(value)(small)
        if folded != value:
            changed[name] = folded
    return msgspec.structs.replace(policy, **changed) if changed else policy


def _small(place: str) -> str:
    return place if "/" in place else place.lower()


def _of_mapping(given: Mapping[str, Any]) -> Policy:
    known = Policy.__struct_fields__
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidInputError(f"A route has no field {name!r}.{meant}")
    fields = {name: value for name, value in given.items() if value is not None}
    return Policy(**{n: _listed(n, v) if n in _LISTS else v for n, v in fields.items()})


def _listed(name: str, value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidInputError(f"The route's {name} is {value!r:.80}; a list is expected.")
    items = tuple(value)
    if not items:
        raise InvalidInputError(
            f"The route's {name} is an empty list.", hint="Leave it out if it is to mean all."
        )
    if not all(isinstance(item, str) and item for item in items):
        raise InvalidInputError(f"The route's {name} may hold names only: {items!r:.120}.")
    return items if name in _ORDERED else frozenset(items)


def _price(name: str, value: Any) -> Decimal:
    found = exact(value)
    if found is None:
        raise InvalidInputError(
            f"The route's {name} is {value!r:.80}; dollars for a million tokens are expected."
        )
    return found


def _check(policy: Policy) -> None:
    for name, known in _CHOICES.items():
        word = getattr(policy, name)
        if not isinstance(word, str) or word not in known:
            raise _no_word(f"the route's {name}", word, known)
    if type(policy.hedge) is not bool:
        raise InvalidInputError(
            f"The route's hedge is {policy.hedge!r:.80}; True or False is expected."
        )
    for name, known in _MANY.items():
        for word in getattr(policy, name):
            if word not in known:
                raise _no_word(f"the route's {name}", word, known)
    for name in _NUMBERS:
        _check_number(name, getattr(policy, name))
    for name in _COUNTS:
        value = getattr(policy, name)
        if value is not None and (type(value) is not int or value < 1):
            raise InvalidInputError(f"The route's {name} is {value!r:.80}; 1 or more is expected.")
    _check_places(policy)
    _check_weights(policy)
    _check_together(policy)


def _check_number(name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise InvalidInputError(f"The route's {name} is {value!r:.80}; a number is expected.")
    if not math.isfinite(value) or value < 0 or (value == 0 and name.endswith("seconds")):
        raise InvalidInputError(f"The route's {name} is {value}; it has to be finite and above 0.")


def _check_places(policy: Policy) -> None:
    for name in ("places", "fallbacks"):
        found: tuple[str, ...] = getattr(policy, name)
        twice = next((place for at, place in enumerate(found) if place in found[:at]), None)
        if twice is not None:
            raise InvalidInputError(f"The route's {name} has {twice!r} twice.")
        if len(found) > MOST_PLACES:
            raise InvalidInputError(
                f"The route's {name} has {len(found)} entries; {MOST_PLACES} are the most."
            )


def _check_weights(policy: Policy) -> None:
    weights: Any = policy.weights
    if not isinstance(weights, dict) or not all(isinstance(place, str) for place in weights):
        raise InvalidInputError(
            f"The route's weights are {weights!r:.80}; a number by place is expected."
        )
    for place, weight in policy.weights.items():
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight < 0:
            raise InvalidInputError(
                f"The route's weight of {place!r} is {weight!r:.40}; 0 or more is expected."
            )
    if policy.places and not any(policy.weights.get(place, 1) for place in policy.places):
        raise InvalidInputError("Every weight of the route is 0, so that no place could be asked.")
    strange = sorted(policy.weights.keys() - set(policy.places)) if policy.places else []
    if strange:
        raise InvalidInputError(
            f"The route has a weight of {strange[0]!r}, which is none of its places."
        )


def _check_together(policy: Policy) -> None:
    if policy.weights and policy.order != "weighted":
        raise InvalidInputError(
            f"The route has weights, and its order is {policy.order!r}.",
            hint='Write order="weighted".',
        )
    both = sorted(policy.allow & policy.deny)
    if both:
        raise InvalidInputError(f"The route both allows and denies {both[0]!r}.")
    if policy.on_cut != "hold" and (policy.hold_tokens or policy.hold_seconds):
        raise InvalidInputError(
            f"The route says how long to hold, and on_cut is {policy.on_cut!r}.",
            hint='Write on_cut="hold".',
        )


def _no_word(what: str, given: Any, known: Iterable[str]) -> InvalidInputError:
    words = ", ".join(sorted(known))
    near = difflib.get_close_matches(str(given), list(known), n=1)
    return InvalidInputError(
        f"{what} is {given!r:.80}; one of these is expected: {words}.",
        hint=f"Did you mean {near[0]!r}?" if near else None,
    )
