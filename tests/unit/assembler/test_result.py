"""The result is the source with other pixels; anything less is noticed."""

from __future__ import annotations

import errno
import shutil
from fractions import Fraction

import av
import pytest
from results import refused, shown

from assembler.mux import mux
from assembler.verify import verify
from shared.contracts.errors import ChunkError, ResultError
from shared.media.chunks import ChunkWriter
from shared.media.encodings import SEGMENT
from splitter.media.split import SplitOptions

SHORT = SplitOptions(chunk_frames=8)


def test_the_result_shows_every_frame_at_its_time(make, split_video, join):
    # Given a video of variable rate that starts late
    pts = [21000 + at for at in (0, 1001, 1002, 5000, 9000, 9001, 30000, 30500, 31000, 60000)]
    found = split_video(make.Video(pts=pts).make(), SplitOptions(chunk_frames=3))
    # When its segments are joined
    out = join(found)
    # Then a player shows the same frames at the same times
    result = shown(out)
    assert [time for time, _ in result] == [Fraction(at, 30000) for at in pts]
    assert [make.number_of(frame) for _, frame in result] == list(range(10))
    verify(found.manifest(), found.side, out)
    assert len(found.manifest().chunks) == 4


def test_the_result_looks_like_the_source(make, split_video, join, psnr):
    video = make.Video(frames=20, size=(128, 96), colour=(1, 1), options={"crf": "10"})
    result = shown(join(split_video(video.make(), SHORT)))
    assert min(psnr(a, b) for a, (_, b) in zip(video.pictures(), result, strict=True)) > 38


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus", "flac", "pcm_s16le"])
@pytest.mark.parametrize("start_s", [0.0, 0.3])
def test_the_result_sounds_like_the_source(make, split_video, join, codec, start_s):
    # Given a video with sound, perhaps late, perhaps one that MP4 cannot hold
    container = "mov" if codec == "pcm_s16le" else "mp4"
    sounds = [make.Sound(codec, start_s=start_s)]
    data = make.Video(frames=20, format=container, sounds=sounds).make()
    found = split_video(data, SHORT)
    out = join(found)
    # Then the packets are the source's, at the source's times (Matroska ticks in milliseconds)
    before, after = make.packets(data), make.packets(out)
    assert b"".join(d for _, d in after) == b"".join(d for _, d in before)
    verify(found.manifest(), found.side, out)
    if found.source.container == "mp4":
        assert after == before
    else:
        assert abs(after[0][0] - before[0][0]) <= Fraction(1, 2000)


def test_picture_and_sound_keep_their_distance_when_both_start_late(make, split_video, join):
    data = make.Video(
        pts=[12345 + i * 1001 for i in range(20)], sounds=[make.Sound("flac", start_s=0.777)]
    ).make()
    out = join(split_video(data, SHORT))
    assert shown(out)[0][0] == Fraction(12345, 30000)
    assert make.packets(out)[0][0] == Fraction(37296, 48000)


def test_tracks_titles_and_pixel_shape_are_carried_over(make, split_video, join):
    video = make.Video(
        frames=9, aspect=Fraction(4, 3), metadata={"title": "A day at sea"},
        sounds=[make.Sound(language="eng"), make.Sound(language="deu")],
    )  # fmt: skip
    with av.open(str(join(split_video(video.make(), SHORT)))) as result:
        picture = result.streams.video[0]
        assert picture.sample_aspect_ratio == Fraction(4, 3)
        assert picture.codec_context.colorspace == 1
        assert [track.language for track in result.streams.audio] == ["eng", "deu"]
        assert result.metadata["title"] == "A day at sea"


def test_an_mp4_can_be_played_before_it_is_loaded_whole(make, split_video, join):
    data = join(split_video(make.Video(frames=9).make(), SHORT)).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_same_segments_give_the_same_file(make, split_video, join):
    found = split_video(make.Video(frames=20, sounds=[make.Sound()]).make(), SHORT)
    first = join(found).read_bytes()
    assert join(found).read_bytes() == first


def test_segments_are_taken_one_at_a_time(make, split_video, join):
    # Given segments that are counted as they are taken
    found = split_video(make.Video(frames=64).make(), SHORT)
    taken = []

    def segments():
        for segment in found.segments():
            taken.append(len(segment))
            yield segment
            del segment

    join(found, segments())
    assert len(taken) == 8


