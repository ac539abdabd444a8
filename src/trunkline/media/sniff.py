"""What a file's first bytes say that it is. A table of marks; names and headers are not asked.

Whether somebody wants such a file is not known here.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """A type of file."""

    media_type: str
    what: str
    """In a sentence: `a PNG image`."""
    suffixes: tuple[str, ...] = ()
    """Endings that file names of this type have, the usual one first."""
    hint: str | None = None
    """What to do with one that nobody takes as it is."""
    sound: str | None = None
    """Its media type where a container is given for its sound alone."""
    taken: bool = True
    """Whether models take it, where they take its family."""
    weak: bool = False
    """Whether its mark is so short that other bytes may have it by chance."""

    @property
    def family(self) -> str:
        """`image`, `audio`, `video`, `document`, `text` or `application`."""
        return "document" if self.media_type == _PDF else self.media_type.partition("/")[0]


_PDF = "application/pdf"
Test = Callable[[bytes], bool]
HEAD = 1024
"""Bytes that are looked at."""


def sniff(content: bytes) -> Kind | None:
    """Return what `content` begins like, or None where no row of the table fits."""
    head = content[:HEAD]
    if _is_id3(head):
        return _tagged(content)
    return next((kind for kind, matches in _TABLE if matches(head)), None)


def sniff_text(content: bytes) -> Kind | None:
    """Return which text `content` begins like, or None where it is none."""
    head = content[:HEAD]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _TEXT
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=len(content) <= HEAD)
    except UnicodeDecodeError:
        return None
    if any(c < " " and c not in "\t\n\r\f\x1b" for c in text):
        return None
    start = text.lstrip()
    if start.startswith(("{", "[")):
        return _JSON
    return _XML if start.startswith("<?xml") else _TEXT


def _starts(*marks: bytes) -> Test:
    return lambda head: head.startswith(marks)


def _is_bmp(head: bytes) -> bool:
    # Two letters prove little, so the size of the header behind them has to be one that exists.
    return head[:2] == b"BM" and head[14:18] in {
        bytes((n, 0, 0, 0)) for n in (12, 40, 56, 108, 124)
    }


def _is_riff(form: bytes) -> Test:
    return lambda head: head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"} and head[8:12] == form


def _is_brand(*brands: bytes) -> Test:
    """Match an MP4 container whose first brand begins like one of `brands`."""
    return lambda head: head[4:8] == b"ftyp" and head[8:12].startswith(brands or (b"",))


def _is_old_quicktime(head: bytes) -> bool:
    return head[4:8] in {b"moov", b"mdat", b"wide"} and head[0] < 0x20


def _is_ebml(*doctypes: bytes) -> Test:
    return lambda head: (
        head.startswith(b"\x1aE\xdf\xa3")
        and (not doctypes or any(doctype in head[:64] for doctype in doctypes))
    )


def _is_id3(head: bytes) -> bool:
    return head[:3] == b"ID3" and head[3:4] in {b"\x02", b"\x03", b"\x04"}


def _is_mpeg_audio(head: bytes) -> bool:
    """Match the header of an MPEG frame, layer II or III: ISO 11172-3, 2.4.1.3."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bitrate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2
    return version != 1 and layer in (1, 2) and bitrate not in (0, 15) and rate & 3 != 3


def _is_adts(head: bytes) -> bool:
    """Match the header of an AAC frame: ISO 13818-7, 6.2."""
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13


def _tagged(content: bytes) -> Kind:
    """Return the sound behind an ID3 tag: mostly MP3, sometimes AAC or FLAC."""
    size = content[6:10]
    end = 10 + sum(
        (byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=False)
    )
    behind = content[end : end + HEAD]
    return next((kind for kind in (_FLAC, _AAC) if _MARKS[kind.media_type](behind)), _MP3)


def _is_markup(*tags: bytes) -> Test:
    """Match text whose first tag, of those that tell drawings and pages apart, is one of `tags`."""

    def matches(head: bytes) -> bool:
        text = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
        if text.startswith(b"<!doctype html"):
            return b"<html" in tags
        if not text.startswith((b"<?xml", b"<!--", b"<!doctype", *_TAGS)):
            return False
        places = {tag: text.find(tag) for tag in _TAGS if tag in text}
        return bool(places) and min(places, key=places.__getitem__) in tags

    return matches


