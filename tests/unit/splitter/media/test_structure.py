"""A file's structure is followed from its first byte to its last: a break in it is noticed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from videos import Sound, Video

from splitter.media.structure import Structure

COUNTED = {"time_base": Fraction(1, 30), "pts": range(12), "options": {}}
FILES = {
    "gif": Video(format="gif", codec="gif", pixel_format="gray", **COUNTED),
    "mpegts": Video(frames=12, format="mpegts", sounds=[Sound("mp2", duration_s=0.4)]),
    "avi": Video(format="avi", codec="mpeg4", sounds=[Sound("ac3", duration_s=0.4)], **COUNTED),
    "flv": Video(format="flv", codec="flv1", **COUNTED),
    "matroska": Video(frames=12, format="matroska", sounds=[Sound("aac", duration_s=0.4)]),
}
TS_PACKET = 188


@pytest.fixture(scope="module")
def files():
    return {name: video.make() for name, video in FILES.items()}


def is_broken(data, *, piece=4096):
    structure = Structure(data[:256])
    for at in range(0, len(data), piece):
        structure.read(at, data[at : at + piece])
    structure.finish(len(data))
    return structure.is_broken


def changed(data, at, *values):
    return data[:at] + bytes(values) + data[at + len(values) :]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("piece", [1000, 1 << 20])
def test_a_whole_file_is_in_order_however_it_is_read(files, name, piece):
    assert not is_broken(files[name], piece=piece)


@pytest.mark.parametrize("name", FILES)
def test_a_part_that_was_cut_out_is_noticed(files, name):
    data = files[name]
    middle = len(data) // 2
    assert is_broken(data[:middle] + data[middle + 100 :])


def test_a_gif_whose_block_swallows_pictures_is_broken(files):
    data = files["gif"]
    # Given a block of a control extension that says that it is longer
    at = data.index(b"\x21\xf9\x04", len(data) // 2)
    assert is_broken(changed(data, at + 2, 40))
    # And a picture whose block says that it is longer
    at = data.index(b"\x2c", data.index(b"\x21\xf9\x04", at + 8) + 8)
    assert is_broken(changed(data, at + 11, data[at + 11] + 60))


def test_a_gif_with_blocks_of_odd_lengths_is_in_order_if_its_data_ends_in_the_last_one(files):
    data = files["gif"]
    at = data.index(b"\x2c", 781) + 11
    length = data[at]
    # Given a picture's first block in two
    first, second = data[at + 1 : at + 11], data[at + 11 : at + 1 + length]
    parts = bytes([10]) + first + bytes([length - 10]) + second
    assert not is_broken(data[:at] + parts + data[at + 1 + length :])


def test_each_packet_of_a_transport_stream_is_looked_at(files):
    data = files["mpegts"]
    packets = [data[at : at + TS_PACKET] for at in range(0, len(data), TS_PACKET)]
    sound = [n for n, p in enumerate(packets) if p[1:3] == b"\x01\x01"]
    # Given one that is missing, of sound and of picture, is spoilt, or of another track
    assert is_broken(b"".join(p for n, p in enumerate(packets) if n != sound[2]))
    picture = next(n for n, p in enumerate(packets) if p[1:3] == b"\x01\x00")
    assert is_broken(b"".join(p for n, p in enumerate(packets) if n != picture))
    assert is_broken(changed(data, sound[2] * TS_PACKET, 0x48))
    assert is_broken(changed(data, sound[2] * TS_PACKET + 1, 0x81))
    assert is_broken(changed(data, sound[2] * TS_PACKET + 2, 0x07))
    # And a file that ends in the midst of sound
    assert is_broken(b"".join(packets[: sound[2]]))


def test_transport_streams_one_after_the_other_are_in_order(files):
    data = files["mpegts"]
    assert not is_broken(data + data)
    # As is one with packets that were sent twice
    twice = data.index(b"\x47\x01\x01")
    assert not is_broken(data[: twice + TS_PACKET] + data[twice:])


def test_packets_of_discs_carry_a_clock_before_each(files):
    data = files["mpegts"]
    disc = b"".join(bytes(4) + data[at : at + TS_PACKET] for at in range(0, len(data), TS_PACKET))
    assert not is_broken(disc)
    assert is_broken(changed(disc, 192 * 20 + 4, 0))


def test_an_index_that_lists_more_than_an_avi_holds_is_noticed(files):
    data = files["avi"]
    at = data.index(b"idx1")
    length = int.from_bytes(data[at + 4 : at + 8], "little")
    entries = (length + 16).to_bytes(4, "little") + data[at + 8 : at + 8 + length]
    assert is_broken(data[: at + 4] + entries + data[at + 8 : at + 24] + data[at + 8 + length :])


def test_a_matroska_element_of_no_known_kind_is_noticed(files):
    data = files["matroska"]
    assert is_broken(data.replace(b"\x83\x81\x01", b"\xdc\x81\x01"))
    at = data.index(b"\xa3", data.index(b"\x1f\x43\xb6\x75") + 12)
    assert is_broken(changed(data, at, 0x94))


def test_a_tag_of_an_flv_in_another_codec_is_noticed(files):
    data = files["flv"]
    at = data.index(b"\x09", len(data) // 2)
    while int.from_bytes(data[at + 8 : at + 11], "big"):
        at = data.index(b"\x09", at + 1)
    assert is_broken(changed(data, at + 11, data[at + 11] ^ 1))
