"""Detect whether a file lacks something, so that no gap in it goes unreported.

What is missing from a file does not fail to decode. The evidence is elsewhere: in the demuxer's
messages, in what the header promises (`promised_end`, `mp4_index`), in the last bytes of the file,
in marks on packets and in gaps between them (`gaps`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import av.logging
from av.packet import Packet
from av.stream import Stream

from shared.media.containers import codec_name
from splitter.media.gaps import Gaps
from splitter.media.marks import Marks
from splitter.media.mp4_index import Mp4Index
from splitter.media.promised_end import PromisedEnd
from splitter.media.source import MP4, OpenSource

_CUT_OFF: Final = ("partial file", "ended prematurely", "Truncat")
"""How FFmpeg's demuxers report that a file is shorter than it claims to be; some only log it."""

_THROWN_AWAY: Final = ("freeing incomplete packet", "sync lost on stream", "broken or empty index")
"""How the demuxers of ASF and MXF log, below the level of errors, that they lost a packet."""

_UNPARSED: Final = "Error parsing Opus packet header"
"""How the Opus parser logs that it dropped a packet."""

_IN_A_ROW: Final = {"yuv4mpegpipe": 0, "ivf": 16, "gif": 256}
"""Formats that store pictures one after the other, and how many bytes may follow the last one."""

_SAMPLES_EACH: Final = (MP4, "matroska,webm", "flv", "mxf", "nut")
"""Formats that store one picture per packet, including both fields of an interlaced one."""

_TOLD_BY_TIMES: Final = "nut"
"""A format whose packets have no checksum. In others, damage also shows elsewhere, and frames share
times where two parts of a video were joined without encoding."""

_COUNTED: Final = "mpegts"
"""The format whose packets have counters."""

_DELIMITERS: Final = {"h264": b"\0\0\1\x09"}
"""What a picture begins with in a broadcast; parsers look for its slices instead."""
_DELIMITER_BYTES: Final = 8
"""The most that one delimiter takes: a muxer may have written it twice."""

_VP8_VERSION: Final = 0b1110
"""The bits of a VP8 picture's first byte with its version, which is constant within a video."""


class Integrity:
    """Collects signs of damage while a file is read."""

    def __init__(self, source: OpenSource, kept: Iterable[Stream], longest_pause_s: float) -> None:
        """``kept`` are the tracks beside the video that are read; see `Marks` for the pause."""
        self._video = source.video
        self._sounds = [stream for stream in kept if stream.type == "audio"]
        self._truncated = source.is_truncated
        self._format = source.container.format.name
        self._end = PromisedEnd(source)
        self._gaps = Gaps(self._format, (source.video, *self._sounds))
        self._complained = False
        self._marks = Marks(longest_pause_s)
        self._structure = source.structure
        self._counts: Counter[int] = Counter()
        self._read_index = source.read_index
        self._is_vp8 = codec_name(source.video) == "vp8"
        self._versions: set[int] = set()
        self._is_broadcast = source.is_broadcast
        self._delimiter = _DELIMITERS.get(codec_name(source.video)) if self._is_broadcast else None
        self._has_merged = False
        self._size = source.size
        self._read_to: int | None = None

    @property
    def holds_pictures_one_by_one(self) -> bool:
        """Whether each of the video's packets is a picture of its own, if the codec permits."""
        return self._is_broadcast or self._format in _SAMPLES_EACH

    @property
    def may_hold_fields(self) -> bool:
        """Whether a packet may also be one of the two fields of a picture."""
        return self._is_broadcast

    @property
    def told_by_times(self) -> bool:
        """Whether a missing packet of the video may show only in the times of the others."""
        return self._format == _TOLD_BY_TIMES

    def damaged_packets(self, track: int) -> int:
        """Return how many packets of a track arrived damaged."""
        in_order = self._structure.is_followed and not self._structure.is_broken
        return self._marks.count(track, but_joints=in_order and self._format == _COUNTED)

    def process_log(self, level: int, component: str, message: str) -> None:
        """Process a message that FFmpeg logged."""
        if level > av.logging.ERROR:
            thrown_away = any(sign in message for sign in _THROWN_AWAY)
            self._complained |= thrown_away and component == self._format
        elif any(sign in message for sign in _CUT_OFF):
            self._truncated = True
        elif component == self._format or _UNPARSED in message:
            self._complained = True

    def note(self, packet: Packet[Stream]) -> None:
        """Process the next stored packet, before its timestamps are changed."""
        is_video = packet.stream_index == self._video.index
        self._marks.note(packet)
        self._counts[packet.stream_index] += not packet.is_discard
        self._gaps.note(packet)
        self._end.note(packet)
        if is_video and self._is_vp8:
            self._versions.add(memoryview(packet)[0] & _VP8_VERSION)
        if is_video and self._delimiter:
            self._has_merged |= _holds_several(bytes(packet), self._delimiter)
        if packet.pos is not None and packet.pos >= 0:
            self._read_to = packet.pos + packet.size

    def note_broken_container(self) -> None:
        """Record that the container's structure broke off: the video ends there."""
        self._truncated = True

    def warnings(self, *, to_the_end: bool) -> Iterator[str]:
        """Yield what is missing, one sentence each; ``to_the_end`` is whether all was read."""
        if to_the_end:
            self._structure.finish(self._size)
        index = self._read_index() if to_the_end else Mp4Index()
        if self._truncated and to_the_end:
            yield "the file is cut off before its end"
        stopped_early = to_the_end and self._stopped_early()
        if self._is_damaged or stopped_early or not index.is_whole:
            yield "the file is damaged: parts of it could not be read"
        others = self._counts.keys() - {self._video.index}
        if damaged := sum(map(self.damaged_packets, others)):
            yield f"{damaged} packets of sound or text arrived damaged"
        yield from self._gaps.warnings()
        if to_the_end and self._format == MP4:
            yield from self._missing_by(index)
        if to_the_end:
            yield from self._end.warnings()

    @property
    def _is_damaged(self) -> bool:
        found = self._complained or self._structure.is_broken or self._has_merged
        return found or len(self._versions) > 1

    def _missing_by(self, index: Mp4Index) -> Iterator[str]:
        for track in (self._video, *self._sounds):
            found, promised = self._counts[track.index], index.counts.get(track.id, 0)
            if found < promised:
                yield (
                    f"{track.type} track {track.index} has {found} packets, but the file's index "
                    f"lists {promised}"
                )
        for sound in self._sounds:
            if sound.duration and sound.index not in self._counts:
                yield f"audio track {sound.index} is empty, but the file's index gives it a length"

    def _stopped_early(self) -> bool:
        """Return whether more bytes than allowed are left after the last packet."""
        allowed = _IN_A_ROW.get(self._format)
        if allowed is None or self._read_to is None:
            return False
        return self._size - self._read_to > allowed


def _holds_several(packet: bytes, delimiter: bytes) -> bool:
    """Return whether a packet holds the rest of a picture whose slices were not found."""
    return any(len(part) > _DELIMITER_BYTES for part in packet.split(delimiter)[1:-1])
