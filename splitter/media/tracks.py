"""Copy the sound and the text subtitles of a source into a side file, packet by packet.

The side file has the container format of the later result, so that everything in it is known to fit
there; `carriage` decides how each track is stored. Its timestamps are on the result's timeline. It
also holds chapters and metadata; a source that has those but no tracks to copy gets a small FFmpeg
metadata file.
"""

from __future__ import annotations

import contextlib
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from shared.contracts.errors import SourceRefused
from shared.media.containers import (
    ContainerName,
    is_full,
    movie_timescale,
    open_output,
)
from shared.media.detour import add_chapters, is_detour
from shared.media.metadata import carried_metadata
from shared.media.packets import begins, is_far
from splitter.media.carriage import Way, is_writable, plan_carriage
from splitter.media.part import Part
from splitter.media.room import Room
from splitter.media.side_file import SideFile
from splitter.media.source import OpenSource
from splitter.media.track_copy import TrackCopy, begin_copies, described

if TYPE_CHECKING:
    from av.container.core import Chapter

_DAMAGED = (av.error.InvalidDataError, av.error.ArgumentError)


class TrackCopier:
    """Write a source's tracks into a side file while its packets are demuxed.

    ``source.start`` is time zero in the side file. If only a part of the video is kept, packets
    outside it are left out, the last one is shortened to end with it, and in MP4 the first one is
    trimmed to begin with it.
    """

    def __init__(self, source: OpenSource, path: Path, part: Part, room: Room) -> None:
        self._source = source
        self._path = path
        self._part = part
        self._room = room
        self._end = part.length
        self._lost = 0
        self._held: deque[tuple[TrackCopy, Packet[Stream]]] = deque()
        has_chapters = bool(source.container.chapters())
        self._plan = plan_carriage(source.others, path.parent, has_chapters=has_chapters)
        if source.of_other_programs:
            tracks = "track" if source.of_other_programs == 1 else "tracks"
            self._plan.dropped.append(f"{source.of_other_programs} {tracks} of other programs")
        self.container: ContainerName = self._plan.container
        self._losses = list(self._plan.losses)
        self._changes = list(self._plan.changes)
        self._carried = tuple(self._plan.carried)
        self.tracks = tuple(described(carried) for carried in self._carried)
        self._copies: dict[int, TrackCopy] = {}
        self._chapters: list[Chapter] = []
        self._file: SideFile | None = None
        self._output = self._open()

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The source's tracks whose packets are to be copied."""
        return tuple(carried.stream for carried in self._carried)

    @property
    def dropped(self) -> tuple[str, ...]:
        """What the result will not contain, one clause each."""
        return tuple(self._plan.dropped)

    @property
    def losses(self) -> tuple[str, ...]:
        """One sentence for each thing missing from the result; complete after `finish`."""
        return tuple(self._losses)

    @property
    def changes(self) -> tuple[str, ...]:
        """One sentence for each thing that is stored in another form."""
        return tuple(self._changes)

    def has_passed(self, end: Fraction) -> bool:
        """Return whether all audio tracks were read up to ``end``, in seconds of the result."""
        return all(c.reached >= end for c in self._copies.values() if not c.is_text)

    def copy(self, packet: Packet[Stream]) -> None:
        """Copy one packet of one of ``streams``; if it is faulty, only its track suffers."""
        copy = self._copies.get(packet.stream_index)
        if self._output is None or copy is None or copy.unusable:
            return
        try:
            self._take(copy, packet)
        except Exception as error:
            self._give_up(copy, error)

    def _give_up(self, copy: TrackCopy, error: Exception) -> None:
        """Leave out the rest of a track; raise an ``error`` that is not the track's."""
        if isinstance(error, MemoryError | SourceRefused) or is_full(error):
            raise error
        if not copy.unusable:
            which = f"{copy.stream.type} track {copy.carried.stream.index}"
            self._losses.append(f"{which} cannot be read to the end: the rest is left out")
        copy.unusable = True

    def _take(self, copy: TrackCopy, packet: Packet[Stream]) -> None:
        if packet.is_discard and copy.presents:
            return
        if is_far(packet):
            self._lost += 1
            return
        copy.presents |= not packet.is_discard
        if (
            copy.is_empty
            and copy.carried.way is Way.COPY
            and not is_writable(packet, self.container, self._path)
        ):
            copy.unusable = True
            self._losses.append(f"{copy.stream.type} track {packet.stream_index} is unusable")
            return
        for ready in copy.converted(packet):
            self._write_or_hold(copy, ready)

    def release(self, until: Fraction) -> None:
        """Write the held packets that begin before ``until``, in seconds: the part ends later."""
        while self._held and begins(self._held[0][1]) < until:
            self._write(*self._held.popleft())

    def cut(self, end: Fraction) -> None:
        """Set where the part ends, in seconds of the result."""
        self._end = end if self._end is None else min(end, self._end)

    def finish(self) -> str | None:
        """Write what is held and finish the side file; return its SHA-256, None if there is none.

        Raises:
            SourceRefused: ``CORRUPT_SIDE``: the disk has damaged it.
        """
        for copy in self._copies.values():
            self._flush(copy)
        while self._held:
            self._write(*self._held.popleft())
        if self._output is not None:
            try:
                self._output.close()
            except av.error.FFmpegError as error:
                if is_full(error):
                    raise
                self._lost += 1
                self._chapters = []
            if all(copy.is_empty for copy in self._copies.values()):
                self._write_anew_without_tracks()
            elif self._file is not None:
                add_chapters(self._file, self._chapters)
        self._losses += self._room.losses()
        if self._lost:
            self._losses.append(f"{self._lost} packets of sound or text were damaged and left out")
        return None if self._file is None else self._file.seal()

    def _flush(self, copy: TrackCopy) -> None:
        try:
            for packet in copy.flushed():
                self._write_or_hold(copy, packet)
        except Exception as error:
            self._give_up(copy, error)
        if copy.recoder is not None:
            self._lost += copy.recoder.undecodable
            self._losses += copy.recoder.losses()

    def _write_anew_without_tracks(self) -> None:
        """Keep only chapters and titles: a file of tracks without packets cannot be opened."""
        if self._carried and self._file is not None:
            self._file.end()
            self._path.unlink()
            self._file, self._carried = None, ()
            self._output = self._open()
            if self._output is not None:
                self._output.close()

    def close(self) -> None:
        """Close the file as it is; without effect after `finish`."""
        if self._output is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError, SourceRefused):
                self._output.close()
        if self._file is not None:
            self._file.end()

    def _write_or_hold(self, copy: TrackCopy, packet: Packet[Stream]) -> None:
        if self._part.max_frames is None:
            self._write(copy, packet)
        else:
            self._held.append((copy, packet))

    def _write(self, copy: TrackCopy, packet: Packet[Stream]) -> None:
        end = None if self._end is None else int(self._end / copy.stamper.tick)
        if not self._part.holds(packet, end, is_text=copy.is_text):
            return
        assert self._output is not None
        if not self._room.holds(packet):
            return
        try:
            self._output.mux(packet)
        except _DAMAGED:
            # Not necessarily of this track: the muxer buffers packets to interleave them.
            self._lost += 1

    def _open(self) -> OutputContainer | None:
        container = self._source.container
        chapters = list(self._part.cut(container.chapters(), self._source.start))
        metadata = carried_metadata(container)
        if not (self._carried or chapters or metadata):
            return None
        options = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
        self._file = SideFile(self._path)
        if not self._carried:
            output = av.open(self._file, "w", format="ffmetadata", options=options)
        else:
            if self.container == "mp4":
                rates = [s.rate for s in self.streams if isinstance(s, AudioStream)]
                options["movie_timescale"] = str(
                    movie_timescale([self._source.time_base.denominator, *rates])
                )
            copied = [one.stream for one in self._carried if one.way is Way.COPY]
            output = open_output(self._file, self.container, options, copied)
        try:
            self._prepare(output, metadata, chapters)
        except BaseException:
            output.close()
            raise
        return output

    def _prepare(
        self, output: OutputContainer, metadata: dict[str, str], chapters: list[Chapter]
    ) -> None:
        output.metadata.update(metadata)
        if is_detour(output):
            self._chapters = chapters
        else:
            output.set_chapters(chapters)
        self._copies = begin_copies(output, self._carried, self._source.start)
