"""The one place where an upload is opened.

The file is recognised by its content, never by its name, and only as one of a list of containers
that cannot refer to other files: playlists and concat scripts are refused, and nothing in the file
can make FFmpeg open a second file or a network address.

Timestamps are kept as the container presents them, so a video that starts late stays late. MPEG
transport and program streams start at an arbitrary clock value by convention; there, one common
offset, the earliest first timestamp of the tracks that are kept, is subtracted from every track.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import BinaryIO, Protocol

import av
import av.error
import av.logging
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from shared.contracts.errors import SourceRefused
from shared.media.containers import is_still, name_of
from splitter.media.file_end import is_finalised, is_truncated
from splitter.media.limits import Limits, too_many_pixels
from splitter.media.mp4_index import Mp4Index, find_fragments, read_index
from splitter.media.programs import tracks_beside
from splitter.media.recognise import SUPPORTED, explain_unopened, still_picture
from splitter.media.structure import Structure

FORMATS = "mov,matroska,avi,flv,mpegts,mpeg,asf,ogg,gif,apng,mxf,nut,ivf,dv,yuv4mpegpipe"
"""The containers that are accepted, by FFmpeg's names."""

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg's name of the format of MP4, MOV and 3GP files, once one is open."""

FINEST_TIME_BASE = 35_000_000
"""The most ticks per second that are kept exactly.

MP4 stores the time between two frames in 31 bits, which is a minute at this rate. Sources with
finer ticks (nanoseconds, in Matroska) are rounded to microseconds.
"""
_MICROSECONDS = 1_000_000

_GENERATE_PTS = 1
"""AVFMT_FLAG_GENPTS, which PyAV sets."""

_SIZE = re.compile(r"Picture size ([0-9]+x[0-9]+)")
_BROADCAST = ("mpegts", "mpeg")
_TS = "mpegts"
_ASF_SIGN = bytes.fromhex("3026b2758e66cf11")
_MXF_SIGN = bytes.fromhex("060e2b34")
_READ_BYTES = 256 * 1024
_NO_SUCH_PROTOCOL = "none"
_HEAD_BYTES = 1024 * 1024
_NOT_A_MOVIE = (
    Disposition.attached_pic
    | Disposition.still_image
    | Disposition.timed_thumbnails
    | Disposition.dependent
)


ErrorLog = list[tuple[int, str, str]]
"""What FFmpeg logged: level, component, message."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


class _Nameless:
    """A file without its name, which FFmpeg would take as a hint; `Structure` follows its bytes."""

    def __init__(self, file: _Readable, structure: Structure) -> None:
        self._file = file
        self._structure = structure
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int, /) -> bytes:
        offset = self._file.tell()
        data = self._file.read(size)
        self._structure.read(offset, data)
        return data


@dataclass(frozen=True, slots=True)
class OpenSource:
    """An opened upload: its main video stream and the tracks beside it."""

    container: InputContainer
    video: VideoStream
    others: tuple[Stream, ...]
    of_other_programs: int
    """How many tracks belong to programs that do not hold the video."""
    start: Fraction
    """What is subtracted from every timestamp, in seconds."""
    time_base: Fraction
    """The time base of the result's picture."""
    size: int
    """The file's size in bytes."""
    is_truncated: bool
    """Whether the file's last bytes show that more should follow."""
    is_finalised: bool
    """Whether the header's sizes and durations can be relied on: see `file_end`."""
    read_index: Callable[[], Mp4Index]
    """Reads the index of an MP4; returns an empty one for other formats."""
    find_fragments: Callable[[], int]
    """Returns the offset of an MP4's first fragment in bytes; the file's size if it has none."""
    structure: Structure
    """Breaks in the file's structure, as far as it was read."""

    @property
    def is_broadcast(self) -> bool:
        """Whether the container is a broadcast's, whose clock is arbitrary and may jump."""
        return self.container.format.name in _BROADCAST

    @property
    def rounds(self) -> bool:
        """Whether the source's ticks are finer than the result's."""
        return stream_time_base(self.video).denominator > self.time_base.denominator


def open_source(file: BinaryIO, limits: Limits, log: ErrorLog) -> OpenSource:
    """Open an upload and find its main video stream; ``log`` is the list of `capture_errors`.

    Errors that ``file`` raises pass through.

    Raises:
        SourceRefused: with the code ``EMPTY_FILE``, ``TOO_LARGE``, ``NOT_A_VIDEO``,
            ``INVALID_MEDIA``, ``ENCRYPTED``, ``NO_VIDEO_STREAM`` or ``UNSUPPORTED_CODEC``.
    """
    size, head = _checked_size(file, limits), _head(file, 256)
    if still := still_picture(head):
        raise SourceRefused(
            "NOT_A_VIDEO", f"The file is a still {still} picture, not a video; {SUPPORTED}."
        )
    if head.startswith((_ASF_SIGN, _MXF_SIGN)):
        # These demuxers log what they discard, but below the level of errors.
        av.logging.set_level(av.logging.INFO)
    structure = Structure(head)
    container = _open_container(file, limits, structure)
    try:
        video = _main_video(container, limits, log)
    except BaseException:
        container.close()
        raise
    _set_up_decoder(video, limits)
    with position_kept(file):
        truncated = is_truncated(file, size, container.format.name)
        others = _tracks_beside(file, container, video)
    is_mp4 = container.format.name == MP4
    return OpenSource(
        container=container,
        video=video,
        others=others,
        of_other_programs=len(container.streams) - 1 - len(others),
        start=_start(container, video, others),
        time_base=_time_base(video),
        size=size,
        is_truncated=truncated,
        is_finalised=is_finalised(head, container.format.name),
        read_index=partial(read_index, file, size) if is_mp4 else Mp4Index,
        find_fragments=cache(partial(find_fragments, file, size)),
        structure=structure,
    )


