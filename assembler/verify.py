"""Check a written result against its manifest, frame by frame.

The file is read back as any player would read it, without decoding. This proves that every frame of
every chunk is there, in order and at its time, that every chunk begins with a keyframe, and that
pictures and copied tracks are those of the segments and of the source to the byte.
"""

from __future__ import annotations

import contextlib
import hashlib
from fractions import Fraction
from pathlib import Path

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from assembler.packets import (
    PacketDigest,
    copied_streams,
    is_filler,
    number_of,
    open_result,
    open_side,
    packets_of,
)
from shared.contracts.errors import ResultError, TrackError
from shared.contracts.manifest import Chunk, Manifest, pts_digest
from shared.media.containers import complaint


def verify(
    manifest: Manifest,
    side_path: Path | None,
    out_path: Path,
    left_out: frozenset[int] = frozenset(),
    pictures: str | None = None,
) -> None:
    """Read the result back and compare it with the manifest and the side file.

    Timestamps are compared exactly, in rational time. Matroska ticks in milliseconds: if the source
    ticks finer, only each chunk's first frame is compared, within half a millisecond. Empty
    subtitles, which MP4's muxer writes as it needs them, are not compared. Tracks ``left_out`` of
    the side file, counted from 0, are not expected. ``pictures`` is the digest that `mux` returned.

    Raises:
        ResultError: the first difference, with the code ``UNREADABLE``, ``FRAME_COUNT``,
            ``FRAME_TIME``, ``NOT_A_KEYFRAME``, ``TRACK_COUNT`` or ``CORRUPT_RESULT``.
        TrackError: a copied track is not the source's: ``TRACK_DATA`` or ``TRACK_TIME``.
    """
    try:
        with contextlib.ExitStack() as stack:
            result = stack.enter_context(open_result(out_path))
            frames = _FrameCheck(manifest, _video_of(result))
            found = _read(copied_streams(result), frames)
            frames.finish(pictures)
            side = None if side_path is None else stack.enter_context(open_side(side_path))
            wanted = [] if side is None else copied_streams(side, left_out)
            _compare_tracks([number_of(s) for s in wanted], _read(wanted, None), found)
    except av.error.FFmpegError as error:
        raise ResultError(
            "UNREADABLE", f"The result cannot be read back: {complaint(error)}"
        ) from error


def corrupt_result() -> ResultError:
    """Return the error of a result that the disk has damaged."""
    return ResultError(
        "CORRUPT_RESULT",
        "the result was damaged in the work folder: check the disk of the assembler's machine, and "
        "submit the video again",
    )


