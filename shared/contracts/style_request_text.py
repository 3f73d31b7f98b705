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
    problems: list[str] = []
    style = texts.get("style", "").strip() or default_style
    strength = texts.get("strength", "").strip() or "1"
    color = texts.get("preserve_color", "").strip()
    max_side = _read_count("max_side", texts, spelled, SIDES, problems)
    start = _read_time("start", texts, spelled, problems)
    duration = _read_time("duration", texts, spelled, problems)
    if duration is not None and not round(duration, 3):
        problems.append(f"{spelled('duration')} must be longer than 0")
    max_frames = _read_count("max_frames", texts, spelled, range(1, MOST_FRAMES + 1), problems)
    brush = _read_count("brush", texts, spelled, BRUSHES, problems)
    quality = _read_count("quality", texts, spelled, QUALITIES, problems)
    codec = texts.get("codec", "").strip().lower() or "h264"
    if codec not in get_args(Codec):
        codecs = f"{', '.join(get_args(Codec)[:-1])} or av1"
        problems.append(f"{spelled('codec')} must be {codecs}, not {codec!r}")
    fade = _read_time("fade", texts, spelled, problems)
    try:
        Schedule.of(style, None if fade is None else round(1000 * fade))
    except ValueError as error:
        problems.append(str(error))
    if not _SHARE.fullmatch(strength):
        problems.append(f"{spelled('strength')} must be a number from 0 to 1, not {strength!r}")
    if color.lower() not in _BOOLEANS:
        problems.append(f"{spelled('preserve_color')} must be true or false, not {color!r}")
    if problems:
        raise StyleError("BAD_REQUEST", "; ".join(problems))
    return StyleRequest(
        style=style,
        max_side=max_side,
        strength=float(strength),
        preserve_color=_BOOLEANS[color.lower()],
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


def _read_count(
    name: str,
    texts: Mapping[str, str],
    spelled: Callable[[str], str],
    allowed: range,
    problems: list[str],
) -> int | None:
    text = texts.get(name, "").strip()
    if not text:
        return None
    if re.fullmatch("[0-9]{1,9}", text) and int(text) in allowed:
        return int(text)
    problems.append(
        f"{spelled(name)} must be a whole number from {allowed[0]} to {allowed[-1]}, not {text!r}"
    )
    return None


def _read_time(
    name: str, texts: Mapping[str, str], spelled: Callable[[str], str], problems: list[str]
) -> float | None:
    text = texts.get(name, "").strip()
    if not text:
        return None
    seconds = parse_time(text)
    if seconds is None:
        problems.append(f"{spelled(name)} must be {FORMS}, not {text!r}")
    return seconds
