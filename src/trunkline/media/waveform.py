"""An array of samples as a WAV file with 16 bits a sample.

numpy is never imported: an array brings the methods that are used of it. Stereo stays stereo, and
nothing is resampled.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from trunkline.errors import InvalidInputError
from trunkline.media.wanted import too_large

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MOST_CHANNELS = 32
_MOST_RATE = 768_000
_LOUDEST = 10.0
"""A mix may overshoot 1.0 and is clipped; beyond this, the floats are no samples from -1 to 1."""


@runtime_checkable
class Waveform(Protocol):
    """A numpy array, or what can become one (`__array__`)."""

    @property
    def shape(self) -> Any:
        """Lengths of its axes."""
        ...

    @property
    def dtype(self) -> Any:
        """Type of its numbers."""
        ...


def is_array(source: object) -> bool:
    """Tell whether `source` is an array with at least one axis; numpy's numbers have none."""
    return isinstance(source, Waveform) and source.shape != ()


def wav(samples: Waveform, sampling_rate: Any, max_bytes: int) -> bytes:
    """Return `samples` as a WAV file.

    One axis is mono; of two, the shorter one are the channels. Floats go from -1 to 1, and what is
    beyond is clipped; 16-bit integers are taken as they are, others are scaled to 16 bits. Raises
    InvalidInputError for what is no waveform, and where the file would be larger than `max_bytes`.
    """
    rate = _rate(sampling_rate)
    array = _by_channel(_array(samples))
    frames, channels = array.shape if len(array.shape) == 2 else (*array.shape, 1)
    size = frames * channels * 2
    limit = min(max_bytes, 0xFFFFFFFF)  # a WAV file tells its size in four bytes
    if size + _HEADER.size > limit:
        raise too_large("The waveform", size + _HEADER.size, limit, "audio")
    data: bytes = _as_16_bits(array).astype("<i2").tobytes()
    return (
        _HEADER.pack(
            *(b"RIFF", size + _HEADER.size - 8, b"WAVE", b"fmt ", 16, 1, channels, rate),
            *(rate * channels * 2, channels * 2, 16, b"data", size),
        )
        + data
    )


def _rate(given: Any) -> int:
    try:
        rate = int(given) if isinstance(given, float) else operator.index(given)
    except (TypeError, ValueError, OverflowError):
        rate = 0
    if isinstance(given, bool) or not 0 < rate <= _MOST_RATE or rate != given:
        raise InvalidInputError(
            f"{given!r} is no sampling rate.", hint="Give samples per second, such as 16000."
        )
    return rate


def _array(samples: Any) -> Any:
    """Return `samples` as something with an array's methods: tensors become numpy's arrays."""
    if hasattr(samples, "astype") and hasattr(samples, "tobytes"):
        return samples
    try:
        return samples.__array__()
    except (AttributeError, TypeError, ValueError, RuntimeError, ImportError) as error:
        raise _wrong(
            f"a {type(samples).__name__} cannot be read as an array ({error})",
            "Give a numpy array; a tensor becomes one with .detach().cpu().numpy().",
        ) from error


def _by_channel(array: Any) -> Any:
    """Return the array with one row a frame; the longer axis is time."""
    shape = tuple(array.shape)
    if len(shape) not in (1, 2) or 0 in shape:
        raise _wrong(f"its shape is {shape}", "Give samples, or samples by channels.")
    if len(shape) == 2 and min(shape) > _MOST_CHANNELS:
        raise _wrong(
            f"its shape is {shape}, which would be {min(shape)} channels",
            "Give the sound itself, not a spectrogram or features of it.",
        )
    return array.T if len(shape) == 2 and shape[0] < shape[1] else array


def _as_16_bits(array: Any) -> Any:
    kind, width = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        return _from_floats(array if width > 2 else array.astype("f4"))
    if (kind, width) not in _FROM_INTEGERS:
        raise _wrong(
            f"its numbers are {array.dtype}",
            "Give floats from -1 to 1, or 16-bit integers: array.astype('int16').",
        )
    return _FROM_INTEGERS[kind, width](array)


def _from_floats(array: Any) -> Any:
    peak = float(abs(array).max())
    if not math.isfinite(peak):
        raise _wrong("it has samples that are not numbers", "Check how it was made: NaN or inf.")
    if peak > _LOUDEST:
        raise _wrong(
            f"its floats go up to {peak:,.6g} instead of 1",
            "If they hold 16-bit integers, give array.astype('int16').",
        )
    # 32768, because readers divide by it: what was read from a 16-bit file is written back as it was.
    return (array * 32768).round().clip(-32768, 32767)


_FROM_INTEGERS: dict[tuple[str, int], Callable[[Any], Any]] = {
    ("i", 1): lambda array: array.astype("i4") << 8,
    ("u", 1): lambda array: (array.astype("i4") - 128) << 8,
    ("i", 2): lambda array: array,
    ("u", 2): lambda array: array.astype("i4") - 32768,
    ("i", 4): lambda array: array >> 16,
    ("u", 4): lambda array: (array >> 16).astype("i4") - 32768,
}
"""By numpy's kind and bytes. 64 bits are left out: they are what a list of small numbers becomes,
and scaling those would leave silence."""


def _wrong(why: str, hint: str) -> InvalidInputError:
    return InvalidInputError(f"The array cannot be sent as sound: {why}.", hint=hint)
