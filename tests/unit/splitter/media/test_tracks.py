"""Sound and text are copied bit by bit, and stay in sync with the picture."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction

import av
import pytest

from shared.media.containers import movie_timescale
from splitter.media.captions import as_mov_text, plain

MP4_CODECS = ["aac", "libmp3lame", "libopus", "flac", "ac3", "mp2"]


@pytest.mark.parametrize("codec", MP4_CODECS)
def test_sound_that_fits_mp4_is_copied_to_the_byte(make, split_video, codec):
    # Given a video with sound
    data = make.Video(frames=10, sounds=[make.Sound(codec)]).make()
    # When it is split
    found = split_video(data)
    # Then the side file has the same packets at the same times
    assert found.source.container == "mp4"
    assert make.packets(found.side) == make.packets(data)


@pytest.mark.parametrize("codec", ["pcm_s16le", "wavpack"])
def test_sound_that_does_not_fit_mp4_makes_the_result_matroska(make, split_video, codec):
    data = make.Video(frames=10, format="matroska", sounds=[make.Sound(codec)]).make()
    found = split_video(data)
    assert found.source.container == "mkv"
    assert make.packets(found.side) == make.packets(data)


def test_one_track_that_does_not_fit_takes_the_others_along(make, split_video):
    sounds = [make.Sound("aac"), make.Sound("pcm_s16le")]
    data = make.Video(frames=10, format="matroska", sounds=sounds).make()
    found = split_video(data)
    assert found.source.container == "mkv"
    assert [track.codec for track in found.source.tracks] == ["aac", "pcm_s16le"]
    for index in (0, 1):
        assert make.packets(found.side, index=index) == make.packets(data, index=index)


@pytest.mark.parametrize("start_s", [0.0, 0.25, 0.777])
def test_late_sound_stays_late_to_the_sample(make, split_video, start_s):
    data = make.Video(frames=30, sounds=[make.Sound("flac", start_s=start_s)]).make()
    found = split_video(data)
    began, _ = make.packets(found.side)[0]
    assert began == Fraction(round(start_s * 48000), 48000)


def test_every_track_keeps_its_language_and_place(make, split_video):
    sounds = [make.Sound(language="eng"), make.Sound(language="deu", rate=44100)]
    found = split_video(make.Video(frames=10, sounds=sounds).make())
    with av.open(str(found.side)) as side:
        assert [stream.language for stream in side.streams.audio] == ["eng", "deu"]
        assert [stream.rate for stream in side.streams.audio] == [48000, 44100]
    assert [track.language for track in found.source.tracks] == ["eng", "deu"]


def test_silence_needs_no_side_file(make, split_video, tmp_path):
    found = split_video(make.Video(frames=3, format="avi", codec="mpeg4", options={}).make())
    assert found.end.has_side is (found.side is not None and found.side.exists())
    assert found.source.tracks == ()


def test_titles_are_carried_even_without_sound(make, split_video):
    found = split_video(make.Video(frames=3, metadata={"title": "A day; at = sea"}).make())
    with av.open(str(found.side)) as side:
        assert side.metadata["title"] == "A day; at = sea"


def test_metadata_about_the_muxer_is_not_copied(make, split_video):
    found = split_video(make.Video(frames=3, metadata={"comment": "x"}).make())
    with av.open(str(found.side)) as side:
        assert "major_brand" not in side.metadata


def test_sound_longer_than_the_picture_is_not_cut(make, split_video):
    data = make.Video(frames=3, sounds=[make.Sound(duration_s=3.0)]).make()
    assert len(make.packets(split_video(data).side)) == len(make.packets(data))


def test_an_unusable_track_is_left_out_and_named(make, split_video):
    # Given sound in a codec that nobody knows
    data = make.Video(frames=10, sounds=[make.Sound()]).make()
    data = data.replace(b"mp4a", b"zzzz").replace(b"esds", b"free")
    found = split_video(data)
    # Then the picture goes on without it, and says so
    assert found.end.frames == 10
    assert found.source.tracks == ()
    assert found.source.dropped == ("audio",)
    assert any("audio track 1" in warning for warning in found.end.warnings)


CHAPTERS = [(0, 400, "Morning"), (400, 1000, "Noon")]
LINES = [(100, 300, "Hello"), (500, 800, "<i>Bye</i>\nnow")]


def with_text(make, container, codec, sound="aac", lines=LINES):
    """A video with sound, one text track and two chapters."""
    data = io.BytesIO(make.Video(frames=30, sounds=[make.Sound(sound)]).make())
    file = io.BytesIO()
    with av.open(data) as source, av.open(file, "w", format=container) as target:
        tracks = {s.index: target.add_stream_from_template(s) for s in source.streams}
        text = target.add_mux_stream(codec, time_base=Fraction(1, 1000))
        text.metadata["language"] = "fra"
        target.set_chapters(
            [
                {"id": i, "start": a, "end": b, "time_base": Fraction(1, 1000),
                 "metadata": {"title": title}}
                for i, (a, b, title) in enumerate(CHAPTERS)
            ]
        )  # fmt: skip
        found = [p for p in source.demux() if p.size]
        for packet in found:
            packet.stream = tracks[packet.stream_index]
        for start, end, line in lines:
            head = len(line).to_bytes(2, "big") if codec == "mov_text" else b""
            packet = av.Packet(head + line.encode())
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = end - start, Fraction(1, 1000), text
            found.append(packet)
        for packet in sorted(found, key=lambda p: p.dts * p.time_base):
            target.mux(packet)
    return file.getvalue()


def lines(make, file):
    """The lines of a file's text track that say something."""
    return [line for _, line in make.packets(file, "subtitles") if len(line) > 2]


