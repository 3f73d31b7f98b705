"""How steady a style is: how much paintings change when pictures do not.

Three measures, each the mean absolute change in levels of 255: the effect of a little noise; the
effect of a shift by some pixels, after shifting back (by half a pixel it is interpolated, which
itself costs a little); and the change between two frames of a real video, after warping the first
one along the optical flow. For the last measure, the source's own value is the lower bound, because
flow is never perfect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
import numpy.typing as npt

from training.network import MULTIPLE

Frames = npt.NDArray[np.uint8]
Paint = Callable[[Frames], Frames]

SHIFTS: Final = (0.5, 1, 1.5, 2, 4)
HALVES: Final = 2
"""Pictures for shifts are read this many times larger, for shifts by fractions of a pixel."""

NOISE_LEVELS: Final = 4
_MARGIN: Final = 16
_CONSISTENT_PX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Flicker:
    """Mean absolute change between neighbouring frames along the flow, in levels of 255."""

    painted: float
    source: float


def under_noise(paint: Paint, frame: Frames) -> float:
    """Return how much noise of `NOISE_LEVELS` changes the painting."""
    noise = np.random.default_rng(0).normal(0, NOISE_LEVELS, frame.shape)
    noisy = np.clip(frame + noise, 0, 255).round().astype(np.uint8)
    return _change(paint(frame), paint(noisy))


def under_shift(still: Paint, fine: Frames, pixels: float, follow: Paint) -> float:
    """Return how much a shift by ``pixels``, down and to the right, changes the painting.

    ``fine`` is the picture, `HALVES` times as large as it is painted. ``follow`` paints like
    ``still``, with a canvas and a grid that have moved with the picture.
    """
    steps = round(HALVES * pixels)
    cells = [(length - steps) // HALVES // MULTIPLE for length in fine.shape[2:]]
    height, width = (MULTIPLE * cell for cell in cells)
    one, other = still(_seen(fine, 0, height, width)), follow(_seen(fine, steps, height, width))
    back = np.array([[1, 0, -pixels], [0, 1, -pixels]], np.float32)
    moved = cv2.warpAffine(_packed(one), back, (width, height), flags=cv2.INTER_CUBIC)
    rim = (slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
    return _change(moved[rim], _packed(other)[rim])


def _seen(fine: Frames, corner: int, height: int, width: int) -> Frames:
    """Return the part of a fine picture below and right of a corner, at the size for painting."""
    rows, columns = (slice(corner, corner + HALVES * side) for side in (height, width))
    cells = fine[:, :, rows, columns].reshape(*fine.shape[:2], height, HALVES, width, HALVES)
    return cells.mean((3, 5)).round().astype(np.uint8)


def along_video(paint: Paint, video: Path, *, frames: int, height: int = 360) -> Flicker:
    """Return how much a painted video flickers in its first ``frames`` frames."""
    painted, source = [], []
    before: tuple[Frames, Frames] | None = None
    for frame in _frames(video, frames, height):
        now = (frame, paint(frame))
        if before is not None:
            flow, seen = _flow(before[0], now[0])
            source.append(_changed_along(flow, seen, before[0], now[0]))
            painted.append(_changed_along(flow, seen, before[1], now[1]))
        before = now
    return Flicker(float(np.mean(painted)), float(np.mean(source)))


def _frames(video: Path, count: int, height: int) -> Iterator[Frames]:
    with av.open(str(video)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == count:
                return
            width = round(frame.width * height / frame.height) // MULTIPLE * MULTIPLE
            planes = frame.to_ndarray(width=width, height=height, format="rgb24")
            yield np.ascontiguousarray(planes.transpose(2, 0, 1)[None])


def _change(a: Frames, b: Frames) -> float:
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())


def _flow(before: Frames, now: Frames) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return where each pixel of ``now`` was ``before``, and whether it was visible there."""
    a, b = (cv2.cvtColor(_packed(frame), cv2.COLOR_RGB2GRAY) for frame in (before, now))
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = finder.calc(b, a, None), finder.calc(a, b, None)
    # A pixel was hidden if the flow there and back does not return to it.
    home = back + cv2.remap(forth, *_places(back), cv2.INTER_LINEAR)
    return back, np.hypot(home[..., 0], home[..., 1]) < _CONSISTENT_PX


def _changed_along(
    flow: npt.NDArray[Any], seen: npt.NDArray[Any], before: Frames, now: Frames
) -> float:
    moved = cv2.remap(_packed(before), *_places(flow), cv2.INTER_LINEAR)
    change = np.abs(moved.astype(np.int16) - _packed(now).astype(np.int16))
    return float(change[seen].mean())


def _places(flow: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    height, width = flow.shape[:2]
    across, down = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    return across + flow[..., 0], down + flow[..., 1]


def _packed(frame: Frames) -> Frames:
    return np.ascontiguousarray(frame[0].transpose(1, 2, 0))
