"""One track on its way into the side file: converted, and put on the result's timeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from shared.contracts.manifest import Track
from shared.media.containers import FORMATS, add_copy, codec_name
from shared.media.metadata import label_track
from shared.media.packets import begins, with_data
from splitter.media.captions import as_subrip
from splitter.media.carriage import Carried, Way
from splitter.media.cues import CueSplicer
from splitter.media.languages import alpha3
from splitter.media.recode import LosslessRecoder
from splitter.media.source import stream_time_base
from splitter.media.stamps import Stamper, padding_of

_TEXT_TICK: Final = Fraction(1, 1000)


@dataclass(slots=True)
class TrackCopy:
    """The state of one track that is being copied."""

    carried: Carried
    stream: Stream
    stamper: Stamper
    cues: CueSplicer
    in_mp4: bool
    recoder: LosslessRecoder | None = None
    unusable: bool = False
    presents: bool = False
    """Whether a packet that is to be presented has come; what an edit list hides after that is not
    pre-roll."""
    longest: int = 0
    """The duration of its longest packet, in the new track's ticks."""
    reached: Fraction = Fraction(0)
    """How far the track was read, in seconds of the result."""

    @property
    def is_text(self) -> bool:
        return self.stream.type == "subtitle"

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it was written yet."""
        return self.stamper.last_dts is None

    def converted(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """Yield what one of the source's packets becomes in the new track, on its timeline."""
        return map(self._stamped, self._converted(packet))

    def flushed(self) -> Iterator[Packet[Stream]]:
        """Yield what is still to come once the source has ended."""
        return map(self._stamped, (self.recoder or self.cues).flush())

    def _converted(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        if self.recoder is not None:
            yield from self.recoder.push(packet)
        elif self.carried.way is Way.TO_MOV_TEXT:
            yield from self.cues.push(packet)
        elif self.carried.way is Way.TO_SUBRIP:
            if text := as_subrip(bytes(packet)):
                yield with_data(packet, text)
        else:
            yield packet

    def _stamped(self, packet: Packet[Stream]) -> Packet[Stream]:
        padding = padding_of(packet) if self.carried.codec == "opus" else 0
        self.stamper.stamp(packet)
        self.longest = max(self.longest, packet.duration or 0)
        if padding and self.in_mp4:
            # (In MP4 the last packet's duration marks the end of the sound.)
            packet.duration = max(self.longest - round(padding / self.stamper.tick), 1)
        packet.stream = self.stream
        self.reached = max(self.reached, begins(packet))
        return packet


def described(carried: Carried) -> Track:
    """Return what a manifest says about a track."""
    return Track(
        kind="audio" if carried.stream.type == "audio" else "subtitle",
        codec=carried.codec,
        language=carried.stream.metadata.get("language", ""),
    )


def begin_copies(
    output: OutputContainer, tracks: tuple[Carried, ...], start: Fraction
) -> dict[int, TrackCopy]:
    """Add tracks to a side file that has none yet; return their copies by the source's indices.

    ``start`` is the moment of the source, in seconds, at which the side file begins.
    """
    added = [(carried, *_add(output, carried)) for carried in tracks]
    output.start_encoding()  # sets the new tracks' time bases
    format_name = output.format.name
    return {
        carried.stream.index: _begin(carried, stream, recoder, start, format_name)
        for carried, stream, recoder in added
    }


def _add(output: OutputContainer, carried: Carried) -> tuple[Stream, LosslessRecoder | None]:
    new: Stream
    recoder = None
    if carried.way.recodes:
        recoder = LosslessRecoder(cast("AudioStream", carried.stream), carried.way, output)
        new = recoder.stream
    elif carried.way is Way.COPY:
        new = add_copy(output, carried.stream)
    else:
        new = output.add_mux_stream(carried.codec, time_base=_TEXT_TICK)
    label_track(output, new, carried.stream)
    if output.format.name == FORMATS["mp4"] and "language" in new.metadata:
        new.metadata["language"] = alpha3(new.metadata["language"])
    return new, recoder


def _begin(
    carried: Carried,
    stream: Stream,
    recoder: LosslessRecoder | None,
    start: Fraction,
    format_name: str,
) -> TrackCopy:
    strict = format_name != FORMATS["mkv"]
    before = stream_time_base(carried.stream) if recoder is None else recoder.tick
    after = stream_time_base(stream)
    return TrackCopy(
        carried=carried,
        stream=stream,
        in_mp4=format_name == FORMATS["mp4"],
        recoder=recoder,
        cues=CueSplicer(codec_name(carried.stream)),
        stamper=Stamper(start=start / before, scale=before / after, tick=after, strict=strict),
    )
