"""Vectors without a model: hashed words and their trigrams, so texts that share words are near."""

from __future__ import annotations

import math
import re
import zlib
from operator import mul

from trunkline.sandbox.reply import RefusedError
from trunkline.sandbox.visit import Visit

SIZE = 384

_WORD = re.compile(r"\w+")
_COMMON = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "has",
        "he",
        "in",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "she",
        "that",
        "the",
        "this",
        "to",
        "was",
        "with",
    ]
)


def vectors_of(visit: Visit, texts: list[str]) -> list[list[float]]:
    """Return a vector for each text: the sandbox's own, or those of the hook that it was given."""
    return visit.embed(texts) if visit.embed else [vector(text) for text in texts]


def vector(text: str) -> list[float]:
    """Return a text's vector, of length 1."""
    found = [0.0] * SIZE
    words = _WORD.findall(text.lower()) or [text]
    for word in words:
        weight = 0.3 if word in _COMMON else 1.0
        _add(found, word, weight)
        padded = f" {word} "
        for at in range(len(padded) - 2):
            _add(found, padded[at : at + 3], weight * 0.3)
    return unit(found)


def unit(found: list[float]) -> list[float]:
    """Return a vector scaled to length 1; zeros stay zeros."""
    length = math.sqrt(sum(map(mul, found, found))) or 1.0
    return [number / length for number in found]


def nearness(one: list[float], other: list[float]) -> float:
    """Return the cosine of the angle between two vectors."""
    return float(sum(map(mul, unit(one), unit(other))))


def shortened(found: list[list[float]], dimensions: object) -> list[list[float]]:
    """Return the vectors' first `dimensions` numbers, scaled anew; raises RefusedError."""
    if dimensions is None:
        return found
    most = len(found[0]) if found else SIZE
    if not isinstance(dimensions, int) or not 0 < dimensions <= most:
        raise RefusedError(400, {"error": f"`dimensions` must be a number from 1 to {most}"})
    return [unit(one[:dimensions]) for one in found]


def fits(visit: Visit, query: str, texts: list[str]) -> list[float]:
    """Return how well each text fits a query, as a reranker's logits."""
    first, *others = vectors_of(visit, [query, *texts])
    return [10 * nearness(first, other) - 4 for other in others]


def sigmoid(number: float) -> float:
    """Return a logit as a score from 0 to 1."""
    return 1 / (1 + math.exp(-number))


def softmax(numbers: list[float]) -> list[float]:
    """Return logits as scores that add up to 1."""
    most = max(numbers, default=0.0)
    raised = [math.exp(number - most) for number in numbers]
    return [number / sum(raised) for number in raised]


def _add(found: list[float], feature: str, weight: float) -> None:
    spread = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
    found[spread % SIZE] += weight if spread >> 16 & 1 else -weight
