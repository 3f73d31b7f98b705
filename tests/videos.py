"""Small real videos, made on the spot, and independent checks of outputs.

Every picture carries its own number as black and white bars, so a test can tell which frame it is
looking at after any number of encodings.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

BITS = 8


def number_picture(number: int, width: int, height: int) -> np.ndarray:
    """Draw a grey picture, shape (height, width), whose upper half tells ``number``."""
    picture = np.tile(np.linspace(40, 200, width, dtype=np.uint8), (height, 1))
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        level = 220 if number >> bit & 1 else 30
        picture[: height // 2, edges[bit] : edges[bit + 1]] = level
    return picture


def noise(number: int, width: int, height: int) -> np.ndarray:
    """Draw a picture that no codec makes small, shape (height, width)."""
    return np.random.default_rng(number).integers(0, 256, (height, width), dtype=np.uint8)


def number_of(frame: av.VideoFrame) -> int:
    """Read the number off an upright picture, also a painted one, whose light fields are dimmer."""
    grey = frame.to_ndarray(format="gray")
    rows = grey[frame.height // 8 : max(frame.height * 3 // 8, frame.height // 8 + 1)]
    edges = np.linspace(0, frame.width, 4 * BITS + 1).astype(int)
    middles = [
        rows[:, edges[4 * b + 1] : max(edges[4 * b + 3], edges[4 * b + 1] + 1)] for b in range(BITS)
    ]
    return sum(int(middle.mean() > 96) << bit for bit, middle in enumerate(middles))


@dataclass
class Sound:
    """A track of sound to put into a video."""

    codec: str = "aac"
    rate: int = 48000
    start_s: float = 0.0
    duration_s: float = 1.0
    language: str = ""


@dataclass
class Video:
    """What to make a video of."""

    frames: int = 40
    size: tuple[int, int] = (64, 48)
    format: str = "mp4"
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    time_base: Fraction = Fraction(1, 30000)
    pts: Sequence[int] | None = None
    sounds: Sequence[Sound] = ()
    options: dict[str, str] = field(default_factory=lambda: {"crf": "15", "bf": "2"})
    rotation: tuple[float, bool, bool] | None = None
    draw: Callable[[int, int, int], np.ndarray] = number_picture
    colour: tuple[int, int] = (6, 1)
    aspect: Fraction | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    movflags: str = ""
    """FFmpeg's flags for an MP4, such as those for fragments."""
    stamps: Sequence[int] | None = None
    """Timestamps put on the packets after encoding, for what no encoder would take."""

    def timestamps(self) -> list[int]:
        step = round(Fraction(1001, 30000) / self.time_base)
        return list(self.pts) if self.pts is not None else [i * step for i in range(self.frames)]

    def make(self) -> bytes:
        """Write the video and return its bytes."""
        file = io.BytesIO()
        ticks = self.time_base.denominator
        options = {
            "video_track_timescale": str(ticks),
            "movie_timescale": str(min(math.lcm(ticks, 48000), 2**31 - 1)),
        }
        if self.movflags:
            options["movflags"] = self.movflags
        with av.open(
            file, "w", format=self.format, options=options if self.format in ("mp4", "mov") else {}
        ) as container:
            container.metadata.update(self.metadata)
            packets = self._add_picture(container) if self.timestamps() else []
            tracks = [(sound, self._add_sound(container, sound)) for sound in self.sounds]
            packets += [p for sound, track in tracks for p in _sound_packets(sound, track)]
            for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
                container.mux(packet)
        return file.getvalue()

    def _add_picture(self, container):
        stream = container.add_stream(self.codec, rate=30, options=self.options)
        stream.width, stream.height = self.size
        stream.pix_fmt = self.pixel_format
        stream.codec_context.time_base = self.time_base
        stream.codec_context.thread_count = 1
        stream.codec_context.colorspace, stream.codec_context.color_range = self.colour
        if self.aspect is not None:
            stream.codec_context.sample_aspect_ratio = self.aspect
        if self.rotation is not None:
            stream.set_display_rotation(*self.rotation)
        packets = [p for f in self.pictures() for p in stream.encode(f)] + stream.encode(None)
        for packet, stamp in zip(packets, self.stamps or (), strict=False):
            packet.pts = packet.dts = stamp
        return packets

    def pictures(self) -> Iterable[av.VideoFrame]:
        """Draw the frames."""
        # One for all of them: a frame's own `reformat` takes milliseconds to get ready.
        convert = VideoReformatter().reformat
        for number, pts in enumerate(self.timestamps()):
            grey = av.VideoFrame.from_ndarray(self.draw(number, *self.size), format="gray")
            frame = convert(grey, format=self.pixel_format, dst_color_range=self.colour[1])
            frame.pts, frame.time_base = pts, self.time_base
            frame.colorspace, frame.color_range = self.colour
            yield frame

    def _add_sound(self, container, sound):
        # Its usual search for the best coding takes three times as long.
        options = {"aac_coder": "fast"} if sound.codec == "aac" else {}
        track = container.add_stream(sound.codec, rate=sound.rate, layout="stereo", options=options)
        if sound.language:
            track.metadata["language"] = sound.language
        return track


LARGE_FRAMES = 80


@cache
def large_video() -> bytes:
    """Make a video of noise, 4 MB: a decoder whose consumer pauses waits for room in its pipe."""
    options = {"crf": "15", "bf": "2", "preset": "ultrafast"}
    return Video(frames=LARGE_FRAMES, size=(320, 240), draw=noise, options=options).make()


def _sound_packets(sound, track):
    size = track.codec_context.frame_size or 1024
    packets = []
    start = round(sound.start_s * sound.rate)
    layout = track.codec_context.format.name
    track.codec_context.open()
    size = track.codec_context.frame_size or 1024
    resampler = av.AudioResampler(layout, "stereo", sound.rate)
    for at in range(0, round(sound.duration_s * sound.rate), size):
        wave = np.sin(np.arange(at, at + size) * 440 * 2 * np.pi / sound.rate)
        samples = np.tile((wave * 8000).astype(np.int16), (2, 1))
        frame = av.AudioFrame.from_ndarray(samples, format="s16p", layout="stereo")
        frame.rate, frame.pts, frame.time_base = sound.rate, start + at, Fraction(1, sound.rate)
        packets += [p for one in resampler.resample(frame) for p in track.encode(one)]
    return packets + track.encode(None)


def copy_packets(source, target, tracks) -> None:
    """Copy all packets of a container into another, whose ``tracks`` are in the same order."""
    for packet in source.demux():
        if packet.size:
            packet.stream = tracks[packet.stream_index]
            target.mux(packet)


def write_text(target, track, content: bytes) -> None:
    """Write one line of text, shown for 0.2 s from the beginning on."""
    line = av.Packet(content)
    line.pts = line.dts = 0
    line.duration, line.time_base, line.stream = 200, Fraction(1, 1000), track
    target.mux(line)


def packets(
    data: bytes | Path, kind: str = "audio", index: int = 0
) -> list[tuple[Fraction, bytes]]:
    """Return the start in seconds and the bytes of every packet of one track."""
    with av.open(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as container:
        stream = getattr(container.streams, kind)[index]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


def presented(data: bytes | Path) -> list[tuple[Fraction, int]]:
    """Return the time in seconds of every frame, and the number that its picture tells."""
    with av.open(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as container:
        return [(f.pts * f.time_base, number_of(f)) for f in container.decode(video=0)]


def times(data: bytes | Path) -> list[Fraction]:
    """Return the time in seconds of every frame."""
    return [time for time, _ in presented(data)]
