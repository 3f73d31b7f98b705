"""The clips of a run: small videos, each frame of which shows its number as light and dark fields.

The fields survive painting and any number of encodings, so a result itself shows which frame of the
source is where. Timestamps and sound are compared exactly.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from chaos.history import Picture

_ROWS, _COLUMNS = 2, 4
_DARK, _LIGHT = 30, 220
# Styles paint shadows into light fields, but hardly any light into dark ones.
_BETWEEN = 96
_RATE: Final = 48_000
_TICK: Final = Fraction(1, 30_000)
# Uneven steps, so that a frame in another's place has the wrong time.
_STEPS: Final = (1001, 1001, 701, 1301)


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """The properties of a clip."""

    name: str
    frames: int
    size: tuple[int, int]
    sound: bool


CLIPS: Final = (
    ClipPlan("short", 44, (160, 90), sound=True),
    ClipPlan("long", 92, (160, 90), sound=True),
    ClipPlan("silent", 60, (128, 96), sound=False),
)
"""Enough chunks to be hit in the middle, small enough for dozens of runs."""

FEWER_CLIPS: Final = (CLIPS[0], CLIPS[2])
"""For when time is short."""


def wanted(clip: str, style: str) -> str:
    """Return the name of a clip painted in a style: its results have the same bytes."""
    return f"{clip} in {style}"


def parts_of(what: str) -> tuple[str, str]:
    """Return the clip and the style of a name that `wanted` returned."""
    clip, _, style = what.partition(" in ")
    return clip, style


def make_clip(plan: ClipPlan) -> bytes:
    """Encode a clip as MP4."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"video_track_timescale": "30000"}) as clip:
        picture = clip.add_stream("libx264", rate=30, options={"crf": "15", "bf": "2"})
        picture.width, picture.height = plan.size
        picture.pix_fmt = "yuv420p"
        picture.codec_context.time_base = _TICK
        picture.codec_context.thread_count = 1
        picture.codec_context.colorspace = Colorspace.ITU709
        picture.codec_context.color_range = ColorRange.MPEG
        sound = clip.add_stream("aac", rate=_RATE, layout="mono") if plan.sound else None
        pts = 0
        for number in range(plan.frames):
            frame = av.VideoFrame.from_ndarray(_draw(number, *plan.size), format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = pts, _TICK
            pts += _STEPS[number % len(_STEPS)]
            clip.mux(picture.encode(frame))
        clip.mux(picture.encode(None))
        if sound is not None:
            for wave in _waves(float(pts * _TICK)):
                clip.mux(sound.encode(wave))
            clip.mux(sound.encode(None))
    return file.getvalue()


def look_at(video: bytes) -> Picture:
    """Decode a video and return what it shows.

    Raises:
        av.error.FFmpegError: it cannot be decoded.
    """
    with av.open(io.BytesIO(video), "r") as container:
        frames = [(_seconds(frame), _number(frame)) for frame in container.decode(video=0)]
    return Picture(
        times=tuple(time for time, _ in frames),
        numbers=tuple(number for _, number in frames),
        sound=_sound(video),
    )


def _draw(number: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw a picture, shape (height, width), whose fields show the bits of ``number``."""
    picture = np.zeros((height, width), dtype=np.uint8)
    for bit, rows, columns in _fields(width, height):
        picture[rows, columns] = _LIGHT if number >> bit & 1 else _DARK
    return picture


def _number(frame: av.VideoFrame) -> int:
    grey = frame.to_ndarray(format="gray")
    number = 0
    for bit, rows, columns in _fields(frame.width, frame.height):
        # Brushstrokes blur the edges, so only the mean of each field's middle counts.
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        middle = grey[
            rows.start + high // 4 : rows.stop - high // 4,
            columns.start + wide // 4 : columns.stop - wide // 4,
        ]
        number |= int(middle.mean() > _BETWEEN) << bit
    return number


def _fields(width: int, height: int) -> Iterator[tuple[int, slice, slice]]:
    """Divide a picture into one field per bit."""
    for bit in range(_ROWS * _COLUMNS):
        row, column = divmod(bit, _COLUMNS)
        yield (
            bit,
            slice(row * height // _ROWS, (row + 1) * height // _ROWS),
            slice(column * width // _COLUMNS, (column + 1) * width // _COLUMNS),
        )


def _waves(seconds: float) -> list[av.AudioFrame]:
    size = 1024
    waves = []
    for at in range(0, int(seconds * _RATE), size):
        wave = np.sin(np.arange(at, at + size) * 440 * 2 * np.pi / _RATE)
        samples = (wave * 8000).astype(np.int16)[np.newaxis, :]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.rate, frame.pts, frame.time_base = _RATE, at, Fraction(1, _RATE)
        waves.append(frame)
    return waves


def _sound(video: bytes) -> tuple[str, ...]:
    with av.open(io.BytesIO(video), "r") as container:
        if not container.streams.audio:
            return ()
        return tuple(
            hashlib.sha256(f"{packet.pts * packet.time_base}".encode() + bytes(packet)).hexdigest()
            for packet in container.demux(container.streams.audio[0])
            if packet.size and packet.pts is not None
        )


def _seconds(frame: av.VideoFrame) -> Fraction:
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base
