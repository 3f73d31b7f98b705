"""Turns stored segments into the fragments that browsers play.

A segment is a whole MP4 whose first frame is at 0. Browsers need one header, `init_fragment`, and
then fragments that say when they are shown, `media_fragment`. Nothing is decoded or encoded, and
every timestamp stays exact: a fragment's time is a number of ticks, not of seconds.

The same segment always gives the same bytes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Final

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from shared.contracts.errors import ChunkError
from shared.media.chunks import open_chunk
from shared.media.containers import add_copy, complaint
from web.live.codec_names import browser_codec

_OPTIONS: Final = {
    # 'frag_discont' takes a fragment's time from its packets, 'frag_custom' puts all into one.
    "movflags": "+empty_moov+default_base_moof+frag_custom+frag_discont",
    "fflags": "+bitexact",
    "use_editlist": "0",
    # Segments differ in bit rate, but share one header.
    "write_btrt": "0",
    "avoid_negative_ts": "disabled",
}
_BOX: Final = struct.Struct("!I4s")
_LENGTH_FOLLOWS: Final = 1
_LONG: Final = struct.Struct("!Q")


def init_fragment(segment: bytes) -> bytes:
    """Return the header (``ftyp`` and ``moov``) that the fragments of a job share.

    Raises:
        ChunkError: ``segment`` is not a segment (``CORRUPT_SEGMENT``).
    """
    boxes = _remuxed(segment, 0, 0)
    return b"".join(data for kind, data in boxes if kind in (b"ftyp", b"moov"))


def media_fragment(segment: bytes, first_tick: int, number: int) -> bytes:
    """Return a segment's fragment (``moof`` and ``mdat``), its first frame at ``first_tick``.

    ``first_tick`` counts ticks of the segment's own track; ``number`` counts fragments from 0.

    Raises:
        ChunkError: ``segment`` is not a segment (``CORRUPT_SEGMENT``).
    """
    boxes = _remuxed(segment, first_tick, number)
    return b"".join(data for kind, data in boxes if kind in (b"moof", b"mdat"))


def codec_of(segment: bytes) -> str:
    """Return browsers' name of the codec of a segment or a header, such as ``avc1.640028``.

    Raises:
        ChunkError: ``segment`` is not a segment (``CORRUPT_SEGMENT``).
    """
    with _opened(segment) as container:
        stream = container.streams[0]
        context = stream.codec_context
        if context is None:
            raise _corrupt("its codec is unknown")
        return browser_codec(context.codec.canonical_name, context.extradata or b"")


def _remuxed(segment: bytes, first_tick: int, number: int) -> list[tuple[bytes, bytes]]:
    file = io.BytesIO()
    with _opened(segment) as source, _output(file, source, number) as output:
        old = source.streams[0]
        new: Stream = add_copy(output, old)
        new.time_base = old.time_base
        output.start_encoding()
        for packet in source.demux(old):
            if not packet.size or packet.pts is None or packet.dts is None:
                continue
            packet.pts += first_tick
            packet.dts += first_tick
            packet.stream = new
            output.mux(packet)
    return list(_boxes(file.getvalue()))


def _opened(segment: bytes) -> InputContainer:
    try:
        container = open_chunk(segment)
    except av.error.FFmpegError as error:
        raise _corrupt(f"it cannot be read, {complaint(error)}") from error
    if len(container.streams) != 1:
        container.close()
        raise _corrupt(f"it holds {len(container.streams)} tracks")
    return container


def _output(file: io.BytesIO, source: InputContainer, number: int) -> OutputContainer:
    time_base = source.streams[0].time_base
    assert time_base is not None
    # FFmpeg counts fragments from 1.
    options = _OPTIONS | {"fragment_index": str(number + 1)}
    if source.streams.video:
        options["video_track_timescale"] = str(time_base.denominator)
    return av.open(file, "w", format="mp4", options=options)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes of a file, each with its header."""
    at = 0
    while at < len(data):
        length, kind = _BOX.unpack_from(data, at)
        if length == _LENGTH_FOLLOWS:
            (length,) = _LONG.unpack_from(data, at + _BOX.size)
        yield kind, data[at : at + length]
        at += length


def _corrupt(what: str) -> ChunkError:
    return ChunkError("CORRUPT_SEGMENT", f"The segment cannot be played: {what}.")
