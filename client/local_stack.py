"""Where this machine's stack is kept, and how other programs reach it while it runs.

A stack keeps everything in one directory (see `local.workspace`): ``stack.json`` says how to reach
it, and a lock shows whether it is running.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from shared.contracts.errors import ConfigurationError
from shared.contracts.values import Value

STATE_FILE: Final = "stack.json"
LOCK_FILE: Final = "stack.lock"


def default_dir() -> Path:
    """Return the default directory of a stack.

    Raises:
        ConfigurationError: nothing says where the user's files are.
    """
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "stylestream"
    try:
        return Path.home() / ".local" / "state" / "stylestream"
    except RuntimeError as error:
        raise ConfigurationError(["this user has no home folder: set HOME"]) from error


class StackState(Value):
    """The content of ``stack.json``: how to reach a stack, and which ports its directory uses."""

    schema_version: Literal[1] = 1
    state: Literal["running", "stopped"]
    port_block: int
    partitions: int = 8
    """The number of partitions of the frames hub, fixed for the life of the directory."""
    supervisor: int
    storage_connection_string: str
    eventhub_connection_string: str
    endpoints: dict[str, str]
    processes: dict[str, int | None]
    studio_address: str = ""
    """Includes the token that opens the studio; empty without a studio."""


def running_stack(directory: Path) -> StackState | None:
    """Return how to reach the stack that runs in ``directory``; None when none does."""
    state = read_state(directory)
    if state is None or state.state != "running":
        return None
    with ExitStack() as held:
        try:
            # A supervisor that was killed leaves "running" behind, but its lock is gone.
            lock(directory, fcntl.LOCK_SH, held)
        except BlockingIOError:
            return state
    return None


def read_state(directory: Path) -> StackState | None:
    """Return what a stack last wrote about itself; None if that is missing or unreadable.

    Raises:
        ConfigurationError: the directory cannot be read.
    """
    try:
        return StackState.model_validate_json((directory / STATE_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    except OSError as error:
        raise ConfigurationError(
            [f"{directory} cannot be read as a stack's folder: {error.strerror}"]
        ) from error


def lock(directory: Path, mode: int, held: ExitStack) -> None:
    """Take a directory's lock in a mode of ``fcntl.flock``, until ``held`` is closed.

    Raises:
        BlockingIOError: it is held elsewhere.
    """
    with ExitStack() as kept:
        file = kept.enter_context((directory / LOCK_FILE).open("a"))
        fcntl.flock(file, mode | fcntl.LOCK_NB)
        held.enter_context(kept.pop_all())
