"""Read what a decoded frame carries beside its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import av
from av.sidedata.sidedata import Type as SideDataType

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideDataContainer


class UnknownSideData(Exception):
    """The frame has side data of a kind unknown to PyAV, which makes the rest inaccessible."""


def side_data_of(frame: av.VideoFrame, kind: SideDataType) -> bytes | None:
    """Return a frame's side data of a kind; None if it has none.

    Raises:
        UnknownSideData: PyAV cannot list it (EXIF in Motion JPEG, as of PyAV 18.1).
    """
    try:
        # The stubs call this a dictionary; it is a container that knows its entries by type.
        found = cast("SideDataContainer", frame.side_data).get(kind)
    except ValueError as error:
        raise UnknownSideData(str(error)) from error
    return None if found is None else bytes(found)
