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
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
import av.error
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, DataStream, Disposition, Stream

from shared.contracts.manifest import Track
from shared.media.containers import FORMATS, carried_metadata, movie_timescale, track_metadata
from splitter.media.captions import CONVERTIBLE, as_mov_text
from splitter.media.source import OpenSource, stream_time_base

if TYPE_CHECKING:
    from av.container.core import Chapter

MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "opus", "flac", "ac3", "eac3", "alac", "dts"})
"""Audio that MP4 holds in a way that players know."""

MP4_TEXT = frozenset({"mov_text"})
MKV_TEXT = frozenset({"subrip", "ass", "ssa", "webvtt", "text"})

_TEXT_TICK = Fraction(1, 1000)

_DAMAGED = (av.error.InvalidDataError, av.error.ArgumentError)

ContainerName = Literal["mp4", "mkv"]


@dataclass(slots=True)
class _Copy:
    """The state of one track that is being copied."""

    stream: Stream
    start: Fraction
    """What is subtracted from the source's timestamps, in its ticks."""
    scale: Fraction
    """Ticks of the new track per tick of the old one."""
    tick: Fraction
    convert: bool = False
    last_dts: int | None = None
    next_dts: int = 0
    unusable: bool = False


class TrackCopier:
    """Write a source's tracks into a side file while its packets are demuxed."""

    def __init__(self, source: OpenSource, path: Path) -> None:
        self._source = source
        self._path = path
        self._warnings: list[str] = []
        self._dropped: list[str] = []
        self._lost = 0
        kept = self._choose(source.others)
        self.container: ContainerName = _container_for(kept)
        kept = [stream for stream in kept if self._fits(stream)]
        self.streams: tuple[Stream, ...] = tuple(kept)
        self.tracks = tuple(self._describe(stream) for stream in kept)
        self._copies: dict[int, _Copy] = {}
        self._output = self._open()

    @property
    def dropped(self) -> tuple[str, ...]:
        """What the result will not hold, one clause each."""
        return tuple(self._dropped)

    @property
    def has_side(self) -> bool:
        """Whether there is anything to carry over, and so a file."""
        return self._output is not None

    def copy(self, packet: Packet[Stream]) -> None:
        """Copy one packet of one of ``streams``."""
        copy = self._copies[packet.stream_index]
        if self._output is None or copy.unusable:
            return
        copied = _converted(packet) if copy.convert else packet
        if copy.last_dts is None and not copy.convert and not self._is_writable(packet):
            copy.unusable = True
            self._warnings.append(f"{copy.stream.type} track {packet.stream_index} is unusable")
            return
        _stamp(copied, copy)
        copied.stream = copy.stream
        try:
            self._output.mux(copied)
        except _DAMAGED:
            # Not necessarily of this track: the muxer holds packets back to sort them.
            self._lost += 1

    def finish(self) -> tuple[str, ...]:
        """Finish the side file and return the warnings of the whole copy."""
        if self._output is not None:
            try:
                self._output.close()
            except _DAMAGED:
                self._lost += 1
            if self.streams and not any(
                copy.last_dts is not None for copy in self._copies.values()
            ):
                # Tracks without a packet make no file that could be opened.
                self._path.unlink()
                self.streams = ()
                self._output = self._open()
                if self._output is not None:
                    self._output.close()
        if self._lost:
            self._warnings.append(
                f"{self._lost} packets of sound or text were damaged and are lost"
            )
        return tuple(self._warnings)

    def close(self) -> None:
        """Let go of the file as it is; without effect after `finish`."""
        if self._output is not None:
            with contextlib.suppress(av.error.FFmpegError):
                self._output.close()

    def _choose(self, streams: tuple[Stream, ...]) -> list[Stream]:
        kept: list[Stream] = []
        chapters = self._source.container.chapters()
        for stream in streams:
            is_text = stream.type == "subtitle" and _codec_name(stream) in MP4_TEXT | MKV_TEXT
            if is_text or _is_playable(stream):
                kept.append(stream)
            elif not (chapters and _codec_name(stream) == "bin_data"):
                # (MP4 stores the titles of chapters, which are kept, as a track of data.)
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
        if self._converts(stream):
            return True
        if stream.type != "subtitle" or name in texts:
            try:
                with av.open(io.BytesIO(), "w", format=FORMATS[self.container]) as trial:
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

    def _is_writable(self, packet: Packet[Stream]) -> bool:
        """Try a file of one packet: some headers are found out to be damaged only at the end."""
        copy: Packet[Stream] = Packet(bytes(packet))
        copy.pts = copy.dts = 0
        copy.duration, copy.time_base, copy.is_keyframe = packet.duration, packet.time_base, True
        try:
            with av.open(io.BytesIO(), "w", format=FORMATS[self.container]) as trial:
                copy.stream = trial.add_stream_from_template(packet.stream)
                trial.mux(copy)
        except (ValueError, av.error.FFmpegError):
            return False
        return True

    def _converts(self, stream: Stream) -> bool:
        return self.container == "mp4" and _codec_name(stream) in CONVERTIBLE

    def _describe(self, stream: Stream) -> Track:
        return Track(
            kind="audio" if stream.type == "audio" else "subtitle",
            codec="mov_text" if self._converts(stream) else _codec_name(stream),
            language=stream.metadata.get("language", ""),
        )

    def _open(self) -> OutputContainer | None:
        container = self._source.container
        chapters = [_shifted(chapter, self._source.start) for chapter in container.chapters()]
        metadata = carried_metadata(container.metadata)
        if not (self.streams or chapters or metadata):
            return None
        options = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
        if self.streams and self.container == "mp4":
            rates = [s.rate for s in self.streams if isinstance(s, AudioStream)]
            options["movie_timescale"] = str(
                movie_timescale([self._source.time_base.denominator, *rates])
            )
        name = FORMATS[self.container] if self.streams else "ffmetadata"
        output = av.open(str(self._path), "w", format=name, options=options)
        output.metadata.update(metadata)
        output.set_chapters(chapters)
        pairs = [(stream, self._add(output, stream)) for stream in self.streams]
        output.start_encoding()
        for old, new in pairs:
            before, after = stream_time_base(old), stream_time_base(new)
            self._copies[old.index] = _Copy(
                stream=new,
                start=self._source.start / before,
                scale=before / after,
                tick=after,
                convert=self._converts(old),
            )
        return output

    def _add(self, output: OutputContainer, stream: Stream) -> Stream:
        new: Stream
        if self._converts(stream):
            new = output.add_mux_stream("mov_text", time_base=_TEXT_TICK)
        else:
            new = output.add_stream_from_template(stream)
        new.metadata.update(track_metadata(stream))
        new.disposition = stream.disposition
        return new


