"""Calls that become jobs, driven by hand at any provider that queues."""

from __future__ import annotations

from typing import Any

import pytest
from hand import Hand, Outcome, answers
from task_hand import KEY, carry_task

from job_forms import Form, forms
from trunkline.errors import APIError

FILES = "https://files.example.com"
FORMS = forms(FILES)
BY_NAME = {form.provider: form for form in FORMS}
FAL, REPLICATE, WAVESPEED = (BY_NAME[name] for name in ("fal-ai", "replicate", "wavespeed"))
TOGETHER, BFL = BY_NAME["together"], BY_NAME["black-forest-labs"]
each = pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.provider}-{f.task}")


def file_of(form: Form) -> Outcome:
    return answers(body=form.file)


def carry(hand: Hand, form: Form, **options: Any) -> Any:
    """Carry a call of a form's task, at the provider itself where there is no other way."""
    if form.direct:
        options = {"secret": KEY, "places": {"explicit": True}, **options}
    return carry_task(
        hand,
        form.task,
        form.inputs,
        **{
            "model": form.model,
            "served": form.served,
            "parameters": form.parameters,
            **options,
        },
    )


def error_of(hand: Hand, form: Form, **options: Any) -> APIError:
    with pytest.raises(APIError) as caught:
        carry(hand, form, **options)
    return caught.value


def base(form: Form) -> str:
    return form.direct or f"https://router.example/{form.provider}"


def all_of(form: Form) -> list[Outcome]:
    """Return what the provider answers from the submission to the file."""
    said = [form.accepted, *form.pending, form.done]
    said += [] if form.fetched is None else [form.fetched]
    return [*(answers(body=one) for one in said), file_of(form)]
