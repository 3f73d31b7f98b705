"""``stylestream link``: addresses for uploading a video or downloading a result."""

from __future__ import annotations

from argparse import Namespace

from client import open_pipeline


async def upload(arguments: Namespace) -> int:
    """Print a link to upload a video to."""
    async with open_pipeline(arguments.dir) as pipeline:
        link = await pipeline.upload_link(
            arguments.name, arguments.hours, overwrite=arguments.overwrite
        )
        print(link)
    return 0


async def download(arguments: Namespace) -> int:
    """Print a link to download a job's result from."""
    async with open_pipeline(arguments.dir) as pipeline:
        print(await pipeline.download_link(arguments.job, arguments.hours))
    return 0
