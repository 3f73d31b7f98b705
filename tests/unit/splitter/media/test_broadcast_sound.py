"""Sound of discs, broadcasts and telephones: copied byte for byte, or stored losslessly."""

from __future__ import annotations

import io
import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from videos import Video, packets

from assembler.mux import mux
from assembler.verify import verify
from splitter.media.recode import LosslessRecoder

RATE = 48000
TICK = Fraction(1, 1000)


def with_track(container, codec, add, options=None):
    """Make twenty frames of video with the sound that ``add`` puts beside them."""
    video = Video(
        frames=20, format="matroska", codec=codec, options={}, time_base=TICK * 40, pts=range(20)
    )
    bare = io.BytesIO(video.make())
    file = io.BytesIO()
    with av.open(bare) as source, av.open(file, "w", format=container, options=options) as output:
        picture = output.add_stream_from_template(source.streams.video[0])
        pictures = [packet for packet in source.demux() if packet.size]
        for packet in pictures:
            packet.stream = picture
        sounds = add(output)
        for packet in sorted(pictures + sounds, key=lambda p: (p.dts or 0) * p.time_base):
            output.mux(packet)
    return file.getvalue()


def encoded(codec):
    """Return what adds a second of a tone to a file."""

    def add(output):
        track = output.add_stream(codec, rate=RATE, layout="stereo", bit_rate=128_000)
        track.codec_context.open()
        size, out = track.codec_context.frame_size or 960, []
        for at in range(0, RATE, size):
            tone = (np.sin(np.arange(at, at + size) / 20) * 8000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.tile(tone, (2, 1)), format="s16p")
            frame.rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            wanted = track.codec_context.format.name
            for one in av.AudioResampler(wanted, "stereo", RATE).resample(frame):
                out += track.encode(one)
        return out + track.encode(None)

    return add


def stored(codec, rate, packet):
    """Return what adds 25 packets of 20 ms; ``packet`` makes each one's bytes."""

    def add(output):
        track = output.add_mux_stream(codec, rate=rate)
        out, chance = [], np.random.default_rng(1)
        for number in range(25):
            one = av.Packet(packet(chance))
            one.pts = one.dts = number * 20
            one.duration, one.time_base, one.is_keyframe = 20, TICK, True
            one.stream = track
            out.append(one)
        return out

    return add


def s302m(chance):
    """Make 20 ms of SMPTE 302M: two channels of 16 bits, five bytes a pair of samples."""
    payload = bytearray(chance.bytes(960 * 5))
    return len(payload).to_bytes(2, "big") + bytes(2) + bytes(payload)


def joined(found, folder):
    out = folder / f"result.{found.source.container}"
    mux(found.manifest(), iter(found.segments()), found.side, out)
    verify(found.manifest(), found.side, out)
    return out


def samples(file):
    """Decode a file's sound; shape (channels, samples)."""
    with av.open(io.BytesIO(file) if isinstance(file, bytes) else str(file)) as container:
        parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
        channels = container.streams.audio[0].channels
        return np.concatenate([p.reshape(-1, channels).T for p in parts], axis=1)


@pytest.mark.parametrize(
    ("container", "video", "options", "codec"),
    [
        ("mpegts", "libx264", {"mpegts_m2ts_mode": "1"}, "pcm_bluray"),
        ("vob", "mpeg2video", {}, "pcm_dvd"),
    ],
)
def test_pcm_of_discs_is_stored_without_loss(
    container, video, options, codec, split_video, tmp_path
):
    data = with_track(container, video, encoded(codec), options)
    found = split_video(data)
    assert (found.source.container, found.source.tracks[0].codec) == ("mp4", "flac")
    assert [w for w in found.end.warnings if "stored without loss as FLAC" in w]
    assert not found.end.damaged
    assert np.array_equal(samples(joined(found, tmp_path)), samples(data))


