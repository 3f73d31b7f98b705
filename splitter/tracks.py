"""Copy the sound and the text subtitles of a source into a side file, packet by packet.

Nothing is decoded. The side file is in the container of the later result, so that what the
assembler copies from it cannot fail to fit: MP4 when every audio track fits there, Matroska
otherwise. Its timestamps are on the result's timeline. Chapters and metadata travel in it too; a
source that has those but no tracks to copy gets a small FFmpeg metadata file.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
import av.error
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from shared.manifest import Track
from splitter.source import OpenSource, stream_time_base

if TYPE_CHECKING:
    from av.container.core import Chapter

MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "opus", "flac", "ac3", "eac3", "alac", "dts"})
"""Audio that MP4 holds in a way that players know."""

MP4_TEXT = frozenset({"mov_text"})
MKV_TEXT = frozenset({"subrip", "ass", "ssa", "webvtt", "text"})

MAX_TIMESCALE = 2**31 - 1

# What a muxer writes about itself or the old file's structure says nothing about the new one.
_STRUCTURAL = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})

ContainerName = Literal["mp4", "mkv"]
_FORMAT: dict[ContainerName, str] = {"mp4": "mp4", "mkv": "matroska"}


@dataclass(slots=True)
class _Copy:
    """The state of one track that is being copied."""

    stream: Stream
    start: int
    """What is subtracted from the source's timestamps, in its ticks."""
    last_dts: int | None = None
    next_dts: int = 0
    damaged: bool = False


class TrackCopier:
    """Write a source's tracks into a side file while its packets are demuxed."""

    def __init__(self, source: OpenSource, path: Path) -> None:
        self._source = source
        self._warnings: list[str] = []
        self._dropped: list[str] = []
        kept = self._choose(source.others)
        self.container: ContainerName = _container_for(kept)
        kept = [s for s in kept if self._fits(s)]
        self.streams: tuple[Stream, ...] = tuple(kept)
        self.tracks = tuple(_describe(stream) for stream in kept)
        self._copies: dict[int, _Copy] = {}
        self._output = self._open(path)

    @property
    def dropped(self) -> tuple[str, ...]:
        """What the result will not hold, one clause each."""
        return tuple(self._dropped)

    @property
    def has_side(self) -> bool:
        """Whether there is anything to carry over, and so a file."""
        return self._output is not None

    def copy(self, packet: Packet[Stream]) -> None:
        """Copy one packet of one of ``streams``; an empty one ends nothing and is skipped."""
        copy = self._copies[packet.stream_index]
        if self._output is None or packet.size == 0 or copy.damaged:
            return
        self._stamp(packet, copy)
        packet.stream = copy.stream
        try:
            self._output.mux(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError):
            copy.damaged = True
            self._warnings.append(
                f"{copy.stream.type} track {packet.stream_index} is damaged and ends early"
            )

    def finish(self) -> tuple[str, ...]:
        """Finish the side file and return the warnings of the whole copy."""
        if self._output is not None:
            self._output.close()
        return tuple(self._warnings)

    def close(self) -> None:
        """Let go of the file as it is; without effect after `finish`."""
        if self._output is not None:
            with contextlib.suppress(av.error.FFmpegError):
                self._output.close()

    def _choose(self, streams: tuple[Stream, ...]) -> list[Stream]:
        kept: list[Stream] = []
        for stream in streams:
            name = _codec_name(stream)
            if (stream.type == "audio" and _is_playable(stream)) or (
                stream.type == "subtitle" and name in MP4_TEXT | MKV_TEXT
            ):
                kept.append(stream)
            else:
                self._dropped.append(_dropped_clause(stream))
                if stream.type == "audio":
                    self._warnings.append(
                        f"audio track {stream.index} cannot be read and is left out"
                    )
        return kept

    def _fits(self, stream: Stream) -> bool:
        """Try a track on its own: a muxer refuses a header as a whole, not the track at fault."""
        name = _codec_name(stream)
        texts = MP4_TEXT if self.container == "mp4" else MKV_TEXT
        if stream.type != "subtitle" or name in texts:
            try:
                with av.open(io.BytesIO(), "w", format=_FORMAT[self.container]) as trial:
                    trial.add_stream_from_template(stream)
                    trial.start_encoding()
            except (ValueError, av.error.FFmpegError):
                pass
            else:
                return True
        self._dropped.append(f"{stream.type} ({name}, does not fit {self.container})")
        if stream.type == "audio":
            self._warnings.append(
                f"audio track {stream.index} ({name}) is left out: it cannot be copied"
            )
        return False

    def _open(self, path: Path) -> OutputContainer | None:
        container = self._source.container
        chapters = [_shifted(chapter, self._source.start) for chapter in container.chapters()]
        metadata = _carried(container.metadata)
        if not (self.streams or chapters or metadata):
            return None
        options = {"fflags": "+bitexact"}
        if self.streams and self.container == "mp4":
            options["movie_timescale"] = str(movie_timescale(self._source.time_base, self.streams))
        name = _FORMAT[self.container] if self.streams else "ffmetadata"
        output = av.open(str(path), "w", format=name, options=options)
        output.metadata.update(metadata)
        output.set_chapters(chapters)
        for stream in self.streams:
            copied = output.add_stream_from_template(stream)
            copied.metadata.update(track_metadata(stream))
            copied.disposition = stream.disposition
            start = self._source.start / stream_time_base(stream)
            self._copies[stream.index] = _Copy(copied, round(start))
        output.start_encoding()
        return output

    def _stamp(self, packet: Packet[Stream], copy: _Copy) -> None:
        """Give a packet exact, increasing timestamps in the ticks of its new track."""
        old, new = packet.time_base, stream_time_base(copy.stream)
        scale = old / new
        dts = packet.dts if packet.dts is not None else packet.pts
        dts = copy.next_dts if dts is None else round((dts - copy.start) * scale)
        pts = dts if packet.pts is None else round((packet.pts - copy.start) * scale)
        if copy.last_dts is not None and dts <= copy.last_dts:
            dts = copy.last_dts + 1
        duration = round((packet.duration or 0) * scale)
        packet.time_base = new
        packet.dts, packet.pts, packet.duration = dts, max(pts, dts), duration
        copy.last_dts = dts
        copy.next_dts = dts + max(duration, 1)


