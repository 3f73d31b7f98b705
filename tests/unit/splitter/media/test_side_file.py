"""A side file's digest is of what was written, whatever the disk returns."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path

import pytest

from shared.contracts.errors import SourceRefused
from splitter.media import side_file
from splitter.media.side_file import SideFile
from splitter.media.split import EncodedChunk, SplitEnd, SplitOptions, split

FRAMES = 210
"""Seven seconds: Matroska's writer gathers five before it writes them to the disk."""

LOUD = {
    "mp4": ("ac3", "mp4"),
    "mkv": ("pcm_s16le", "matroska"),
    "mkv by a detour": ("adpcm_ms", "avi"),
}


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("kind", LOUD)
@pytest.mark.parametrize("damaged", [False, True])
def test_a_byte_that_the_disk_changes_before_the_seal_is_not_sealed(
    make, tmp_path, monkeypatch, kind, damaged
):
    monkeypatch.setattr(side_file, "BLOCK_BYTES", 4096)
    (codec, form), side = LOUD[kind], tmp_path / "side"
    video = make.Video(frames=FRAMES, format=form, sounds=[make.Sound(codec, duration_s=7.0)])
    events = split(io.BytesIO(video.make()), SplitOptions(first_chunk_frames=8), side)
    frames = 0
    while frames < FRAMES:
        event = next(events)
        frames += event.chunk.frames if isinstance(event, EncodedChunk) else 0
    if damaged:
        flip(side, side.stat().st_size // 2)
        with pytest.raises(SourceRefused, match="work folder") as refused:
            next(events)
        assert refused.value.code == "CORRUPT_SIDE"
        assert not side.exists()
    else:
        end = next(events)
        assert isinstance(end, SplitEnd)
        assert end.side_sha256 == hashlib.sha256(side.read_bytes()).hexdigest()


@pytest.mark.parametrize("seed", range(8))
def test_the_digest_is_that_of_the_file_however_its_writer_goes_back(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(side_file, "BLOCK_BYTES", 64)
    draw, meant = random.Random(seed), io.BytesIO()
    file = SideFile(tmp_path / "side")
    for _ in range(200):
        back = draw.random() < 0.3
        at = draw.randrange(len(meant.getvalue()) + 1) if back else len(meant.getvalue())
        data = draw.randbytes(draw.randrange(150))
        for each in (meant, file):
            each.seek(at)
            each.write(data)
    assert file.seal() == hashlib.sha256(meant.getvalue()).hexdigest()
    assert (tmp_path / "side").read_bytes() == meant.getvalue()


@pytest.mark.parametrize("at", [0, 100, 200, 299])
def test_damage_is_noticed_wherever_it_is(tmp_path, monkeypatch, at):
    monkeypatch.setattr(side_file, "BLOCK_BYTES", 64)
    file = SideFile(tmp_path / "side")
    file.write(bytes(300))
    file.flush()
    flip(tmp_path / "side", at)
    with pytest.raises(SourceRefused, match="work folder"):
        file.seal()
    file.end()


def test_a_part_that_was_damaged_is_not_written_over_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(side_file, "BLOCK_BYTES", 64)
    file = SideFile(tmp_path / "side")
    file.write(bytes(300))
    file.flush()
    flip(tmp_path / "side", 10)
    file.seek(0)
    with pytest.raises(SourceRefused, match="work folder"):
        file.write(b"head")
    file.end()