class _FrameCheck:
    """Walks through the manifest's chunks as the result's frames come by."""

    def __init__(self, manifest: Manifest, stream: Stream) -> None:
        assert stream.time_base is not None
        self.stream = stream
        self.count = 0
        self._tick = stream.time_base
        self._time_base = manifest.source.time_base
        # How many of the source's ticks make one of the result's. If that is 1 / n, nothing was
        # lost by rounding.
        self._ratio = self._tick / self._time_base
        self._chunks = iter(manifest.chunks)
        self._expected = sum(chunk.frames for chunk in manifest.chunks)
        self._chunk: Chunk | None = None
        self._pts: list[int] = []
        self._last: int | None = None
        self._pictures = PacketDigest()

    def add(self, packet: Packet[Stream]) -> None:
        """Check the next frame in file order."""
        if self._chunk is None or len(self._pts) == self._chunk.frames:
            self._begin_chunk(packet)
        pts = packet.pts
        if pts is None or (self._last is not None and pts < self._last):
            raise self._wrong_time(f"is at {pts}, after one at {self._last}")
        self._last = pts
        self._pictures.add(packet)
        self._pts.append(pts)
        self.count += 1
        assert self._chunk is not None
        if len(self._pts) == self._chunk.frames:
            self._check_times(self._chunk)

    def finish(self, pictures: str | None) -> None:
        """Check that no frame is missing at the end, and that all are what was written."""
        if self.count != self._expected:
            raise ResultError(
                "FRAME_COUNT",
                f"The result holds {self.count} frames, not {self._expected}.",
            )
        if pictures not in (None, self._pictures.value):
            raise corrupt_result()

    def _begin_chunk(self, packet: Packet[Stream]) -> None:
        self._chunk = next(self._chunks, None)
        self._pts = []
        if self._chunk is None:
            raise ResultError(
                "FRAME_COUNT", f"The result holds more than the {self._expected} frames announced."
            )
        if not packet.is_keyframe:
            raise ResultError(
                "NOT_A_KEYFRAME",
                f"Frame {self.count} begins chunk {self._chunk.index}, but needs frames before it.",
            )

    def _check_times(self, chunk: Chunk) -> None:
        begins = self._pts[0] * self._ratio
        if self._ratio.numerator != 1:
            self._check_rounded(chunk, begins)
            return
        if begins != chunk.first_pts:
            raise self._wrong_time(
                f"begins chunk {chunk.index} at {begins} ticks, not {chunk.first_pts}"
            )
        ticks = [pts * self._ratio for pts in self._pts]
        if any(tick.denominator != 1 for tick in ticks) or (
            pts_digest([int(tick) for tick in ticks]) != chunk.pts_digest
        ):
            raise self._wrong_time(f"ends chunk {chunk.index}, whose times are not the source's")

    def _check_rounded(self, chunk: Chunk, begins: Fraction) -> None:
        if abs(begins - chunk.first_pts) > self._ratio / 2:
            raise self._wrong_time(
                f"begins chunk {chunk.index} at {float(begins * self._time_base):.4f} s, "
                f"not {float(chunk.first_pts * self._time_base):.4f} s"
            )

    def _wrong_time(self, what: str) -> ResultError:
        return ResultError("FRAME_TIME", f"Of the result's frames, number {self.count} {what}.")


class _TrackContent:
    """The content of one copied track, as far as it was read."""

    def __init__(self) -> None:
        self.packets = 0
        self._data = PacketDigest()
        self._times = hashlib.sha256()

    def add(self, packet: Packet[Stream]) -> None:
        """Add the next packet in file order."""
        self.packets += 1
        self._data.add(packet)
        time = None if packet.pts is None else packet.pts * packet.time_base
        self._times.update(f"{time};".encode())

    @property
    def data(self) -> str:
        """Digest of the packets' bytes."""
        return self._data.value

    @property
    def times(self) -> str:
        """Digest of the packets' exact timestamps in seconds."""
        return self._times.hexdigest()


def _read(copied: list[Stream], frames: _FrameCheck | None) -> list[_TrackContent]:
    contents = {stream.index: _TrackContent() for stream in copied}
    streams = [*copied, *([frames.stream] if frames is not None else [])]
    texts = {stream.index for stream in copied if stream.type == "subtitle"}
    for packet in packets_of(streams):
        if frames is not None and packet.stream_index == frames.stream.index:
            frames.add(packet)
        elif packet.stream_index not in texts or not is_filler(packet):
            contents[packet.stream_index].add(packet)
    return list(contents.values())


def _compare_tracks(
    numbers: list[int], expected: list[_TrackContent], found: list[_TrackContent]
) -> None:
    if len(found) != len(expected):
        raise ResultError(
            "TRACK_COUNT", f"The result holds {len(found)} copied tracks, not {len(expected)}."
        )
    for number, wanted, got in zip(numbers, expected, found, strict=True):
        at_fault = frozenset({number})
        if (got.packets, got.data) != (wanted.packets, wanted.data):
            raise TrackError(
                "TRACK_DATA",
                f"{got.packets} packets were written of {wanted.packets}, or other bytes",
                at_fault,
            )
        if got.times != wanted.times:
            raise TrackError("TRACK_TIME", "it was written at other times", at_fault)


def _video_of(result: InputContainer) -> Stream:
    if len(result.streams.video) != 1:
        raise ResultError(
            "FRAME_COUNT", f"The result holds {len(result.streams.video)} video tracks, not one."
        )
    return result.streams.video[0]
