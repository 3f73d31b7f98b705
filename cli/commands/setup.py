"""``stylestream setup``: what the stack of this machine needs besides Python packages."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from cli.progress import JobProgress
from local import azurite_setup
from shared.contracts.errors import StylestreamError


async def setup(arguments: Namespace) -> int:
    """Install Azurite, and say where it is."""
    with JobProgress(quiet=arguments.quiet) as progress:
        await ensure_azurite(progress)
    print(f"Azurite is installed in {azurite_setup.find_installed()}")
    return 0


async def ensure_azurite(progress: JobProgress) -> None:
    """Install Azurite if it is not there yet.

    Raises:
        StylestreamError: it cannot be installed; the sentence says why.
    """
    if azurite_setup.find_installed() is not None:
        return
    progress.say("installing Azurite, the storage of the local stack, once (about a minute) ...")
    try:
        await asyncio.to_thread(azurite_setup.install)
    except (azurite_setup.SetupError, OSError) as error:
        raise StylestreamError(f"Azurite cannot be installed: {error}") from error