@pytest.mark.parametrize(
    ("container", "codec", "rate", "packet", "shape"),
    [
        ("mpegts", "s302m", RATE, s302m, (2, 25 * 960)),
        ("mov", "gsm", 8000, lambda chance: b"\xd1" + chance.bytes(32), (1, 25 * 160)),
    ],
)
def test_sound_of_studios_and_quicktime_is_stored_without_loss(
    container, codec, rate, packet, shape, split_video, tmp_path
):
    video = "mpeg2video" if container == "mpegts" else "libx264"
    data = with_track(container, video, stored(codec, rate, packet))
    found = split_video(data)
    assert (found.source.container, found.source.tracks[0].codec) == ("mp4", "flac")
    assert not found.end.damaged
    before, after = samples(data), samples(joined(found, tmp_path))
    assert before.shape == shape
    assert np.array_equal(after, before)


def four_channels(chance):
    """Make 20 ms of SMPTE 302M in four channels."""
    payload = chance.bytes(960 * 10)
    return len(payload).to_bytes(2, "big") + b"\x40\0" + payload


def twenty_bits(chance):
    """Make 20 ms of SMPTE 302M in samples of 20 bits."""
    payload = chance.bytes(960 * 6)
    return len(payload).to_bytes(2, "big") + b"\0\x10" + payload


@pytest.mark.parametrize("later", [four_channels, twenty_bits])
def test_sound_that_changes_midway_is_kept_in_the_form_that_it_began_with(
    later, split_video, tmp_path
):
    kinds = itertools.chain([s302m] * 12, itertools.repeat(later))

    def packet(chance):
        return next(kinds)(chance)

    data = with_track("mpegts", "mpeg2video", stored("s302m", RATE, packet))
    found = split_video(data)
    assert found.end.frames == 20
    # Then what came before the change is exact, the rest is there, and all is told
    after = samples(joined(found, tmp_path))
    assert after.shape == (2, 25 * 960)
    with av.open(io.BytesIO(data)) as container:
        first = next(container.decode(audio=0)).to_ndarray()
    assert np.array_equal(after[:, :960], first.reshape(-1, 2).T)
    assert found.end.damaged
    assert found.end.warnings[0] == (
        "audio track 1 changes its channels, rate or depth midway: 13 packets were converted to "
        "its initial format"
    )


def test_a_track_that_cannot_be_copied_is_left_out_and_the_others_are_kept(
    split_video, tmp_path, monkeypatch
):
    # Given a fault of ours in the tenth packet of one track
    number, push = itertools.count(), LosslessRecoder.push

    def stumble(recoder, packet):
        if next(number) == 9:
            raise ValueError("no file is known that does this")
        yield from push(recoder, packet)

    monkeypatch.setattr(LosslessRecoder, "push", stumble)
    found = split_video(with_track("mpegts", "mpeg2video", stored("s302m", RATE, s302m)))
    assert (found.end.frames, found.end.damaged) == (20, True)
    assert found.end.warnings[0] == (
        "audio track 1 cannot be read to the end: the rest is left out"
    )
    assert samples(joined(found, tmp_path)).shape == (2, 9 * 960)


def test_sound_of_telephones_is_there_to_the_byte(split_video, tmp_path):
    def packet(chance):
        return b"\x04" + chance.bytes(12)

    data = with_track("3gp", "libx264", stored("amr_nb", 8000, packet))
    found = split_video(data)
    assert found.source.container == "mkv"
    assert not found.end.damaged
    before, after = packets(data), packets(joined(found, tmp_path))
    assert [d for _, d in after] == [d for _, d in before]
    assert len(after) == 25


def test_aac_in_latm_is_there_to_the_byte(split_video, tmp_path):
    data = with_track("mpegts", "libx264", encoded("aac"), {"mpegts_flags": "latm"})
    found = split_video(data)
    assert [(t.codec, found.source.container) for t in found.source.tracks] == [("aac_latm", "mkv")]
    assert not found.end.damaged
    before, after = packets(data), packets(joined(found, tmp_path))
    assert [d for _, d in after] == [d for _, d in before]
    assert len(after) >= RATE // 1024
