"""Runs the Azure command line for azd's hooks, in the subscription of azd's environment.

Like all hooks it uses only the standard library, since they run before anything is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any


class AzureCliError(Exception):
    """The Azure command line is missing or not signed in, or a command failed."""


def az(*arguments: str) -> Any:
    """Run ``az`` and return its parsed output.

    Raises:
        AzureCliError: it failed; the message is the last line of its error output.
    """
    done = subprocess.run(
        [_program(), *arguments, "--only-show-errors", "--output", "json", *subscription()],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise AzureCliError(f"az {' '.join(arguments[:2])}: {said[-1]}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def show_az(*arguments: str) -> None:
    """Run ``az`` with its output on the terminal, for commands that take minutes.

    Raises:
        AzureCliError: it failed; the cause is on the terminal.
    """
    show(_program(), *arguments, *subscription())


def subscription() -> tuple[str, ...]:
    """Return the option that selects azd's subscription; none outside azd's environment.

    Without it, ``az`` takes its own default, which may be another one.
    """
    chosen = os.environ.get("AZURE_SUBSCRIPTION_ID")
    return ("--subscription", chosen) if chosen else ()


def show(*command: str) -> None:
    """Run any program with its output on the terminal.

    Raises:
        AzureCliError: it is not installed, or it failed; the cause is on the terminal.
    """
    words = " ".join((Path(command[0]).stem, *command[1:3]))
    try:
        done = subprocess.run(command, check=False)
    except FileNotFoundError as error:
        raise AzureCliError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise AzureCliError(f"{words}: exit code {done.returncode}")


def _program() -> str:
    # On Windows it is az.cmd, which has to be searched for.
    program = shutil.which("az")
    if program is None:
        raise AzureCliError("the Azure command line (az) is not installed")
    return program
