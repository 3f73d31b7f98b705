"""Kinds of files that people have: each is split completely, or refused in a sentence."""

from __future__ import annotations

import io
import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from assembler.mux import mux
from assembler.verify import verify
from shared.contracts.errors import ResultError, SourceRefused, TrackError
from splitter.media.stamps import Stamper
from tests.unit.splitter.media.test_tracks import lines, with_text

TS_TICK = Fraction(1, 90000)


@pytest.fixture
def join(tmp_path):
    """Join a split's segments, check the result and return its path."""

    def run(found, left_out=frozenset()):
        out = tmp_path / f"result.{found.source.container}"
        mux(found.manifest(), iter(found.segments()), found.side, out, left_out)
        verify(found.manifest(), found.side, out, left_out)
        return out

    return run


def samples(file):
    """Decode a file's first sound track."""
    with av.open(io.BytesIO(file) if isinstance(file, bytes) else str(file)) as container:
        return np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)


@pytest.mark.parametrize("cues", [[(0, 300)], [(500, 700)], [(0, 200), (200, 900)], [(300, 9000)]])
@pytest.mark.parametrize("sound", ["aac", "libopus", "ac3"])
def test_subtitles_beside_sound_that_fits_mp4_do_not_spoil_the_result(
    make, split_video, join, cues, sound
):
    said = [(start, end, f"line {start}") for start, end in cues]
    data = with_text(make, "matroska", "subrip", sound=sound, lines=said)
    out = join(split_video(data))
    assert [line[2:].decode() for line in lines(make, out)] == [f"line {a}" for a, _ in cues]


def test_mp4_text_becomes_subrip_beside_sound_that_needs_matroska(make, split_video, join):
    found = split_video(with_text(make, "mov", "mov_text", sound="pcm_s16le"))
    assert found.source.container == "mkv"
    assert found.source.dropped == ()
    assert lines(make, join(found)) == [b"Hello", b"<i>Bye</i>\nnow"]


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mov", "pcm_alaw", 8000),
        ("mov", "pcm_mulaw", 8000),
        ("avi", "adpcm_ms", 44100),
        ("avi", "adpcm_ima_wav", 44100),
        ("avi", "pcm_alaw", 8000),
        ("matroska", "wavpack", 44100),
    ],
)
def test_sound_that_only_matroska_holds_is_there_to_the_byte(
    make, split_video, join, container, codec, rate
):
    video = "mpeg4" if container == "avi" else "libx264"
    sounds = [make.Sound(codec, rate=rate)]
    data = make.Video(frames=20, format=container, codec=video, options={}, sounds=sounds).make()
    found = split_video(data)
    assert found.source.container == "mkv"
    assert not found.end.damaged
    out = join(found)
    assert b"".join(d for _, d in make.packets(out)) == b"".join(d for _, d in make.packets(data))
    assert np.array_equal(samples(out), samples(data))


def test_sound_that_no_container_holds_is_stored_without_loss(make, split_video, join):
    # Given eight-bit PCM of a kind that neither MP4 nor Matroska knows
    data = make.Video(frames=20, format="mov", sounds=[make.Sound("pcm_s8")]).make()
    found = split_video(data)
    # Then it is FLAC in MP4, with the same samples, and it is said
    assert (found.source.container, found.source.tracks[0].codec) == ("mp4", "flac")
    assert "stored without loss as FLAC" in "; ".join(found.end.warnings)
    assert not found.end.damaged
    before = (samples(data).astype(np.int16) - 128) << 8
    assert np.array_equal(samples(join(found)), before)


def test_sound_in_floats_is_stored_without_loss(make, split_video, join):
    sounds = [make.Sound("nellymoser", rate=22050)]
    video = make.Video(frames=20, format="flv", codec="flv1", time_base=Fraction(1, 1000),
                       options={}, sounds=[])  # fmt: skip
    data = with_mono(video, sounds[0])
    found = split_video(data)
    assert (found.source.container, found.source.tracks[0].codec) == ("mkv", "pcm_f32le")
    assert np.array_equal(samples(join(found)), samples(data))


