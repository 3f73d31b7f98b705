"""Rare codecs: telephone speech, DV tape, and sound of discs; all of it is kept."""

from __future__ import annotations

import io
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
from videos import Sound, Video, packets, presented

from shared.media.detour import _element
from tests.unit.splitter.media.test_awkward_sound import joined as joined  # noqa: PLC0414 - a fixture
from tests.unit.splitter.media.test_broadcast_sound import samples, with_track

PAL = {"frames": 5, "size": (720, 576), "codec": "dvvideo", "options": {}}
PAL |= {"time_base": Fraction(1, 25), "pts": range(5)}

MAJOR_SYNC = bytes.fromhex("f8726fba00008001b752000000008c7f11055600000080800000de32")
"""What a TrueHD packet begins with that can be decoded alone: 48 kHz, stereo, with its checksum."""


def tone(codec, rate, layout, **options):
    """Return what adds a second of a tone to a file."""

    def add(output):
        track = output.add_stream(codec, rate=rate, layout=layout, options=options)
        context = track.codec_context
        context.open()
        wave = (np.sin(np.arange(rate) / 9) * 8000).astype(np.int16)
        out, size = [], context.frame_size or 1024
        for at in range(0, rate, size):
            part = np.tile(wave[at : at + size], (context.channels, 1))
            frame = av.AudioFrame.from_ndarray(part, format="s16p", layout=layout)
            frame.rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            resampler = av.AudioResampler(context.format.name, layout, rate)
            out += [p for one in resampler.resample(frame) for p in track.encode(one)]
        return out + track.encode(None)

    return add


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_telephone_speech_of_any_rate_is_there_to_the_byte(bits, split_video, joined):
    data = with_track("avi", "mpeg4", tone("g726", 8000, "mono", code_size=str(bits)))
    found = split_video(data)
    tracks = [(track.codec, found.source.container) for track in found.source.tracks]
    assert tracks == [("adpcm_g726", "mkv")]
    assert not found.end.damaged
    out = joined(found)
    before, after = packets(data), packets(out)
    assert b"".join(d for _, d in after) == b"".join(d for _, d in before)
    assert np.array_equal(samples(out), samples(data))


def truehd(output):
    """Add half a second of packets of 5/6 ms, as TrueHD has them; there is no encoder for it."""
    track = output.add_mux_stream("truehd", rate=48000)
    chance, out = np.random.default_rng(1), []
    for number in range(600):
        length = 80 + number % 7 * 2
        begin = (length // 2).to_bytes(2, "big") + (number * 40 % 65536).to_bytes(2, "big")
        packet = av.Packet(begin + MAJOR_SYNC + chance.bytes(length - 4 - len(MAJOR_SYNC)))
        packet.time_base, packet.stream = Fraction(1, 48000), track
        packet.pts = packet.dts = number * 40
        packet.duration = 40
        out.append(packet)
    return out


def test_truehd_keeps_its_time_from_end_to_end(split_video, joined):
    data = with_track("matroska", "mpeg4", truehd)
    before = packets(data)
    assert (len(before), float(before[-1][0])) == (600, pytest.approx(599 / 1200, abs=0.001))
    found = split_video(data)
    assert (found.source.tracks[0].codec, found.source.container) == ("truehd", "mkv")
    assert not found.end.damaged
    assert packets(joined(found)) == before


@pytest.mark.parametrize("container", ["dv", "avi", "mov"])
def test_dv_tape_is_accepted_with_its_sound(container, split_video, joined):
    data = Video(format=container, sounds=[Sound("pcm_s16le", duration_s=0.2)], **PAL).make()
    found = split_video(data)
    assert not found.end.damaged
    out = joined(found)
    assert presented(out) == [(Fraction(n, 25), n) for n in range(5)]
    assert np.array_equal(samples(out), samples(data))


def test_tape_that_ends_within_a_frame_is_damaged(split_video):
    data = Video(format="dv", sounds=[Sound("pcm_s16le", duration_s=0.2)], **PAL).make()
    found = split_video(data[:-1000])
    assert found.end.frames >= 4
    assert found.end.damaged


def test_chapters_are_kept_beside_sound_that_matroska_does_not_list(split_video, joined):
    # Given A-law, which FFmpeg's Matroska muxer takes by a way on which it is given no chapters
    plain = Video(frames=8, format="mov", sounds=[Sound("pcm_alaw", rate=8000, duration_s=0.2)])
    file = io.BytesIO()
    with av.open(io.BytesIO(plain.make())) as source, av.open(file, "w", format="mov") as target:
        tracks = {s.index: target.add_stream_from_template(s) for s in source.streams}
        parts = [(0, 100, "One"), (100, 200, "Zwei: größer")]
        target.set_chapters(
            [
                {"id": n, "start": a, "end": b, "time_base": Fraction(1, 1000),
                 "metadata": {"title": title}}
                for n, (a, b, title) in enumerate(parts)
            ]
        )  # fmt: skip
        for packet in [packet for packet in source.demux() if packet.size]:
            packet.stream = tracks[packet.stream_index]
            target.mux(packet)
    found = split_video(file.getvalue())
    out = joined(found)
    # Then the sound is kept to the byte, and the chapters in both files
    assert found.end.warnings == ()
    before, after = packets(file.getvalue()), packets(out)
    assert b"".join(d for _, d in after) == b"".join(d for _, d in before)
    for written in (found.side, out):
        with av.open(str(written)) as result:
            assert [
                (c["start"] * c["time_base"] * 1000, c["end"] * c["time_base"] * 1000,
                 c["metadata"]["title"])
                for c in result.chapters()
            ] == parts  # fmt: skip
    # And it is as sound as Matroska without a detour, to the last element
    assert is_whole(out.read_bytes())


def is_whole(data):
    """Tell whether a Matroska file's elements fill it, and its checksums are right."""
    first = _element(data, 0)
    segment = _element(data, first.end)
    at = segment.begin
    while at < segment.end:
        found = _element(data, at)
        content = data[found.begin : found.end]
        if content.startswith(b"\xbf\x84") and content[2:6] != zlib.crc32(content[6:]).to_bytes(
            4, "little"
        ):
            return False
        at = found.end
    return at == segment.end == len(data)
