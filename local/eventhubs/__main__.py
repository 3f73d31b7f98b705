"""Run the broker by itself: ``python -m local.eventhubs --data DIR --hub frames:8``.

Prints one line when clients can connect, ``ready <connection string>``, and nothing
else on standard output. SIGTERM and SIGINT stop it cleanly, with exit status 0; invalid
arguments are reported on standard error, with exit status 2.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Final

from local.eventhubs.config import Settings, parse_arguments
from local.eventhubs.errors import ConfigurationError
from local.eventhubs.server import EventHubs

_FILES: Final = 4_096  # enough for every connection and partition that is allowed


def raise_file_limit() -> None:
    """Raise the limit on open files to what the broker needs, if possible: macOS allows 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(settings: Settings) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = EventHubs(
        settings.data_dir,
        settings.hubs,
        port=settings.port,
        host=settings.host,
        policy=settings.policy,
        key=settings.key,
        retention=settings.retention,
    )
    async with server:
        print(f"ready {server.connection_string}", flush=True)
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return the exit status."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    raise_file_limit()
    try:
        settings = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        asyncio.run(serve(settings))
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"eventhubs: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
