"""Sound that is cut, padded, of odd codecs or of absurd timestamps: all that is heard is kept."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from videos import Sound, Video, packets

from assembler.mux import mux
from assembler.verify import verify
from tests.unit.splitter.media.test_broadcast_sound import encoded, samples, with_track

MILLISECOND = Fraction(1, 1000)


@pytest.fixture
def joined(tmp_path):
    """Join a split's segments, check the result and return its path."""

    def run(found):
        out = tmp_path / f"result.{found.source.container}"
        mux(found.manifest(), iter(found.segments()), found.side, out)
        verify(found.manifest(), found.side, out)
        return out

    return run


def telephone(tag, size, scale=1):
    """Make an AVI with 25 packets in a codec without an encoder, ``scale`` to each 40 ms."""

    def add(output):
        track = output.add_stream("pcm_mulaw", rate=8000, layout="mono")
        chance, out = np.random.default_rng(1), []
        for number in range(25):
            packet = av.Packet(chance.bytes(size))
            packet.pts = packet.dts = number * 40
            packet.duration, packet.time_base, packet.stream = 40, MILLISECOND, track
            out.append(packet)
        return out

    data = with_track("avi", "mpeg4", add)
    plain = (7).to_bytes(2, "little") + b"\1\0" + (8000).to_bytes(4, "little")
    at = data.index(plain)
    named = tag.to_bytes(2, "little") + plain[2:] + (size * 25).to_bytes(4, "little")
    data = data[:at] + named + size.to_bytes(2, "little") + bytes(2) + data[at + 16 :]
    # (A block lasts as long as 320 samples, of which each one was a block.)
    at = data.index(b"auds") + 20
    rate = size.to_bytes(4, "little") + (size * 25 * scale).to_bytes(4, "little")
    data = data[:at] + rate + data[at + 8 :]
    return data[: at + 24] + size.to_bytes(4, "little") + data[at + 28 :]


@pytest.mark.parametrize(("codec", "tag", "size"), [("gsm_ms", 0x31, 65), ("speex", 0xA109, 38)])
def test_speech_without_an_encoder_is_there_to_the_byte(codec, tag, size, split_video, joined):
    data = telephone(tag, size)
    found = split_video(data)
    assert [(t.codec, found.source.container) for t in found.source.tracks] == [(codec, "mkv")]
    assert not found.end.damaged
    before, after = packets(data), packets(joined(found))
    assert b"".join(d for _, d in after) == b"".join(d for _, d in before)
    assert len(after) == len(before) >= 25


def test_packets_that_share_a_millisecond_are_all_there(split_video, joined):
    # Given packets of an eighth of a millisecond in a codec that FFmpeg's Matroska does not list
    data = telephone(0x31, 65, scale=320)
    before, after = packets(data), packets(joined(split_video(data)))
    assert [d for _, d in after] == [d for _, d in before]


@pytest.mark.parametrize("codec", ["wmav1", "wmav2"])
def test_sound_of_windows_media_is_there_to_the_byte(codec, split_video, joined):
    data = with_track("asf", "msmpeg4v3", encoded(codec))
    found = split_video(data)
    assert [(t.codec, found.source.container) for t in found.source.tracks] == [(codec, "mkv")]
    assert not found.end.damaged
    out = joined(found)
    assert [d for _, d in packets(out)] == [d for _, d in packets(data)]
    assert np.array_equal(samples(out), samples(data))


@pytest.mark.parametrize("beside", [(), (Sound("pcm_s16le"),)], ids=["mp4", "mkv"])
def test_opus_ends_where_it_ended(beside, split_video, joined):
    # Given half a second of Opus, whose last packet is heard in part
    sounds = [Sound("libopus", duration_s=0.51), *beside]
    data = Video(frames=20, format="matroska", sounds=sounds).make()
    end = (samples(data).shape[1] - 312) % 960
    found = split_video(data)
    out = joined(found)
    if beside:
        assert found.source.container == "mkv"
        assert np.array_equal(samples(out), samples(data))
        return
    # Then MP4 says so by its duration, to the sample
    with av.open(str(out)) as result:
        last = [p for p in result.demux(result.streams.audio[0]) if p.size][-1]
        assert last.duration * last.time_base == Fraction(312, 48000)
        assert end


def test_the_last_packet_of_flac_in_avi_is_heard(split_video, joined):
    video = Video(frames=20, format="avi", codec="mpeg4", options={}, sounds=[Sound("flac")])
    data = video.make()
    assert np.array_equal(samples(joined(split_video(data))), samples(data))


def test_what_an_edit_list_cuts_out_of_the_sound_is_not_heard(split_video, joined):
    # Given a second of sound, of which 0.25 to 0.5 s is cut out
    data = with_cut(Video(frames=30, sounds=[Sound("flac", rate=48000)]).make())
    found = split_video(data)
    # Then the rest is there, and nothing between
    before = packets(data)
    with av.open(io.BytesIO(data)) as source:
        heard = [
            bytes(p) for p in source.demux(source.streams.audio[0]) if p.size and not p.is_discard
        ]
    assert len(heard) < len(before)
    assert [d for _, d in packets(joined(found))] == heard
    assert not found.end.damaged


def with_cut(data):
    """Give the second track of an MP4 an edit list of two parts."""
    ticks = int.from_bytes(data[(at := data.index(b"mvhd")) + 16 : at + 20], "big")
    track = data.index(b"trak", data.index(b"trak") + 4)
    list_at = data.index(b"edts", track) - 4
    length = int.from_bytes(data[list_at : list_at + 4], "big")
    parts = [(ticks // 4, 0), (ticks // 2, 24000)]
    edits = b"".join(
        duration.to_bytes(4, "big") + begin.to_bytes(4, "big") + b"\0\1\0\0"
        for duration, begin in parts
    )
    elst = (16 + len(edits)).to_bytes(4, "big") + b"elst" + bytes(4) + b"\0\0\0\2" + edits
    new = (8 + len(elst)).to_bytes(4, "big") + b"edts" + elst
    changed = bytearray(data[:list_at] + new + data[list_at + length :])
    for box in (data.index(b"moov") - 4, track - 4):
        size = int.from_bytes(changed[box : box + 4], "big") + len(new) - length
        changed[box : box + 4] = size.to_bytes(4, "big")
    return bytes(changed)


@pytest.mark.parametrize("at", [2**45, 2**61])
def test_sound_with_a_timestamp_in_the_far_future_is_left_out(at, split_video, joined):
    # Given three packets of sound that claim to be heard in a thousand years or later
    data = io.BytesIO(Video(frames=8, format="matroska", sounds=[Sound(duration_s=0.3)]).make())
    file = io.BytesIO()
    with av.open(data) as source, av.open(file, "w", format="matroska") as target:
        tracks = {s.index: target.add_stream_from_template(s) for s in source.streams}
        found = [packet for packet in source.demux() if packet.size]
        for late in [packet for packet in found if packet.stream.type == "audio"][-3:]:
            late.pts = late.dts = at = at + 20
        for packet in found:
            packet.stream = tracks[packet.stream_index]
            target.mux(packet)
    found = split_video(file.getvalue())
    assert found.end.warnings == ("3 packets of sound or text were damaged and left out",)
    assert found.end.damaged
    joined(found)
