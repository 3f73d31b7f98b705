"""Join segments and copied tracks into the result by stream copy: no pixel is touched.

MP4 results tick as the source did, so every timestamp is exact, start offsets included. Matroska,
which only holds results whose sound does not fit MP4, ticks in milliseconds: timestamps are
rounded to the nearest one there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from assembler.packets import (
    PacketDigest,
    copied_streams,
    is_filler,
    number_of,
    open_side,
    packets_of,
)
from shared.contracts.errors import ChunkError, ResultError, TrackError
from shared.contracts.manifest import Chunk, Manifest, pts_digest
from shared.media.chunks import open_chunk
from shared.media.containers import (
    add_copy,
    complaint,
    fits,
    is_full,
    movie_timescale,
    open_output,
)
from shared.media.detour import TimestampSpreader, add_chapters, is_detour
from shared.media.metadata import carried_metadata, label_track
from shared.media.packets import begins

if TYPE_CHECKING:
    from av.container.core import Chapter

_FINEST_RATE: Final = 1_000_000
"""The largest denominator of a frame rate; FFmpeg stores both parts of one in 31 bits."""


def mux(
    manifest: Manifest,
    segments: Iterable[bytes],
    side_path: Path | None,
    out_path: Path,
    left_out: frozenset[int] = frozenset(),
) -> str:
    """Write the result to ``out_path``; return the digest of its pictures, see `PacketDigest`.

    ``segments`` are the files of ``manifest.chunks``, in order; they are taken one at a time, so
    memory does not grow with the video's length. ``side_path`` holds the tracks to copy, if any;
    those in ``left_out``, counted from 0, are skipped.

    Raises:
        ChunkError: a segment is not what its chunk promises (``CORRUPT_SEGMENT``), or was encoded
            so that it cannot be joined to the first (``MIXED_SEGMENTS``).
        ResultError: there are more or fewer segments than chunks (``SEGMENT_COUNT``).
        TrackError: a track to copy cannot be read or written (``TRACK_DATA``).
        av.error.FFmpegError: the file cannot be written, and the track at fault is unknown.

    No file is left behind after an error.
    """
    with Joining(manifest, side_path, out_path, left_out) as joining:
        for chunk, data in _paired(manifest, segments):
            joining.append(chunk, data)
        return joining.finish()


class Joining:
    """A result while it is written, segment by segment, in the order of the manifest's chunks.

    Arguments and errors are those of `mux`. Every method may take a while, and none may be called
    while another runs. `close`, which ends the context, removes the file unless it is finished.
    """

    def __init__(
        self,
        manifest: Manifest,
        side_path: Path | None,
        out_path: Path,
        left_out: frozenset[int] = frozenset(),
    ) -> None:
        self._manifest = manifest
        self._side_path = side_path
        self._path = out_path
        self._left_out = left_out
        self._open = contextlib.ExitStack()
        self._result: _Result | None = None
        self._finished = False
        self._chapters: list[Chapter] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def append(self, chunk: Chunk, data: bytes) -> None:
        """Append a chunk's segment, and the sound that belongs before its frames."""
        with _opened_segment(chunk, data) as segment:
            if self._result is None:
                self._result = self._begin(segment)
            self._result.append(chunk, segment)

    def finish(self) -> str:
        """Copy the sound after the last frame, and complete the file; see `mux`."""
        if self._result is None:
            raise ResultError("SEGMENT_COUNT", "There are no segments to make a result from.")
        self._result.finish()
        self._open.close()
        if self._chapters:
            with self._path.open("r+b") as file:
                add_chapters(file, self._chapters)
        self._finished = True
        return self._result.pictures.value

    def close(self) -> None:
        """Close the files, and remove the result unless it is finished."""
        if not self._finished:
            # It does not matter why an unfinished file cannot be completed.
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self._open.close()
            self._path.unlink(missing_ok=True)

    def _begin(self, first: InputContainer) -> _Result:
        side, tracks = None, []
        if self._side_path is not None:
            side = self._open.enter_context(open_side(self._side_path))
            tracks = copied_streams(side, self._left_out)
        opened = _opened_output(self._manifest, side, tracks, self._path)
        output = self._open.enter_context(opened)
        if side is not None and is_detour(output):
            self._chapters = side.chapters()
        return _Result(self._manifest, output, first, tracks, self._path.parent)


