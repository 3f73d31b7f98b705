"""The HTTP Live Streaming playlist of a job's painted part (RFC 8216)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from shared.contracts.segment_place import SegmentPlace

CONTENT_TYPE: Final = "application/vnd.apple.mpegurl"
_GROWTH: Final = 8
"""How many times longer than the first segment others are expected to be, with default settings.

Players reload a playlist after the target duration, which must not change (section 6.2.1). So it is
derived from what is known at the beginning, and is as short as possible.
"""


def playlist(places: Sequence[SegmentPlace], *, ended: bool) -> str:
    """Return the playlist of segments 0, 1, ..., at least one.

    ``ended`` means that no segment will follow. Addresses are relative to the playlist's own.
    """
    expected = _GROWTH * places[0].duration_s
    longest = max(place.duration_s for place in places)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{math.ceil(max(expected, longest))}",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        # Otherwise players start near the end of an incomplete playlist.
        "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES",
        '#EXT-X-MAP:URI="live/init.mp4"',
    ]
    for number, place in enumerate(places):
        lines += [f"#EXTINF:{float(place.duration_s):.6f},", f"live/{number}.m4s"]
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"
