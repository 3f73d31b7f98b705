"""What players show in their menus of a track: its language, its title, and what it is for."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest
from av.stream import Disposition
from videos import copy_packets, write_text

LABELS = [
    ("eng", "Stereo", Disposition.default),
    ("eng", "Commentary", Disposition.comment),
    ("fra", "Décrit", Disposition.visual_impaired),
    ("deu", "Deutsch", Disposition.dub),
]
CAPTIONS = [
    ("eng", "English (SDH)", Disposition.hearing_impaired),
    ("eng", "Signs", Disposition.forced),
]


def labelled(make, sound, container):
    """A video with a track of sound for each of LABELS and of text for each of CAPTIONS."""
    sounds = [make.Sound(sound) for _ in LABELS]
    plain = io.BytesIO(make.Video(frames=9, format="matroska", options={}, sounds=sounds).make())
    text = "mov_text" if container == "mp4" else "subrip"
    file = io.BytesIO()
    with av.open(plain) as source, av.open(file, "w", format=container) as target:
        tracks = [target.add_stream_from_template(stream) for stream in source.streams]
        texts = [target.add_mux_stream(text, time_base=Fraction(1, 1000)) for _ in CAPTIONS]
        for track, (language, title, purpose) in zip(
            [*tracks[1:], *texts], [*LABELS, *CAPTIONS], strict=True
        ):
            track.metadata.update({"language": language, "title": title})
            track.disposition = purpose
        for track in texts:
            write_text(target, track, b"\0\2Oh" if text == "mov_text" else b"Oh")
        copy_packets(source, target, tracks)
    return file.getvalue()


def tracks_of(path):
    """The copied tracks of a result: language, title and purposes."""
    with av.open(str(path)) as result:
        return [
            (track.metadata["language"], track.metadata.get("title") or track.metadata.get("name"),
             track.disposition)
            for track in (*result.streams.audio, *result.streams.subtitles)
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "sound", "container"),
    [("mp4", "aac", "mp4"), ("matroska", "aac", "mp4"), ("matroska", "wavpack", "mkv")],
)
def test_tracks_keep_their_languages_titles_and_purposes(
    make, split_video, join, source, sound, container
):
    out = join(split_video(labelled(make, sound, source)))
    assert out.suffix == f".{container}"
    for found, wanted in zip(tracks_of(out), [*LABELS, *CAPTIONS], strict=True):
        assert found[:2] == wanted[:2]
        assert found[2] & wanted[2]


def test_a_title_is_in_both_places_where_players_look_for_it_in_mp4(make, split_video, join):
    data = join(split_video(labelled(make, "aac", "matroska"))).read_bytes()
    for _, title, _ in (*LABELS, *CAPTIONS):
        assert title.encode() + b"\0" in data  # hdlr
        assert b"name" + title.encode() in data  # udta


@pytest.mark.parametrize(
    ("handler", "title"),
    [
        ("Commentary", "Commentary"),
        ("SoundHandler", None),
        ("Core Media Audio", None),
        ("ISO Media file produced by Google Inc.", None),
        ("\x10GoPro AAC", None),
    ],
)
def test_a_handlers_name_is_a_title_unless_it_names_software(
    make, split_video, join, handler, title
):
    # Given an MP4 whose tracks have no titles
    file = io.BytesIO()
    data = make.Video(frames=9, sounds=[make.Sound()]).make()
    with av.open(io.BytesIO(data)) as source, av.open(file, "w", format="mp4") as target:
        tracks = [target.add_stream_from_template(stream) for stream in source.streams]
        tracks[1].metadata["handler_name"] = handler
        copy_packets(source, target, tracks)
    out = join(split_video(file.getvalue()))
    assert [name for _, name, _ in tracks_of(out)] == [title]


def test_what_ogg_says_of_a_track_is_about_the_file(make, split_video, join):
    data = make.Video(
        frames=9, format="ogg", codec="libvpx", options={}, time_base=Fraction(1, 30),
        pts=range(9), sounds=[make.Sound("libopus")], metadata={"title": "A day", "date": "2011"},
    ).make()  # fmt: skip
    out = join(split_video(data))
    assert [title for _, title, _ in tracks_of(out)] == [None]
    with av.open(str(out)) as result:
        assert (result.metadata["title"], result.metadata["date"]) == ("A day", "2011")