class _Result:
    """The result while it is being written; ``folder`` may be used for test files."""

    def __init__(
        self,
        manifest: Manifest,
        output: OutputContainer,
        first: InputContainer,
        tracks: list[Stream],
        folder: Path,
    ) -> None:
        self.pictures = PacketDigest()
        self._source = manifest.source
        self._folder = folder
        self._output = output
        template = first.streams.video[0]
        self._parameters = template.codec_context.extradata
        self._video = add_copy(output, template)
        self._video.time_base = self._source.time_base
        assert isinstance(self._video, VideoStream)
        self._video.codec_context.framerate = _frame_rate(manifest)
        self._numbers = {stream.index: number_of(stream) for stream in tracks}
        self._all = frozenset(self._numbers.values())
        self._spreader = TimestampSpreader()
        try:
            self._copies = {stream.index: self._add_copy(stream) for stream in tracks}
            output.start_encoding()
        except (ValueError, av.error.FFmpegError) as error:
            if is_full(error):
                raise
            # PyAV raises ValueError for what it does not know to fit, without trying.
            raise _unwritable(self._misfits(tracks) or self._all) from error
        self._waiting = packets_of(tracks)
        self._next = self._read_on()

    def append(self, chunk: Chunk, segment: InputContainer) -> None:
        """Append one segment, and the sound that belongs before its frames."""
        stream = segment.streams.video[0]
        self._check_joins(chunk, stream)
        packets = list(packets_of([stream]))
        _check_frames(chunk, packets)
        for packet in packets:
            assert packet.pts is not None
            packet.pts = packet.dts = chunk.first_pts + packet.pts
            packet.time_base = self._source.time_base
            packet.stream = self._video
            self._copy_until(packet.dts * self._source.time_base)
            self.pictures.add(packet)
            self._output.mux(packet)

    def finish(self) -> None:
        """Copy the sound after the last frame."""
        while self._next is not None:
            self._copy_next()

    def _add_copy(self, stream: Stream) -> Stream:
        copy = add_copy(self._output, stream)
        label_track(self._output, copy, stream)
        return copy

    def _misfits(self, tracks: list[Stream]) -> frozenset[int]:
        """Return the numbers of the tracks that do not fit the container even on their own."""
        kind = self._source.container
        folder = self._folder
        return frozenset(self._numbers[s.index] for s in tracks if not fits(s, kind, folder))

    def _copy_until(self, seconds: Fraction) -> None:
        while self._next is not None and begins(self._next) <= seconds:
            self._copy_next()

    def _copy_next(self) -> None:
        assert self._next is not None
        index = self._next.stream_index
        if self._next.stream.type != "subtitle" or not is_filler(self._next):
            if is_detour(self._output):
                self._spreader.stamp(self._next)
            self._next.stream = self._copies[index]
            try:
                self._output.mux(self._next)
            except (av.error.InvalidDataError, av.error.ArgumentError) as error:
                raise _unwritable(frozenset({self._numbers[index]})) from error
        self._next = self._read_on()

    def _read_on(self) -> Packet[Stream] | None:
        try:
            return next(self._waiting, None)
        except av.error.FFmpegError as error:
            raise _unwritable(self._all) from error

    def _check_joins(self, chunk: Chunk, stream: VideoStream) -> None:
        context = stream.codec_context
        if (context.width, context.height) != (self._source.width, self._source.height):
            raise ChunkError(
                "CORRUPT_SEGMENT",
                f"Segment {chunk.index} is {context.width}x{context.height}, "
                f"not {self._source.width}x{self._source.height}.",
            )
        if stream.time_base != self._source.time_base:
            raise ChunkError(
                "CORRUPT_SEGMENT",
                f"Segment {chunk.index} has a time base of {stream.time_base} s, the source "
                f"one of {self._source.time_base} s.",
            )
        if context.extradata != self._parameters:
            raise ChunkError(
                "MIXED_SEGMENTS",
                f"Segment {chunk.index} was encoded with other settings than the first one.",
            )


def _frame_rate(manifest: Manifest) -> Fraction:
    """Return the average number of frames a second.

    Matroska stores it. Players would otherwise take the ticks of the pictures' encoder for frames.
    """
    length = sum(chunk.duration for chunk in manifest.chunks) * manifest.source.time_base
    return (manifest.frames / length).limit_denominator(_FINEST_RATE)


@contextlib.contextmanager
def _opened_output(
    manifest: Manifest, side: InputContainer | None, tracks: list[Stream], path: Path
) -> Iterator[OutputContainer]:
    options = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
    if manifest.source.container == "mp4":
        options["movflags"] = "+faststart"
        ticks = manifest.source.time_base.denominator
        rates = [stream.rate for stream in tracks if isinstance(stream, AudioStream)]
        options["video_track_timescale"] = str(ticks)
        options["movie_timescale"] = str(movie_timescale([ticks, *rates]))
    with open_output(path, manifest.source.container, options, tracks) as output:
        if side is not None:
            output.metadata.update(carried_metadata(side))
            if not is_detour(output):
                output.set_chapters(side.chapters())
        yield output


@contextlib.contextmanager
def _opened_segment(chunk: Chunk, data: bytes) -> Iterator[InputContainer]:
    try:
        container = open_chunk(data)
    except av.error.FFmpegError as error:
        raise ChunkError(
            "CORRUPT_SEGMENT", f"Segment {chunk.index} cannot be read: {complaint(error)}"
        ) from error
    with container:
        if len(container.streams.video) != 1:
            raise ChunkError("CORRUPT_SEGMENT", f"Segment {chunk.index} holds no video.")
        yield container


def _paired(manifest: Manifest, segments: Iterable[bytes]) -> Iterator[tuple[Chunk, bytes]]:
    taken = iter(segments)
    for chunk in manifest.chunks:
        data = next(taken, None)
        if data is None:
            raise ResultError("SEGMENT_COUNT", f"The segment of chunk {chunk.index} is missing.")
        yield chunk, data
    if next(taken, None) is not None:
        raise ResultError(
            "SEGMENT_COUNT", f"There are more segments than the {len(manifest.chunks)} chunks."
        )


def _unwritable(tracks: frozenset[int]) -> TrackError:
    return TrackError("TRACK_DATA", "its packets cannot be read or written", tracks)


def _check_frames(chunk: Chunk, packets: list[Packet[Stream]]) -> None:
    pts = [packet.pts for packet in packets if packet.pts is not None]
    if len(pts) != chunk.frames:
        raise ChunkError(
            "CORRUPT_SEGMENT",
            f"Segment {chunk.index} holds {len(pts)} frames, not {chunk.frames}.",
        )
    if pts_digest(pts) != chunk.pts_digest or not packets[0].is_keyframe:
        raise ChunkError(
            "CORRUPT_SEGMENT",
            f"Segment {chunk.index} does not hold its chunk's frames at their times.",
        )
