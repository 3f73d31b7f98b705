"""Split a video into chunks: the pure core of the splitter.

The file is read in one pass: packets are demuxed in stored order, those of the main video are
decoded, normalised and encoded into chunks, and those of the other tracks are copied to a side
file. The output is, in this order: a description of the source, its chunks while decoding goes on,
and the end.

The work has three stages: a `_Reader` yields the frames that are shown, a `Cutter` normalises them
and decides where chunks end, and the chunks are encoded. The stages run in turn on the caller's
thread, or concurrently on several (`splitter.media.pipeline`), with the same result.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import BinaryIO, cast

import av
import av.error
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from shared.contracts.errors import SourceRefused
from shared.contracts.manifest import Bars, Source
from shared.contracts.style_request import DEFAULT_BRUSH, painted_scale
from shared.media.containers import PICTURE_CODECS
from shared.media.packets import decoded_at, revealed
from splitter.media.chunking import ChunkBuilder, EncodedChunk
from splitter.media.crew import ALONE, Crew
from splitter.media.cutting import Cutter
from splitter.media.decode import Decoder
from splitter.media.epochs import LONGEST_PAUSE_S, Epochs
from splitter.media.graphs import Copier
from splitter.media.integrity import Integrity
from splitter.media.limits import Limits
from splitter.media.normalise import Normaliser
from splitter.media.part import Part
from splitter.media.pipeline import encoded
from splitter.media.recognise import SUPPORTED
from splitter.media.room import Room
from splitter.media.source import ErrorLog, OpenSource, capture_errors, open_source
from splitter.media.survey import check_length, find_bars
from splitter.media.timeline import Timeline
from splitter.media.tracks import TrackCopier

_STORED_APART_S = 10
"""The sound that belongs to a frame is stored at most this many seconds behind it."""


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How a source is split; ``max_side`` caps the longer side of the picture in pixels.

    Pictures will be painted at ``lines`` lines. ``part`` selects what is painted of the video. A
    pause in a broadcast recording that is longer than ``longest_pause_s`` counts as a jump of its
    clock.

    The first chunk has ``first_chunk_frames`` frames and each further one twice as many as the one
    before, up to ``chunk_frames``: the first segment is ready soon, and all stylizers have work.
    """

    chunk_frames: int = 32
    first_chunk_frames: int = 32
    max_side: int | None = None
    lines: int = DEFAULT_BRUSH
    part: Part = field(default_factory=Part)
    longest_pause_s: float = LONGEST_PAUSE_S
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class SplitEnd:
    """The totals, and one sentence for each thing that was lost or changed.

    ``damaged`` is whether anything was lost; changes, such as a timestamp moved by a tick, do not
    count.
    """

    frames: int
    chunks: int
    warnings: tuple[str, ...]
    side_sha256: str | None = None
    damaged: bool = False

    @property
    def has_side(self) -> bool:
        """Whether there is a side file; ``side_sha256`` is then the digest of what it must hold."""
        return self.side_sha256 is not None


SplitEvent = Source | EncodedChunk | SplitEnd


def split(
    file: BinaryIO, options: SplitOptions, side_path: Path, crew: Crew = ALONE
) -> Iterator[SplitEvent]:
    """Yield a description of the source, then its chunks, then the end.

    The threads of ``crew`` work on it until the end, or until the generator is closed; the output
    does not depend on how many there are.

    Frames are those that a player presents, in presentation order, with strictly increasing
    timestamps; the same file and options give the same bytes. The copied tracks are in
    ``side_path`` if the end says so; otherwise that file does not exist. Memory use does not grow
    with the video's length.

    Raises:
        SourceRefused: the upload is not an accepted video; possibly after chunks, if only decoding
            shows what is wrong.
    """
    with capture_errors(on_all_threads=crew.size > 1) as log, contextlib.ExitStack() as stack:
        leave_nothing = stack.enter_context(contextlib.ExitStack())
        leave_nothing.callback(side_path.unlink, missing_ok=True)
        source = open_source(file, options.limits, log)
        stack.enter_context(source.container)
        source = replace(source, start=source.start + options.part.start)
        check_length(file, source, options.limits, options.part)
        room = Room(options.limits.side_bytes)
        copier = stack.enter_context(
            contextlib.closing(TrackCopier(source, side_path, options.part, room))
        )
        reader = _Reader(source, copier, options, log)
        in_use = Lock()
        own = map(Copier().copy, reader.frames())
        frames = stack.enter_context(contextlib.closing(_guarded(own, in_use)))
        first = next(frames)
        normaliser = Normaliser(first, max_side=options.max_side)
        described = reader.describe(first, normaliser)
        yield described

        def look_for_bars() -> Bars:
            with in_use:  # The file has one position.
                return find_bars(file, options.limits, options.max_side)

        builder = ChunkBuilder(
            described,
            first_frames=options.first_chunk_frames,
            most_frames=options.chunk_frames,
            scale=painted_scale(described.width, described.height, options.lines),
            find_bars=look_for_bars,
        )
        cutter = Cutter(normaliser, builder, lambda: reader.end_pts)
        chunks = 0
        for chunk in encoded(chain([first], frames), cutter, crew, options.limits.in_flight_bytes):
            yield chunk
            chunks += 1
        end = reader.end(chunks)
        leave_nothing.pop_all()
        yield end


