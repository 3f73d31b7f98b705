"""A style request as its user writes it: texts by name.

They are an upload's metadata, or options of a command line.

=================  =============================================================
``style``          a style's name, or a blend: ``starry-night:0.6,great-wave:0.4``
``strength``       share of the painting, 0 to 1
``preserve_color`` ``true`` keeps the source's colours
``max_side``       cap of the longer side in pixels
=================  =============================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from shared.contracts.errors import StyleError
from shared.contracts.style_blend import parse_blend
from shared.contracts.style_request import StyleRequest

SIDES: Final = range(16, 16384 + 1)
"""What ``max_side`` may be."""

_SHARE: Final = re.compile(r"0?\.[0-9]+|[01](\.0*)?|0\.[0-9]*")
_BOOLEANS: Final = {"": False, "false": False, "true": True}


def parse_style_request(texts: Mapping[str, str], default_style: str) -> StyleRequest:
    """Return the request that ``texts`` describe; an empty text stands for its default.

    The style is not looked up here: which styles there are is not part of the contract.

    Raises:
        StyleError: with one sentence for each text that says nothing sensible.
    """
    problems: list[str] = []
    style = texts.get("style", "").strip() or default_style
    strength = texts.get("strength", "").strip() or "1"
    color = texts.get("preserve_color", "").strip()
    side = texts.get("max_side", "").strip()
    try:
        parse_blend(style)
    except ValueError as error:
        problems.append(str(error))
    if not _SHARE.fullmatch(strength):
        problems.append(f"strength must be a number from 0 to 1, not {strength!r}")
    if color.lower() not in _BOOLEANS:
        problems.append(f"preserve_color must be true or false, not {color!r}")
    if side and not (re.fullmatch("[0-9]{1,5}", side) and int(side) in SIDES):
        problems.append(
            f"max_side must be a whole number from {SIDES[0]} to {SIDES[-1]}, not {side!r}"
        )
    if problems:
        raise StyleError("BAD_REQUEST", "; ".join(problems))
    return StyleRequest(
        style=style,
        max_side=int(side) if side else None,
        strength=float(strength),
        preserve_color=_BOOLEANS[color.lower()],
    )


def format_style_request(request: StyleRequest) -> dict[str, str]:
    """Return the texts that make ``request``, as short as can be."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in request.model_dump().items()
        if value is not None
    }
