"""Videos that cannot be read are reported as every failure of the client is."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import Account, ConfigurationError, StyleRequest, open_pipeline

KEY = (
    "DefaultEndpointsProtocol=http;AccountName=n;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/n"
)


async def test_a_video_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    async with open_pipeline(Account(KEY)) as pipeline:
        for video, why in ((tmp_path / "gone.mp4", "No such file"), (tmp_path, "Is a directory")):
            with pytest.raises(ConfigurationError, match=f"{video}: {why}"):
                await pipeline.submit(video, StyleRequest(style="udnie"))