def movie_timescale(time_base: Fraction, streams: tuple[Stream, ...]) -> int:
    """Choose ticks for an MP4's start offsets in which every track's own ticks are whole.

    Where no such number is small enough, the finest multiple of the video's ticks is taken, which
    still tells neighbouring ticks of every track apart.
    """
    ticks = time_base.denominator
    for stream in streams:
        rate = stream.rate if isinstance(stream, AudioStream) else 1000
        if lcm(ticks, rate) <= MAX_TIMESCALE:
            ticks = lcm(ticks, rate)
    return ticks


def track_metadata(stream: Stream) -> dict[str, str]:
    """Return what a viewer sees of a track in a player's menu."""
    return {key: value for key, value in stream.metadata.items() if key in ("language", "title")}


def _container_for(streams: list[Stream]) -> ContainerName:
    audio = {_codec_name(stream) for stream in streams if stream.type == "audio"}
    return "mp4" if audio <= MP4_AUDIO else "mkv"


def _is_playable(stream: Stream) -> bool:
    return isinstance(stream, AudioStream) and bool(
        stream.codec_context and stream.rate and stream.channels
    )


def _codec_name(stream: Stream) -> str:
    if stream.codec_context is None:
        return stream.name or "unknown"
    return stream.codec_context.codec.canonical_name


def _describe(stream: Stream) -> Track:
    return Track(
        kind="audio" if stream.type == "audio" else "subtitle",
        codec=_codec_name(stream),
        language=stream.metadata.get("language", ""),
    )


def _dropped_clause(stream: Stream) -> str:
    kind: str = "cover art" if stream.disposition & Disposition.attached_pic else stream.type
    if stream.type == "data" and "timecode" in stream.metadata:
        kind = "timecode"
    elif stream.type == "video" and kind == "video":
        kind = "second video"
    return f"{kind} ({_codec_name(stream)})"


def _carried(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() not in _STRUCTURAL}


def _shifted(chapter: Chapter, start: Fraction) -> Chapter:
    ticks = round(start / (chapter["time_base"] or Fraction(1)))
    return {**chapter, "start": chapter["start"] - ticks, "end": chapter["end"] - ticks}
