"""Finds out which style an upload asks for: metadata first, then folder, then default."""

from __future__ import annotations

from collections.abc import Mapping

from shared.errors import StyleError
from shared.styles.gallery import Gallery
from shared.styles.request import StyleRequest


def style_request(
    name: str, metadata: Mapping[str, str], gallery: Gallery, default: str
) -> StyleRequest:
    """Return the style request of the upload called ``name``.

    Metadata keys are compared without regard to case, as storage services may change it. The
    style is not looked up here: a wish for an unknown style is still a wish.
    """
    wishes = {key.lower(): value.strip() for key, value in metadata.items()}
    folder, _, rest = name.partition("/")
    style = wishes.get("style") or (folder if rest and folder in gallery else default)
    return StyleRequest(style=style, max_side=_max_side(wishes.get("max_side")))


def _max_side(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 16 <= int(text) <= 16384:  # noqa: PLR2004
        raise StyleError(
            "BAD_REQUEST", f"max_side must be a whole number from 16 to 16384, not {text!r}"
        )
    return int(text)
