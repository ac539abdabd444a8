"""How the providers that queue serve each task: paths and shapes, as data.

From huggingface_hub 2.4.0 and @huggingface/inference 4.13.30 (October 2026); where the two differ,
the JavaScript client leads.
"""

from __future__ import annotations

from trunkline.dialects import bfl, fal, replicate, videos, wavespeed, zai
from trunkline.dialects.shape import Shape
from trunkline.providers.spec import Route

_FAL_QUEUE = "https://queue.fal.run"
_MANY = ("n", "num_images")


def _fal(shape: Shape, *renames: tuple[str, str]) -> Route:
    queue = _FAL_QUEUE if shape.job else None
    return Route("{model}", shape, base_url=queue, renames=renames)


def _replicate(shape: Shape) -> Route:
    return Route("v1/models/{model}/predictions", shape, version_path="v1/predictions")


def _wavespeed(shape: Shape) -> Route:
    return Route("api/v3/{model}", shape)


QUEUED: dict[str, dict[str, Route]] = {
    "black-forest-labs": {"text-to-image": Route("v1/{model}", bfl.TEXT_TO_IMAGE)},
    "fal-ai": {
        "audio-to-audio": _fal(fal.AUDIO_TO_AUDIO),
        "automatic-speech-recognition": _fal(fal.SPEECH_RECOGNITION),
        "image-segmentation": _fal(fal.IMAGE_SEGMENTATION),
        "image-text-to-image": _fal(fal.IMAGE_TO_IMAGE, _MANY),
        "image-text-to-video": _fal(fal.IMAGE_TO_VIDEO),
        "image-to-image": _fal(fal.IMAGE_TO_IMAGE, _MANY),
        "image-to-video": _fal(fal.IMAGE_TO_VIDEO),
        "text-to-audio": _fal(fal.TEXT_TO_AUDIO),
        "text-to-image": _fal(fal.TEXT_TO_IMAGE, _MANY),
        "text-to-speech": _fal(fal.TEXT_TO_SPEECH),
        "text-to-video": _fal(fal.TEXT_TO_VIDEO),
    },
    "novita": {
        "image-text-to-video": Route(
            "v3/minimax/v2/video_generation",
            videos.NOVITA_IMAGE_TEXT,
            refuses=frozenset({"guidance_scale", "negative_prompt", "num_inference_steps", "seed"}),
        ),
        "text-to-video": Route("v3/async/{model}", videos.NOVITA_TEXT),
    },
    "replicate": {
        "automatic-speech-recognition": _replicate(replicate.SPEECH_RECOGNITION),
        "image-to-image": _replicate(replicate.IMAGE_TO_IMAGE),
        "text-to-image": _replicate(replicate.TEXT_TO_IMAGE),
        "text-to-speech": _replicate(replicate.TEXT_TO_SPEECH),
        "text-to-video": _replicate(replicate.TEXT_TO_VIDEO),
    },
    "together": {
        "image-to-video": Route("v2/videos", videos.TOGETHER_IMAGE),
        "text-to-video": Route("v2/videos", videos.TOGETHER_TEXT),
    },
    "wavespeed": {
        "image-text-to-image": _wavespeed(wavespeed.IMAGE_TO_IMAGE),
        "image-text-to-video": _wavespeed(wavespeed.IMAGE_TO_VIDEO),
        "image-to-image": _wavespeed(wavespeed.IMAGE_TO_IMAGE),
        "image-to-video": _wavespeed(wavespeed.IMAGE_TO_VIDEO),
        "text-to-image": _wavespeed(wavespeed.TEXT_TO_IMAGE),
        "text-to-video": _wavespeed(wavespeed.TEXT_TO_VIDEO),
    },
    "zai-org": {"text-to-image": Route("api/paas/v4/async/images/generations", zai.TEXT_TO_IMAGE)},
}
"""Provider, task, route."""
