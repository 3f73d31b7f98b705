"""Decode a source's main video, and keep account of what cannot be decoded.

What can be decoded is kept: a damaged stretch costs its frames, not the video. Decoding runs on one
thread, so the same damaged file gives the same frames on every machine and in every run.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from shared.contracts.errors import SourceRefused
from splitter.media.integrity import Integrity
from splitter.media.limits import Limits, too_many_pixels
from splitter.media.mpeg_headers import picture_check
from splitter.media.source import (
    ErrorLog,
    encrypted,
    excessive_size,
    stream_time_base,
)

_NEWER = ("h264", "hevc", "vvc")
_ONE_EACH = ("h264", "hevc", "av1", "mpeg2video", "prores", "mjpeg", "dnxhd", "ffv1")
"""Codecs in which every packet is a picture that is shown."""

_BEFORE_FIRST = 2
"""An MPEG-2 decoder returns the first picture after so many packets, if no B-frame follows it."""

_NO_MEMORY = "allocat"
"""Decoders report a lack of memory as a damaged packet; intact frames must not be lost to it."""


class Decoder:
    """The decoder of one video stream."""

    def __init__(
        self, stream: VideoStream, limits: Limits, log: ErrorLog, integrity: Integrity | None = None
    ) -> None:
        self._integrity = integrity
        self._stream = stream
        self._limits = limits
        self._codec = stream.codec_context.codec.canonical_name
        self._hides_picture = picture_check(stream.codec_context)
        self._log = log
        self._packets = 0
        self.frames = 0
        self._interlaced = 0
        self._is_flushed = False
        one_each = integrity is not None and integrity.holds_pictures_one_by_one
        self._shown = _ShownPictures(is_known=one_each and self._codec in _ONE_EACH)
        self._in_fields = integrity is not None and integrity.may_hold_fields
        self._failed = 0
        self._damaged_frames = 0
        self._too_large: str | None = None
        self._knows_pts = False
        self._first_dts: int | None = None
        self._held_back = 0

    def decode(self, packet: Packet[VideoStream]) -> list[av.VideoFrame]:
        """Return the frames that a packet completes, in presentation order.

        A packet that cannot be decoded yields nothing and is counted.

        Raises:
            SourceRefused: the packet is protected (``ENCRYPTED``).
        """
        if packet.has_sidedata("encryption_info"):
            raise encrypted()
        # Packets that an edit list hides are decoded because later ones need them, but not shown.
        self._packets += not packet.is_discard
        self._shown.note(packet)
        self._knows_pts |= packet.pts is not None
        if self._first_dts is None:
            self._first_dts = packet.dts
        return self._decode(packet)

    def flush(self) -> list[av.VideoFrame]:
        """Return the frames that were held back for reordering."""
        self._is_flushed = True
        return self._decode(None)

    def _decode(self, packet: Packet[VideoStream] | None) -> list[av.VideoFrame]:
        frames: list[av.VideoFrame] = []
        has_failed = packet is not None and self._hides_picture(packet)
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError as error:
            # (Decoders also say so of pictures that are too large only with their margins.)
            if self._lacks_memory(error) and not excessive_size(self._log):
                raise MemoryError from error
            has_failed = True
        self._failed += has_failed
        self.read_log()
        for frame in frames:
            if frame.pts is None and frame.dts is not None:
                frame.pts = frame.dts - self._delay(frame.dts)
            if self.frames == 0 and frame.pts is not None:
                self._shown.begin(frame.pts)
            self.frames += 1
            self._interlaced += frame.interlaced_frame
        self._damaged_frames += sum(frame.is_corrupt for frame in frames)
        return frames

    def _lacks_memory(self, error: av.error.FFmpegError) -> bool:
        return isinstance(error, MemoryError) or any(_NO_MEMORY in line for _, _, line in self._log)

    def _delay(self, dts: int) -> int:
        """Return by how many ticks frames leave the decoder later than their packets enter it.

        AVI stores only the decoding order, and for the newer codecs FFmpeg does not derive the
        presentation times: without this, frames would be late by the delay of reordering.
        """
        unknown = not self._knows_pts and self._codec in _NEWER
        if self.frames == 0 and unknown and self._first_dts is not None:
            rate, tick = self._stream.average_rate, stream_time_base(self._stream)
            step = round(1 / (rate * tick)) if rate else 1
            held = self._stream.codec_context.reorder_depth * step
            self._held_back = min(max(dts - self._first_dts, 0), held)
        return self._held_back

    def read_log(self) -> None:
        """Process what FFmpeg has logged since the last call, and empty the log."""
        if self._log:
            self._too_large = self._too_large or excessive_size(self._log)
            if self._integrity is not None:
                for level, component, message in self._log:
                    self._integrity.process_log(level, component, message)
            self._log.clear()

    def judge(self) -> None:
        """Refuse a video of which nothing, or too little, could be decoded.

        Raises:
            SourceRefused: with the code ``TOO_LARGE``, ``INVALID_MEDIA`` or ``TOO_DAMAGED``.
        """
        if not self.frames:
            if self._too_large:
                raise too_many_pixels(self._limits, self._too_large, in_memory=True)
            raise SourceRefused(
                "INVALID_MEDIA",
                f"No frame of the video ({self._codec}) could be decoded: copy it again from the "
                "original, or convert it to H.264.",
            )
        if self.frames < self._limits.min_decodable * self._packets:
            raise SourceRefused(
                "TOO_DAMAGED",
                f"Only {self.frames} of the {self._packets} frames of the video ({self._codec}) "
                f"could be decoded; at least {self._limits.min_decodable:.0%} are needed: copy it "
                "again from the original.",
            )

    def warnings(self) -> Iterator[str]:
        """Yield what was lost, one sentence each."""
        if self._failed:
            yield f"{self._failed} of {self._packets} video packets could not be decoded"
        # (Each of two fields may come in a packet of its own.)
        in_fields = self._in_fields and 2 * self._interlaced > self.frames
        is_known = self._is_flushed and not in_fields
        missing = self._shown.count - self.frames
        if is_known and not self._failed and missing > 0:
            yield f"{missing} of {self._packets} video packets yielded no frame"
        damaged = self._integrity.damaged_packets(self._stream.index) if self._integrity else 0
        if damaged:
            yield f"{damaged} of {self._packets} video packets arrived damaged"
        if self._damaged_frames:
            yield f"{self._damaged_frames} of {self.frames} frames are partly damaged"


class _ShownPictures:
    """Counts the packets that hold a picture that is shown; none unless that is known of each.

    Packets that are presented before the first picture that is shown are not counted, and those
    that are stored after it but presented before it may lack their reference frames.
    """

    def __init__(self, *, is_known: bool) -> None:
        self._is_known = is_known
        self.count = 0
        self._first_pts: int | None = None
        self._undecided: list[int | None] = []
        self._counts_untimed = False

    def note(self, packet: Packet[VideoStream]) -> None:
        """Process the next stored packet."""
        if packet.is_discard or not self._is_known:
            return
        if self._first_pts is None:
            if self._undecided or packet.is_keyframe:
                self._undecided.append(packet.pts)
        elif packet.pts is not None:
            self.count += packet.pts >= self._first_pts
        else:
            self.count += self._counts_untimed

    def begin(self, first_pts: int) -> None:
        """Set when the first picture is shown, and count the packets before it.

        In program streams few packets have timestamps. Those without one are counted only if none
        of the first packets can lack its reference frames.
        """
        self._first_pts = first_pts
        self._counts_untimed = len(self._undecided) <= _BEFORE_FIRST
        for pts in self._undecided:
            self.count += self._counts_untimed if pts is None else pts >= first_pts
        self._undecided.clear()
