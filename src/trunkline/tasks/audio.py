"""The audio tasks: what each function takes, and what it brings.

A recording is anything that `trunkline.media` reads: a path, bytes, a file, a URL, a waveform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from trunkline.routing.ask import Ask
from trunkline.tasks.arguments import blob, some_texts, text

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.types.media import Media
    from trunkline.types.parameters import TaskOptions
    from trunkline.types.results import AudioPart, Items, Label, Transcription


def transcription(
    calls: Calls,
    model: str,
    file: Any,
    *,
    language: str | None = None,
    prompt: str | None = None,
    temperature: float | None = None,
    response_format: str | None = None,
    timestamp_granularities: Sequence[str] | None = None,
    return_timestamps: bool | Literal["word"] | None = None,
    generation_parameters: Mapping[str, Any] | None = None,
    sampling_rate: int = 16000,
    **options: Unpack[TaskOptions],
) -> Ask[Transcription]:
    """Write down what is said in a recording; raises APIError.

    `sampling_rate`, in samples a second, is that of a waveform given as an array.
    """
    parameters = {
        "language": language,
        "prompt": prompt,
        "temperature": temperature,
        "response_format": response_format,
        "timestamp_granularities": some_texts(timestamp_granularities, "timestamp_granularities"),
        "return_timestamps": return_timestamps,
        "generation_parameters": generation_parameters,
    }
    inputs = blob(file, "audio", options, sampling_rate=sampling_rate)
    return calls.ask("automatic-speech-recognition", model, inputs, parameters, options)


def speech(
    calls: Calls,
    model: str,
    input: str,  # noqa: A002 - OpenAI's name
    *,
    voice: str | None = None,
    response_format: str | None = None,
    speed: float | None = None,
    instructions: str | None = None,
    generation_parameters: Mapping[str, Any] | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Media]:
    """Say a text aloud: `speech(...).save("hello")`; raises APIError."""
    parameters = {
        "voice": voice,
        "response_format": response_format,
        "speed": speed,
        "instructions": instructions,
        "generation_parameters": generation_parameters,
    }
    return calls.ask("text-to-speech", model, text(input, "input"), parameters, options)


def text_to_audio(
    calls: Calls,
    model: str,
    prompt: str,
    *,
    generate_parameters: Mapping[str, Any] | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Media]:
    """Make music or a sound from a description; raises APIError."""
    parameters = {"generate_parameters": generate_parameters}
    return calls.ask("text-to-audio", model, text(prompt, "prompt"), parameters, options)


def audio_classification(
    calls: Calls,
    model: str,
    audio: Any,
    *,
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None,
    top_k: int | None = None,
    sampling_rate: int = 16000,
    **options: Unpack[TaskOptions],
) -> Ask[Items[Label]]:
    """Say what a recording is: labels with scores, the best first; raises APIError."""
    parameters = {"function_to_apply": function_to_apply, "top_k": top_k}
    inputs = blob(audio, "audio", options, sampling_rate=sampling_rate)
    return calls.ask("audio-classification", model, inputs, parameters, options)


def audio_to_audio(
    calls: Calls,
    model: str,
    audio: Any,
    *,
    sampling_rate: int = 16000,
    **options: Unpack[TaskOptions],
) -> Ask[Items[AudioPart]]:
    """Turn a recording into others: voices apart, noise removed; raises APIError."""
    inputs = blob(audio, "audio", options, sampling_rate=sampling_rate)
    return calls.ask("audio-to-audio", model, inputs, {}, options)
