"""A style request as users write it: strings by name.

They are an upload's metadata or the options of a command line.

=================  =============================================================
``style``          a style's name, or a blend: ``starry-night:0.6,great-wave:0.4``, or several
                   of these over time: ``starry-night@0s,great-wave@10s``
``fade``           how long each style takes to fade in, written as a time
``strength``       share of the painting, 0 to 1
``preserve_color`` ``true`` keeps the source's colours
``max_side``       cap of the longer side in pixels
``start``          where to begin: seconds, or ``[HOURS:]MINUTES:SECONDS``
``duration``       how much of the video to paint, written in the same way
``max_frames``     how many frames to paint at most
``brush``          height in lines at which pictures are painted
``quality``        of the result's encoding, 0 to 100
``codec``          of the result: ``h264``, ``hevc`` or ``av1``
=================  =============================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, cast, get_args

from shared.contracts.errors import StyleError
from shared.contracts.style_request import (
    BRUSHES,
    MOST_FRAMES,
    QUALITIES,
    Codec,
    StyleRequest,
)
from shared.contracts.style_schedule import Schedule
from shared.contracts.times import FORMS, parse_time

SIDES: Final = range(16, 16384 + 1)
"""The values of ``max_side``, in pixels."""

_SHARE: Final = re.compile(r"0?\.[0-9]+|[01](\.0*)?|0\.[0-9]*")
_BOOLEANS: Final = {"": False, "false": False, "true": True}


def parse_style_request(
    texts: Mapping[str, str], default_style: str, spelled: Callable[[str], str] = str
) -> StyleRequest:
    """Return the request that ``texts`` describe; a missing or empty one stands for its default.

    The style is not looked up: which styles exist is not part of the contract. ``spelled`` returns
    what users call a text.

    Raises:
        StyleError: ``BAD_REQUEST``, with one sentence for each invalid text.
    """
    given = _Texts(texts, spelled)
    style = given.text("style") or default_style
    strength = given.text("strength") or "1"
    color = given.text("preserve_color").lower()
    max_side = given.count("max_side", SIDES)
    start = given.time("start")
    duration = given.time("duration")
    if duration is not None and not round(duration, 3):
        given.problems.append(f"{spelled('duration')} must be longer than 0")
    max_frames = given.count("max_frames", range(1, MOST_FRAMES + 1))
    brush = given.count("brush", BRUSHES)
    quality = given.count("quality", QUALITIES)
    codec = given.text("codec").lower() or "h264"
    if codec not in get_args(Codec):
        given.refuse("codec", f"{', '.join(get_args(Codec)[:-1])} or av1")
    fade = given.time("fade")
    try:
        Schedule.of(style, None if fade is None else round(1000 * fade))
    except ValueError as error:
        given.problems.append(str(error))
    if not _SHARE.fullmatch(strength):
        given.refuse("strength", "a number from 0 to 1")
    if color not in _BOOLEANS:
        given.refuse("preserve_color", "true or false")
    if given.problems:
        raise StyleError("BAD_REQUEST", "; ".join(given.problems))
    return StyleRequest(
        style=style,
        max_side=max_side,
        strength=float(strength),
        preserve_color=_BOOLEANS[color],
        start=start or 0.0,
        duration=duration,
        max_frames=max_frames,
        brush=brush,
        quality=quality,
        codec=cast("Codec", codec),
        fade=fade,
    )


def format_style_request(request: StyleRequest) -> dict[str, str]:
    """Return the fewest texts that `parse_style_request` reads as ``request``."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in request.model_dump().items()
        if value is not None
    }


class _Texts:
    """The texts of a request by name, and a sentence for each that is invalid."""

    def __init__(self, texts: Mapping[str, str], spelled: Callable[[str], str]) -> None:
        self._texts = texts
        self._spelled = spelled
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        return self._texts.get(name, "").strip()

    def count(self, name: str, allowed: range) -> int | None:
        text = self.text(name)
        if re.fullmatch("[0-9]{1,9}", text) and int(text) in allowed:
            return int(text)
        if text:
            self.refuse(name, f"a whole number from {allowed[0]} to {allowed[-1]}")
        return None

    def time(self, name: str) -> float | None:
        text = self.text(name)
        seconds = parse_time(text)
        if text and seconds is None:
            self.refuse(name, FORMS)
        return seconds

    def refuse(self, name: str, wanted: str) -> None:
        """Note that a text is not what is ``wanted``."""
        self.problems.append(f"{self._spelled(name)} must be {wanted}, not {self.text(name)!r}")
