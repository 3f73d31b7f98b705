"""Videos are split inside the sandbox as they are outside it."""

from __future__ import annotations

import io
import os
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import pytest
from decoder_child import Upload, collect, refusal
from structlog.testing import capture_logs
from videos import copy_packets, write_text

from splitter.decoder.confinement import available
from splitter.media.limits import Limits
from splitter.media.split import SplitOptions, split
from splitter.protection import LAYERS
from tests.unit.splitter.media.test_structure import FILES

pytestmark = pytest.mark.asyncio(loop_scope="session")
needs_sandbox = pytest.mark.skipif(
    available() != frozenset(LAYERS),
    reason=f"this machine lacks {', '.join(sorted(frozenset(LAYERS) - available()))}",
)


@needs_sandbox
@pytest.mark.parametrize("threads", [1, 4])
async def test_an_ordinary_user_decodes_inside_the_required_sandbox(make, stand_in, threads):
    # Given a decoder that is nobody, without capabilities, as in a container
    stand_in(
        "from splitter.decoder import sandbox\n"
        "if os.getuid() == 0:\n"
        "    os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "sandbox.decode()"
    )
    upload = Upload(make.Video(frames=20, sounds=[make.Sound()]).make())
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            os.chown(folder, 65534, 65534)
        side = Path(folder, "side")
        events = await collect(upload, side, threads=threads, required=frozenset(LAYERS))
        assert events[-1].frames == 20
        assert len(make.packets(side)) > 10


@needs_sandbox
async def test_following_a_transport_stream_needs_nothing_from_outside(side):
    # Given a whole file and one that lacks a part: what either calls has to be loaded already
    data = FILES["mpegts"].make()
    middle = len(data) // 2
    for upload, damaged in ((data, False), (data[:middle] + data[middle + 188 :], True)):
        end = (await collect(Upload(upload), side, required=frozenset(LAYERS)))[-1]
        assert end.damaged == damaged, end.warnings


@needs_sandbox
async def test_a_child_that_cannot_be_confined_as_required_decodes_nothing(make, side, stand_in):
    # Given a decoder on a kernel that has lost Landlock
    stand_in(
        "from splitter.decoder import landlock, sandbox\n"
        "landlock.version = lambda: 0\n"
        "sandbox.decode()"
    )
    upload = Upload(make.Video(frames=5).make())
    assert (await collect(upload, side))[-1].frames == 5
    # It is the operator who can mend that, and whoever uploaded the video who reads the refusal.
    with capture_logs() as lines:
        found = await refusal(upload, side, required=frozenset(LAYERS))
    assert found.code == "DECODER_CRASHED"
    (said,) = (line["stderr"] for line in lines if line["event"] == "decoder crashed")
    assert "the kernel lacks Landlock (Linux 5.13 or later)" in said


@pytest.mark.parametrize("container", ["mp4", "matroska"])
async def test_sound_beyond_the_limit_of_copied_tracks_is_left_out(make, side, container):
    # Given 3 s of sound for which there is room for about half of it
    codec = "flac" if container == "mp4" else "pcm_s16le"
    sounds = [make.Sound(codec, duration_s=3)]
    data = make.Video(frames=90, sounds=sounds, format=container).make()
    whole = make.packets(data)
    room = sum(len(content) for _, content in whole) // 2 + 16 * 1024
    options = SplitOptions(limits=Limits(side_bytes=room))
    end = (await collect(Upload(data), side, options))[-1]
    # Then all frames are there, the sound is as far as there is room, and the end is told
    assert (end.frames, end.damaged) == (90, True)
    found = make.packets(side)
    assert [content for _, content in found] == [content for _, content in whole][: len(found)]
    assert len(whole) // 3 < len(found) < len(whole)
    assert side.stat().st_size <= room
    (warning,) = end.warnings
    at = float(whole[len(found)][0])
    assert warning.startswith(f"sound and text from {at:.1f} s on are left out: ")


def with_text(make):
    """A Matroska file with sound and a line of text."""
    data = io.BytesIO(
        make.Video(frames=10, sounds=[make.Sound("pcm_s16le")], format="matroska").make()
    )
    file = io.BytesIO()
    with av.open(data) as source, av.open(file, "w", format="matroska") as target:
        tracks = [target.add_stream_from_template(stream) for stream in source.streams]
        text = target.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        write_text(target, text, b"Hello")
        copy_packets(source, target, tracks)
    return file.getvalue()


def with_high_dynamic_range(make):
    tags = "transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc"
    return make.Video(frames=4, options={"crf": "15", "x264-params": tags}).make()


@pytest.mark.parametrize("video", [with_text, with_high_dynamic_range])
async def test_code_that_opens_files_or_loads_modules_late_works_in_the_sandbox(
    make, tmp_path, video
):
    data = video(make)
    folder = tmp_path / "work"
    folder.mkdir()
    here = list(split(io.BytesIO(data), SplitOptions(), tmp_path / "here"))
    assert await collect(Upload(data), folder / "side", SplitOptions()) == here
    # Then only what the end tells of is left
    assert [f.name for f in folder.iterdir()] == (["side"] if here[-1].has_side else [])
