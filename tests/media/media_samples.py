"""The first bytes of files of every kind, written by hand from their formats' descriptions."""

from __future__ import annotations

import io
import struct
import wave

from PIL import Image


def image(form: str, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (3, 2)).save(buffer, form)
    return buffer.getvalue()


def recording(samples: bytes = b"\0\0" * 8, channels: int = 1, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return buffer.getvalue()


def mp4(brand: bytes) -> bytes:
    return struct.pack(">I4s4sI", 24, b"ftyp", brand, 512) + b"isommp42" + b"\0" * 16


def ebml(doctype: bytes) -> bytes:
    return b"\x1aE\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82" + bytes((0x80 | len(doctype),)) + doctype


def ogg(packet: bytes) -> bytes:
    return b"OggS\0\x02" + b"\0" * 20 + b"\x01" + bytes((len(packet),)) + packet


def tagged(content: bytes) -> bytes:
    """Put an ID3v2 tag of 200 bytes before `content`."""
    return b"ID3\x04\0\0" + bytes((0, 0, 1, 72)) + b"\0" * 200 + content


MP3_FRAME = b"\xff\xfb\x90\x64" + b"\0" * 413
AAC_FRAME = b"\xff\xf1\x50\x80\x02\x1f\xfc" + b"\0" * 9

IMAGES = {
    "image/png": image("PNG"),
    "image/jpeg": image("JPEG"),
    "image/gif": image("GIF"),
    "image/webp": image("WEBP"),
    "image/bmp": image("BMP"),
    "image/tiff": image("TIFF"),
}
SOUNDS = [
    ("audio/wav", recording()),
    ("audio/wav", b"RIFFxxxxWAVE"),
    ("audio/wav", b"RF64\xff\xff\xff\xffWAVEds64"),
    ("audio/flac", b'fLaC\0\0\0"\x10\0'),
    ("audio/ogg", ogg(b"OpusHead\x01\x01")),
    ("audio/ogg", ogg(b"\x01vorbis\0")),
    ("audio/mpeg", MP3_FRAME),
    ("audio/mpeg", b"\xff\xf3\x84\xc4"),
    ("audio/mpeg", tagged(MP3_FRAME)),
    ("audio/mpeg", b"ID3\x03\0\0"),
    ("audio/aac", AAC_FRAME),
    ("audio/aac", tagged(AAC_FRAME)),
    ("audio/flac", tagged(b"fLaC\0\0\0")),
    ("audio/mp4", mp4(b"M4A ")),
    ("audio/mp4", mp4(b"M4B ")),
    ("audio/amr", b"#!AMR\n\x3c"),
    ("audio/amr", b"#!AMR-WB\n\x04"),
    ("audio/aiff", b"FORM\0\0\0\x2eAIFFCOMM"),
    ("audio/aiff", b"FORM\0\0\0\x2eAIFCFVER"),
    ("audio/x-caf", b"caff\0\x01\0\0desc"),
    ("audio/basic", b".snd\0\0\0\x18"),
]
CONTAINERS = [
    ("video/mp4", "audio/mp4", mp4(b"isom")),
    ("video/mp4", "audio/mp4", mp4(b"mp42")),
    ("video/quicktime", "video/quicktime", mp4(b"qt  ")),
    ("video/quicktime", "video/quicktime", b"\0\0\0\x08wide\0\0\x10\0mdat"),
    ("video/3gpp", "audio/3gpp", mp4(b"3gp5")),
    ("video/webm", "audio/webm", ebml(b"webm")),
    ("video/webm", "audio/webm", b"\x1aE\xdf\xa3"),
    ("video/x-matroska", "audio/x-matroska", ebml(b"matroska")),
    ("video/ogg", "audio/ogg", ogg(b"\x80theora\x03")),
    ("video/x-ms-asf", "audio/x-ms-wma", b"0&\xb2u\x8ef\xcf\x11\xa6\xd9"),
]
VIDEOS = [
    ("video/x-msvideo", b"RIFF\x10\0\0\0AVI LIST"),
    ("video/x-flv", b"FLV\x01\x05"),
    ("video/mpeg", b"\0\0\x01\xba\x44"),
]
PDF = b"%PDF-1.7\n%\xe2\xe3\n"
