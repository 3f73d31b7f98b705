"""The playlist of a job's painted part, by HTTP Live Streaming (RFC 8216)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from shared.contracts.segment_place import SegmentPlace

CONTENT_TYPE: Final = "application/vnd.apple.mpegurl"
# It may not grow later, and chunks are told to be at most this long only in frames.
_LEAST_TARGET_S: Final = 10


def playlist(places: Sequence[SegmentPlace], *, ended: bool) -> str:
    """Return the playlist of segments 0, 1, ...; addresses are relative to the playlist's own.

    ``ended`` says that no segment will follow.
    """
    longest = max((place.duration_s for place in places), default=0)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(_LEAST_TARGET_S, math.ceil(longest))}",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="live/init.mp4"',
    ]
    for number, place in enumerate(places):
        lines += [f"#EXTINF:{float(place.duration_s):.6f},", f"live/{number}.m4s"]
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"
