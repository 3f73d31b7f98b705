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
"""What children inherit of the supervisor's environment: facts about the machine, not settings.

`painting_settings` are the exception.
"""

PAINTING = ("ENGINE", "PRECISION", "SEGMENT_ENCODER", "CHUNK_DECODER")
"""The variables that say what networks and codecs run on."""


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs one of our modules under this Python."""
    # -P keeps modules in the working directory from being imported.
    return (sys.executable, "-P", "-m", module, *arguments)


def inherited(temporary: Path) -> dict[str, str]:
    """Return the environment of every child, with ``temporary`` as folder for temporary files."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary)}
    root = str(Path(__file__).resolve().parents[1])
    # A checkout need not be installed: children find the packages where this process found them.
    own = [] if root == sysconfig.get_path("purelib") else [root]
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join(own + [str(Path(p).absolute()) for p in given if p])
    return environment


def unlimited() -> dict[str, str]:
    """Return settings without limits on uploads, since the machine is its user's own."""
    return {
        f"BUDGET_{part}": "0"
        for part in ("OPEN_JOBS", "DAILY_VIDEOS", "DAILY_BYTES", "DAILY_FRAMES")
    }


def painting_settings() -> dict[str, str]:
    """Return the environment's settings for painting: the styles' folder, engine and codecs.

    The services must know every style that the command line accepts, and a GPU is asked for in the
    same way on one machine as in a deployment. Stylizers on one machine are alike, so they may
    encode on its GPU.
    """
    settings = {"SEGMENT_ENCODER": "auto"}
    settings |= {name: os.environ[name] for name in PAINTING if os.environ.get(name)}
    if folder := os.environ.get("STYLES_DIR"):
        settings["STYLES_DIR"] = str(Path(folder).absolute())
    return settings
