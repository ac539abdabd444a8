"""What callers can say in OpenAI's words and a provider's form has no word for, as data.

Sent all the same it would be passed over in silence; whoever answers in OpenAI's form refuses it.
"""

from __future__ import annotations

from typing import Any

from trunkline.errors import UnsupportedParamsError
from trunkline.providers.spec import Target

_PICTURES = frozenset(
    {
        "background",
        "input_fidelity",
        "mask",
        "moderation",
        "more_images",
        "output_compression",
        "quality",
        "safety_identifier",
        "style",
        "user",
    }
)
"""Of pictures; those of `n` and `output_format` some do know."""
_HEARING = frozenset(
    {"chunking_strategy", "include", "response_format", "temperature", "timestamp_granularities"}
)
_SPEECH = frozenset({"instructions", "response_format"})
_VIDEOS = frozenset({"seconds", "target_size", "user"})

_BY_TASK: dict[str, frozenset[str]] = {
    "automatic-speech-recognition": _HEARING,
    "image-text-to-image": _PICTURES,
    "image-text-to-video": _VIDEOS,
    "image-to-image": _PICTURES,
    "image-to-video": _VIDEOS,
    "text-to-image": _PICTURES,
    "text-to-speech": _SPEECH,
    "text-to-video": _VIDEOS,
}
"""What a form of a provider's own lacks, unless there is a row for it below."""

_ONE_PICTURE = _PICTURES | {"n"}
_HF_PICTURES = _ONE_PICTURE | {"output_format"}
_OWN: dict[tuple[str, str], frozenset[str]] = {
    ("black-forest-labs", "text-to-image"): _ONE_PICTURE,
    ("hf-inference", "automatic-speech-recognition"): _HEARING | {"language", "prompt"},
    ("hf-inference", "image-to-image"): _HF_PICTURES,
    ("hf-inference", "text-to-image"): _HF_PICTURES,
    ("hf-inference", "text-to-speech"): _SPEECH | {"speed", "voice"},
    ("novita", "image-text-to-video"): frozenset({"seconds", "user"}),
    ("replicate", "image-to-image"): _ONE_PICTURE,
    ("replicate", "text-to-image"): _ONE_PICTURE,
    ("together", "image-to-video"): frozenset({"user"}),
    ("together", "text-to-video"): frozenset({"user"}),
    ("wavespeed", "image-text-to-image"): _ONE_PICTURE,
    ("wavespeed", "image-to-image"): _ONE_PICTURE,
    ("wavespeed", "text-to-image"): _ONE_PICTURE,
    ("zai-org", "text-to-image"): _ONE_PICTURE - {"quality"},
}
_SPOKEN: dict[tuple[str, str], frozenset[str]] = {
    ("hyperbolic", "text-to-image"): _PICTURES,
    ("together", "image-to-image"): _PICTURES,
    ("together", "text-to-image"): _PICTURES,
    ("together", "text-to-speech"): frozenset({"instructions"}),
}
"""Of providers whose forms are OpenAI's, which take the rest."""
_OWN_FORMS = frozenset(
    {"black-forest-labs", "fal-ai", "hf-inference", "novita", "replicate", "wavespeed", "zai-org"}
)


def unsaid(provider: str | None, task: str) -> frozenset[str]:
    """Return the parameters of a task that a provider has no word for."""
    if provider is None:
        return frozenset()  # a server of one's own knows what it takes
    place = (provider, task)
    if provider in _OWN_FORMS or (provider == "together" and task.endswith("-video")):
        return _OWN.get(place, _BY_TASK.get(task, frozenset()))
    return _SPOKEN.get(place, frozenset())


def check_said(parameters: dict[str, Any], target: Target, task: str, model: str) -> None:
    """Raise UnsupportedParamsError, naming it, for a parameter that would be passed over."""
    wrong = sorted(unsaid(target.provider, task) & parameters.keys())
    if not wrong:
        return
    name = _OPENAI_NAMES.get(wrong[0], wrong[0])
    raise UnsupportedParamsError(
        f"{target.provider} has no way to say {name!r} for {task}. Leave it out; "
        "what the provider itself calls it may be sent under that name.",
        provider=target.provider,
        model=model,
        code="unsupported_parameter",
        body={"error": {"param": name}},
    )


_OPENAI_NAMES = {"more_images": "image", "target_size": "size"}
