"""Has a hostile decoder try every door, and reports which it found open.

Tests do it here; ``scripts/check-images`` does it in a container of the splitter's image, where
there is Python's standard library and no pytest: ``python doors.py`` prints what it found, and ends
with exit code 1 if a door is open in the sandbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

HOSTILE: Final = Path(__file__).parent / "unit/splitter/decoder/hostile.py"
VICTIM: Final = Path(__file__).parent / "unit/splitter/decoder/victim.py"

NOBODY: Final = 65534
USER: Final = NOBODY if os.getuid() == 0 else os.getuid()
"""Whom hostile decoders run as: root would be let through doors, and kept from others, by rules
that are not the sandbox's."""

How = Literal["free", "confined", "on a thread"]
Found = dict[str, str]
"""``open`` or ``shut`` by door."""


def tried(how: How, path: str) -> Found:
    """Let a hostile decoder try all doors.

    ``path`` is where its packages are found, as in ``PYTHONPATH``.

    Raises:
        RuntimeError: it ended otherwise, or the file that is its own was not open to it.
    """
    with two_jobs() as folder, another_process() as (pid, secret), open_port() as port:
        ended = subprocess.run(
            [sys.executable, HOSTILE, str(folder), str(pid), str(port), how, secret],
            env={"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode or (folder / "own/side").read_bytes() != b"tracks":
            raise RuntimeError(f"the hostile decoder ended with {ended.returncode}: {ended.stderr}")
        found: Found = json.loads(ended.stdout)
        return found


@contextlib.contextmanager
def two_jobs() -> Iterator[Path]:
    """Make a folder that an ordinary user can reach, with the files of two jobs and a token."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        for file in ("own/side", "neighbour/side", "neighbour/deleted", "neighbour/renamed"):
            (made / file).parent.mkdir(exist_ok=True)
            (made / file).touch()
        (made / "token").write_text("federated")
        for path in (made, *made.rglob("*")):
            os.chown(path, USER, -1)
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield made


@contextlib.contextmanager
def another_process() -> Iterator[tuple[int, str]]:
    """Run another process of the same user; yield its id, and the address of its secret."""
    with subprocess.Popen(
        [sys.executable, VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.pid, process.stdout.readline().strip()
        process.kill()


@contextlib.contextmanager
def open_port() -> Iterator[int]:
    """Listen on a port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def main() -> None:
    """Try all doors without the sandbox and in it."""
    path = os.environ["PYTHONPATH"]
    free = opened(tried("free", path))
    print(f"doors: {len(free)} are open without the sandbox")
    for how in ("confined", "on a thread"):
        found = tried(how, path)
        print(f"doors: {how}, {len(opened(found))} of {len(found)} are open")
        if still := opened(found):
            sys.exit(f"doors: open in the sandbox: {', '.join(still)}")
    if not free:
        sys.exit("doors: none is open without the sandbox either, so nothing was shown")


def opened(found: Found) -> list[str]:
    """Return the doors that were open."""
    return [door for door, state in found.items() if state == "open"]


if __name__ == "__main__":
    main()
