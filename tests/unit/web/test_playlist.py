"""The playlist is one that a real HLS player reads, frame by frame."""

from __future__ import annotations

from fractions import Fraction

import av
from videos import Video, number_of

from shared.contracts.segment_place import SegmentPlace
from splitter.media.split import SplitOptions
from web.live.index import Index
from web.live.playlist import playlist
from web.live.remux import init_fragment, media_fragment


def test_a_player_of_hls_shows_every_frame_at_its_time(split_video, tmp_path):
    split = split_video(
        Video(frames=70).make(), SplitOptions(chunk_frames=16, first_chunk_frames=8)
    )
    places = [SegmentPlace.of(one.chunk, split.source.time_base) for one in split.chunks]
    (tmp_path / "live").mkdir()
    segments = split.segments()
    (tmp_path / "live/init.mp4").write_bytes(init_fragment(segments[0]))
    for number, (segment, place) in enumerate(zip(segments, places, strict=True)):
        data = media_fragment(segment, place.first_tick, number)
        (tmp_path / f"live/{number}.m4s").write_bytes(data)
    path = tmp_path / "live.m3u8"
    path.write_text(playlist(places, ended=True), encoding="ascii")

    with av.open(str(path), options={"allowed_extensions": "ALL"}) as container:
        frames = [(frame.pts * frame.time_base, frame) for frame in container.decode(video=0)]

    assert [number_of(frame) for _, frame in frames] == list(range(70))
    times = [Fraction(frame.pts) * split.source.time_base for frame in split.frames()]
    late = [abs(at - time) for (at, _), time in zip(frames, times, strict=True)]
    assert max(late) < Fraction(1, 1000)


def test_segments_out_of_order_are_known_and_not_played_before_the_gap_is_filled():
    def place(number: int) -> tuple[int, SegmentPlace]:
        return number, SegmentPlace(number * 10, 10, Fraction(1, 5))

    index = Index()
    index.add([place(0), place(3), place(4), place(6)])
    assert len(index.playable) == 1
    assert index.playable_s == 2
    assert index.painted_ahead() == [(6, 10), (12, 14)]
    assert index.place(3) == place(3)[1]
    assert index.place(5) is None

    index.add([place(1), place(2)])
    assert len(index.playable) == 5
    assert index.painted_ahead() == [(12, 14)]
