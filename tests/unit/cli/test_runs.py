"""What ends ``run`` and ``submit`` halfway, and what they say then."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from cli.commands import run
from cli.commands.place import Place
from cli.main import main
from client import Account, open_pipeline
from local import azurite
from local.defaults import SAMPLE

pytestmark = pytest.mark.usefixtures("bare_environment")


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int | str | None, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code, capsys.readouterr().err


def test_who_asks_for_a_video_of_a_photo_is_shown_how_to_paint_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "my photo.png")
    (tmp_path / "text.mp4").write_bytes(b"this is a text")
    code, said = told(capsys, "run", "my photo.png", "text.mp4", "-q")
    photo, text = said.splitlines()
    assert code == 1
    assert "a PNG image, not a video" in photo
    assert photo.endswith("A photo is painted by: stylestream preview 'my photo.png'.")
    assert "preview" not in text


def test_a_video_that_goes_while_the_stack_starts_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    unused_port: int,
) -> None:
    video = Path(shutil.copyfile(SAMPLE, tmp_path / "clip.mp4"))

    @asynccontextmanager
    async def started(*_: object) -> AsyncIterator[Place]:
        async with open_pipeline(Account(azurite.connection_string(unused_port))) as pipeline:
            await asyncio.to_thread(video.unlink)
            yield Place(pipeline, tmp_path, lambda: None)

    monkeypatch.setattr(run, "open_place", started)
    assert told(capsys, "run", "clip.mp4", "-q") == (
        2,
        "stylestream: clip.mp4: No such file or directory\n",
    )