def with_mono(video, sound):
    """Make a video with one channel of sound, in memory."""
    file, source = io.BytesIO(), io.BytesIO(video.make())
    with av.open(source) as before, av.open(file, "w", format=video.format) as container:
        picture = container.add_stream_from_template(before.streams.video[0])
        track = container.add_stream(sound.codec, rate=sound.rate, layout="mono")
        track.codec_context.open()
        packets = [p for p in before.demux() if p.size]
        for packet in packets:
            packet.stream = picture
        wave = (np.sin(np.arange(sound.rate) / 20) * 8000).astype(np.float32)[None] / 32768
        frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
        frame.rate, frame.pts, frame.time_base = sound.rate, 0, Fraction(1, sound.rate)
        packets += track.encode(frame) + track.encode(None)
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * p.time_base):
            container.mux(packet)
    return file.getvalue()


def test_packets_of_less_than_a_tick_share_it_where_the_container_lets_them():
    # Given packets of 5/6 ms, as TrueHD has them, in a container that ticks in milliseconds
    tick = Fraction(1, 1000)

    def stamped(strict):
        stamper = Stamper(Fraction(0), Fraction(1), tick, strict)
        out = []
        for number in range(600):
            packet = av.Packet(b"x")
            packet.time_base, packet.pts = tick, number * 5 // 6
            packet.dts = packet.pts
            stamper.stamp(packet)
            out.append(packet.dts)
        return out

    assert stamped(strict=False) == [number * 5 // 6 for number in range(600)]
    assert stamped(strict=True) == list(range(600))


@pytest.mark.parametrize("pause", [2, 4, 6, 9])
def test_a_pause_of_seconds_in_a_transport_stream_is_kept_once(make, split_video, pause):
    # Given a recording that pauses, picture and sound interleaved
    def part(start):
        return make.Video(
            pts=[start + i * 3003 for i in range(30)], format="mpegts", time_base=TS_TICK,
            options={"bf": "0"}, sounds=[make.Sound("mp2", start_s=start / 90000)],
        ).make()  # fmt: skip

    begin = 90000 * 10
    found = split_video(part(begin) + part(begin + 30 * 3003 + pause * 90000))
    # Then there is one step of that length, in the picture and in the sound
    for times in (
        [frame.pts * TS_TICK for frame in found.frames()],
        [time for time, _ in make.packets(found.side)],
    ):
        steps = [b - a for a, b in itertools.pairwise(times)]
        long = [float(step) for step in steps if step > 1]
        assert long == [pytest.approx(pause, abs=0.1)]
    assert not any("joined" in warning for warning in found.end.warnings)


def test_programs_of_a_transport_stream_are_kept_apart(make, split_video):
    # Given a file of two programs, each with its own picture and sound
    data = two_programs(make)
    found = split_video(data)
    # Then picture and sound are the first one's, and the other's tracks are reported
    assert [track.codec for track in found.source.tracks] == ["mp2"]
    assert found.source.dropped == ("2 tracks of other programs",)
    numbers = [make.number_of(frame) for frame in found.frames()]
    assert numbers == list(range(30))
    assert not found.end.damaged


def two_programs(make):
    """Join two transport streams packet by packet, the second one's tracks and tables renumbered.

    (PyAV makes files of one program only.)
    """
    streams = []
    for codec in ("mp2", "aac"):
        video = make.Video(frames=30, format="mpegts", time_base=TS_TICK,
                           sounds=[make.Sound(codec)], options={"bf": "0"})  # fmt: skip
        streams.append(video.make())
    first, second = ([s[i : i + 188] for i in range(0, len(s), 188)] for s in streams)
    moved = {0x100: 0x200, 0x101: 0x201, 0x1000: 0x1100}
    programs, other = [], []
    for packet in second:
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        if pid in moved:
            changed = bytearray(packet)
            changed[1:3] = (int.from_bytes(packet[1:3], "big") & 0xE000 | moved[pid]).to_bytes(2)
            if pid == 0x1000:
                # The table names the program, the clock's track and the two tracks.
                renumber(changed, {b"\xe1\x00": b"\xe2\x00", b"\xe1\x01": b"\xe2\x01"})
            other.append(bytes(changed))
    for packet in first:
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        if pid == 0:
            changed = bytearray(packet)
            table = packet[5:17] + (2).to_bytes(2) + b"\xf1\x00"
            table = table[:1] + (0xB000 | len(table) + 1).to_bytes(2) + table[3:]
            changed[5 : 5 + len(table) + 4] = table + crc(table)
            packet = bytes(changed)  # noqa: PLW2901
        programs.append(packet)
    mixed = [p for pair in itertools.zip_longest(programs, other) for p in pair if p]
    return b"".join(mixed)


def renumber(packet, names):
    """Change identifiers in a table of programs, and its check."""
    length = int.from_bytes(packet[6:8], "big") & 0xFFF
    table = bytes(packet[5 : 8 + length - 4])
    for before, after in names.items():
        table = table.replace(before, after)
    table = table[:3] + (2).to_bytes(2) + table[5:]
    packet[5 : 8 + length] = table + crc(table)


def crc(table):
    """Compute the check of a table, MPEG's CRC-32."""
    check = 0xFFFFFFFF
    for byte in table:
        check ^= byte << 24
        for _ in range(8):
            check = check << 1 ^ (0x04C11DB7 if check & 0x80000000 else 0)
            check &= 0xFFFFFFFF
    return check.to_bytes(4)


def refusal(split_video, data):
    with pytest.raises(SourceRefused) as caught:
        split_video(data)
    return caught.value


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format"),
    [("gif", "gif", "gray"), ("mov", "png", "gray"), ("avi", "mjpeg", "yuvj420p"),
     ("apng", "apng", "gray")],
)  # fmt: skip
def test_a_single_picture_is_not_a_video(make, split_video, container, codec, pixel_format):
    data = make.Video(frames=1, format=container, codec=codec, pixel_format=pixel_format,
                      options={}, time_base=Fraction(1, 100), colour=(2, 2)).make()  # fmt: skip
    refused = refusal(split_video, data)
    assert refused.code == "NOT_A_VIDEO"
    assert ", not a video; MP4, MOV, " in refused.message


