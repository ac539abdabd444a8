"""Files that a model would have made: pictures, sounds and videos, small and real.

A file's name says all that is in it, so none has to be kept.
"""

from __future__ import annotations

import re
import struct
import zlib

from trunkline.sandbox.reply import RefusedError, Reply
from trunkline.sandbox.visit import Visit

TYPES = {"mp4": "video/mp4", "png": "image/png", "wav": "audio/wav"}
_FOREIGN = "http://files.example.org"
_ELSEWHERE = {
    "file-url-private": "http://169.254.169.254/latest",
    "file-url-private-tls": "https://169.254.169.254/latest",
}
"""URLs that a fault gives in place of a file's own."""
LARGEST = 2048
"""Pixels on a side; more is made as if this had been asked for."""

_NAME = re.compile(
    r"(?P<mark>[0-9a-f]{16})(?:-(?P<first>\d{1,5})(?:x(?P<second>\d{1,5}))?)?\.(?P<kind>png|wav|mp4)"
)
_RATE = 16_000
_LONGEST = 30


def file(visit: Visit, parts: dict[str, str]) -> Reply:
    """Hand over a file; whoever sends a credential with it is refused, for it would leak."""
    if "authorization" in visit.head.headers:
        raise RefusedError(400, {"error": "A file's host was sent an Authorization header."})
    found = _NAME.fullmatch(parts["name"])
    if found is None:
        raise RefusedError(404, {"error": "Not Found"})
    mark, kind = found["mark"], found["kind"]
    first = int(found["first"] or 64)
    if kind == "png":
        return typed(png(mark, first, int(found["second"] or first)), kind)
    return typed(wav(mark, first) if kind == "wav" else mp4(mark), kind)


def typed(content: bytes, kind: str) -> Reply:
    """Return a file as an answer."""
    return Reply(200, (("content-type", TYPES[kind]),), (content,))


def link(visit: Visit, kind: str, mark: str, *measures: int) -> str:
    """Return the URL of a file: a picture's measures are pixels, a sound's seconds.

    The faults of files are in it: they strike when it is fetched.
    """
    size = "-" + "x".join(map(str, measures)) if measures else ""
    name = f"{mark[:16]}{size}.{kind}"
    if visit.fault == "file-url-http":
        return f"{_FOREIGN}/{name}"
    if visit.fault in _ELSEWHERE:
        return _ELSEWHERE[visit.fault]
    fault = f"fault-{visit.fault}/" if visit.fault.startswith("file-") else ""
    return f"{visit.base}/files/{fault}{name}"


def png(mark: str, width: int, height: int) -> bytes:
    """Return a picture of 16 bands whose colours depend on `mark`."""
    width, height = _side(width), _side(height)
    seed = bytes.fromhex(mark[:16])
    palette = b"".join(
        bytes((seed[0] ^ i * 7, seed[1] ^ i * 11, seed[2] ^ i * 13)) for i in range(16)
    )
    rows = b"".join(b"\0" + bytes((y * 16 // height,)) * width for y in range(height))
    return _png(width, height, 3, rows, palette)


def mask(width: int, height: int, part: int = 0) -> bytes:
    """Return a mask: white on one half of black, the left one, the right one and so on in turn."""
    width, height = _side(width), _side(height)
    half = width // 2
    row = b"\xff" * half + b"\0" * (width - half)
    row = row if part % 2 == 0 else row[::-1]
    return _png(width, height, 0, (b"\0" + row) * height)


def wav(mark: str, seconds: float) -> bytes:
    """Return a tone whose height depends on `mark`."""
    half = 20 + int(mark[:2], 16) // 8
    wave = struct.pack("<h", 2000) * half + struct.pack("<h", -2000) * half
    size = int(min(max(seconds, 0.1), _LONGEST) * _RATE) * 2
    data = (wave * (size // len(wave) + 1))[:size]
    form = struct.pack("<HHIIHH", 1, 1, _RATE, _RATE * 2, 2, 16)
    return (
        b"".join((b"RIFF", struct.pack("<I", 36 + size), b"WAVEfmt ", struct.pack("<I", 16), form))
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def mp4(mark: str) -> bytes:
    """Return a video without a track: enough to be known as one."""
    head = struct.pack(">IIIIIIHH", 0, 0, 0, 1000, 1000, 0x10000, 0x0100, 0) + bytes(8)
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    header = _box(b"mvhd", head + matrix + bytes(24) + struct.pack(">I", 2))
    brand = _box(b"ftyp", b"isom" + struct.pack(">I", 512) + b"isomiso2mp41")
    return brand + _box(b"moov", header) + _box(b"mdat", bytes.fromhex(mark[:16]))


def spoken_seconds(text: str) -> int:
    """Return how many seconds it takes to say `text`, roughly."""
    return min(1 + len(text.split()) // 3, _LONGEST)


def _side(pixels: int) -> int:
    return min(max(pixels, 1), LARGEST)


def _png(width: int, height: int, colours: int, rows: bytes, palette: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    parts = [(b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(_chunk(name, data) for name, data in parts if data or name == b"IEND")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check


def _box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + name + data
