"""The video tasks: what each function takes, and what it brings.

They are jobs at most providers: `on_progress` is told how they go, and its `job` finds them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from trunkline.routing.ask import Ask
from trunkline.tasks.arguments import blob, size, text

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.tasks.image import Size
    from trunkline.types.media import Media
    from trunkline.types.parameters import TaskOptions


def text_to_video(
    calls: Calls,
    model: str,
    prompt: str,
    *,
    negative_prompt: str | None = None,
    num_frames: int | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Media]:
    """Make a video from a prompt: `text_to_video(...).save("dog")`; raises APIError."""
    parameters = {
        "negative_prompt": negative_prompt,
        "num_frames": num_frames,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "seed": seed,
    }
    return calls.ask("text-to-video", model, text(prompt, "prompt"), parameters, options)


def image_to_video(
    calls: Calls,
    model: str,
    image: Any,
    prompt: str | None = None,
    *,
    negative_prompt: str | None = None,
    num_frames: float | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | None = None,
    target_size: Size | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Media]:
    """Make a video that begins with an image; raises APIError."""
    parameters = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "num_frames": num_frames,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "seed": seed,
        "target_size": size(target_size, "target_size"),
    }
    return calls.ask("image-to-video", model, blob(image, "image", options), parameters, options)


def image_text_to_video(
    calls: Calls,
    model: str,
    prompt: str,
    image: Any = None,
    *,
    negative_prompt: str | None = None,
    num_frames: float | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | None = None,
    target_size: Size | None = None,
    **options: Unpack[TaskOptions],
) -> Ask[Media]:
    """Make a video from a prompt and, where there is one, an image; raises APIError."""
    parameters = {
        "prompt": text(prompt, "prompt"),
        "negative_prompt": negative_prompt,
        "num_frames": num_frames,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "seed": seed,
        "target_size": size(target_size, "target_size"),
    }
    inputs = None if image is None else blob(image, "image", options)
    return calls.ask("image-text-to-video", model, inputs, parameters, options)
