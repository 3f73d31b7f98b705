"""One picture of a video or a photo, in the form in which the pipeline paints it.

Videos are opened, decoded and normalised by the splitter's own code, so that previews show what a
job would paint. Photos are read by Pillow, and then normalised in the same way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import av
import av.error
import numpy as np

from shared.contracts.errors import SourceRefused, StylestreamError
from shared.media.photos import TooManyPixels, UnreadablePhoto, read_photo
from splitter.media.decode import Decoder
from splitter.media.limits import Limits, too_many_pixels
from splitter.media.normalise import Normaliser, plan_geometry
from splitter.media.orientation import orientation_of
from splitter.media.source import (
    OpenSource,
    capture_errors,
    open_source,
    stream_time_base,
)

LEAST_SIDE: Final = 16
"""In pixels; smaller pictures show nothing of a style."""

_NO_VIDEO: Final = ("NOT_A_VIDEO", "NO_VIDEO_STREAM")


class Picture(NamedTuple):
    """A frame, and when it is shown, in seconds; 0 for a photo."""

    frame: av.VideoFrame
    at: Fraction


def read_picture(
    path: Path,
    *,
    at: Fraction | None = None,
    moving: bool = False,
    width: int | None = None,
    max_side: int | None = None,
) -> Picture:
    """Return a picture as ``yuv420p``, upright, BT.709.

    Of a video it is the frame shown ``at`` a time in seconds; None is a third of the way in. A
    photo has no times, and it is refused if one is given, or if a ``moving`` picture is wanted.
    ``width`` and ``max_side`` scale larger pictures down.

    Raises:
        StylestreamError: there is no such picture; the sentence names the file.
    """
    try:
        picture, shown_at = _read(path, at, moving=moving)
    except SourceRefused as refusal:
        raise StylestreamError(f"{path}: {refusal.message}") from refusal
    except OSError as error:
        raise StylestreamError(f"{path}: {error.strerror or error}") from error
    if min(picture.width, picture.height) < LEAST_SIDE:
        raise StylestreamError(
            f"{path}: a picture of {picture.width}x{picture.height} is too small to show a style: "
            f"it needs {LEAST_SIDE} pixels a side"
        )
    if width is not None:
        max_side = _longer_side(picture, width)
    normaliser = Normaliser(picture, max_side=max_side)
    return Picture([*normaliser.push(picture), *normaliser.flush()][-1], shown_at)


def is_photo(path: Path) -> bool:
    """Return whether `read_picture` can read a file as a photo."""
    try:
        return _photo(path, Limits()) is not None
    except SourceRefused:  # it is a photo, but too large
        return False


def _read(path: Path, at: Fraction | None, *, moving: bool, jump: bool = True) -> Picture:
    limits = Limits()
    with path.open("rb") as file, capture_errors() as log:
        try:
            source = open_source(file, limits, log)
        except SourceRefused as refusal:
            photo = _photo(path, limits) if refusal.code in _NO_VIDEO else None
            if photo is None:
                raise
            if at is not None or moving:
                option = "--loop" if moving else "--at"
                raise StylestreamError(
                    f"{path} is a photo, which shows one moment: leave out {option}"
                ) from refusal
            return Picture(photo, Fraction(0))
        with source.container:
            if at is None:
                at = _third(source)
            jump = jump and at > 0 and _jump(source, at)
            decoder = Decoder(source.video, limits, log)
            shown = _shown(path, source, decoder, at, jumped=jump)
    # If a container's index leads too far, the search starts from the beginning.
    return shown or _read(path, at, moving=moving, jump=False)


def _photo(path: Path, limits: Limits) -> av.VideoFrame | None:
    """Return a photo, upright; None if the file is not one."""
    try:
        photo = read_photo(path, most_pixels=limits.max_pixels)
    except TooManyPixels as error:
        raise too_many_pixels(limits, str(error)) from error
    except (OSError, UnreadablePhoto):
        return None
    return av.VideoFrame.from_ndarray(np.asarray(photo), format="rgb24")


def _third(source: OpenSource) -> Fraction:
    duration = source.container.duration
    return Fraction(duration, 3 * av.time_base) if duration else Fraction(0)


def _jump(source: OpenSource, at: Fraction) -> bool:
    """Seek to the last keyframe before ``at``; return False if that is impossible."""
    try:
        ticks = int((at + source.start) / stream_time_base(source.video))
        source.container.seek(ticks, stream=source.video)
    except av.error.FFmpegError:
        return False
    return True


def _shown(
    path: Path, source: OpenSource, decoder: Decoder, at: Fraction, *, jumped: bool
) -> Picture | None:
    """Return the last frame that does not begin after ``at``; None if the seek went too far."""
    shown: Picture | None = None
    end = Fraction(0)
    for begin, frame in _frames(source, decoder):
        if begin > at and (shown is not None or jumped):
            return shown
        # If the file has no duration for its last frame, it is shown as long as the one before.
        length = (frame.duration or 0) * stream_time_base(source.video) or (
            begin - shown.at if shown else begin
        )
        shown, end = Picture(frame, begin), begin + length
    if shown is None and not jumped:
        decoder.judge()
    if shown is not None and at > end:
        raise StylestreamError(
            f"{path}: there is no picture at {float(at):g} s: the video ends at {float(end):g} s"
        )
    return shown


def _frames(source: OpenSource, decoder: Decoder) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Decode from the container's position; yield frames with their times in seconds."""
    tick = stream_time_base(source.video)
    # A video may break off; the frames before that are usable.
    with contextlib.suppress(av.error.InvalidDataError, av.error.EOFError):
        for packet in source.container.demux(source.video):
            for frame in decoder.decode(packet) if packet.size else decoder.flush():
                yield (frame.pts or 0) * tick - source.start, frame


def _longer_side(picture: av.VideoFrame, width: int) -> int:
    """Return the limit of the longer side at which an upright picture is ``width`` wide."""
    across, down = plan_geometry(
        picture.width, picture.height, orientation_of(picture), None
    ).upright
    return width if across >= down else round(Fraction(width * down, across))
