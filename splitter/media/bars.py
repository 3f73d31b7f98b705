"""Find the black bars around a video's picture, which are left unpainted.

A picture that is dark at an edge for a moment has no bars, so they are looked for in pictures from
all over the video. A stretch of it that fills them, as in films with changing aspect ratios, has no
bars; a line of subtitles does not fill them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import av
import numpy as np
from numpy.typing import NDArray

from shared.contracts.manifest import NO_BARS, Bars
from shared.media.pixels import BLACK, luma

_THINNEST: Final = 0.02
"""A bar thinner than this share of the side does not count."""

_AGREEING: Final = 1 / 3
"""The share of a video's pictures in which a bar must end at the same line."""

_EXCEPTIONS: Final = 1 / 4
"""The share of a video's pictures that may fill the bars."""

_FEWEST: Final = 4
"""How many pictures that are not entirely black it takes to detect bars."""

_FILLED: Final = 0.1
"""If more than this share of a bar's pixels is lit, it contains picture, not text."""


def may_have_bars(frame: av.VideoFrame) -> bool:
    """Return, by a quick look, whether two opposite edges of a ``yuv420p`` picture are black."""
    light = luma(frame)
    return bool(
        (light[:2].max() <= BLACK and light[-2:].max() <= BLACK)
        or (light[:, :2].max() <= BLACK and light[:, -2:].max() <= BLACK)
    )


@dataclass(frozen=True, slots=True)
class Lit:
    """The share of each row and of each column of one picture that is not black."""

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """Measure a ``yuv420p`` picture."""
        lit = luma(frame) > BLACK
        return cls(lit.mean(axis=1), lit.mean(axis=0))

    @property
    def sides(self) -> tuple[NDArray[np.float64], ...]:
        """The shares from each edge inwards: top, bottom, left, right."""
        return self.rows, self.rows[::-1], self.columns, self.columns[::-1]


def agree(pictures: Iterable[Lit]) -> Bars:
    """Return the bars of a video, judged by some of its pictures."""
    seen = [picture.sides for picture in pictures if picture.rows.any()]
    if len(seen) < _FEWEST:
        return NO_BARS
    return Bars(*(_bar(side) for side in zip(*seen, strict=True)))


def _bar(side: Sequence[NDArray[np.float64]]) -> int:
    """Return the thickness of the bar at one side, judged by several pictures."""
    thick = [int((shares > 0).argmax()) // 2 * 2 for shares in side]
    # Text in a bar makes it look thinner, a dark picture thicker; most show its real thickness.
    bar = max(sorted(set(thick)), key=lambda bar: sum(bar <= other <= bar + 2 for other in thick))
    agreeing = sum(bar <= other <= bar + 2 for other in thick)
    if agreeing < _AGREEING * len(side) or bar < _THINNEST * len(side[0]):
        return 0
    filled = sum(shares[:bar].mean() > _FILLED for shares in side)
    return bar if filled <= _EXCEPTIONS * len(side) else 0


def still_black(frame: av.VideoFrame, bars: Bars) -> Bars:
    """Return ``bars`` without those that a ``yuv420p`` picture fills."""
    light = luma(frame)
    height, width = light.shape
    parts = (
        light[: bars.top],
        light[height - bars.bottom :],
        light[:, : bars.left],
        light[:, width - bars.right :],
    )
    return Bars(*(0 if _is_filled(part) else bar for bar, part in zip(bars, parts, strict=True)))


def _is_filled(part: NDArray[np.uint8]) -> bool:
    if not part.size or part.max() <= BLACK:
        return False
    # (Counting takes a quarter of the time of a mean, which converts to floats.)
    return bool(np.count_nonzero(part > BLACK) > _FILLED * part.size)
