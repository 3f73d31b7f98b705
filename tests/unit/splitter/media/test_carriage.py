"""Whether a container holds a track depends on the muxer, not on the disk."""

from __future__ import annotations

import errno
import io

import av
import av.error
import pytest

from shared.media import containers


def test_a_full_disk_does_not_make_a_track_one_that_does_not_fit(
    make, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        av.error.err_check(-errno.ENOSPC)

    monkeypatch.setattr(containers, "open_trial", full)
    video = make.Video(frames=3, sounds=[make.Sound()]).make()
    with av.open(io.BytesIO(video)) as source, pytest.raises(OSError, match="space"):
        containers.fits(source.streams.audio[0], "mp4", tmp_path)