def test_mp4_text_is_copied(make, split_video):
    data = with_text(make, "mp4", "mov_text")
    found = split_video(data)
    assert [(t.kind, t.codec, t.language) for t in found.source.tracks] == [
        ("audio", "aac", "und"),
        ("subtitle", "mov_text", "fra"),
    ]
    assert lines(make, found.side) == lines(make, data)


def test_plain_text_is_made_into_mp4_text_where_the_sound_fits_mp4(make, split_video):
    found = split_video(with_text(make, "matroska", "subrip"))
    assert found.source.container == "mp4"
    assert found.source.tracks[1].codec == "mov_text"
    assert lines(make, found.side) == [b"\x00\x05Hello", b"\x00\x07Bye\nnow"]


A, B, C, AB, ABC = b"\0\1A", b"\0\1B", b"\0\1C", b"\0\3A\nB", b"\0\5A\nB\nC"


@pytest.mark.parametrize(
    ("cues", "shown"),
    [
        # One within another, the second ends last, both begin together
        ([(0, 900, "A"), (300, 600, "B")], [(0, 300, A), (300, 600, AB), (600, 900, A)]),
        ([(0, 600, "A"), (300, 900, "B")], [(0, 300, A), (300, 600, AB), (600, 900, B)]),
        ([(100, 600, "A"), (100, 900, "B")], [(100, 600, AB), (600, 900, B)]),
        # All of three at once, and one after them
        (
            [(0, 500, "A"), (100, 500, "B"), (200, 500, "C"), (700, 900, "C")],
            [(0, 100, A), (100, 200, AB), (200, 500, ABC), (700, 900, C)],
        ),
        # The same again, a little too early; one after the other, without a gap
        ([(0, 520, "A"), (500, 900, "A")], [(0, 500, A), (500, 520, A), (520, 900, A)]),
        ([(0, 500, "A"), (500, 900, "B")], [(0, 500, A), (500, 900, B)]),
    ],
)
def test_subtitles_shown_at_once_share_samples_of_mp4_text(make, split_video, cues, shown):
    # Given subtitles that overlap, which a track of MP4 text cannot
    data = with_text(make, "matroska", "subrip", lines=cues)
    # (Matroska's muxer moves all by what the sound has before zero.)
    moved = round(make.packets(data, "subtitles")[0][0] * 1000) - cues[0][0]
    found = split_video(data)
    # Then it shows at each time what the source does
    with av.open(str(found.side)) as side:
        samples = [
            (p.pts - moved, p.pts + p.duration - moved, bytes(p))
            for p in side.demux(side.streams.subtitles[0])
            if p.size > 2
        ]
    assert samples == shown
    assert not found.end.warnings


def test_text_of_impossible_length_at_the_end_costs_only_its_track(make, split_video):
    # Given subtitles whose duration is damaged, or unknown to the program that wrote it
    cues = [(0, 500, "A"), *((at, at + 2**63 - 1, "B") for at in (500, 510, 520))]
    found = split_video(with_text(make, "matroska", "subrip", lines=cues))
    # Then the rest is all there when that is found out, behind the last packet
    assert found.end.frames == 30
    assert make.packets(found.side)
    assert found.end.warnings[0] == (
        "subtitle track 2 cannot be read to the end: the rest is left out"
    )


def test_plain_text_is_copied_into_matroska(make, split_video):
    data = with_text(make, "matroska", "subrip", sound="pcm_s16le")
    found = split_video(data)
    assert found.source.container == "mkv"
    assert lines(make, found.side) == [line.encode() for _, _, line in LINES] == lines(make, data)


def test_text_that_does_not_fit_is_named_as_left_out(make, split_video):
    found = split_video(with_text(make, "matroska", "ass"))
    assert found.source.dropped == ("subtitle (ass, does not fit mp4)",)
    assert found.end.frames == 30