def test_a_missing_and_a_surplus_segment_are_noticed_while_joining(make, split_video, join):
    found = split_video(make.Video(frames=24).make(), SHORT)
    segments = found.segments()
    assert refused(ResultError, lambda: join(found, segments[:-1])) == "SEGMENT_COUNT"
    assert refused(ResultError, lambda: join(found, [*segments, segments[0]])) == "SEGMENT_COUNT"
    assert refused(ResultError, lambda: join(found, [])) == "SEGMENT_COUNT"


def test_nothing_is_left_behind_when_joining_fails(make, split_video, join, tmp_path):
    found = split_video(make.Video(frames=24).make(), SHORT)
    refused(ResultError, lambda: join(found, found.segments()[:-1]))
    assert not (tmp_path / "result.mp4").exists()


def test_a_segment_with_another_number_of_frames_is_noticed_while_joining(make, split_video, join):
    found = split_video(make.Video(frames=20).make(), SHORT)
    first, _, last = found.segments()
    assert refused(ChunkError, lambda: join(found, [first, last, last])) == "CORRUPT_SEGMENT"


def test_a_segment_at_other_times_is_noticed_while_joining(make, split_video, join):
    found = split_video(
        make.Video(pts=[0, 10, 20, 30, 50, 60]).make(), SplitOptions(chunk_frames=3)
    )
    first, second = found.segments()
    assert refused(ChunkError, lambda: join(found, [second, first])) == "CORRUPT_SEGMENT"


def test_segments_of_other_settings_are_noticed_while_joining(make, split_video, join):
    found = split_video(make.Video(frames=2).make(), SplitOptions(chunk_frames=1))
    first, _ = found.segments()

    def segment(**changes):
        options = {"width": 64, "height": 48, "time_base": Fraction(1, 30000), **changes}
        writer = ChunkWriter(SEGMENT, **options)
        size = (options["width"], options["height"])
        for frame in make.Video(frames=1, size=size).pictures():
            writer.write(frame)
        return writer.close(1001)

    for changes, code in [
        ({"sample_aspect_ratio": Fraction(2)}, "MIXED_SEGMENTS"),
        ({"width": 32}, "CORRUPT_SEGMENT"),
        ({"time_base": Fraction(1, 25)}, "CORRUPT_SEGMENT"),
    ]:
        other = segment(**changes)
        assert refused(ChunkError, lambda other=other: join(found, [first, other])) == code


def test_rubbish_in_place_of_a_segment_is_noticed_while_joining(make, split_video, join):
    found = split_video(make.Video(frames=9).make(), SHORT)
    first, _ = found.segments()
    for rubbish in (b"", b"rubbish" * 100, first[:200]):
        code = refused(ChunkError, lambda rubbish=rubbish: join(found, [first, rubbish]))
        assert code == "CORRUPT_SEGMENT"


def remake(out, change):
    """Copy a result's video packet by packet, changed."""
    changed = out.with_suffix(".changed.mp4")
    with av.open(str(out)) as source:
        stream = source.streams.video[0]
        options = {"video_track_timescale": str(stream.time_base.denominator)}
        with av.open(str(changed), "w", format="mp4", options=options) as target:
            copy = target.add_stream_from_template(stream)
            packets = change([p for p in source.demux(stream) if p.size])
            for packet in packets:
                packet.stream = copy
                target.mux(packet)
    shutil.move(changed, out)
    return out


def without(index):
    return lambda packets: packets[:index] + packets[index + 1 :]


def shifted(index):
    def change(packets):
        packets[index].pts += 1
        packets[index].dts += 1
        return packets

    return change


def swapped(index):
    def change(packets):
        for packet in packets:
            packet.dts -= 5000
        packets[index].pts, packets[index + 1].pts = packets[index + 1].pts, packets[index].pts
        return packets

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (without(0), "NOT_A_KEYFRAME"),
        (without(5), "FRAME_TIME"),
        (without(19), "FRAME_COUNT"),
        (shifted(3), "FRAME_TIME"),
        (shifted(19), "FRAME_TIME"),
        (swapped(4), "FRAME_TIME"),
        (lambda packets: packets[:8], "FRAME_COUNT"),
    ],
    ids=[
        "first missing", "middle missing", "last missing", "shifted", "last shifted", "swapped",
        "chunks missing",
    ],
)  # fmt: skip
def test_verification_notices_any_frame_that_is_not_where_it_belongs(
    make, split_video, join, change, code
):
    # Given a result that was spoilt after it was written
    found = split_video(make.Video(frames=20).make(), SHORT)
    out = join(found)
    verify(found.manifest(), found.side, out)
    remake(out, change)
    # Then it does not pass
    assert refused(ResultError, lambda: verify(found.manifest(), found.side, out)) == code


