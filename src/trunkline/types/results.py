"""Results of the tasks other than chat. Wire names where the wire has one; what else came is kept."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from trunkline.types.media import Media
from trunkline.types.receipt import Receipt
from trunkline.types.record import Record, shorten
from trunkline.types.usage import Usage

T = TypeVar("T")


class Items(tuple[T, ...]):  # noqa: SLOT001 - a tuple has no room for slots
    """Several results of one call, in the server's order, with the call's receipt."""

    receipt: Receipt | None

    def __new__(cls, items: Iterable[T] = (), receipt: Receipt | None = None) -> Items[T]:
        """Hold `items`."""
        made = super().__new__(cls, tuple(items))
        made.receipt = receipt
        return made

    def model_dump(self) -> list[Any]:
        """Return plain dicts and values."""
        return [item.model_dump() if isinstance(item, (Record, Items)) else item for item in self]

    def model_dump_json(self, *, indent: int | None = None) -> str:
        """Return `model_dump()` as JSON text."""
        text = msgspec.json.encode(self.model_dump())
        return (msgspec.json.format(text, indent=indent) if indent else text).decode()

    def __repr__(self) -> str:
        """Show them as a list."""
        return repr(list(self))

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Pickle and copy with the receipt."""
        return (tuple(self), self.receipt)


class Label(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A class and how sure the model is of it."""

    label: str
    score: float | None = None
    extra: dict[str, Any] = {}


class Entity(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A stretch of text and what it is."""

    word: str
    entity: str | None = None
    """Label of a single token (`B-PER`), where tokens were not grouped."""
    entity_group: str | None = None
    """Label of a group of tokens (`PER`)."""
    score: float | None = None
    start: int | None = None
    end: int | None = None
    extra: dict[str, Any] = {}

    @property
    def label(self) -> str | None:
        """Whichever of the two labels there is."""
        return self.entity_group or self.entity


class Answer(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """An answer to a question, found in a text, a picture or a document."""

    answer: str
    score: float | None = None
    start: int | None = None
    """Where it begins and ends: characters of the context, or words of the document."""
    end: int | None = None
    extra: dict[str, Any] = {}


class TableAnswer(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """An answer from a table."""

    answer: str
    coordinates: list[list[int]] = []
    """Row and column of each cell that it rests on."""
    cells: list[str] = []
    aggregator: str | None = None
    extra: dict[str, Any] = {}


class Filling(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A word for a mask."""

    token_str: str
    sequence: str | None = None
    score: float | None = None
    token: int | None = None
    extra: dict[str, Any] = {}


class TextOutput(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A text that a model wrote: a summary, a translation, a caption.

    The wire's own name for it (`summary_text`, `translation_text`, `generated_text`) works too.
    """

    text: str
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    def __str__(self) -> str:
        """Return the text."""
        return self.text


class Box(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A rectangle, in pixels from the top left."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


class Detection(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A thing in a picture and where it is."""

    label: str
    score: float | None
    box: Box
    extra: dict[str, Any] = {}


class Segment(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A region of a picture: its label, and a mask as a picture of its own."""

    label: str | None
    score: float | None
    mask: Media
    extra: dict[str, Any] = {}


class AudioPart(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One of the sounds that a sound was taken apart into, or turned into."""

    label: str | None
    audio: Media
    extra: dict[str, Any] = {}


class TranscriptChunk(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A stretch of a transcription."""

    text: str
    start: float | None = None
    """Seconds from the beginning."""
    end: float | None = None
    extra: dict[str, Any] = {}

    @property
    def timestamp(self) -> tuple[float | None, float | None]:
        """Beginning and end, as Hugging Face writes them."""
        return (self.start, self.end)


class Transcription(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """What was said in a recording."""

    text: str
    chunks: list[TranscriptChunk] | None = None
    """Stretches with times; None where the provider told none."""
    language: str | None = None
    duration: float | None = None
    """Seconds of sound."""
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    @property
    def segments(self) -> list[TranscriptChunk] | None:
        """`chunks`, under OpenAI's name."""
        return self.chunks

    def __str__(self) -> str:
        """Return the text."""
        return self.text


class ImageResponse(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Images that a model made, in OpenAI's shape: `response.data[0]`."""

    data: list[Media]
    created: int | None = None
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    @property
    def image(self) -> Media:
        """The first image."""
        return self.data[0]


class Embedding(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One vector, by the place of its text in the input."""

    embedding: Any
    """Floats; base64 of little-endian 32-bit floats with `encoding_format="base64"`; a list of
    vectors, one a token, with `pooling="none"`."""
    index: int
    object: str = "embedding"
    extra: dict[str, Any] = {}

    @property
    def vector(self) -> list[float]:
        """The vector as floats, whatever form it came in."""
        if isinstance(self.embedding, str):
            data = binascii.a2b_base64(self.embedding)
            return list(struct.unpack(f"<{len(data) // 4}f", data))
        vector: list[float] = self.embedding
        return vector

    def __repr__(self) -> str:
        """Show its place and length."""
        return f"Embedding(index={self.index}, {len(self.vector)} numbers)"


class EmbeddingResponse(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Vectors in OpenAI's shape, in the order of the input."""

    data: list[Embedding]
    model: str | None = None
    usage: Usage | None = None
    object: str = "list"
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    def __repr__(self) -> str:
        """Show how many vectors there are and how long, and what they used."""
        size = len(self.vectors[0]) if self.data else 0
        return f"EmbeddingResponse({len(self.data)} x {size} numbers, model={self.model}, usage={self.usage})"

    @property
    def vectors(self) -> list[list[float]]:
        """The vectors as lists of floats."""
        return [row.vector for row in self.data]

    def numpy(self) -> Any:
        """Return the vectors as a float32 array of shape (texts, dimensions); needs numpy."""
        import numpy as np  # an array is wanted, so numpy is there or its absence is the answer

        return np.array(self.vectors, dtype=np.float32)


class RerankResult(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A document's place in the input and how well it fits the query."""

    index: int
    relevance_score: float
    document: Any = None
    """`{"text": ...}` with `return_documents=True`, as Cohere has it."""
    extra: dict[str, Any] = {}


class RerankResponse(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Documents in the order of their fit, in Cohere's shape."""

    results: list[RerankResult]
    id: str | None = None
    model: str | None = None
    meta: dict[str, Any] | None = None
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None


class TextChoice(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One of the texts that continue a prompt."""

    text: str
    index: int = 0
    finish_reason: str | None = None
    logprobs: Any = None
    extra: dict[str, Any] = {}


class TextCompletion(Record, msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """What continues a prompt, in OpenAI's shape."""

    choices: list[TextChoice]
    id: str | None = None
    model: str | None = None
    created: int | None = None
    usage: Usage | None = None
    object: str = "text_completion"
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    @property
    def text(self) -> str:
        """The first choice's text."""
        return self.choices[0].text if self.choices else ""

    def __repr__(self) -> str:
        """Show the text and what it used."""
        return f"TextCompletion({shorten(self.text)}, model={self.model}, usage={self.usage})"
