"""Browsers' names of codecs (RFC 6381): the name in MP4, with profile and level."""

from __future__ import annotations

from typing import Final

_NAMES: Final = {
    "aac": "mp4a.40.2",
    "mp3": "mp4a.6b",
    "opus": "opus",
    "flac": "flac",
    "ac3": "ac-3",
    "eac3": "ec-3",
    "alac": "alac",
}
_LEAST: Final = {"h264": 4, "hevc": 13, "av1": 4}
"""The number of bytes of parameters that a codec's name needs."""


def browser_codec(codec: str, parameters: bytes) -> str:
    """Return browsers' name of a codec, given FFmpeg's name of it.

    ``parameters`` are those of its MP4 (``avcC``, ``hvcC`` or ``av1C``). A codec without a rule is
    called by its own name.

    >>> browser_codec("h264", bytes.fromhex("0164001f"))
    'avc1.64001f'
    """
    if len(parameters) >= _LEAST.get(codec, len(parameters) + 1):
        match codec:
            case "h264":
                return f"avc1.{parameters[1:4].hex()}"
            case "hevc":
                return _hevc(parameters)
            case "av1":
                return _av1(parameters)
    return _NAMES.get(codec, codec)


def _hevc(hvcc: bytes) -> str:
    """Name HEVC (ISO/IEC 14496-15, annex E): profile, compatibility, level, constraints."""
    space = ("", "A", "B", "C")[hvcc[1] >> 6]
    tier = "H" if hvcc[1] & 0x20 else "L"
    compatible = int(f"{int.from_bytes(hvcc[2:6]):032b}"[::-1], 2)
    constraints = hvcc[6:12].rstrip(b"\0")
    words = [f"{space}{hvcc[1] & 0x1F}", f"{compatible:X}", f"{tier}{hvcc[12]}"]
    return ".".join(["hvc1", *words, *(f"{byte:X}" for byte in constraints)])


def _av1(av1c: bytes) -> str:
    """Name AV1 (AV1 in ISO base media files, section 5): profile, level, tier, bit depth."""
    profile, level = av1c[1] >> 5, av1c[1] & 0x1F
    tier = "H" if av1c[2] & 0x80 else "M"
    deep, twelve = bool(av1c[2] & 0x40), bool(av1c[2] & 0x20)
    bits = (8, 10, 12)[deep + (deep and twelve)]
    return f"av01.{profile}.{level:02}{tier}.{bits:02}"
