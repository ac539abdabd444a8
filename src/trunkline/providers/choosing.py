"""Which provider's row a task goes by, and why none may: the errors that say so.

It sees what the Hub told and nothing else; which providers are known is for its caller to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trunkline import errors
from trunkline.providers.mapping import ModelMap, Problem, Serving
from trunkline.providers.table import provider_hint
from trunkline.types.tasks import TASKS

Knows = Callable[[str, str], bool]
"""Tells whether a provider, by its name, is known to serve a task."""

_RANKS = {"live": 0, "error": 2, "staging": 3}
"""In which order rows are taken; any other status is 1."""


def choose(known: ModelMap, task: str, provider: str | None, knows: Knows) -> Serving:
    """Return the row by which `task` is served: a pinned provider's, else the best one.

    Without a provider that is the first live one that `knows`, or, where none is live, the first
    whose check failed: it may work. Raises NotFoundError, PermissionDeniedError,
    AuthenticationError, ModelNotSupportedError or InvalidResponseError, with what to do.
    """
    if known.problem is not None and known.problem != "unmapped":
        raise _problem_error(known.model, provider, known.problem)
    if provider is not None:
        row = known.row(provider, task)
        if row is None:
            raise _not_served_by(known, task, provider)
        if not row.serves(task):
            raise _other_task(known, task, row)
        return row
    fitting = [row for row in known.servings if row.serves(task)]
    usable = [row for row in fitting if row.status != "staging" and knows(row.provider, task)]
    if not usable:
        raise _none_usable(known, task, fitting)
    return min(usable, key=_rank)


def _rank(row: Serving) -> int:
    return _RANKS.get(row.status, 1)


def _none_usable(known: ModelMap, task: str, fitting: list[Serving]) -> errors.APIError:
    """Say why no provider can be chosen, from the nearest reason to the farthest."""
    model = known.model
    unknown = [row for row in fitting if row.status != "staging"]
    if unknown:
        return errors.ModelNotSupportedError(
            f"{_names(unknown)} alone {_verb(unknown)} {model} for {task}, and how is not known "
            "to this version of Trunkline.",
            provider=unknown[0].provider,
            model=model,
            hint="A newer version may know it: pip install --upgrade trunkline.",
        )
    if fitting:
        return errors.ModelNotSupportedError(
            f"{_names(fitting)} {_verb(fitting)} {model} for {task} in staging only, which is for "
            "members of the provider's organisation.",
            provider=fitting[0].provider,
            model=model,
            hint=f"If you are one, name it: huggingface/{fitting[0].provider}/{model}.",
        )
    if known.servings:
        return _other_task(known, task, min(known.servings, key=_rank))
    return errors.ModelNotSupportedError(
        f"No provider serves {model}.",
        model=model,
        hint=(
            f"Models that are served: https://huggingface.co/models?inference_provider=all"
            f"&pipeline_tag={_tag(task)}. Or deploy this one as an Inference Endpoint and give its "
            "address as api_base=."
        ),
    )


def _tag(task: str) -> str:
    return "text-generation" if task == "conversational" else task


def _other_task(known: ModelMap, task: str, row: Serving) -> errors.APIError:
    model = known.model
    ours = TASKS.get(row.task)
    said = f"{row.provider} serves {model} for {row.task or 'no named task'}, not {task}"
    fitting = [other for other in known.servings if other.serves(task)]
    others = [other for other in known.servings if other is not row]
    hint = f"Others serve it: {_listed(others)}." if others else None
    if fitting:
        hint = f"For {task} it is served by {_names(fitting)}."
    return errors.ModelNotSupportedError(
        f"{said}; use {ours.function}()." if ours else f"{said}.",
        provider=row.provider,
        model=model,
        hint=hint,
    )


def _not_served_by(known: ModelMap, task: str, provider: str) -> errors.APIError:
    fitting = [row for row in known.servings if row.serves(task)]
    if fitting:
        who = f"For {task} it is served by {_names(fitting)}: name one, or no provider at all."
    elif known.servings:
        who = f"It is served by {_listed(known.servings)}."
    else:
        who = "No provider serves it."
    about = provider_hint(provider)
    return errors.ModelNotSupportedError(
        f"{provider} does not serve {known.model}.",
        provider=provider,
        model=known.model,
        hint=f"{about}\n{who}" if about else who,
    )


def _listed(rows: Iterable[Serving]) -> str:
    return ", ".join(f"{row.provider} ({row.task})" if row.task else row.provider for row in rows)


def _names(rows: list[Serving]) -> str:
    names = list(dict.fromkeys(row.provider for row in rows))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _verb(rows: list[Serving]) -> str:
    return "serves" if len({row.provider for row in rows}) == 1 else "serve"


_PROBLEM_ERRORS: dict[Problem, tuple[type[errors.APIError], str, str]] = {
    "missing": (
        errors.NotFoundError,
        "The Hub has no model {model}, or none that may be seen without the right token.",
        (
            "Check the spelling at https://huggingface.co/models. A private model needs the token "
            "of somebody who may read it: `trunkline doctor` shows which one is used."
        ),
    ),
    "gated": (
        errors.PermissionDeniedError,
        "{model} is gated, and the account has not been let in.",
        "Accept its terms at https://huggingface.co/{model}, and use that account's token.",
    ),
    "disabled": (
        errors.PermissionDeniedError,
        "Hugging Face has disabled access to {model}.",
        "https://huggingface.co/{model} may say why. Choose another model.",
    ),
    "refused": (
        errors.AuthenticationError,
        "The Hub did not accept the token when it was asked who serves {model}.",
        (
            "`trunkline doctor` shows which token is used and where it was found. New tokens: "
            "https://huggingface.co/settings/tokens."
        ),
    ),
    "unreadable": (
        errors.InvalidResponseError,
        "The Hub's answer about who serves {model} cannot be read.",
        "If HF_ENDPOINT is set, the server that it names may not be a Hub.",
    ),
}


def _problem_error(model: str, provider: str | None, problem: Problem) -> errors.APIError:
    kind, message, hint = _PROBLEM_ERRORS[problem]
    return kind(
        message.format(model=model),
        provider=provider,
        model=model,
        hint=hint.format(model=model),
        code="model_not_found" if problem == "missing" else None,
    )
