"""``stylestream link``: addresses to upload a video to, or to download a result from."""

from __future__ import annotations

from argparse import Namespace

from cli.commands.jobs import known, result_of
from client.account import find_account, open_account
from client.jobs import Jobs
from client.links import Links
from shared.storage.blobs import BlobStore


async def upload(arguments: Namespace) -> int:
    """Print a link to upload a video to."""
    account = find_account(arguments.dir)
    async with open_account(account) as client:
        container = account.containers.uploads
        print(await Links(client).upload(container, arguments.name, arguments.hours))
    return 0


async def download(arguments: Namespace) -> int:
    """Print a link to download a job's result from."""
    account = find_account(arguments.dir)
    async with open_account(account) as client:
        record = await known(Jobs(BlobStore(client), account.containers), arguments.job)
        container = account.containers.results
        print(await Links(client).download(container, result_of(record), arguments.hours))
    return 0
