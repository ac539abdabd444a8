"""fal's bodies and answers, and its queue."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_shapes import LINKED, LORA, PNG, WAV, linked, read, reading, wish, written

from trunkline.dialects import fal
from trunkline.dialects.shape import Fetch, Lora, Shape
from trunkline.errors import InvalidResponseError
from trunkline.types.media import Blob
from trunkline.types.results import AudioPart, Items, Segment, TranscriptChunk

ACCEPTED = {
    "status": "IN_QUEUE",
    "request_id": "r-1",
    "response_url": "https://queue.fal.run/fal-ai/flux/requests/r-1",
    "queue_position": 3,
}
ASKED_LORAS = [{"path": "https://huggingface.co/org/lora/resolve/main/w.safetensors", "scale": 1}]


@pytest.mark.parametrize(
    ("shape", "task", "inputs", "body"),
    [
        (fal.TEXT_TO_IMAGE, "text-to-image", "a cat", {"prompt": "a cat"}),
        (fal.TEXT_TO_VIDEO, "text-to-video", "a cat", {"prompt": "a cat"}),
        (fal.TEXT_TO_AUDIO, "text-to-audio", "a cat", {"prompt": "a cat"}),
        (fal.TEXT_TO_SPEECH, "text-to-speech", "hello", {"text": "hello"}),
        (
            fal.IMAGE_TO_IMAGE,
            "image-to-image",
            PNG,
            {"image_url": PNG.data_url, "image_urls": [PNG.data_url]},
        ),
        (
            fal.IMAGE_TO_IMAGE,
            "image-to-image",
            LINKED,
            {"image_url": LINKED.url, "image_urls": [LINKED.url]},
        ),
        (fal.IMAGE_TO_IMAGE, "image-text-to-image", None, {}),
        (fal.IMAGE_TO_VIDEO, "image-to-video", PNG, {"image_url": PNG.data_url}),
        (fal.IMAGE_TO_VIDEO, "image-text-to-video", None, {}),
        (
            fal.IMAGE_SEGMENTATION,
            "image-segmentation",
            PNG,
            {"image_url": PNG.data_url, "sync_mode": True},
        ),
        (fal.SPEECH_RECOGNITION, "automatic-speech-recognition", LINKED, {"audio_url": LINKED.url}),
    ],
)
def test_each_task_has_its_own_field(
    shape: Shape, task: str, inputs: Any, body: dict[str, Any]
) -> None:
    assert written(shape, wish(task, inputs)) == body


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"width": 512, "height": 256}, {"image_size": {"width": 512, "height": 256}}),
        ({"target_size": {"width": 5, "height": 2}}, {"image_size": {"width": 5, "height": 2}}),
        ({"width": 512}, {"width": 512}),
        ({"image_size": "square", "width": 1, "height": 1}, {"image_size": "square"}),
    ],
)
def test_an_images_size_goes_where_fal_looks_for_it(
    given: dict[str, Any], sent: dict[str, Any]
) -> None:
    asked = wish("text-to-image", "a cat", parameters=given)
    assert written(fal.TEXT_TO_IMAGE, asked) == {"prompt": "a cat", **sent}


def test_a_videos_size_stays_as_it_is() -> None:
    asked = wish("image-to-video", PNG, parameters={"target_size": {"width": 5, "height": 2}})
    assert written(fal.IMAGE_TO_VIDEO, asked)["target_size"] == {"width": 5, "height": 2}


@pytest.mark.parametrize(
    ("model", "lora", "sent"),
    [
        ("fal-ai/flux-lora", LORA, {"loras": ASKED_LORAS}),
        (
            "fal-ai/lora",
            LORA,
            {"loras": ASKED_LORAS, "model_name": "stabilityai/stable-diffusion-xl-base-1.0"},
        ),
        ("fal-ai/lora", Lora("org/lora", ""), {}),
        ("fal-ai/lora", None, {}),
    ],
)
def test_a_lora_is_named_by_its_file(model: str, lora: Lora | None, sent: dict[str, Any]) -> None:
    asked = wish("text-to-image", "a cat", model, lora=lora)
    assert written(fal.TEXT_TO_IMAGE, asked) == {"prompt": "a cat", **sent}


def test_the_callers_own_fields_come_last() -> None:
    asked = wish(
        "text-to-image", "a cat", parameters={"seed": 1}, extra_body={"prompt": "a dog", "x": 1}
    )
    assert written(fal.TEXT_TO_IMAGE, asked) == {"prompt": "a dog", "seed": 1, "x": 1}


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("audio/wav", "audio/x-wav"),
        ("audio/x-wav", "audio/x-wav"),
        ("audio/webm", "video/webm"),
        ("audio/mp3", "audio/mpeg"),
        ("audio/mpeg", "audio/mpeg"),
        ("audio/flac", "audio/mpeg"),
        ("audio/ogg", "audio/mpeg"),
        ("application/octet-stream", "audio/mpeg"),
    ],
)
def test_a_sound_goes_under_a_type_that_fal_takes(kind: str, label: str) -> None:
    assert fal.audio_url(Blob(b"abc", kind)) == f"data:{label};base64,YWJj"


def test_images_come_with_what_fal_tells_of_them() -> None:
    result = read(
        fal.TEXT_TO_IMAGE,
        {
            "images": [
                {"url": "https://f/1.png", "width": 8, "content_type": "image/jpeg"},
                {"url": "data:image/png;base64,AA=="},
            ],
            "seed": 7,
            "timings": {"inference": 0.5},
            "has_nsfw_concepts": [True, False],
        },
    )
    assert [image.url for image in result.data] == ["https://f/1.png", "data:image/png;base64,AA=="]
    assert (result.image.media_type, result.image.width) == ("image/jpeg", 8)
    assert (result.seed, result.timings) == (7, {"inference": 0.5})
    assert result.has_nsfw_concepts == [True, False]  # blacked out by fal, and still a result


def test_one_image_is_read_under_its_own_name() -> None:
    assert read(fal.IMAGE_TO_IMAGE, {"image": {"url": "https://f/1.png"}}).image.url


@pytest.mark.parametrize(
    ("shape", "answer", "url"),
    [
        (fal.TEXT_TO_VIDEO, {"video": {"url": "https://f/1.mp4"}}, "https://f/1.mp4"),
        (fal.IMAGE_TO_VIDEO, {"videos": [{"url": "https://f/1.mp4"}]}, "https://f/1.mp4"),
        (fal.TEXT_TO_AUDIO, {"audio_file": {"url": "https://f/1.wav"}}, "https://f/1.wav"),
        (fal.TEXT_TO_AUDIO, {"audio": {"url": "https://f/1.wav"}}, "https://f/1.wav"),
        (fal.TEXT_TO_SPEECH, {"audio": {"url": "https://f/1.mp3"}}, "https://f/1.mp3"),
    ],
)
def test_one_file_is_the_result_itself(shape: Shape, answer: dict[str, Any], url: str) -> None:
    result = read(shape, {**answer, "seed": 3})
    assert (result.url, result.bytes, result.seed) == (url, url.encode(), 3)


def test_without_a_download_the_answers_own_type_is_told_unless_it_says_nothing() -> None:
    jpeg = {"images": [{"url": "https://f/1", "content_type": "image/jpeg"}]}
    assert linked(fal.TEXT_TO_IMAGE.read(reading(jpeg), wish("", ""))).image.media_type == (
        "image/jpeg"
    )
    video = {"video": {"url": "https://f/1", "content_type": "application/octet-stream"}}
    result = linked(fal.TEXT_TO_VIDEO.read(reading(video), wish("", "")))
    assert (result.media_type, result.content, result.url) == (None, None, "https://f/1")


def test_a_mask_has_no_score_that_fal_did_not_tell() -> None:
    result = read(fal.IMAGE_SEGMENTATION, {"image": {"url": "data:image/png;base64,AA=="}})
    assert isinstance(result, Items)
    (segment,) = result
    assert isinstance(segment, Segment)
    assert (segment.label, segment.score, segment.mask.url) == (
        "mask",
        None,
        "data:image/png;base64,AA==",
    )


def test_a_sound_made_from_a_sound_keeps_the_text_that_came_with_it() -> None:
    (part,) = read(fal.AUDIO_TO_AUDIO, {"audio": {"url": "https://f/1.wav"}, "text": "hello"})
    assert isinstance(part, AudioPart)
    assert (part.label, part.audio.url, part.text) == (None, "https://f/1.wav", "hello")


@pytest.mark.parametrize(
    ("answer", "text", "chunks", "language"),
    [
        (
            {
                "text": " A man.",
                "chunks": [{"timestamp": [0.0, 4.5], "text": " A man.", "speaker": "1"}],
                "inferred_languages": ["en"],
            },
            " A man.",
            [TranscriptChunk(" A man.", 0.0, 4.5, {"speaker": "1"})],
            "en",
        ),
        (
            {"output": "A man.", "segments": [{"start": 1, "text": "A man."}]},
            "A man.",
            [TranscriptChunk("A man.", 1, None)],
            None,
        ),
        (
            {"text": "A", "chunks": [{"text": "A", "timestamp": [0, None]}]},
            "A",
            [TranscriptChunk("A", 0, None)],
            None,
        ),
        ({"text": "", "inferred_languages": ["en", "fr"]}, "", None, None),
        ({"text": "A", "chunks": "none", "segments": [5]}, "A", None, None),
    ],
)
def test_speech_is_read_in_each_of_its_forms(
    answer: dict[str, Any], text: str, chunks: list[TranscriptChunk] | None, language: str | None
) -> None:
    result = read(fal.SPEECH_RECOGNITION, answer)
    assert (result.text, result.chunks, result.language) == (text, chunks, language)


def test_what_is_not_read_of_a_transcription_is_kept() -> None:
    result = read(fal.SPEECH_RECOGNITION, {"text": "A", "diarization_segments": []})
    assert result.diarization_segments == []


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        (fal.TEXT_TO_IMAGE, {"images": []}),
        (fal.TEXT_TO_IMAGE, {"images": [{"url": None}], "image": "no url"}),
        (fal.TEXT_TO_IMAGE, [{"url": "https://f/1.png"}]),
        (fal.TEXT_TO_VIDEO, {"video": {"url": "file:///etc/passwd"}}),
        (fal.TEXT_TO_SPEECH, {"detail": ""}),
        (fal.SPEECH_RECOGNITION, {"text": None}),
        (fal.IMAGE_SEGMENTATION, {}),
    ],
)
def test_an_answer_without_a_result_is_an_error_that_shows_it(shape: Shape, answer: Any) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        read(shape, answer)
    assert caught.value.body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("https://f/1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["images", "image", "video", "audio", "url", "text", "chunks", "x"]),
            inner,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_answer_is_read_or_refused(answer: Any) -> None:
    for shape in (fal.TEXT_TO_IMAGE, fal.TEXT_TO_VIDEO, fal.AUDIO_TO_AUDIO, fal.SPEECH_RECOGNITION):
        try:
            result = shape.read(reading(answer), wish("", ""))
        except InvalidResponseError:
            continue
        assert not isinstance(result, Fetch) or result.urls


def test_a_queued_job_is_asked_after_by_its_apps_path() -> None:
    form = fal.QUEUE
    assert form.job_id(ACCEPTED) == "r-1"
    assert form.job_path(ACCEPTED, "r-1") == "fal-ai/flux/requests/r-1"
    assert (form.status, form.routed_query, form.fetch_result) == (
        "/status",
        "_subdomain=queue",
        True,
    )


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (ACCEPTED, "pending"),
        ({"status": "IN_PROGRESS"}, "pending"),
        ({"status": "COMPLETED"}, "done"),
        ({"status": "COMPLETED", "error": "broken"}, "done"),  # its result tells the error whole
        ({"status": "ERROR", "error": "broken"}, "failed"),
        ({"status": "FAILED", "error": "nsfw"}, "moderated"),
        ({"status": "CANCELLED"}, "cancelled"),
    ],
)
def test_states_of_the_queue(answer: dict[str, Any], state: str) -> None:
    assert fal.QUEUE.state(answer) == state


def test_an_answer_of_the_synchronous_host_is_no_job() -> None:
    assert fal.QUEUE.job_id({"images": [{"url": "https://f/1.png"}]}) is None


def test_sounds_are_written_for_both_tasks_that_take_one() -> None:
    sent = {"audio_url": fal.audio_url(WAV)}
    assert written(fal.AUDIO_TO_AUDIO, wish("audio-to-audio", WAV)) == sent
    assert written(fal.SPEECH_RECOGNITION, wish("automatic-speech-recognition", WAV)) == sent
