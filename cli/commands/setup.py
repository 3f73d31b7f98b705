"""``stylestream setup``: installs what a local stack needs besides Python packages."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from cli.progress import JobProgress
from local import azurite_setup
from shared.contracts.errors import StylestreamError


async def setup(arguments: Namespace) -> int:
    """Install Azurite and print where it is."""
    with JobProgress(quiet=arguments.quiet) as progress:
        await ensure_azurite(progress)
    print(f"Azurite is installed in {azurite_setup.find_installed()}")
    return 0


async def ensure_azurite(progress: JobProgress) -> None:
    """Install Azurite unless it is installed.

    Raises:
        StylestreamError: it cannot be installed; the message says why.
    """
    if azurite_setup.find_installed() is not None:
        return
    progress.say("installing Azurite, the storage of the local stack, once (half a minute) ...")
    try:
        await asyncio.to_thread(azurite_setup.install)
    except (azurite_setup.SetupError, OSError) as error:
        raise StylestreamError(f"Azurite cannot be installed: {error}") from error
