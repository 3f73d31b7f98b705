"""Detect whether a file lacks something, so that no gap in it goes unreported.

What is missing from a file does not fail to decode. The evidence is elsewhere: in the demuxer's
messages, in what the header promises, in the last bytes of the file, and in marks on packets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

import av.logging
from av.packet import Packet
from av.stream import Stream

from shared.media.containers import codec_name
from splitter.media.mp4_index import Mp4Index
from splitter.media.source import OpenSource, stream_time_base

_CUT_OFF: Final = ("partial file", "ended prematurely", "Truncat")
"""How FFmpeg's demuxers report that a file is shorter than it claims to be; some only log it."""

_THROWN_AWAY: Final = ("freeing incomplete packet", "sync lost on stream", "broken or empty index")
"""How the demuxers of ASF and MXF log, below the level of errors, that they lost a packet."""

_UNPARSED: Final = "Error parsing Opus packet header"
"""How the Opus parser logs that it dropped a packet."""

_TRACK_LENGTH: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
"""The form of the tag in which Matroska files give a track's duration."""

_EXACT: Final = frozenset({"avi", "mxf", "mxf_opatom", "ivf"})
"""Formats whose header counts the frames of each track."""

_ROUGH: Final = frozenset({"matroska,webm", "flv", "asf"})
"""Formats whose header gives the duration of the longest track."""

_IN_A_ROW: Final = {"yuv4mpegpipe": 0, "ivf": 16, "gif": 256}
"""Formats that store pictures one after the other, and how many bytes may follow the last one."""

_MP4: Final = "mov,mp4,m4a,3gp,3g2,mj2"

_BROADCAST: Final = ("mpegts", "mpeg")

_SAMPLES_EACH: Final = (_MP4, "matroska,webm", "flv", "mxf", "nut")
"""Formats that store one picture per packet, including both fields of an interlaced one."""

_LAST_BEGINS: Final = ("nut",)
"""Formats whose header gives when the last frame begins, not when it ends."""
_ROUNDED_S: Final = Fraction(1, 1000)
"""How far that may be from the last frame: it is rounded."""

