"""How a picture must be turned or mirrored to stand upright."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
from av.sidedata.sidedata import Type as SideDataType

from splitter.media.side_data import UnknownSideData, side_data_of

_MATRIX = struct.Struct("=9i")


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to lay a rectangle on a screen.

    Applied in this order: swap rows and columns, then mirror left to right, then top to bottom.
    """

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def flips(self) -> bool:
        """Whether an edge that was right or bottom becomes left or top."""
        return self.mirror_x or self.mirror_y

    def filters(self) -> list[tuple[str, str]]:
        """Return the FFmpeg filters, name and arguments, that bring a picture upright."""
        if self.transpose:
            # FFmpeg counts: 0 transposes only, +1 mirrors x as well, +2 mirrors y as well.
            return [("transpose", f"dir={self.mirror_x + 2 * self.mirror_y}")]
        filters = []
        if self.mirror_x:
            filters.append(("hflip", ""))
        if self.mirror_y:
            # vflip alone only makes the line size negative, which `plane_arrays` cannot view.
            filters += [("vflip", ""), ("copy", "")]
        return filters


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Return a decoded frame's orientation by its display matrix, to the nearest right angle.

    The matrix maps a stored point to the screen (ISO/IEC 14496-12, section 8.3.2), so unlike
    ``frame.rotation``, which is only an angle, it includes mirroring.
    """
    try:
        matrix = side_data_of(frame, SideDataType.DISPLAYMATRIX)
    except UnknownSideData:
        return _from_angle(frame.rotation)
    return UPRIGHT if matrix is None else _from_matrix(_MATRIX.unpack(matrix))


def _from_angle(degrees: int) -> Orientation:
    """Return the counterclockwise rotation by the nearest right angle."""
    quarters = round(degrees / 90) % 4
    return Orientation(
        transpose=quarters % 2 == 1, mirror_x=quarters in (2, 3), mirror_y=quarters in (1, 2)
    )


def _from_matrix(matrix: tuple[int, ...]) -> Orientation:
    a, b, _, c, d, _, _, _, _ = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(mirror_x=a < 0, mirror_y=d < 0)
    return Orientation(transpose=True, mirror_x=c < 0, mirror_y=b < 0)
