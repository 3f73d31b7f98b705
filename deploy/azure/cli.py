"""Runs the Azure command line for azd's hooks.

Of the standard library alone, like all hooks: they run on machines where nothing is set up.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any


class AzureCliError(Exception):
    """The Azure command line is missing, not signed in, or refused."""


def az(*arguments: str) -> Any:
    """Run ``az`` and return its answer, parsed.

    Raises:
        AzureCliError: with the last line that it said.
    """
    done = subprocess.run(
        [_program(), *arguments, "--only-show-errors", "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise AzureCliError(f"az {' '.join(arguments[:2])}: {said[-1]}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def show_az(*arguments: str) -> None:
    """Run ``az`` for people to watch, such as a build of minutes.

    Raises:
        AzureCliError: it failed; why, was to be read.
    """
    show(_program(), *arguments)


def show(*command: str) -> None:
    """Run any program for people to watch.

    Raises:
        AzureCliError: it is not installed, or failed; why, was to be read.
    """
    words = " ".join((Path(command[0]).stem, *command[1:3]))
    try:
        done = subprocess.run(command, check=False)
    except FileNotFoundError as error:
        raise AzureCliError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise AzureCliError(f"{words}: exit code {done.returncode}")


def _program() -> str:
    # On Windows it is az.cmd, which only a search finds.
    program = shutil.which("az")
    if program is None:
        raise AzureCliError("the Azure command line (az) is not installed")
    return program