_STEADY: Final = ("mpeg", "mpegts", "asf")
"""Formats in which packets of sound follow one another without a gap, by their timestamps."""
_STEADY_CODECS: Final = frozenset(
    {"mp1", "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "wmav1", "wmav2"}
    | {"mpeg1video", "mpeg2video"}
)
"""Codecs in these formats whose packets have a constant duration: a missing one leaves a gap."""
_LOST_SHARE: Final = Fraction(3, 4)
"""A gap of at least this share of a packet's duration means that a packet is missing."""
_LEAST_GAP_S: Final = Fraction(1, 200)

_DELIMITERS: Final = {"h264": b"\0\0\1\x09"}
"""What a picture begins with in a broadcast; parsers look for its slices instead."""
_DELIMITER_BYTES: Final = 8
"""The most that one delimiter takes: a muxer may have written it twice."""

_VP8_VERSION: Final = 0b1110
"""The bits of a VP8 picture's first byte with its version, which is constant within a video."""

_ROUGHLY_S: Final = Fraction(1, 4)
_LONGEST_STEP_S: Final = Fraction(1)


class Integrity:
    """Collects signs of damage while a file is read."""

    def __init__(self, source: OpenSource, kept: Iterable[Stream] = ()) -> None:
        """``kept`` are the tracks beside the video that are read."""
        self._video = source.video
        self._sounds = [stream for stream in kept if stream.type == "audio"]
        self._truncated = source.is_truncated
        self._format = source.container.format.name
        self._promised, self._slack = self._promise(source)
        self._of_all_tracks = (
            self._format in (*_ROUGH, *_LAST_BEGINS) and _track_length(source.video) is None
        )
        self._complained = False
        self._damaged_sound = 0
        self._structure = source.structure
        self._packets: set[int] = set()
        self._counts: Counter[int] = Counter()
        self._read_index = source.read_index
        self._ends: dict[int, int] = {}
        self._gaps: Counter[int] = Counter()
        self._steady = {
            stream.index
            for stream in (source.video, *self._sounds)
            if self._format in _STEADY and codec_name(stream) in _STEADY_CODECS
        }
        self._is_vp8 = codec_name(source.video) == "vp8"
        self._versions: set[int] = set()
        broadcast = self._format in _BROADCAST
        self._delimiter = _DELIMITERS.get(codec_name(source.video)) if broadcast else None
        self._has_merged = False
        self._size = source.size
        self._read_to: int | None = None
        self._latest = Fraction(0)
        self._step = Fraction(0)

    @property
    def holds_pictures_one_by_one(self) -> bool:
        """Whether each of the video's packets is a picture of its own, if the codec permits."""
        return self._format in (*_SAMPLES_EACH, *_BROADCAST)

    @property
    def may_hold_fields(self) -> bool:
        """Whether a packet may also be one of the two fields of a picture."""
        return self._format in _BROADCAST

    @property
    def follows_video(self) -> bool:
        """Whether a missing packet of the video shows as a gap in its timestamps."""
        return self._video.index in self._steady

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
        self._damaged_sound += packet.is_corrupt and not is_video
        self._packets.add(packet.stream_index)
        self._counts[packet.stream_index] += not packet.is_discard
        if self._steady:
            self._look_for_gap(packet)
        if is_video and self._is_vp8:
            self._versions.add(memoryview(packet)[0] & _VP8_VERSION)
        if is_video and self._delimiter:
            self._has_merged |= _holds_several(bytes(packet), self._delimiter)
        if packet.pos is not None and packet.pos >= 0:
            self._read_to = packet.pos + packet.size
        # AVI gives only the time at which B-frames are decoded, not when they are shown.
        stamp = packet.pts if packet.pts is not None else packet.dts
        if self._promised is not None and stamp is not None and (is_video or self._of_all_tracks):
            begin = stamp * packet.time_base
            if begin > self._latest:
                length = (packet.duration or 0) * packet.time_base
                self._step = max(length, min(begin - self._latest, _LONGEST_STEP_S))
                self._latest = begin

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
        broken = self._structure.is_broken or (to_the_end and self._stopped_early())
        broken = broken or self._has_merged or len(self._versions) > 1
        if self._complained or broken or not index.is_whole:
            yield "the file is damaged: parts of it could not be read"
        if self._damaged_sound:
            yield f"{self._damaged_sound} packets of sound or text arrived damaged"
        for track, gaps in sorted((+self._gaps).items()):
            kind = "video" if track == self._video.index else "audio"
            times = "one gap" if gaps == 1 else f"{gaps} gaps"
            yield f"packets are missing from {kind} track {track}: its timestamps have {times}"
        if to_the_end and self._format == _MP4:
            yield from self._missing_by(index)
        if to_the_end and self._promised is not None:
            reached, slack = self._latest, _ROUNDED_S
            if self._format not in _LAST_BEGINS:
                reached, slack = reached + self._step, self._slack + self._step / 2
            if self._promised - reached > slack:
                yield (
                    f"the file ends at {float(reached):.2f} s, but its header says "
                    f"{float(self._promised):.2f} s"
                )

    def _missing_by(self, index: Mp4Index) -> Iterator[str]:
        for track in (self._video, *self._sounds):
            found, promised = self._counts[track.index], index.counts.get(track.id, 0)
            if found < promised:
                yield (
                    f"{track.type} track {track.index} has {found} packets, but the file's index "
                    f"lists {promised}"
                )
        for sound in self._sounds:
            if sound.duration and sound.index not in self._packets:
                yield f"audio track {sound.index} is empty, but the file's index gives it a length"

    def _look_for_gap(self, packet: Packet[Stream]) -> None:
        """Check whether a packet begins where the one before it on its track ended."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not packet.duration or packet.stream_index not in self._steady:
            return
        step = stamp - self._ends.get(packet.stream_index, stamp)
        gap, length = step * packet.time_base, packet.duration * packet.time_base
        if max(_LOST_SHARE * length, _LEAST_GAP_S) <= gap <= _LONGEST_STEP_S:
            self._gaps[packet.stream_index] += 1
        elif self._gaps[packet.stream_index] and _LOST_SHARE * length <= -gap <= length:
            # The demuxer gave a timestamp to the packet before the one that it belongs to.
            self._gaps[packet.stream_index] -= 1
        self._ends[packet.stream_index] = stamp + packet.duration

    def _stopped_early(self) -> bool:
        """Return whether more bytes than allowed are left after the last packet."""
        allowed = _IN_A_ROW.get(self._format)
        if allowed is None or self._read_to is None:
            return False
        return self._size - self._read_to > allowed

    def _promise(self, source: OpenSource) -> tuple[Fraction | None, Fraction]:
        """Return when the file should end by its header, and the tolerance; both in seconds."""
        video = source.video
        begin = (video.start_time or 0) * stream_time_base(video)
        length = _track_length(video)
        if length is not None:
            return length, Fraction(0)
        if self._format in _EXACT and video.duration:
            return begin + video.duration * stream_time_base(video), Fraction(0)
        if self._format in _LAST_BEGINS and source.container.duration:
            return Fraction(source.container.duration, 1_000_000), Fraction(0)
        if self._format in _ROUGH and source.container.duration:
            return Fraction(source.container.duration, 1_000_000), _ROUGHLY_S
        return None, Fraction(0)


def _holds_several(packet: bytes, delimiter: bytes) -> bool:
    """Return whether a packet holds the rest of a picture whose slices were not found."""
    return any(len(part) > _DELIMITER_BYTES for part in packet.split(delimiter)[1:-1])


def _track_length(video: Stream) -> Fraction | None:
    found = _TRACK_LENGTH.fullmatch(video.metadata.get("DURATION", "")[:18])
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
