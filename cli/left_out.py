"""Says what a result lacks that its video had, and whether anybody will miss it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

_MEANINGS: Final[Mapping[str, str]] = {
    "timecode": "editing software numbers frames by it; players do not show it",
    "data": "cameras record sensor readings there, DVDs their menus; no player shows it",
    "cover art": "file browsers show it as a thumbnail; it is not part of the video",
    "attachment": "files packed into a video, such as fonts, are not kept",
    "subtitle": "only subtitles that are text, in a format that the result's container can hold, "
    "are kept",
    "second video": "a result has one video track, that of the main video",
    "still picture": "a result has one video track, that of the moving picture",
    "of other programs": "a result holds one program of a broadcast, with its sound and subtitles",
}
"""By the kind of track; see `Source.dropped`."""

_OWN_WARNING: Final = "audio"
"""Missing sound makes a job `degraded`, and a warning of its own says why it is missing."""


def explain_left_out(dropped: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence for each kind of track among those that a result lacks.

    >>> print(*explain_left_out(["timecode"]))
    not in the result: timecode; editing software numbers frames by it; players do not show it
    """
    kinds = groupby(sorted(dropped, key=_kind_of), _kind_of)
    return tuple(_sentence(kind, list(tracks)) for kind, tracks in kinds if kind != _OWN_WARNING)


def _kind_of(track: str) -> str:
    """Return the kind of a track from its clause, such as ``cover art (png)``."""
    kind = track.partition(" (")[0]
    return next((known for known in _MEANINGS if kind.endswith(known)), kind)


def _sentence(kind: str, tracks: list[str]) -> str:
    meaning = f"; {_MEANINGS[kind]}" if kind in _MEANINGS else ""
    return f"not in the result: {', '.join(tracks)}{meaning}"
