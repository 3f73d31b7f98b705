"""Join segments and copied tracks into the result by stream copy: no pixel is touched.

MP4 results tick as the source did, so every timestamp is exact, start offsets included. Matroska,
which only holds results whose sound does not fit MP4, ticks in milliseconds: timestamps are
rounded to the nearest one there.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from shared.contracts.errors import ChunkError, ResultError
from shared.contracts.manifest import Chunk, Manifest, pts_digest
from shared.media.containers import FORMATS, carried_metadata, movie_timescale, track_metadata

SIDE_FORMATS = "mov,matroska,ffmetadata"
"""What the splitter writes side files in."""


def mux(
    manifest: Manifest, segments: Iterable[bytes], side_path: Path | None, out_path: Path
) -> None:
    """Write the result to ``out_path``.

    ``segments`` are the files of ``manifest.chunks``, in order; they are taken one at a time, so
    memory does not grow with the video's length. ``side_path`` holds the tracks to copy, if any.

    Raises:
        ChunkError: a segment is not what its chunk promises (``CORRUPT_SEGMENT``), or was encoded
            so that it cannot be joined to the first (``MIXED_SEGMENTS``).
        ResultError: there are more or fewer segments than chunks (``SEGMENT_COUNT``).

    No file is left behind then.
    """
    try:
        with contextlib.ExitStack() as stack:
            side = None if side_path is None else stack.enter_context(open_side(side_path))
            _join(manifest, segments, side, out_path)
    except BaseException:
        out_path.unlink(missing_ok=True)
        raise


def open_side(path: Path) -> InputContainer:
    """Open the file in which the splitter left the copied tracks."""
    options = {"format_whitelist": SIDE_FORMATS}
    return av.open(str(path.absolute()), "r", metadata_errors="replace", options=options)


def copied_streams(container: InputContainer) -> list[Stream]:
    """Return a file's sound and text tracks, in order."""
    return [stream for stream in container.streams if stream.type in ("audio", "subtitle")]


def _join(
    manifest: Manifest, segments: Iterable[bytes], side: InputContainer | None, out_path: Path
) -> None:
    pairs = _paired(manifest, segments)
    first = next(pairs, None)
    if first is None:
        raise ResultError("SEGMENT_COUNT", "There is no segment to make a result of.")
    with _opened_output(manifest, side, out_path) as output:
        joined: _Result | None = None
        for chunk, data in itertools.chain((first,), pairs):
            with _opened_segment(chunk, data) as segment:
                if joined is None:
                    joined = _Result(manifest, output, segment, side)
                joined.append(chunk, segment)
        assert joined is not None
        joined.finish()


class _Result:
    """The result while it is being written."""

    def __init__(
        self,
        manifest: Manifest,
        output: OutputContainer,
        first: InputContainer,
        side: InputContainer | None,
    ) -> None:
        self._source = manifest.source
        self._output = output
        template = first.streams.video[0]
        self._parameters = template.codec_context.extradata
        self._video = output.add_stream_from_template(template)
        self._video.time_base = self._source.time_base
        self._copies: dict[int, Stream] = {}
        if side is not None:
            self._add_copies(side)
        output.start_encoding()
        self._waiting = iter(()) if side is None else _packets(side, list(self._copies))
        self._next: Packet[Stream] | None = next(self._waiting, None)

    def append(self, chunk: Chunk, segment: InputContainer) -> None:
        """Append one segment, and the sound that belongs before its frames."""
        stream = segment.streams.video[0]
        self._check_joins(chunk, stream)
        packets = list(_packets(segment, [stream.index]))
        _check_frames(chunk, packets)
        for packet in packets:
            assert packet.pts is not None
            packet.pts = packet.dts = chunk.first_pts + packet.pts
            packet.time_base = self._source.time_base
            packet.stream = self._video
            self._copy_until(packet.dts * self._source.time_base)
            self._output.mux(packet)

    def finish(self) -> None:
        """Copy what sounds on after the last frame."""
        while self._next is not None:
            self._copy_next()

    def _add_copies(self, side: InputContainer) -> None:
        for stream in copied_streams(side):
            copy = self._output.add_stream_from_template(stream)
            copy.metadata.update(track_metadata(stream))
            copy.disposition = stream.disposition
            self._copies[stream.index] = copy

    def _copy_until(self, seconds: Fraction) -> None:
        while self._next is not None and _seconds(self._next) <= seconds:
            self._copy_next()

    def _copy_next(self) -> None:
        assert self._next is not None
        self._next.stream = self._copies[self._next.stream_index]
        self._output.mux(self._next)
        self._next = next(self._waiting, None)

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
                f"Segment {chunk.index} ticks at {stream.time_base} s, "
                f"the source at {self._source.time_base} s.",
            )
        if context.extradata != self._parameters:
            raise ChunkError(
                "MIXED_SEGMENTS",
                f"Segment {chunk.index} was encoded with other settings than the first one.",
            )


@contextlib.contextmanager
def _opened_output(
    manifest: Manifest, side: InputContainer | None, path: Path
) -> Iterator[OutputContainer]:
    options = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
    if manifest.source.container == "mp4":
        options["movflags"] = "+faststart"
        ticks = manifest.source.time_base.denominator
        rates = [stream.rate for stream in side.streams.audio] if side is not None else []
        options["video_track_timescale"] = str(ticks)
        options["movie_timescale"] = str(movie_timescale([ticks, *rates]))
    name = FORMATS[manifest.source.container]
    with av.open(str(path.absolute()), "w", format=name, options=options) as output:
        if side is not None:
            output.metadata.update(carried_metadata(side.metadata))
            output.set_chapters(side.chapters())
        yield output


@contextlib.contextmanager
def _opened_segment(chunk: Chunk, data: bytes) -> Iterator[InputContainer]:
    try:
        container = av.open(io.BytesIO(data), "r", format="mp4")
    except av.error.FFmpegError as error:
        raise ChunkError(
            "CORRUPT_SEGMENT", f"Segment {chunk.index} cannot be read: {error}"
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


def _packets(container: InputContainer, indices: list[int]) -> Iterator[Packet[Stream]]:
    if not indices:
        return
    streams = [container.streams[index] for index in indices]
    for packet in container.demux(streams):
        if packet.size:
            yield packet


def _seconds(packet: Packet[Stream]) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return (ticks or 0) * packet.time_base


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