def test_verification_notices_a_chunk_too_many(make, split_video, join):
    found = split_video(make.Video(frames=24).make(), SHORT)
    out = join(found)
    manifest = found.manifest()
    shorter = manifest.model_copy(update={"chunks": manifest.chunks[:2]})
    assert refused(ResultError, lambda: verify(shorter, found.side, out)) == "FRAME_COUNT"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"sounds": 0}, "TRACK_COUNT"),
        ({"duration_s": 0.5}, "TRACK_DATA"),
        ({"start_s": 0.1}, "TRACK_TIME"),
    ],
)
def test_verification_notices_sound_that_is_not_the_sources(make, split_video, join, other, code):
    sound = make.Sound("pcm_s16le")
    data = make.Video(frames=20, format="matroska", sounds=[sound]).make()
    found = split_video(data, SHORT)
    out = join(found)
    sounds = [make.Sound("pcm_s16le", **other)] if "sounds" not in other else []
    changed = split_video(
        make.Video(frames=20, format="matroska", sounds=sounds, metadata={"title": "x"}).make()
    )
    assert refused(ResultError, lambda: verify(found.manifest(), changed.side, out)) == code


def test_what_an_iphone_says_about_a_video_is_kept(make, split_video, join):
    said = {
        "com.apple.quicktime.location.ISO6709": "+48.8584+002.2945+035.000/",
        "com.apple.quicktime.creationdate": "2024-05-06T09:08:09+0200",
        "com.apple.quicktime.title": "A day at sea",
    }
    video = make.Video(frames=5, format="mov", metadata=said, movflags="use_metadata_tags")
    with av.open(str(join(split_video(video.make())))) as result:
        kept = result.metadata
    assert (kept["title"], kept["date"]) == ("A day at sea", "2024-05-06T09:08:09+0200")
    assert kept["location"].startswith("+48.8584+002.2945")


def test_pixels_so_wide_that_a_picture_has_no_height_are_passed_over(make, split_video, join):
    # Given a damaged header: FFmpeg reads such an aspect from a source, but not from a segment
    data = bytearray(make.Video(frames=5, size=(64, 48)).make())
    data[data.index(b"tkhd") + 49] = 147  # in the matrix by which the picture is turned
    found = split_video(bytes(data))
    assert found.source.sample_aspect_ratio > 48
    assert len(shown(join(found))) == 5


@pytest.mark.parametrize(("sound", "kind"), [("aac", ".mp4"), ("pcm_s16le", ".mkv")])
def test_verification_notices_a_picture_that_the_disk_has_damaged(
    make, split_video, tmp_path, sound, kind
):
    data = make.Video(frames=20, format="mov", sounds=[make.Sound(sound)]).make()
    found = split_video(data, SHORT)
    out = tmp_path / f"result{kind}"
    pictures = mux(found.manifest(), iter(found.segments()), found.side, out)
    verify(found.manifest(), found.side, out, pictures=pictures)
    with av.open(str(out)) as result:
        fifth = [bytes(packet) for packet in result.demux(video=0) if packet.size][5]
    damaged = bytearray(out.read_bytes())
    damaged[damaged.index(fifth) + len(fifth) // 2] ^= 1
    out.write_bytes(damaged)
    # It is still read, and its frames are where they belong
    verify(found.manifest(), found.side, out)
    code = refused(
        ResultError, lambda: verify(found.manifest(), found.side, out, pictures=pictures)
    )
    assert code == "CORRUPT_RESULT"


def test_verification_notices_a_file_that_cannot_be_read(make, split_video, join):
    found = split_video(make.Video(frames=9).make(), SHORT)
    out = join(found)
    out.write_bytes(bytes(1000))
    assert refused(ResultError, lambda: verify(found.manifest(), None, out)) == "UNREADABLE"


def test_a_full_disk_is_no_fault_of_a_track(make, split_video, tmp_path):
    found = split_video(make.Video(frames=9, sounds=[make.Sound()]).make(), SHORT)
    out = tmp_path / "result.mp4"
    out.symlink_to("/dev/full")
    with pytest.raises(OSError, match="space") as caught:
        mux(found.manifest(), iter(found.segments()), found.side, out)
    assert caught.value.errno == errno.ENOSPC