@pytest.mark.parametrize("brands", [b"heicmif1heic", b"avifavifmif1miaf", b"mif1mif1heic"])
def test_a_still_heif_is_not_a_video(split_video, brands):
    data = (12 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands[:4] + bytes(4) + brands[4:]
    refused = refusal(split_video, data + bytes(500))
    assert (refused.code, "still" in refused.message) == ("NOT_A_VIDEO", True)


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format"),
    [("apng", "apng", "gray"), ("yuv4mpegpipe", "rawvideo", "yuv420p"), ("gif", "gif", "gray")],
)
def test_moving_pictures_are_videos(make, split_video, container, codec, pixel_format):
    video = make.Video(frames=12, format=container, codec=codec, pixel_format=pixel_format,
                       options={}, time_base=Fraction(1, 25), pts=range(12))  # fmt: skip
    assert split_video(video.make()).end.frames == 12


@pytest.mark.parametrize(
    ("container", "codec", "name"),
    [("h264", "libx264", "H.264"), ("hevc", "libx265", "H.265"),
     ("mpeg2video", "mpeg2video", "MPEG video")],
)  # fmt: skip
def test_a_raw_stream_is_refused_by_name_and_with_the_remedy(
    make, split_video, container, codec, name
):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    data = make.Video(frames=5, format=container, codec=codec, options=options,
                      time_base=Fraction(1, 25), pts=range(5)).make()  # fmt: skip
    message = refusal(split_video, data).message
    assert f"raw {name} stream" in message
    assert "-c copy" in message


def test_metadata_that_muxers_act_on_does_not_pass(make, split_video, join):
    data = make.Video(frames=5, format="mov", metadata={"timecode": "01:00:00:00"}).make()
    with av.open(str(join(split_video(data)))) as result:
        assert [stream.type for stream in result.streams] == ["video"]


def test_languages_are_named_as_the_container_names_them(make, split_video, join):
    sounds = [make.Sound(language="en-US"), make.Sound(language="pt-BR")]
    data = make.Video(frames=5, format="matroska", sounds=sounds).make()
    with av.open(str(join(split_video(data)))) as result:
        assert [stream.language for stream in result.streams.audio] == ["eng", "por"]


def test_a_track_that_spoils_a_result_is_named_and_can_be_left_out(make, split_video, join):
    # Given a result whose second sound track is not the source's
    sounds = [make.Sound("flac"), make.Sound("flac", rate=44100)]
    found = split_video(make.Video(frames=20, sounds=sounds).make())
    other = split_video(
        make.Video(frames=20, sounds=[sounds[0], make.Sound("flac", duration_s=0.5)]).make()
    )
    out = join(found)
    # Then checking it names the track
    with pytest.raises(TrackError) as caught:
        verify(found.manifest(), other.side, out)
    assert isinstance(caught.value, ResultError)
    assert caught.value.tracks == {1}
    # And without it there is a result
    with av.open(str(join(found, frozenset({1})))) as result:
        assert [track.rate for track in result.streams.audio] == [48000]
