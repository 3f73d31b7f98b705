"""Follow the camera: find where each frame is on the stylizer's canvas.

Brush strokes that stay put while the picture moves look like dirt on a window. So the movement of
the whole picture from frame to frame is measured here, where all frames pass in order, and its sum
is written into the chunks: stylizers move the canvas along, and chunks stay independent.

Movement is measured by phase correlation (Kuglin and Hines, 1975) of small pictures. The movement
of most of the picture counts; people who cross an otherwise still picture do not move its canvas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import av
import numpy as np
from numpy import fft  # at start: the sandbox has no access to files to import it from
from numpy.typing import NDArray

from shared.contracts.manifest import NO_BARS, Bars, Place
from shared.media.pixels import luma

_SIDE: Final = 160
"""The small pictures' longer side has about this many pixels or more, if the frame has as many."""

_FACTORS: Final = (2, 3, 5)
"""The only prime factors of the small pictures' sides: it halves the time of their transforms."""

_BLUR: Final = 1.35
"""Standard deviation, in small pixels, of the Gaussian that the correlation peak is turned into, so
that its top can be located to a small fraction of a pixel."""

_LOW: Final = 0.6
"""The share of frequencies, along each side, that are compared: the blur leaves a few hundredths of
higher ones, and the transform back takes six tenths of the time."""

_SURE: Final = 0.25
"""Least height of a peak that counts as a match; 1 if the whole picture has moved."""

_STILL: Final = 0.04
"""Smaller movements, in small pixels, count as none: strokes must not tremble on a still shot."""

_FARTHEST: Final = 0.25
"""Movements by more than this share of a side count as a cut."""

_NEAR: Final = 10.0
"""Within this many small pixels, frames are compared with the same earlier one."""

_BETTER: Final = 0.8
"""A movement must explain at least a fifth of the change, or nothing has moved."""

_TILE: Final = 10
"""The side, in small pixels, of the tiles that each vote on whether they have moved."""

_EVERY: Final = 2
"""Only every second line of them is looked at."""

_FINE: Final = 2.0
"""Larger movements are rounded before tiles vote: interpolating smooths noise, so plain tiles would
seem to have moved."""

_CLEAR: Final = 0.5
"""A tile votes if one hypothesis leaves at most this share of the change that the other leaves."""

_ENDS: Final = 4
"""The first and the last of four parts of the picture's longer side must have moved, too."""

_SOME: Final = 0.1
"""The least share of tiles that must have moved in the whole picture and at both of its ends."""

_QUARTERS: Final = 4
_TINY: Final = 1e-9


class Sight(NamedTuple):
    """What is kept of a frame to find its place: sums of blocks of its luma."""

    sums: NDArray[np.uint16]
    block: int
    """The side of a block, in pixels."""


class _View(NamedTuple):
    """A frame's small picture, the phases of its low frequencies, and its place on the canvas.

    The phases are damped: those of two views, multiplied, make a peak as wide as ``_BLUR``.
    """

    picture: NDArray[np.float32]
    phases: NDArray[np.complex64]
    down: float
    across: float


