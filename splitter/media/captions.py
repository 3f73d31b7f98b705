"""Convert plain text subtitles to those of MP4 (3GPP TS 26.245, timed text), and back."""

from __future__ import annotations

import html
import re

CONVERTIBLE = frozenset({"subrip", "webvtt", "text"})
"""Subtitles whose packets are UTF-8 text with a little markup."""

_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_LONGEST = 0xFFFF
_LENGTH_BYTES = 2
_UTF16_MARKS = (b"\xfe\xff", b"\xff\xfe")


def plain(packet: bytes, codec: str) -> bytes:
    r"""Return the text of a packet in UTF-8, without markup (``<i>``, ``{\an8}``).

    >>> plain(b"<i>Oh</i>\nno ", "subrip")
    b'Oh\nno'
    >>> plain(b"<v Bob>&gt;&gt; Oh", "webvtt")
    b'>> Oh'
    """
    text = _MARKUP.sub("", packet.decode(errors="replace")).strip()
    return (html.unescape(text) if codec == "webvtt" else text).encode()


def as_mov_text(text: bytes) -> bytes:
    r"""Return a text as a timed text sample: its length, then the text.

    >>> as_mov_text(b"Oh\nno")
    b'\x00\x05Oh\nno'
    """
    encoded = text[:_LONGEST].decode(errors="ignore").encode()
    return len(encoded).to_bytes(2, "big") + encoded


def as_subrip(sample: bytes) -> bytes:
    r"""Return the text of a timed text sample as a SubRip packet, without its styles.

    >>> as_subrip(b"\x00\x05Oh\nno")
    b'Oh\nno'
    """
    length = int.from_bytes(sample[:_LENGTH_BYTES], "big")
    text = sample[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if text.startswith(_UTF16_MARKS):
        return text.decode("utf-16", errors="replace").encode()
    return text
