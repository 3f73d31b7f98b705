"""Store sound that no container holds as it is: decode it, and encode it again without loss."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple, cast

import av
import av.error
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from splitter.media.carriage import Way


class _Form(NamedTuple):
    """The format of decoded sound; a decoder may change it from packet to packet."""

    samples: str
    layout: str
    rate: int


class LosslessRecoder:
    """Re-encodes a track's packets with a lossless codec, at the same times.

    The new track's ticks are samples. Encoded packets do not end where the source's do; each one's
    time is counted from the latest decoded frame that began before it, which preserves pauses.
    """

    def __init__(self, source: AudioStream, way: Way, output: OutputContainer) -> None:
        self._source = source
        self.tick = Fraction(1, source.rate)
        self.stream = cast("AudioStream", output.add_stream(way.value, rate=source.rate))
        self.stream.time_base = self.tick
        context = self.stream.codec_context
        context.time_base = self.tick
        context.layout = source.layout
        if way is Way.TO_FLAC:
            wide = source.codec_context.format.name.startswith("s32")
            context.format = "s32" if wide else "s16"
        self._samples = 0
        self._anchors: deque[tuple[int, int]] = deque()
        self._first: _Form | None = None
        self._adapter: tuple[_Form, av.AudioResampler] | None = None
        self._adapted = 0
        self.undecodable = 0

    def push(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """Yield the new packets that a source packet completes; their ``pts`` count samples."""
        try:
            frames = self._source.codec_context.decode(cast("Packet[AudioStream]", packet))
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            self.undecodable += 1
            return
        for frame in frames:
            for one in self._in_first_form(frame):
                yield from self._encode(one, packet.time_base)

    def flush(self) -> Iterator[Packet[Stream]]:
        """Yield what is held back at the end."""
        if not self.stream.codec_context.is_open:
            return
        for packet in self.stream.codec_context.encode(None):
            yield self._at_its_time(packet)

    def losses(self) -> list[str]:
        """Return a sentence about what could not be kept as it was, if anything."""
        if not self._adapted:
            return []
        return [
            f"audio track {self._source.index} changes its channels, rate or depth midway: "
            f"{self._adapted} packets were converted to its initial format"
        ]

    def _in_first_form(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """Convert a frame to the format of the first one: the new track has a single format."""
        form = _Form(frame.format.name, frame.layout.name, frame.sample_rate)
        self._first = self._first or form
        if form == self._first:
            return [frame]
        if self._adapter is None or self._adapter[0] != form:
            self._adapter = form, av.AudioResampler(*self._first)
        self._adapted += 1
        return self._adapter[1].resample(frame)

    def _encode(self, frame: av.AudioFrame, tick: Fraction) -> Iterator[Packet[Stream]]:
        if frame.pts is not None:
            self._anchors.append((self._samples, round(frame.pts * tick / self.tick)))
        frame.pts, frame.time_base = self._samples, self.tick
        self._samples += frame.samples
        for packet in self.stream.codec_context.encode(frame):
            yield self._at_its_time(packet)

    def _at_its_time(self, packet: Packet[AudioStream]) -> Packet[Stream]:
        at = packet.pts or 0
        while len(self._anchors) > 1 and self._anchors[1][0] <= at:
            self._anchors.popleft()
        if self._anchors:
            sample, time = self._anchors[0]
            at += time - sample
        packet.pts = packet.dts = at
        packet.time_base = self.tick
        return cast("Packet[Stream]", packet)