_PAGE_TAGS = (b"<html", b"<head", b"<body")
_TAGS = (b"<svg", *_PAGE_TAGS)

_CONVERT = "Convert it to PNG or JPEG first, for instance by opening it with PIL."
_FRAMES = "Take single frames out of it and send those as images."
_UNPACK = "Unpack it and give the file inside."

_TEXT = Kind(
    "text/plain",
    "text",
    (".txt",),
    "Give the file's own bytes; base64 text has to be decoded, or written as a data: URL.",
)
_JSON = Kind(
    "application/json", "JSON", (".json",), "An error message may have come instead of the file."
)
_XML = Kind(
    "application/xml", "XML", (".xml",), "An error message may have come instead of the file."
)
_FLAC = Kind("audio/flac", "a FLAC recording", (".flac",))
_AAC = Kind("audio/aac", "an AAC recording", (".aac",), weak=True)
_MP3 = Kind("audio/mpeg", "an MP3 recording", (".mp3", ".mpga", ".mpeg", ".mp2"), weak=True)
_MARKS: dict[str, Test] = {"audio/flac": _starts(b"fLaC"), "audio/aac": _is_adts}

_IMAGES: tuple[tuple[Kind, Test], ...] = (
    (Kind("image/png", "a PNG image", (".png",)), _starts(b"\x89PNG\r\n\x1a\n")),
    (
        Kind("image/jpeg", "a JPEG image", (".jpg", ".jpeg", ".jpe", ".jfif")),
        _starts(b"\xff\xd8\xff"),
    ),
    (Kind("image/gif", "a GIF image", (".gif",)), _starts(b"GIF87a", b"GIF89a")),
    (Kind("image/webp", "a WebP image", (".webp",)), _is_riff(b"WEBP")),
    (Kind("image/bmp", "a BMP image", (".bmp", ".dib")), _is_bmp),
    (Kind("image/tiff", "a TIFF image", (".tiff", ".tif")), _starts(b"II*\x00", b"MM\x00*")),
    (
        Kind("image/avif", "an AVIF image", (".avif",), _CONVERT, taken=False),
        _is_brand(b"avif", b"avis"),
    ),
    (
        Kind(
            "image/heic",
            "a HEIC image",
            (".heic", ".heif"),
            "Convert it to JPEG first; phones can also be set to take JPEG.",
            taken=False,
        ),
        _is_brand(b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"),
    ),
    (
        Kind("image/jxl", "a JPEG XL image", (".jxl",), _CONVERT, taken=False),
        _starts(b"\xff\x0a", b"\x00\x00\x00\x0cJXL "),
    ),
    (
        Kind("image/x-icon", "an icon (ICO)", (".ico",), _CONVERT, taken=False),
        _starts(b"\x00\x00\x01\x00"),
    ),
    (
        Kind("image/svg+xml", "an SVG drawing", (".svg",), "Render it to PNG first.", taken=False),
        _is_markup(b"<svg"),
    ),
)

_SOUNDS: tuple[tuple[Kind, Test], ...] = (
    (Kind("audio/wav", "a WAV recording", (".wav", ".wave")), _is_riff(b"WAVE")),
    (_FLAC, _MARKS["audio/flac"]),
    (
        Kind("video/ogg", "an Ogg video", (".ogv", ".ogg"), _FRAMES, sound="audio/ogg"),
        lambda head: head.startswith(b"OggS\0") and b"\x80theora" in head,
    ),
    (
        Kind("audio/ogg", "an Ogg recording", (".ogg", ".opus", ".oga", ".spx")),
        _starts(b"OggS\0"),
    ),
    (
        Kind("audio/mp4", "an M4A recording", (".m4a", ".mp4", ".m4b")),
        _is_brand(b"M4A", b"M4B", b"M4P", b"F4A"),
    ),
    (Kind("audio/amr", "an AMR recording", (".amr",)), _starts(b"#!AMR")),
    (
        Kind("audio/aiff", "an AIFF recording", (".aiff", ".aif", ".aifc")),
        lambda head: head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"},
    ),
    (Kind("audio/x-caf", "a CAF recording", (".caf",)), _starts(b"caff\x00\x01")),
    (Kind("audio/basic", "an AU recording", (".au", ".snd")), _starts(b".snd\x00")),
    (
        Kind(
            "audio/midi",
            "a MIDI file",
            (".mid", ".midi"),
            "It holds notes and no sound: play it into a WAV file first.",
            taken=False,
        ),
        _starts(b"MThd\x00"),
    ),
    (_MP3, _is_mpeg_audio),
    (_AAC, _is_adts),
)

_VIDEOS: tuple[tuple[Kind, Test], ...] = (
    (
        Kind(
            "video/quicktime",
            "a QuickTime video",
            (".mov", ".qt"),
            _FRAMES,
            sound="video/quicktime",
        ),
        lambda head: _is_brand(b"qt")(head) or _is_old_quicktime(head),
    ),
    (
        Kind("video/3gpp", "a 3GPP video", (".3gp", ".3g2"), _FRAMES, sound="audio/3gpp"),
        _is_brand(b"3g"),
    ),
    (
        Kind("video/mp4", "an MP4 video", (".mp4", ".m4v", ".m4a"), _FRAMES, sound="audio/mp4"),
        _is_brand(),
    ),
    (
        Kind(
            "video/x-matroska",
            "a Matroska video",
            (".mkv", ".mka"),
            _FRAMES,
            sound="audio/x-matroska",
        ),
        _is_ebml(b"matroska"),
    ),
    (
        Kind("video/webm", "a WebM video", (".webm", ".weba"), _FRAMES, sound="audio/webm"),
        _is_ebml(),
    ),
    (Kind("video/x-msvideo", "an AVI video", (".avi",), _FRAMES), _is_riff(b"AVI ")),
    (Kind("video/x-flv", "an FLV video", (".flv",), _FRAMES), _starts(b"FLV\x01")),
    (Kind("video/mpeg", "an MPEG video", (".mpg", ".mpeg"), _FRAMES), _starts(b"\x00\x00\x01\xba")),
    (
        Kind(
            "video/x-ms-asf",
            "a Windows Media file",
            (".wmv", ".wma", ".asf"),
            _FRAMES,
            sound="audio/x-ms-wma",
        ),
        _starts(b"0&\xb2u\x8ef\xcf\x11"),
    ),
)

_BZIP2 = tuple(b"BZh%d1AY&SY" % level for level in range(1, 10))

_OTHERS: tuple[tuple[Kind, Test], ...] = (
    (
        Kind(
            _PDF,
            "a PDF document",
            (".pdf",),
            "Render its pages to PNG first, and send each.",
        ),
        _starts(b"%PDF-"),
    ),
    (
        Kind(
            "text/html",
            "a web page",
            (".html", ".htm"),
            "The download brought a page about the file instead: take the address of the file"
            " itself, on the Hub the one with /resolve/ in it.",
        ),
        _is_markup(*_PAGE_TAGS),
    ),
    (
        Kind(
            "text/x-git-lfs-pointer",
            "a Git LFS pointer",
            hint="Fetch the file itself with git lfs pull, or take its resolve/main URL.",
        ),
        _starts(b"version https://git-lfs"),
    ),
    (
        Kind(
            "application/zip",
            "a ZIP archive",
            (".zip",),
            f"{_UNPACK} Office documents are such archives too: export them as PDF or PNG.",
        ),
        _starts(b"PK\x03\x04", b"PK\x05\x06"),
    ),
    (Kind("application/gzip", "a gzip archive", (".gz",), _UNPACK), _starts(b"\x1f\x8b")),
    (
        Kind("application/x-compressed", "a compressed archive", hint=_UNPACK),
        _starts(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\xfd7zXZ\x00", b"(\xb5/\xfd", *_BZIP2),
    ),
    (
        Kind(
            "application/x-npy",
            "a saved numpy array",
            (".npy",),
            "Load it and give the array: numpy.load(path).",
        ),
        _starts(b"\x93NUMPY"),
    ),
)

_TABLE = (*_IMAGES, *_SOUNDS, *_VIDEOS, *_OTHERS)