@pytest.mark.parametrize("sound", ["aac", "pcm_s16le"])
def test_chapters_are_carried_over(make, split_video, sound):
    found = split_video(with_text(make, "matroska", "subrip", sound=sound))
    with av.open(str(found.side)) as side:
        chapters = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in side.chapters()
        ]
    assert chapters == [(Fraction(a, 1000), Fraction(b, 1000), t) for a, b, t in CHAPTERS]


def test_chapter_titles_are_not_reported_as_a_lost_track(make, split_video):
    assert split_video(with_text(make, "mp4", "mov_text")).source.dropped == ()


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        (b"plain", b"\x00\x05plain"),
        (b"{\\an8}<b>Up</b>", b"\x00\x02Up"),
        (b"R&amp;B", b"\x00\x07R&amp;B"),
        ("Grüße".encode(), b"\x00\x07Gr\xc3\xbc\xc3\x9fe"),
        (b"\xff", b"\x00\x03\xef\xbf\xbd"),
        (b"", b"\x00\x00"),
    ],
)
def test_a_line_becomes_a_timed_text_sample(text, sample):
    assert as_mov_text(plain(text, "subrip")) == sample


def test_webvtt_is_shown_without_its_character_references(make, split_video):
    cues = [(0, 300, "<v Bob>&gt;&gt; R&amp;B"), (500, 800, "1 &lt; 2")]
    found = split_video(with_text(make, "matroska", "webvtt", lines=cues))
    assert lines(make, found.side) == [b"\x00\x06>> R&B", b"\x00\x051 < 2"]


def test_a_line_that_is_too_long_is_cut_between_characters():
    sample = as_mov_text("ü".encode() * 40000)
    assert int.from_bytes(sample[:2], "big") == len(sample) - 2 == 0xFFFE
    assert sample[2:].decode() == "ü" * 32767


@pytest.mark.parametrize(
    ("rates", "ticks"),
    [
        ([30000, 48000], 240000),
        ([90000, 44100], 4410000),
        ([12800], 12800),
        ([25, 8000, 11025], 3528000),
    ],
)
def test_start_offsets_are_whole_ticks_of_every_track(rates, ticks):
    assert movie_timescale(rates) == ticks


def test_without_a_common_tick_a_fine_one_is_taken():
    ticks = movie_timescale([35_000_000, 44_100, 48_000, 11_456])
    assert 2**30 < ticks < 2**31
    assert ticks % 35_000_000 == 0


def test_tracks_that_turn_out_empty_leave_no_unreadable_file(make, split_video):
    # Given a Matroska file that is cut off after its first packets, before any sound
    data = make.Video(
        frames=20, format="matroska", sounds=[make.Sound("pcm_s16le", start_s=0.5)],
        metadata={"title": "Short"},
    ).make()  # fmt: skip
    first_sound = data.index(make.packets(data)[0][1])
    found = split_video(data[: first_sound - 20])
    # Then what is left is the picture and the title
    assert found.source.tracks != ()
    with av.open(str(found.side)) as side:
        assert len(side.streams) == 0
        assert side.metadata["title"] == "Short"


def test_a_track_with_a_damaged_header_is_left_out_and_the_others_are_kept(make, split_video):
    # Given two tracks, the second with a header that only writing it shows to be wrong
    sounds = [make.Sound("aac"), make.Sound("libopus")]
    data = make.Video(frames=20, format="matroska", sounds=sounds).make()
    # (it claims a channel map that does not follow)
    at = data.index(b"OpusHead") + 18
    found = split_video(data[:at] + b"\x01" + data[at + 1 :])
    assert make.packets(found.side) == make.packets(data)
    with av.open(str(found.side)) as side:
        assert len(side.streams.audio) == 1
    assert any("track 2" in warning for warning in found.end.warnings)


def test_a_cover_that_matroska_holds_as_a_track_before_the_video_is_left_out(make, split_video):
    # Given what FFmpeg makes of a cover that comes first: the file does not say that it is one
    cover = make.Video(
        frames=1, format="matroska", codec="mjpeg", pixel_format="yuvj420p", options={}
    )
    video = make.Video(frames=20, format="matroska")
    file = io.BytesIO()
    with contextlib.ExitStack() as files:
        sources = [files.enter_context(av.open(io.BytesIO(one.make()))) for one in (cover, video)]
        output = files.enter_context(av.open(file, "w", format="matroska"))
        tracks = [output.add_stream_from_template(one.streams.video[0]) for one in sources]
        for source, track in zip(sources, tracks, strict=True):
            for packet in source.demux():
                if packet.size:
                    packet.stream = track
                    output.mux(packet)
    found = split_video(file.getvalue())
    assert (found.source.codec, found.end.frames, found.end.damaged) == ("h264", 20, False)
    assert found.source.dropped == ("still picture (mjpeg)",)