def _guarded(frames: Iterator[av.VideoFrame], in_use: Lock) -> Generator[av.VideoFrame]:
    """Yield ``frames``, holding ``in_use`` while each is made."""
    while True:
        with in_use:
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


class _Reader:
    """Reads one source in one pass: yields its frames and copies its other tracks."""

    def __init__(
        self, source: OpenSource, copier: TrackCopier, options: SplitOptions, log: ErrorLog
    ) -> None:
        self._source = source
        self._copier = copier
        self._options = options
        self._integrity = Integrity(source, copier.streams, options.longest_pause_s)
        self._decoder = Decoder(source.video, options.limits, log, self._integrity)
        self._timeline = Timeline(source, options.limits, options.part)
        self._epochs = Epochs(source.is_broadcast, options.longest_pause_s)
        self._read_all = True

    @property
    def end_pts(self) -> int:
        """When the last frame's display ends, in ticks."""
        return self._timeline.end

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield the frames that are shown, at least one, ``pts`` in ticks of the time base.

        Raises:
            SourceRefused: possibly after frames, if only they show what is wrong.
        """
        for packet in self._packets():
            if packet.stream_index != self._source.video.index:
                self._copier.copy(packet)
            elif not self._timeline.over:
                for frame in self._decoder.decode(cast("Packet[VideoStream]", packet)):
                    yield from self._timeline.place(frame)
                self._update_copier()
            if self._timeline.over and self._has_enough(packet):
                self._read_all = False
                break
        if not self._timeline.over:
            for frame in self._decoder.flush():
                yield from self._timeline.place(frame)
        yield from self._timeline.flush()
        self._decoder.judge()
        self._timeline.judge()
        self._refuse_pictures()

    def _packets(self) -> Iterator[Packet[Stream]]:
        streams = [self._source.video, *self._copier.streams]
        try:
            for packet in self._source.container.demux(streams):
                self._decoder.read_log()
                if packet.size:
                    self._integrity.note(packet)
                    shown = revealed(packet, self._source.find_fragments)
                    self._epochs.restamp(shown)
                    yield shown
        except (
            av.error.InvalidDataError,
            av.error.EOFError,
            av.error.PatchWelcomeError,
            av.error.MemoryError,
        ):
            # (MemoryError: a damaged length asks for more memory than there is.)
            self._integrity.note_broken_container()
        except IndexError:
            # PyAV fails on tracks that appear midway, but only after the last packet.
            return

    def _update_copier(self) -> None:
        """Tell the copier how far the picture has come, or where it ends."""
        if self._timeline.over:
            self._copier.cut(self._timeline.end_s)
        elif self._timeline.frames and self._options.part.max_frames is not None:
            self._copier.release(self._timeline.last_s)

    def _has_enough(self, packet: Packet[Stream]) -> bool:
        """Return whether nothing that is stored from here on belongs to the part."""
        ticks = decoded_at(packet)
        end = self._timeline.end_s
        if ticks is not None:
            seconds = ticks * packet.time_base
            if packet.stream_index == self._source.video.index:
                seconds -= self._source.start
            if seconds > end + _STORED_APART_S:
                return True
        return self._copier.has_passed(end)

    def describe(self, frame: av.VideoFrame, normaliser: Normaliser) -> Source:
        """Return the description of the source, whose first frame is ``frame``.

        Raises:
            SourceRefused: its picture is too large or too small (``BAD_RESOLUTION``).
        """
        limits = self._options.limits
        if min(frame.width, frame.height) < limits.min_side:
            raise SourceRefused(
                "BAD_RESOLUTION",
                f"The picture is {frame.width}x{frame.height}; "
                f"each side must have at least {limits.min_side} pixels: scale it up.",
            )
        width, height = normaliser.size
        if max(width, height) > limits.max_side:
            raise SourceRefused(
                "BAD_RESOLUTION",
                f"The picture is {frame.width}x{frame.height}; "
                f"no side may have more than {limits.max_side} pixels: scale it down.",
            )
        aspect = self._source.video.sample_aspect_ratio or Fraction(1)
        return Source(
            width=width,
            height=height,
            coded_width=frame.width,
            coded_height=frame.height,
            codec=self._source.video.codec_context.codec.canonical_name,
            bit_depth=max((part.bits for part in frame.format.components), default=8),
            time_base=self._source.time_base,
            sample_aspect_ratio=1 / aspect if normaliser.turned else aspect,
            container=self._copier.container,
            tracks=self._copier.tracks,
            dropped=self._copier.dropped,
        )

    def end(self, chunks: int) -> SplitEnd:
        """Finish the side file and return the totals; to be called after the last frame."""
        digest = self._copier.finish()
        losses = [
            *self._integrity.warnings(to_the_end=self._read_all),
            *self._decoder.warnings(),
            *(self._timeline.losses() if self._integrity.told_by_times else []),
            *self._copier.losses,
        ]
        changes = [*self._epochs.warnings(), *self._timeline.warnings(), *self._copier.changes]
        return SplitEnd(
            frames=self._timeline.frames,
            chunks=chunks,
            warnings=(*losses, *changes),
            side_sha256=digest,
            damaged=bool(losses),
        )

    def _refuse_pictures(self) -> None:
        codec = self._source.video.codec_context.codec.canonical_name
        if self._decoder.frames == 1 and codec in PICTURE_CODECS:
            raise SourceRefused(
                "NOT_A_VIDEO",
                f"The file is a single {codec.upper()} picture, not a video; {SUPPORTED}.",
            )
