"""What splitter and assembler must agree on about side files and results."""

from __future__ import annotations

import errno
import io
import tempfile
from collections.abc import Iterable, Mapping
from math import lcm
from pathlib import Path
from typing import Final, Literal

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, DataStream, Disposition, Stream
from av.video.stream import VideoStream

from shared.media.detour import TICK, NewFile, is_detour, open_detour

ContainerName = Literal["mp4", "mkv"]

FORMATS: Final[Mapping[ContainerName, str]] = {"mp4": "mp4", "mkv": "matroska"}
"""FFmpeg's muxer for each of `Source.container`'s values."""

MAX_TIMESCALE = 2**31 - 1
"""The largest timescale, in ticks per second, that FFmpeg writes into an MP4."""

EMPTY_MOV_TEXT: Final = b"\0\0"
"""The sample that FFmpeg's MP4 muxer writes by itself where no subtitle is shown."""

PICTURE_CODECS: Final = frozenset(
    {
        "apng", "bmp", "exr", "gif", "jpeg2000", "jpegls", "jpegxl", "mjpeg", "png", "ppm", "psd",
        "qoi", "sgi", "targa", "tiff", "webp",
    }
)  # fmt: skip
"""Codecs of still pictures as well as of videos: a single frame of one is a picture."""

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_SILENT_BYTES = 64


def is_full(error: BaseException) -> bool:
    """Tell whether a file could not be written for lack of space, which is not a track's fault."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def complaint(error: av.error.FFmpegError | IndexError) -> str:
    """Return what FFmpeg found wrong, for people: without error numbers, file and Python names."""
    said = getattr(error, "strerror", None) or "expected data is missing"
    return f"{said[0].lower()}{said[1:]}"


def open_output(
    file: Path | NewFile, kind: ContainerName, options: Mapping[str, str], streams: Iterable[Stream]
) -> OutputContainer:
    """Open a new file for the packets of ``streams``; ``options`` are the muxer's.

    Codecs that FFmpeg's Matroska muxer does not list take a detour: see `shared.media.detour`.
    """
    if kind == "mp4" or all(_is_listed(stream) for stream in streams):
        target = str(file.absolute()) if isinstance(file, Path) else file
        return av.open(target, "w", format=FORMATS[kind], options=dict(options))
    return open_detour(file, options)


def open_trial(path: Path, kind: ContainerName, stream: Stream) -> OutputContainer:
    """Open a file to try a track in: in memory, or at ``path`` if FFmpeg must open it itself.

    (PyAV does not close a file if writing its header fails.)
    """
    if kind == "mp4" or _is_listed(stream):
        return av.open(io.BytesIO(), "w", format=FORMATS[kind])
    return open_output(path, kind, {}, [stream])


def add_copy(output: OutputContainer, stream: Stream) -> Stream:
    """Add a track for the packets of ``stream`` to a file from `open_output`."""
    # 'opaque' creates no encoder: for some codecs PyAV has only a decoder.
    copy = output.add_stream_from_template(stream, opaque=True)
    if isinstance(stream, VideoStream) and isinstance(copy, VideoStream):
        # The file knows it even where no frame was decoded; FFmpeg ignores one with which a side
        # would have less than a pixel.
        if aspect := stream.sample_aspect_ratio:
            copy.codec_context.sample_aspect_ratio = aspect
        if output.format.name == FORMATS["mp4"]:
            copy.codec_tag = stream.codec_tag  # FFmpeg's choice for HEVC does not play everywhere
    if is_detour(output):
        copy.time_base = TICK
    return copy


def fits(stream: Stream, container: ContainerName, folder: Path) -> bool:
    """Tell whether a container can hold a track, by writing its header to a file in ``folder``.

    A muxer refuses a header as a whole, and does not say which track is at fault.

    Raises:
        OSError: there is no space left for the file.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as trial:
            path = Path(trial.name)
            with open_trial(path, container, stream) as output:
                copy = add_copy(output, stream)
                output.start_encoding()
                if is_detour(output):
                    output.mux(_silence(copy))
            return not is_detour(output) or _is_known_again(stream, path)
    except (ValueError, av.error.FFmpegError) as error:
        if is_full(error):
            raise
        return False


def codec_name(stream: Stream) -> str:
    """Return the canonical name of a stream's codec; empty when it is unknown."""
    if stream.codec_context is None:
        named = isinstance(stream, (AttachmentStream, DataStream))
        return (stream.name if named else None) or ""
    return stream.codec_context.codec.canonical_name


def is_still(stream: Stream) -> bool:
    """Tell whether a video track seems to be one picture, such as a cover.

    Matroska does not count frames: there, the codec decides. (So it may be a video all the same.)
    """
    return stream.frames == 1 or (not stream.frames and codec_name(stream) in PICTURE_CODECS)


def name_of(stream: Stream) -> str:
    """Return what kind of track a stream is, and its codec, such as ``cover art (png)``."""
    kind: str = stream.type
    if stream.disposition & Disposition.attached_pic:
        kind = "cover art"
    elif stream.type == "data" and "timecode" in stream.metadata:
        kind = "timecode"
    elif stream.type == "video":
        kind = "still picture" if is_still(stream) else "second video"
    name = codec_name(stream)
    return f"{kind} ({name})" if name else kind


def _silence(stream: Stream) -> Packet[Stream]:
    packet: Packet[Stream] = Packet(bytes(_SILENT_BYTES))
    packet.pts = packet.dts = 0
    packet.stream = stream
    return packet


def _is_known_again(stream: Stream, path: Path) -> bool:
    with av.open(str(path), "r", format="matroska") as found:
        return any(codec_name(other) == codec_name(stream) for other in found.streams)


def _is_listed(stream: Stream) -> bool:
    with av.open(io.BytesIO(), "w", format="matroska") as trial:
        try:
            trial.add_stream_from_template(stream)
        except ValueError:
            return False
    return True


def movie_timescale(rates: Iterable[int]) -> int:
    """Choose the timescale of an MP4's start offsets, given the timescales of its tracks.

    It is a common multiple of them if there is one that is small enough; otherwise it is so fine
    that every start rounds to the right tick.
    """
    ticks, exact = 1, True
    for rate in rates:
        common = lcm(ticks, rate)
        if common <= MAX_TIMESCALE:
            ticks = common
        else:
            exact = False
    return ticks if exact else MAX_TIMESCALE // ticks * ticks
