"""Arrays of samples as WAV files, read back with Python's own reader."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidInputError
from trunkline.media import blob


def heard(source: Any, **options: Any) -> tuple[np.ndarray, int]:
    """Return samples by channel, and the rate, of what is sent for `source`."""
    sent = blob(source, "audio", **options)
    assert sent.media_type == "audio/wav"
    assert sent.file_name == "audio.wav"
    with wave.open(io.BytesIO(sent.content)) as file:
        assert file.getsampwidth() == 2
        assert len(sent.content) == 44 + file.getnframes() * file.getnchannels() * 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()), file.getframerate()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_floats_become_16_bit_samples_and_are_clipped(dtype: str) -> None:
    samples, rate = heard(np.array([0, 0.5, -0.5, 1, -1, 1.5, -3], dtype))
    assert samples[:, 0].tolist() == [0, 16384, -16384, 32767, -32768, 32767, -32768]
    assert rate == 16_000


@pytest.mark.parametrize(
    ("given_samples", "expected"),
    [
        (np.array([-32768, 0, 7, 32767], "i2"), [-32768, 0, 7, 32767]),
        (np.array([-32768, 0, 7, 32767], ">i2"), [-32768, 0, 7, 32767]),
        (np.array([-128, 0, 127], "i1"), [-32768, 0, 32512]),
        (np.array([0, 128, 255], "u1"), [-32768, 0, 32512]),
        (np.array([0, 32768, 65535], "u2"), [-32768, 0, 32767]),
        (np.array([-(2**31), 0, 2**31 - 1], "i4"), [-32768, 0, 32767]),
        (np.array([0, 2**31, 2**32 - 1], "u4"), [-32768, 0, 32767]),
    ],
    ids=str,
)
def test_integers_are_scaled_to_16_bits(given_samples: Any, expected: list[int]) -> None:
    assert heard(given_samples)[0][:, 0].tolist() == expected


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=50))
def test_what_was_read_from_16_bits_is_written_back_as_it_was(values: list[int]) -> None:
    as_floats = np.array(values, "f4") / 32768
    assert heard(as_floats)[0][:, 0].tolist() == values


@pytest.mark.parametrize("turn", [lambda stereo: stereo, lambda stereo: stereo.T], ids=["NC", "CN"])
def test_the_shorter_axis_are_the_channels(turn: Any) -> None:
    stereo = np.array([[1, 10], [2, 20], [3, 30]], "i2")
    assert heard(turn(stereo))[0].tolist() == [[1, 10], [2, 20], [3, 30]]


def test_an_array_with_one_channel_and_a_slice_are_taken() -> None:
    assert heard(np.array([[1, 2, 3]], "i2"))[0][:, 0].tolist() == [1, 2, 3]
    assert heard(np.array([1, 2, 3, 4], "i2")[::-2])[0][:, 0].tolist() == [4, 2]


SOUND = np.array([1, 2], "i2")


@pytest.mark.parametrize(
    "source",
    [
        (SOUND, 8000),
        (SOUND, 8000.0),
        (SOUND, np.int32(8000)),
        (8000, SOUND),
        (np.int64(8000), SOUND),
        {"array": SOUND, "sampling_rate": 8000, "path": None},
        {"raw": SOUND, "sampling_rate": 8000},
    ],
    ids=repr,
)
def test_an_array_may_bring_its_rate(source: Any) -> None:
    assert heard(source)[1] == 8000


def test_the_rate_of_an_array_alone_is_told_beside_it() -> None:
    assert heard(SOUND, sampling_rate=44_100)[1] == 44_100


@pytest.mark.parametrize("rate", [0, -1, True, 1e9, 16000.5, "16000", None, float("nan"), SOUND])
def test_what_is_no_rate_is_refused(rate: Any) -> None:
    with pytest.raises(InvalidInputError, match="no sampling rate"):
        blob((SOUND, rate), "audio")


class Tensor:
    """What torch's tensors look like from here."""

    shape = (2,)
    dtype = "torch.float32"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def __array__(self) -> Any:
        if self.error:
            raise self.error
        return np.array([0.5, -0.5], "f4")


def test_a_tensor_becomes_an_array() -> None:
    assert heard(Tensor())[0][:, 0].tolist() == [16384, -16384]
    with pytest.raises(InvalidInputError, match="on a GPU"):
        blob(Tensor(TypeError("it is on a GPU")), "audio")


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([0, np.nan]), "not numbers"),
        (np.array([0, np.inf], "f4"), "not numbers"),
        (np.array([0, 20_000.0]), "20,000 instead of 1"),
        (np.array([]), "shape is (0,)"),
        (np.zeros((2, 0)), "shape is (2, 0)"),
        (np.zeros((1, 2, 3)), "shape is (1, 2, 3)"),
        (np.zeros((80, 3000)), "80 channels"),
        (np.array([1, 2]), "int64"),
        (np.array([1j]), "complex"),
        (np.array([True]), "bool"),
        (np.array(["x"]), "<U1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_waveform_is_refused(array: Any, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        blob(array, "audio")
    assert says in caught.value.message
    assert caught.value.hint


def test_an_array_is_refused_by_its_size_before_it_is_converted() -> None:
    silence = np.broadcast_to(np.float32(0), (10**12,))  # a terabyte, were it written
    with pytest.raises(InvalidInputError, match=r"2,000,000,000,044 bytes; the limit is 536,870"):
        blob(silence, "audio")
    assert len(blob(SOUND, "audio", max_bytes=48).content) == 48
    with pytest.raises(InvalidInputError, match="the limit is 47"):
        blob(SOUND, "audio", max_bytes=47)


def test_an_array_is_no_image() -> None:
    with pytest.raises(InvalidInputError, match="cannot be used as an image") as caught:
        blob(np.zeros((4, 4, 3), "u1"), "image")
    assert "fromarray" in (caught.value.hint or "")
