"""Files whose headers were never completed: written to a pipe, or by a recorder that lost power."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest
from videos import Sound, Video, packets

FRAMES = 20
COUNTED = {"frames": FRAMES, "time_base": Fraction(1, 30), "pts": range(FRAMES), "options": {}}


class Pipe:
    """A file that a muxer cannot go back in."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += bytes(data)
        return len(data)


def piped(container: str, codec: str, sound: str | None) -> bytes:
    """Make twenty frames, with sound if any, as they are written to a pipe."""
    sounds = [Sound(sound, duration_s=0.7)] if sound else []
    data = Video(format="nut", codec=codec, sounds=sounds, **COUNTED).make()
    pipe = Pipe()
    with av.open(io.BytesIO(data)) as source, av.open(pipe, "w", format=container) as target:
        tracks = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.stream = tracks[packet.stream_index]
                target.mux(packet)
    return pipe.data


@pytest.mark.parametrize(
    ("container", "codec", "sound"),
    [
        ("avi", "mpeg4", "mp2"),
        ("avi", "libx264", "libmp3lame"),
        ("asf", "wmv2", "mp2"),
        ("flv", "libx264", "aac"),
        ("ivf", "libvpx", None),
        ("matroska", "libx264", "aac"),
        ("mpegts", "libx264", "aac"),
        ("nut", "libx264", "aac"),
    ],
)
def test_a_file_that_was_written_to_a_pipe_is_whole(container, codec, sound, split_video):
    data = piped(container, codec, sound)
    found = split_video(data)
    assert (found.end.frames, found.end.warnings) == (FRAMES, ())
    if sound:
        assert len(packets(found.side)) == len(packets(data)) > FRAMES


def unfinished_avi() -> bytes:
    """An AVI without an index, of whose length its header says nothing."""
    data = bytearray(Video(format="avi", codec="mpeg4", sounds=[Sound("mp2")], **COUNTED).make())
    del data[data.rindex(b"idx1") :]
    for place in (4, data.index(b"movi") - 4, data.index(b"avih") + 8 + 16):
        data[place : place + 4] = bytes(4)
    at = -1
    while (at := data.find(b"strh", at + 1)) >= 0:
        data[at + 40 : at + 44] = bytes(4)
    return bytes(data)


@pytest.mark.parametrize("beyond", [b"", bytes(5000)])
def test_an_avi_that_was_never_finished_loses_nothing(beyond, split_video):
    data = unfinished_avi()
    found = split_video(data + beyond)
    assert (found.end.frames, found.end.warnings) == (FRAMES, ())
    assert len(packets(found.side)) == len(packets(data)) > FRAMES


@pytest.mark.parametrize("cut", [1, 1500])
def test_the_last_picture_of_an_unfinished_avi_is_missed(cut, split_video):
    assert split_video(unfinished_avi()[:-cut]).end.damaged
