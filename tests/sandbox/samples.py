"""Small files and requests that tests of the sandbox share: written here, not recorded."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any


def png(width: int = 4, height: int = 2) -> bytes:
    """A grey picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + b"\x80" * width) * height
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def wav(seconds: float = 0.5) -> bytes:
    """Silence at 8 kHz."""
    data = bytes(int(8000 * seconds) * 2)
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    size = struct.pack("<I", 36 + len(data))
    head = b"RIFF" + size + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", len(data)) + data


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64(content)}"


def form(fields: dict[str, Any]) -> tuple[bytes, str]:
    """A multipart form; a field with a file is (name, bytes)."""
    parts = []
    for name, value in fields.items():
        told = f'--edge\r\ncontent-disposition: form-data; name="{name}"'
        if isinstance(value, tuple):
            head = f'{told}; filename="{value[0]}"\r\ncontent-type: audio/wav\r\n\r\n'
            parts.append(head.encode() + value[1] + b"\r\n")
        else:
            parts.append(f"{told}\r\n\r\n{value}\r\n".encode())
    return b"".join(parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def look(answer: Any, place: str) -> Any:
    for key in place.split("."):
        if isinstance(answer, list):
            answer = answer[int(key)] if answer else None
        else:
            answer = (answer or {}).get(key)
    return answer


def below(provider: str, url: str) -> str:
    """What a client asks when it takes a URL's path below the provider's route."""
    return f"/{provider}/" + url.partition("://")[2].partition("/")[2]
