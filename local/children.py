"""How the stack's Python processes are started: their command and their environment."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    *("PYTHONPATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SSL_CERT_FILE"),
)
"""What of the supervisor's environment its children see: the machine's ways, no settings.

`painting_settings` are the exception.
"""

_PAINTING = ("ENGINE", "PRECISION", "SEGMENT_ENCODER", "CHUNK_DECODER")


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs one of our modules under this Python."""
    # -P: whatever lies in the working directory is no module of ours.
    return (sys.executable, "-P", "-m", module, *arguments)


def inherited(temporary: Path) -> dict[str, str]:
    """Return the environment that every child begins with; it has a folder for temporary files."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary)}
    root = str(Path(__file__).resolve().parents[1])
    # A checkout need not be installed: the children find the packages where we found them.
    own = [] if root == sysconfig.get_path("purelib") else [root]
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join(own + [str(Path(p).absolute()) for p in given if p])
    return environment


def unlimited() -> dict[str, str]:
    """Return what lets a splitter take any number of videos: the machine is its user's own."""
    return {
        f"BUDGET_{part}": "0"
        for part in ("OPEN_JOBS", "DAILY_VIDEOS", "DAILY_BYTES", "DAILY_FRAMES")
    }


def painting_settings() -> dict[str, str]:
    """Return what the environment says of painting: the styles' folder, engine and codecs.

    What the command line accepts as a style, the services must know; and a person with a GPU
    asks for it in the same way on one machine as in a deployment. Stylizers on one machine are
    alike, so that they may encode on its GPU.
    """
    settings = {"SEGMENT_ENCODER": "auto"}
    settings |= {name: os.environ[name] for name in _PAINTING if os.environ.get(name)}
    if folder := os.environ.get("STYLES_DIR"):
        settings["STYLES_DIR"] = str(Path(folder).absolute())
    return settings


def cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
