"""Turn plain text subtitles into those that MP4 knows (3GPP TS 26.245, timed text)."""

from __future__ import annotations

import re

CONVERTIBLE = frozenset({"subrip", "webvtt", "text"})
"""Subtitles whose packets are UTF-8 text with a little markup."""

_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_LONGEST = 0xFFFF


def as_mov_text(packet: bytes) -> bytes:
    r"""Return one line of dialogue as a timed text sample: its length, then the text.

    Markup (``<i>``, ``{\an8}``) is left out.

    >>> as_mov_text(b"<i>Oh</i>\nno")
    b'\x00\x05Oh\nno'
    """
    text = _MARKUP.sub("", packet.decode(errors="replace")).strip()
    encoded = text.encode()[:_LONGEST].decode(errors="ignore").encode()
    return len(encoded).to_bytes(2, "big") + encoded
