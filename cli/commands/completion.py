"""``stylestream completion``: completion of the command line in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shtab

from cli.command_line import build_parser
from cli.results import Output
from local.defaults import gallery


async def completion(arguments: argparse.Namespace) -> int:
    """Print a script that completes commands, options, styles, and names of files."""
    parser = build_parser()
    for action in _actions(parser):
        described: Any = action  # shtab reads an attribute that argparse does not know
        if action.type in (Path, Output) or action.metavar == "VIDEO":
            described.complete = shtab.FILE
        elif action.metavar == "STYLE":
            action.choices = list(gallery().styles)
    print(shtab.complete(parser, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _actions(command)