@contextlib.contextmanager
def position_kept(file: BinaryIO) -> Iterator[None]:
    """Restore the position of ``file`` afterwards."""
    position = file.tell()
    try:
        yield
    finally:
        file.seek(position)


def stream_time_base(stream: Stream) -> Fraction:
    """Return a stream's time base, which every demuxed stream has."""
    assert stream.time_base is not None
    return stream.time_base


@contextlib.contextmanager
def capture_errors(*, on_all_threads: bool = False) -> Iterator[ErrorLog]:
    """Collect what FFmpeg logs at error level: some causes are reported only there.

    On this thread, or on all threads that have no collector of their own.
    """
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    # Messages already logged for another file, or by the survey of this one, must be repeated.
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=not on_all_threads) as log:
            yield log
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)


def _checked_size(file: BinaryIO, limits: Limits) -> int:
    size = file.seek(0, 2)
    if size == 0:
        raise SourceRefused("EMPTY_FILE", "The file is empty.")
    if size > limits.max_bytes:
        raise SourceRefused(
            "TOO_LARGE",
            f"The file has {size} bytes; at most {limits.max_bytes} are accepted: compress it "
            "more, or cut it.",
        )
    return size


def _open_container(file: BinaryIO, limits: Limits, structure: Structure) -> InputContainer:
    file.seek(0)
    try:
        container = av.open(
            _Nameless(file, structure),
            "r",
            buffer_size=_READ_BYTES,
            io_open=_refuse_to_open,
            metadata_errors="replace",
            options={
                "format_whitelist": FORMATS,
                "protocol_whitelist": _NO_SUCH_PROTOCOL,
                "max_pixels": str(limits.max_pixels),
            },
        )
    except av.error.FFmpegError as error:
        raise _why_not_opened(file) from error
    # FFmpeg's guesses at missing timestamps repeat and reverse them if there are B-frames.
    container.flags &= ~_GENERATE_PTS
    return container


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> BinaryIO:  # noqa: ARG001
    raise PermissionError("an upload may not refer to another file")


def _why_not_opened(file: BinaryIO) -> SourceRefused:
    head = _head(file, _HEAD_BYTES)
    if b"encv" in head or b"pssh" in head:
        return encrypted()
    return explain_unopened(head)


def _head(file: BinaryIO, size: int) -> bytes:
    file.seek(0)
    return file.read(size)


def encrypted() -> SourceRefused:
    """Return the refusal of a protected video."""
    return SourceRefused(
        "ENCRYPTED",
        "The video is encrypted and cannot be read without its key: upload it unencrypted.",
    )


def excessive_size(log: ErrorLog) -> str | None:
    """Return the size of the picture that FFmpeg found too large; None if there was none."""
    for _, _, message in log:
        if found := _SIZE.search(message):
            return found[1]
    return None


def _main_video(container: InputContainer, limits: Limits, log: ErrorLog) -> VideoStream:
    videos = [s for s in container.streams.video if not s.disposition & _NOT_A_MOVIE]
    if not videos:
        found = ", ".join(sorted({name_of(stream) for stream in container.streams})) or "nothing"
        raise SourceRefused("NO_VIDEO_STREAM", f"The file holds no video track, only: {found}.")
    # An animated AVIF also holds its first picture as a track of one frame.
    moving = [s for s in videos if not is_still(s)] or videos
    video = next((s for s in moving if s.disposition & Disposition.default), moving[0])
    if "enc_key_id" in video.metadata:
        raise encrypted()
    if video.codec_context is None:
        tag = f" ({video.name})" if getattr(video, "name", None) else ""
        raise SourceRefused(
            "UNSUPPORTED_CODEC",
            f"There is no decoder for the video track{tag}: convert it to H.264, for example.",
        )
    context = video.codec_context
    if context.width * context.height > limits.max_pixels:
        raise too_many_pixels(limits, f"{context.width}x{context.height}")
    if context.width == 0 and (size := excessive_size(log)):
        raise too_many_pixels(limits, size)
    return video


def _set_up_decoder(video: VideoStream, limits: Limits) -> None:
    context = video.codec_context
    # On damaged input, multithreaded decoders conceal errors differently from run to run.
    context.thread_type = "NONE"
    context.thread_count = 1
    context.options = {"max_pixels": str(limits.max_pixels)}


def _tracks_beside(
    file: BinaryIO, container: InputContainer, video: VideoStream
) -> tuple[Stream, ...]:
    """Return the other tracks; in a transport stream, only those of the video's programs."""
    others = [stream for stream in container.streams if stream.index != video.index]
    if container.format.name == _TS and (ids := tracks_beside(_head(file, _HEAD_BYTES), video.id)):
        others = [stream for stream in others if stream.id in ids]
    return tuple(others)


def _time_base(video: VideoStream) -> Fraction:
    """Return the time base of the result's picture."""
    ticks = stream_time_base(video).denominator
    return Fraction(1, ticks if ticks <= FINEST_TIME_BASE else _MICROSECONDS)


def _start(container: InputContainer, video: VideoStream, others: tuple[Stream, ...]) -> Fraction:
    if container.format.name not in _BROADCAST:
        # Players show nothing before zero: a picture that starts earlier starts at zero.
        return min((video.start_time or 0) * stream_time_base(video), Fraction(0))
    kept = [video, *(stream for stream in others if stream.type in ("audio", "subtitle"))]
    starts = [s.start_time * stream_time_base(s) for s in kept if s.start_time is not None]
    return min(starts, default=Fraction(0))