def _converted(packet: Packet[Stream]) -> Packet[Stream]:
    new: Packet[Stream] = Packet(as_mov_text(bytes(packet)))
    new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
    return new


def _stamp(packet: Packet[Stream], copy: _Copy) -> None:
    """Give a packet exact, increasing timestamps in the ticks of its new track."""
    dts = packet.dts if packet.dts is not None else packet.pts
    dts = copy.next_dts if dts is None else round((dts - copy.start) * copy.scale)
    pts = dts if packet.pts is None else round((packet.pts - copy.start) * copy.scale)
    if copy.last_dts is not None and dts <= copy.last_dts:
        dts = copy.last_dts + 1
    duration = round((packet.duration or 0) * copy.scale)
    packet.time_base = copy.tick
    packet.dts, packet.pts, packet.duration = dts, max(pts, dts), duration
    copy.last_dts = dts
    copy.next_dts = dts + max(duration, 1)


def _container_for(streams: list[Stream]) -> ContainerName:
    audio = {_codec_name(stream) for stream in streams if stream.type == "audio"}
    return "mp4" if audio <= MP4_AUDIO else "mkv"


def _is_playable(stream: Stream) -> bool:
    return isinstance(stream, AudioStream) and bool(
        stream.codec_context and stream.rate and stream.channels
    )


def _codec_name(stream: Stream) -> str:
    if stream.codec_context is None:
        named = isinstance(stream, (AttachmentStream, DataStream))
        return (stream.name if named else None) or ""
    return stream.codec_context.codec.canonical_name


def _dropped_clause(stream: Stream) -> str:
    kind: str = stream.type
    if stream.disposition & Disposition.attached_pic:
        kind = "cover art"
    elif stream.type == "data" and "timecode" in stream.metadata:
        kind = "timecode"
    elif stream.type == "video":
        kind = "second video"
    name = _codec_name(stream)
    return f"{kind} ({name})" if name else kind


def _shifted(chapter: Chapter, start: Fraction) -> Chapter:
    ticks = round(start / (chapter["time_base"] or Fraction(1)))
    return {**chapter, "start": chapter["start"] - ticks, "end": chapter["end"] - ticks}