def look(frame: av.VideoFrame, bars: Bars = NO_BARS) -> Sight:
    """Sum blocks of a frame's luma between ``bars``, from two lines of each block.

    In numpy, because swscale cannot make grey pictures in the sandbox.
    """
    light = luma(frame)
    light = light[bars.top : len(light) - bars.bottom, bars.left : frame.width - bars.right]
    block = max(1, min(max(light.shape) // _SIDE, *light.shape))
    rows, columns = (_side(length // block) for length in light.shape)
    whole = light[: rows * block, : columns * block].reshape(rows, block, -1)
    some = whole[:, :: (block + 1) // 2]
    # (Sums fit into 16 bits: at 16384 pixels a block is 102 wide, and two of its lines count.)
    lines = some[:, 0].astype(np.uint16)
    for line in range(1, some.shape[1]):
        lines += some[:, line].astype(np.uint16)  # Adding mixed types takes twice as long.
    sums = _sums(lines.ravel(), block)[::block].copy()
    return Sight(sums.reshape(rows, columns), block)


def _sums(values: NDArray[np.uint16], count: int) -> NDArray[np.uint16]:
    """Return the sum of each value and the ``count`` - 1 values after it.

    In numpy, that takes a fraction of the time of sums over a short axis.
    """
    if count == 1:
        return values
    half = count // 2
    sums = _sums(values, half)
    sums = sums[:-half] + sums[half:]
    return sums[:-1] + values[count - 1 :] if count % 2 else sums


@cache
def _side(length: int) -> int:
    """Return the longest side up to ``length`` whose transform is fast."""
    return next(side for side in range(length, 0, -1) if _is_fast(side))


def _is_fast(side: int) -> bool:
    for factor in _FACTORS:
        while side % factor == 0:
            side //= factor
    return side == 1


class Camera:
    """Adds up the movement of the whole picture; a cut resets it to 0, 0.

    Frames are compared with the same earlier one for as long as both show much the same, so that
    errors do not accumulate and slow movements become large enough to be measured.
    """

    def __init__(self) -> None:
        self._window: NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._reference: _View | None = None
        self._before: _View | None = None
        self.cut = False
        """Whether the last frame shows nothing of the one before; True for the first frame."""

    def follow(self, sight: Sight) -> Place:
        """Return the place of the next frame, in quarter pixels; another size counts as a cut.

        A run of frames takes half the time that they take one by one between other work, which
        evicts this from the processor's caches.
        """
        small = sight.sums.astype(np.float32)
        if self._window.shape != small.shape:
            self._prepare(small.shape)
            self._reference = self._before = None
        placed = self._placed(seen := _View(small, self._phases(small), 0.0, 0.0))
        self.cut = placed is None
        view = self._before = placed or seen
        if self.cut:
            self._reference = view
        scale = _QUARTERS * sight.block
        return Place(round(scale * view.down), round(scale * view.across))

    def _placed(self, view: _View) -> _View | None:
        """Return a view with its place on the canvas; None after a cut."""
        for known in (self._reference, self._before):
            if known is None or self._before is None:
                continue
            moved = self._movement(known.phases, view.phases)
            if moved is None:
                continue
            placed = view._replace(down=self._before.down, across=self._before.across)
            if _explains(moved, known.picture, view.picture):
                placed = view._replace(down=known.down - moved[0], across=known.across - moved[1])
            self._reference = known if max(map(abs, moved)) < _NEAR else placed
            return placed
        return None

    def _prepare(self, small: tuple[int, int]) -> None:
        height, width = small
        # A window, because the transform treats opposite edges as neighbours.
        self._window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
        self._grid = rows, columns = tuple(_side(max(1, int(_LOW * side))) for side in small)
        down = fft.fftfreq(rows)[:, None] * rows / height
        across = fft.rfftfreq(columns)[None] * columns / width
        bell = np.exp(-2 * (np.pi * _BLUR) ** 2 * (down**2 + across**2)).astype(np.float32)
        self._damping = np.sqrt(bell / fft.irfft2(bell, self._grid)[0, 0])

    def _phases(self, small: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Return the phases of a small picture's low frequencies, damped as a `_View`'s."""
        rows, columns = self._grid
        # (Not rfft2, whose checks cost as much as the transform of so small a picture.)
        # The float factor of "ortho" keeps numpy from computing in double precision.
        windowed = small - small.sum() / small.size
        windowed *= self._window
        lines = fft.rfft(windowed, norm="ortho")
        spectrum = fft.fft(lines[:, : columns // 2 + 1], axis=0, norm="ortho")
        low = np.concatenate((spectrum[: rows - rows // 2], spectrum[len(spectrum) - rows // 2 :]))
        low *= self._damping / (np.abs(low) + _TINY)
        return low.astype(np.complex64, copy=False)

    def _movement(
        self, before: NDArray[np.complex64], now: NDArray[np.complex64]
    ) -> tuple[float, float] | None:
        """Return how many small pixels the picture moved down and across; None after a cut."""
        rows, columns = self._grid
        peaks = fft.irfft(fft.ifft(now * before.conj(), axis=0), columns)
        row, column = divmod(int(peaks.argmax()), columns)
        if peaks[row, column] < _SURE:
            return None
        height, width = self._window.shape
        down = (_signed(row, rows) + _top(peaks[:, column], row)) * height / rows
        across = (_signed(column, columns) + _top(peaks[row], column)) * width / columns
        if abs(down) > _FARTHEST * height or abs(across) > _FARTHEST * width:
            return None
        return _unless_still(down), _unless_still(across)


def _unless_still(moved: float) -> float:
    return 0.0 if abs(moved) < _STILL else moved


def _explains(
    moved: tuple[float, float], before: NDArray[np.float32], now: NDArray[np.float32]
) -> bool:
    """Return whether moving the earlier picture makes it much more like the current one.

    This must hold for the picture as a whole, and its tiles must agree: in the whole picture and at
    both ends of its longer side, more have moved than stayed. Somebody in front of a plain wall may
    be all there is to correlate and all that changes, but rarely reaches from end to end.
    """
    if moved == (0.0, 0.0):
        return False
    if max(map(abs, moved)) > _FINE:
        moved = round(moved[0]), round(moved[1])
    margins = [math.ceil(abs(by)) + 1 for by in moved]
    if any(2 * margin >= side for margin, side in zip(margins, now.shape, strict=True)):
        return False
    changes = _changes(moved, before, now, margins)
    follows, still = changes.sum(axis=(1, 2))
    if follows >= _BETTER * still:
        return False
    votes = changes < _CLEAR * changes[::-1]
    if votes.shape[1] > votes.shape[2]:
        votes = votes.transpose(0, 2, 1)
    moved_along, stayed = votes.sum(axis=1).tolist()
    end, least = max(1, len(stayed) // _ENDS), _SOME * votes.shape[1]
    return all(
        sum(moved_along[part]) > sum(stayed[part])
        and sum(moved_along[part]) >= least * len(stayed[part])
        for part in (slice(None), slice(end), slice(-end, None))
    )


def _changes(
    moved: tuple[float, float],
    before: NDArray[np.float32],
    now: NDArray[np.float32],
    margins: Sequence[int],
) -> NDArray[np.float32]:
    """Return how much each tile differs from the moved and from the unmoved earlier picture.

    The shape is ``(2, rows, columns)``, the unit is the sum of squared deviations: a change of a
    tile's brightness as a whole does not count. Otherwise a car so bright that the exposure changes
    seems to move the road: its shading, moved, is darker or brighter, too.
    """
    height, width = now.shape
    start, stop = margins[0] * width, (height - margins[0]) * width
    there, first = _moved(before, moved)
    changes = np.empty((2, stop - start), np.float32)
    seen = now.ravel()[start:stop]
    np.subtract(seen, there[start - first : stop - first], out=changes[0])
    np.subtract(seen, before.ravel()[start:stop], out=changes[1])
    some = changes.reshape(2, -1, width)[:, ::_EVERY, margins[1] : -margins[1]]
    high = _TILE // _EVERY
    rows, columns = some.shape[1] // high, some.shape[2] // _TILE
    lines = some[:, : rows * high, : columns * _TILE].reshape(2, rows, high, columns * _TILE)
    # (Not sum, which takes twice as long over such short axes.)
    sums = np.einsum("hrlx->hrx", lines).reshape(2, rows, columns, _TILE)
    squares = np.einsum("hrlx,hrlx->hrx", lines, lines).reshape(2, rows, columns, _TILE)
    means = np.einsum("hrcx->hrc", sums) / (high * _TILE)
    varied: NDArray[np.float32] = np.einsum("hrcx->hrc", squares) - means**2 * (high * _TILE)
    return varied


def _moved(
    picture: NDArray[np.float32], by: tuple[float, float]
) -> tuple[NDArray[np.float32], int]:
    """Return the moved picture, line after line in one row, and where in a picture it starts.

    In a row, any movement is a shift, and numpy takes the least time per pixel. What it moves in at
    one edge comes from the opposite one.
    """
    row, start = picture.ravel(), 0
    for pixels, step in zip(by, (picture.shape[1], 1), strict=True):
        whole = math.floor(pixels)
        start += whole * step
        if part := np.float32(pixels - whole):
            near, far = row[step:], row[:-step]
            row = far - near
            row *= part
            row += near
            start += step
    return row, start


def _signed(place: int, length: int) -> int:
    return place - length if place > length // 2 else place


def _top(line: NDArray[np.floating], place: int) -> float:
    """Return the offset from ``place`` to the top of a Gaussian through its neighbours."""
    low, high, after = (math.log(max(line[(place + by) % len(line)], _TINY)) for by in (-1, 0, 1))
    bend = low - 2 * high + after
    return (low - after) / (2 * bend) if bend else 0.0
