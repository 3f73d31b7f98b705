"""A file's structure is followed from its first byte to its last, and breaks are noticed."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import pytest
from videos import Sound, Video

from splitter.media.file_end import is_truncated
from splitter.media.pes_header import is_filled
from splitter.media.structure import Structure

COUNTED = {"time_base": Fraction(1, 30), "pts": range(12), "options": {}}
FILES = {
    "gif": Video(format="gif", codec="gif", pixel_format="gray", **COUNTED),
    "mpegts": Video(frames=12, format="mpegts", sounds=[Sound("mp2", duration_s=0.4)]),
    "mpeg": Video(
        format="vob", codec="mpeg2video", sounds=[Sound("mp2", duration_s=0.4)], **COUNTED
    ),
    "avi": Video(format="avi", codec="mpeg4", sounds=[Sound("ac3", duration_s=0.4)], **COUNTED),
    "asf": Video(format="asf", codec="wmv2", sounds=[Sound("mp2", duration_s=0.4)], **COUNTED),
    "ivf": Video(format="ivf", codec="libvpx", **COUNTED),
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


@pytest.mark.parametrize("label", [0xFE, 0xFF, 0x42])
def test_a_gif_whose_extension_swallows_pictures_is_broken(files, label):
    data = files["gif"]
    # Given a remark, a program's own data, or what a later version may know
    text = b"ImageMagick" * 2
    remark = bytes([0x21, label, 11]) + text[:11] + bytes([11]) + text[11:] + b"\0"
    at = data.index(b"\x21\xf9\x04", len(data) // 2)
    assert not is_broken(data[:at] + remark + data[at:])
    # And its second block says that it is longer, up to the end of the next picture
    longer = 11 + 1 + data.index(b"\0\x21\xf9\x04", at) - at
    assert is_broken(data[:at] + changed(remark, 14, longer) + data[at:])


@pytest.mark.parametrize("blocks", [b"", b"\3\1\0\0", b"\3\1\5\0\5\2\0\0\1\0"])
def test_a_gif_that_lost_pictures_from_within_an_extension_is_broken(files, blocks):
    # Given one that tells how often the pictures are shown, in each way that there is
    data = files["gif"]
    begin, end = data.index(b"NETSCAPE2.0") + 11, data.index(b"\x21\xf9\x04")
    assert data[begin:end] == b"\3\1\0\0\0"
    assert not is_broken(data[:begin] + blocks + b"\0" + data[end:])
    # And it goes on in the midst of a picture, as it does when a part of the file is missing
    later = data.index(b"\0\x21\xf9\x04", end + 1000)
    assert is_broken(data[:begin] + blocks + b"\x14" + data[later - 0x14 :])


def test_a_gif_that_lost_pictures_from_within_the_name_of_a_program_is_broken(files):
    data = files["gif"]
    begin = data.index(b"NETSCAPE2.0")
    later = data.index(b"\0\x21\xf9\x04", begin + 1000)
    assert is_broken(data[: begin + 3] + data[later - 8 :])
    # Of which the last letter alone is another
    assert is_broken(data[: begin + 10] + b"\x0e\x0c" + data[later - 12 :])


def test_a_gif_with_an_empty_block_before_another_picture_is_broken(files):
    # The demuxer reads up to it: what follows is lost
    data = files["gif"]
    at = data.index(b"\x21\xf9\x04", len(data) // 2)
    assert is_broken(data[:at] + b"\0" + data[at:])
    # Behind the last picture nothing is
    assert data.endswith(b"\0;")
    assert not is_broken(data[:-1] + b"\0\0;")
    assert is_broken(data[:-1] + b"\0\0")


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


def test_a_transport_packet_whose_adaptation_field_is_longer_than_itself_is_noticed(files):
    data = files["mpegts"]
    packets = range(0, len(data), TS_PACKET)
    at = next(at for at in packets if data[at + 1 : at + 3] == b"\x41\0" and data[at + 3] & 0x20)
    assert is_broken(changed(data, at + 4, 199))


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


def test_a_program_streams_packet_that_announces_more_than_it_holds_is_noticed(files):
    # Given a packet of sound whose header has no room for the extension that a flag announces
    data = files["mpeg"]
    header = data.index(b"\0\0\1\xc0") + 7
    assert data[header] & 0x01, "it has an extension"
    extension = header + 2 + 5
    assert is_broken(changed(data, extension, data[extension] | 0x01, 0x40))
    # And one whose header is longer than the packet
    assert is_broken(changed(data, header - 3, 0, 12, data[header - 1], data[header], 30))


def test_a_program_streams_packet_of_another_version_of_mpeg_is_noticed(files):
    data = files["mpeg"]
    at = data.index(b"\0\0\1\xc0", len(data) // 2) + 6
    assert data[at] >> 6 == 2
    for other in (0xE7, 0x21, 0x0F):
        assert is_broken(changed(data, at, other))


@pytest.mark.parametrize("name", ["mpegts", "mpeg"])
def test_a_packets_header_that_reaches_into_its_payload_is_noticed(files, name):
    data = files[name]
    flags = data.index(b"\0\0\1\xe0") + 7
    assert data[flags] & 0x80, "it has a time"
    assert is_broken(changed(data, flags + 1, data[flags + 1] + 4))
    # (Beyond the end of a transport packet, too.)
    assert is_broken(changed(data, flags + 1, 200))
    # And one that has no room for the time that it announces
    assert is_broken(changed(data, flags + 1, 4))


def test_a_packets_header_may_end_in_stuffing():
    assert is_filled(0x80, bytes(5) + b"\xff\xff")
    assert not is_filled(0x80, bytes(5) + b"\xff\0")
    assert is_filled(0xC0, bytes(5), unread=5)


def test_a_track_of_an_avi_of_no_known_kind_is_noticed(files):
    data = files["avi"]
    assert is_broken(data.replace(b"auds", b"au\xacs", 1))


def test_an_index_that_lists_more_than_an_avi_holds_is_noticed(files):
    data = files["avi"]
    at = data.index(b"idx1")
    length = int.from_bytes(data[at + 4 : at + 8], "little")
    entries = (length + 16).to_bytes(4, "little") + data[at + 8 : at + 8 + length]
    assert is_broken(data[: at + 4] + entries + data[at + 8 : at + 24] + data[at + 8 + length :])


def test_an_index_that_gives_a_chunk_of_an_avi_another_length_is_noticed(files):
    data = files["avi"]
    entry = data.index(b"01wb", data.index(b"idx1"))
    assert is_broken(changed(data, entry + 15, 0xD3))
    # And one that lists it for another track
    assert is_broken(changed(data, entry, *b"00"))
    # (Some muxers name a picture's chunk in another way in the index.)
    entry = data.index(b"00dc", data.index(b"idx1"))
    assert not is_broken(changed(data, entry, *b"00db"))


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
    # And in one that has a name in the place of a number
    assert is_broken(changed(data, at + 11, data[at + 11] ^ 0x80))


def test_further_tracks_of_an_flv_name_their_codecs():
    sounds = [Sound(duration_s=0.5), Sound(duration_s=0.5)]
    data = Video(frames=20, format="flv", time_base=Fraction(1, 1000), sounds=sounds).make()
    assert not is_broken(data)
    # But a name that is damaged is in a tag of another codec than the first track's
    at = data.rindex(b"mp4a")
    assert is_broken(changed(data, at, data[at] ^ 1))


def test_frames_that_an_ivf_has_lost_are_counted(files):
    data = files["ivf"]
    starts = [32]
    while starts[-1] < len(data):
        starts.append(starts[-1] + int.from_bytes(data[starts[-1] :][:4], "little") + 12)
    assert is_broken(data[: starts[1]] + data[starts[-2] :])
    assert is_broken(data[: starts[5] + 20])
    # Whether a header counts frames or the ticks that they last, or says nothing
    for ticks, count in ((1, 12), (1001, 12), (1001, 12 * 1001), (1, 0)):
        slower = Video(
            format="ivf",
            codec="libvpx",
            time_base=Fraction(1, 30 * ticks),
            pts=range(0, 12 * ticks, ticks),
            options={},
        ).make()
        assert not is_broken(slower[:24] + count.to_bytes(4, "little") + slower[28:])


def asf(*payloads, objects=b"\x01\x02"):
    """An ASF of two tracks, with one packet for each payload that is given without its length."""
    header = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365") + bytes(76)
    header += (100).to_bytes(4, "little") * 2
    for number in objects:
        header += bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365") + bytes(56) + bytes([number, 0])
    sign = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
    head = sign + (30 + len(header)).to_bytes(8, "little") + bytes(6) + header
    data = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
    data += (50 + 100 * len(payloads)).to_bytes(8, "little") + bytes(16)
    data += len(payloads).to_bytes(8, "little") + bytes(2)
    for payload in payloads:
        # One payload, and a byte that says how much of the packet is left free
        packet = bytes([0x08, 0x5D, 100 - 9 - len(payload)]) + bytes(6) + payload
        data += packet.ljust(100, b"\0")
    return head + data


def part(track, number, offset, size, length):
    """A part of an object: numbers of one byte, offsets of four, its size before its content."""
    place = bytes([track, number]) + offset.to_bytes(4, "little")
    return place + bytes([8]) + size.to_bytes(4, "little") + bytes(4) + bytes(length)


def small(track, number, *lengths):
    """Small objects in one payload, each with its length before it."""
    content = b"".join(bytes([length]) + bytes(length) for length in lengths)
    return bytes([track, number]) + bytes(4) + bytes([1, 40]) + content


def test_each_object_of_an_asf_is_followed_from_part_to_part():
    sound = [part(1, n % 256, 0, 20, 20) for n in range(250, 260)]
    picture = [part(2, 0, 0, 100, 60), part(2, 0, 60, 100, 40)]
    whole = [*sound[:3], picture[0], *sound[3:], picture[1]]
    assert not is_broken(asf(*whole))
    # Given a part that is missing at the end or in between, that stands elsewhere, or is too long
    assert is_broken(asf(*whole[:-1]))
    assert is_broken(asf(*whole[:3], *whole[4:]))
    assert is_broken(asf(*whole[:-1], part(2, 0, 50, 100, 40)))
    assert is_broken(asf(*whole[:-1], part(2, 0, 60, 100, 50)))
    # And an object whose number is missing, one of a track that is not there, and a long payload
    assert is_broken(asf(*sound[:3], *sound[4:]))
    assert is_broken(asf(*whole, part(3, 0, 0, 20, 20)))
    assert is_broken(asf(*sound).replace(b"\x08\x5d", b"\x08\x7d", 1))


def test_small_objects_of_an_asf_are_counted():
    runs = [small(1, 2 * n, 5, 9) for n in range(6)]
    assert not is_broken(asf(*runs))
    assert is_broken(asf(*runs[:2], *runs[3:]))
    assert is_broken(asf(runs[0][:-1]))


def test_an_asf_whose_numbers_mean_something_else_is_taken_as_it_is():
    assert not is_broken(asf(*(part(1, 7 * n, 0, 20, 20) for n in range(8))))


def test_an_flv_that_ends_between_two_tags_is_cut_off_if_size_and_length_say_so():
    data = Video(frames=20, format="flv", time_base=Fraction(1, 1000)).make()

    def is_cut(data):
        return is_truncated(io.BytesIO(data), len(data), "flv")

    last_but_one = data.rindex(b"\x09", 0, data.rindex(b"\x09", 0, len(data) - 60))
    while int.from_bytes(data[last_but_one - 4 : last_but_one], "big") > 5000:
        last_but_one = data.rindex(b"\x09", 0, last_but_one)
    assert not is_cut(data)
    assert is_cut(data[:last_but_one])
    # One of the two alone may be a tool's mistake
    at = data.index(b"filesize\0") + 9
    assert not is_cut(data[:at] + struct.pack(">d", 1e9) + data[at + 8 :])
    assert not is_cut(data[:at] + struct.pack(">d", 0) + data[at + 8 : last_but_one])
