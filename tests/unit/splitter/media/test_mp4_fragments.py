"""Fragments of an MP4 follow one another: a demuxer ends where they do not, and says nothing."""

from __future__ import annotations

import io

import av
import pytest
from videos import Sound, Video

from splitter.media.structure import Structure


def fragmented(flags: str = "+frag_keyframe+empty_moov+default_base_moof") -> bytes:
    """Make twenty frames with sound, in four fragments."""
    options = {"crf": "15", "bf": "2", "g": "5"}
    sounds = [Sound(duration_s=0.6)]
    return Video(frames=20, sounds=sounds, options=options, movflags=flags).make()


@pytest.fixture(scope="module")
def data() -> bytes:
    return fragmented()


def places(data: bytes, name: bytes) -> list[int]:
    """Return where the boxes of a name begin, at the file's own level."""
    found, at = [], 0
    while at < len(data):
        if data[at + 4 : at + 8] == name:
            found.append(at)
        at += int.from_bytes(data[at : at + 4], "big")
    return found


def is_broken(data: bytes, piece: int = 4096) -> bool:
    structure = Structure(data[:256])
    for at in range(0, len(data), piece):
        structure.read(at, data[at : at + piece])
    structure.finish(len(data))
    return structure.is_broken


@pytest.mark.parametrize("piece", [100, 5000, 1 << 20])
def test_whole_fragments_are_in_order_however_they_are_read(data: bytes, piece: int) -> None:
    assert not is_broken(data, piece)


@pytest.mark.parametrize(
    "flags", ["+dash+frag_keyframe", "+cmaf+frag_every_frame", "+frag_keyframe+separate_moof"]
)
def test_other_ways_to_write_fragments_are_in_order(flags: str) -> None:
    assert not is_broken(fragmented(flags))


def test_samples_need_not_be_read(data: bytes) -> None:
    structure = Structure(data[:256])
    ends = [*places(data, b"mdat"), len(data)]
    at = 0
    for mdat in ends:
        structure.read(at, data[at : mdat + 8])
        at = mdat + int.from_bytes(data[mdat : mdat + 4], "big")
    structure.finish(len(data))
    assert not structure.is_broken


def test_a_part_that_is_missing_or_there_twice_is_noticed(data: bytes) -> None:
    middle = len(data) // 2
    assert is_broken(data[:middle] + data[middle + 700 :])
    assert is_broken(data[: middle + 700] + data[middle:])
    assert is_broken(data[:middle])


def test_a_fragment_that_is_missing_as_a_whole_is_noticed(data: bytes) -> None:
    _, second, third, *_ = places(data, b"moof")
    assert is_broken(data[:second] + data[third:])


def test_unread_parts_count_as_missing(data: bytes) -> None:
    structure = Structure(data[:256])
    structure.read(0, data[: places(data, b"moof")[2]])
    structure.finish(len(data))
    assert structure.is_broken


@pytest.mark.parametrize("name", [b"moof", b"traf", b"trun", b"mdat"])
def test_a_damaged_name_is_noticed(data: bytes, name: bytes) -> None:
    at = data.index(name, places(data, b"moof")[1])
    assert is_broken(data[:at] + b"\x9a" + data[at + 1 :])


def test_samples_of_another_track_or_of_another_number_are_noticed(data: bytes) -> None:
    fragment = places(data, b"moof")[1]
    track = data.index(b"tfhd", fragment) + 11
    assert is_broken(data[:track] + b"\x07" + data[track + 1 :])
    count = data.index(b"trun", fragment) + 11
    assert is_broken(data[:count] + bytes([data[count] - 1]) + data[count + 1 :])


def test_a_tracks_header_in_a_fragment_has_the_length_that_its_flags_say(data: bytes) -> None:
    flags = data.index(b"tfhd", places(data, b"moof")[1]) + 7
    # Given a flag for each value that it may tell, which makes one more, or one less
    for flag in (0x1, 0x2, 0x8, 0x10, 0x20):
        assert is_broken(data[:flags] + bytes([data[flags] ^ flag]) + data[flags + 1 :])


def test_samples_with_a_missing_description_are_noticed(data: bytes) -> None:
    description = data.index(b"trex") + 4 + 4 + 4 + 3
    assert data[description] == 1
    for number in (0, 2):
        assert is_broken(data[:description] + bytes([number]) + data[description + 1 :])


def test_samples_without_an_index_and_impossible_times_are_noticed(data: bytes) -> None:
    second = places(data, b"moof")[1]
    samples = places(data, b"mdat")[1]
    assert is_broken(data[:second] + data[samples:])
    # Given a fragment that is far ahead of those that follow, and one whose samples last for ever
    time = data.index(b"tfdt", second) + 10
    assert is_broken(data[:time] + b"\x20" + data[time + 1 :])
    last = data.index(b"tfdt", places(data, b"moof")[-1]) + 8
    assert is_broken(data[:last] + b"\xf3" + data[last + 1 :])
    duration = data.index(b"tfhd", second) + 12
    assert is_broken(data[:duration] + b"\x20" + data[duration + 1 :])


@pytest.mark.parametrize("flags", ["+frag_keyframe", "+frag_keyframe+default_base_moof"])
def test_samples_elsewhere_than_their_index_says_are_noticed(flags: str) -> None:
    data = fragmented(flags)
    header = data.index(b"tfhd", places(data, b"moof")[1])
    run = data.index(b"trun", header)
    # Given an offset of a track or of a run that leads beyond the file, or a few bytes away
    offsets = [run + 12, run + 15]
    if data[header + 7] & 1:
        offsets += [header + 14, header + 19]
    for at in offsets:
        assert is_broken(data[:at] + bytes([data[at] ^ 0x21]) + data[at + 1 :])


def test_a_fragment_at_the_time_of_the_one_before_is_noticed(data: bytes) -> None:
    # Given a third fragment that begins half a fragment too early, before a fourth in its place
    second, third = places(data, b"moof")[1:3]
    before, time = (data.index(b"tfdt", fragment) + 8 for fragment in (second, third))
    begin, now = (int.from_bytes(data[at : at + 8], "big") for at in (before, time))
    early = (now - (now - begin) // 2).to_bytes(8, "big")
    assert is_broken(data[:time] + early + data[time + 8 :])


def test_one_index_for_all_is_judged_by_itself_and_not_here() -> None:
    data = Video(frames=8).make()
    assert not is_broken(data)
    assert not is_broken(data + b"what a camera leaves behind")


# (Without further flags, the first samples are listed in the index and not in a fragment.)
@pytest.mark.parametrize("flags", ["", "+empty_moov", "+empty_moov+delay_moov", "+cmaf"])
@pytest.mark.parametrize("b_frames", ["0", "2"])
def test_fragments_of_one_frame_may_repeat_a_time_and_nothing_is_lost(
    make, split_video, flags, b_frames
):
    # Given a live stream of FFmpeg, which ends a fragment before it knows how long its samples last
    data = make.Video(
        frames=20, sounds=[make.Sound(duration_s=0.6)], options={"bf": b_frames},
        movflags=f"+frag_every_frame{flags}",
    ).make()  # fmt: skip
    with av.open(io.BytesIO(data)) as source:
        assert any(packet.is_discard for packet in source.demux() if packet.size)
    # Then all frames are painted, and all packets of sound are copied
    found = split_video(data)
    assert (found.end.frames, found.end.damaged) == (20, False)
    stored, copied = make.packets(data), make.packets(found.side)
    assert [content for _, content in copied] == [content for _, content in stored]
