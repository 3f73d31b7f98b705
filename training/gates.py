"""What every bundled style has to reach: gates, each a figure of `training.looks` and its limit.

A goal of steadiness alone forbids strokes: a network that amplifies nothing paints nothing on a
wall. So strokes have a gate of their own, and steadiness another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from training import looks
from training.steadiness import Frames, Paint, along_video, under_noise

PAINTING_SIDE: Final = 720
"""The short side at which a painting is read to be measured."""

CANVASES: Final = tuple((97.0 * number, 61.0 * number) for number in range(12))
"""Places on the canvas, in pixels, at which walls are painted."""

_VIDEO_FRAMES: Final = 24
_FINE: Final = 3
"""Below this limit, two decimals are shown."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A figure's limit: the least, or the most, that is allowed."""

    name: str
    least: float | None = None
    most: float | None = None

    def holds(self, figure: float) -> bool:
        """Tell whether a figure is within the limit."""
        below = self.least is not None and figure < self.least
        above = self.most is not None and figure > self.most
        return not (below or above)

    def cell(self, figure: float) -> str:
        """Return the figure for a table, in bold where it misses."""
        text = f"{figure:.2f}" if (self.least or self.most or 0) < _FINE else f"{figure:.1f}"
        return text if self.holds(figure) else f"**{text}**"

    def __str__(self) -> str:
        sign, limit = (">=", self.least) if self.least is not None else ("<=", self.most)
        return f"{self.name} {sign} {limit:g}"


EVENNESS: Final = Gate("evenness", least=0.33)

GATES: Final = (
    Gate("strokes", least=0.5),
    Gate("light", least=0.9),
    Gate("noise", most=3.5),
    Gate("video", most=6.0),
    Gate("rim", most=2.0),
    Gate("repetition", most=0.3),
    EVENNESS,
    Gate("grid", most=0.5),
)


def look(
    paints: Sequence[Paint], pictures: list[Frames], painting: Frames, videos: list[Path]
) -> tuple[float, ...]:
    """Return a style's figures, one for each of `GATES`.

    ``paints`` is the style at each of `CANVASES`, ``pictures`` are photographs that it was not
    trained on, ``videos`` real ones; the worst counts.
    """
    paint = paints[0]
    energy = looks.strokes_in_flat_areas(paint, pictures)
    return (
        energy / looks.energy_of_painting(painting),
        looks.light_kept(paint, pictures),
        float(np.mean([under_noise(paint, picture) for picture in pictures])),
        max(
            (along_video(paint, video, frames=_VIDEO_FRAMES).painted for video in videos), default=0
        ),
        looks.rim(paints),
        looks.repetition(paint),
        looks.evenness(paint),
        looks.grid(paint),
    )
