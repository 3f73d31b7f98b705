"""Damage in an MP4's index, which makes demuxers silently show less."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest
from videos import Sound, Video

from splitter.media.mp4_index import read_index


@pytest.fixture(scope="module")
def data() -> bytes:
    return Video(frames=12, sounds=[Sound(duration_s=0.4)]).make()


def is_whole(data: bytes) -> bool:
    return read_index(io.BytesIO(data), len(data)).is_whole


def test_a_vendors_own_box_does_not_count_as_damage(data: bytes) -> None:
    assert is_whole(data)
    assert is_whole(data.replace(b"stss", b"abcd"))


@pytest.mark.parametrize("name", [b"ctts", b"stss", b"edts", b"stbl"])
def test_a_name_with_one_wrong_letter_is_damage(data: bytes, name: bytes) -> None:
    assert not is_whole(data.replace(name, name[:1] + b"\x9a" + name[2:]))


def test_more_times_than_there_are_samples_are_damage(data: bytes) -> None:
    at = data.index(b"ctts") + 12
    assert not is_whole(data[:at] + b"\0\x5a" + data[at + 2 :])


def test_a_frame_between_the_steps_of_a_constant_rate_is_damage(data: bytes) -> None:
    at = data.index(b"ctts") + 12 + 7
    assert not is_whole(data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
    # Where the rate varies, so do the times
    pts = [0, 1001, 1900, 3003, 4100, 5005, 6006, 8000, 9001, 9500]
    assert is_whole(Video(pts=pts).make())


def test_samples_beyond_the_end_of_the_file_are_damage(data: bytes) -> None:
    at = data.index(b"stco") + 12
    assert not is_whole(data[:at] + b"\x40" + data[at + 1 :])


def test_edits_that_show_less_because_of_an_implausible_clock_are_damage(data: bytes) -> None:
    at = data.index(b"mvhd") + 16
    ticks = int.from_bytes(data[at : at + 4], "big")
    # Given a clock of which one byte was changed
    odd = (ticks * 10 + 0x100003).to_bytes(4, "big")
    assert not is_whole(data[:at] + odd + data[at + 4 :])
    # And the same edits by another clock that there is: they are those of a trimmed video
    assert is_whole(data[:at] + (ticks * 10).to_bytes(4, "big") + data[at + 4 :])


def test_edits_that_show_less_than_the_tracks_header_says_are_damage(data: bytes) -> None:
    duration, header = data.index(b"elst") + 12, data.index(b"tkhd") + 24
    half = (int.from_bytes(data[header : header + 4], "big") // 2).to_bytes(4, "big")
    cut = data[:duration] + half + data[duration + 4 :]
    assert not is_whole(cut)
    # And those of a trimmed video, of which the header says the same
    assert is_whole(cut[:header] + half + cut[header + 4 :])
    # And those that show all there is, however long
    assert is_whole(data[:duration] + bytes(4) + data[duration + 4 :])
    # And those that begin behind all that there is
    assert not is_whole(data[: duration + 4] + b"\1" + data[duration + 5 :])


def test_an_edit_that_begins_later_and_lasts_as_long_is_damage(data: bytes) -> None:
    edit, header = data.index(b"elst") + 12, data.index(b"tkhd") + 24
    duration, begin = (int.from_bytes(data[at : at + 4], "big") for at in (edit, edit + 4))
    clock = int.from_bytes(data[data.index(b"mvhd") + 16 :][:4], "big")
    fifth = clock // 5
    later = (begin + 30000 // 5).to_bytes(4, "big")
    assert not is_whole(data[: edit + 4] + later + data[edit + 8 :])
    # And one that ends where the track does: it was trimmed
    rest = (duration - fifth).to_bytes(4, "big")
    trimmed = data[:edit] + rest + later + data[edit + 8 :]
    assert is_whole(trimmed[:header] + rest + trimmed[header + 4 :])


def test_an_edit_that_ends_with_the_last_picture_of_a_cut_is_whole() -> None:
    # Given a video that was cut without encoding: at the end, pictures that are shown before the
    # last one are missing, because they were stored behind it; at the start, an edit hides some
    video = Video(frames=12, time_base=Fraction(1, 5), pts=range(12), options={"bf": "3"})
    file = io.BytesIO()
    options = {"avoid_negative_ts": "disabled"}
    with (
        av.open(io.BytesIO(video.make())) as source,
        av.open(file, "w", format="mp4", options=options) as cut,
    ):
        packets = [packet for packet in source.demux() if packet.size]
        late = next(n for n in range(4, 11) if packets[n].pts > packets[n + 1].pts)
        assert packets[late].pts > late
        track = cut.add_stream_from_template(source.streams.video[0])
        for packet in packets[: late + 1]:
            packet.pts, packet.dts, packet.stream = packet.pts - 1, packet.dts - 1, track
            cut.mux(packet)
    assert is_whole(file.getvalue())


def test_sound_of_a_length_that_no_header_gives_is_damage(data: bytes) -> None:
    # Given a clock that is far too fast, and durations that are far too long
    sound = data.rindex(b"mdhd")
    for at in (sound + 16, data.rindex(b"stts") + 16):
        assert data[at] == 0
        assert not is_whole(data[:at] + b"\x40" + data[at + 1 :])


@pytest.mark.parametrize("name", [b"mvhd", b"tkhd", b"mdhd"])
def test_a_header_of_another_version_than_its_length_is_damage(data: bytes, name: bytes) -> None:
    assert not is_whole(data.replace(name + b"\0", name + b"\1", 1))


def entry(name: bytes, number: int, words: int, word: int) -> tuple[bytes, int]:
    """Return a table's name, and how far behind it a word of one of its entries ends."""
    return name, 4 + 8 + 4 * (number * words + word) + 3


COUNTS = {
    "edits": (b"elst", 11),
    "durations": (b"stts", 11),
    "samples of a duration": entry(b"stts", 0, 2, 0),
    "shifts": (b"ctts", 11),
    "samples of a shift": entry(b"ctts", 1, 2, 0),
    "runs of chunks": (b"stsc", 11),
    "first chunk of all": entry(b"stsc", 0, 3, 0),
    "first chunk of a run": entry(b"stsc", 1, 3, 0),
    "samples of a chunk": entry(b"stsc", 0, 3, 1),
    "description of a run": entry(b"stsc", 0, 3, 2),
    "sizes": (b"stsz", 15),
    "chunks": (b"stco", 11),
}


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("count", COUNTS)
def test_tables_that_do_not_agree_on_the_samples_are_damage(
    data: bytes, count: str, change: int
) -> None:
    name, offset = COUNTS[count]
    at = data.index(name) + offset
    assert not is_whole(data[:at] + bytes([data[at] + change]) + data[at + 1 :])


def test_samples_of_two_descriptions_are_in_order(data: bytes) -> None:
    # Given a second description, as of a camera that was set anew, and what is in the last chunks
    at = data.index(b"stsd") + 12
    length = int.from_bytes(data[at : at + 4], "big")
    twice = data[: at - 1] + b"\2" + data[at : at + length] + data[at:]
    for box in (b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        begin = twice.index(box) - 4
        longer = int.from_bytes(twice[begin : begin + 4], "big") + length
        twice = twice[:begin] + longer.to_bytes(4, "big") + twice[begin + 4 :]
    name, offset = entry(b"stsc", 1, 3, 2)
    last = twice.index(name) + offset
    assert is_whole(twice[:last] + b"\2" + twice[last + 1 :])
    # A third there is not
    assert not is_whole(twice[:last] + b"\3" + twice[last + 1 :])
