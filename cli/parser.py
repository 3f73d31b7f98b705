"""An argument parser that accepts options anywhere, and suggests words for mistyped ones."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn, TypeAlias

USAGE_ERROR: Final = 2
"""The exit code for wrong usage."""

CommandParsers: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - it has no public name


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a clause that suggests the most similar known word; empty if none is similar.

    >>> suggestion("stauts", ["run", "status"])
    "; did you mean 'status'?"
    """
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class Parser(argparse.ArgumentParser):
    """Parses one command, or passes its words to the parser of a subcommand.

    ``run a.mp4 --style x b.mp4`` has two videos; argparse alone would refuse the second. Every
    error is a sentence, followed by where to find help.
    """

    def __init__(self, **settings: Any) -> None:
        # Abbreviations would change their meaning whenever an option is added.
        super().__init__(allow_abbrev=False, **settings)
        self._commands: CommandParsers | None = None
        self._intermixing = False

    def add_commands(self, metavar: str) -> CommandParsers:
        """Add required subcommands to this parser."""
        self._commands = self.add_subparsers(required=True, metavar=metavar, parser_class=Parser)
        return self._commands

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse ``args``; an unknown word is an error of this parser."""
        words = sys.argv[1:] if args is None else list(args)
        if self._commands is not None:
            self._check_command(words)
            return super().parse_known_args(words, namespace)
        if self._intermixing:  # argparse parses options and the rest in two passes, both by this
            return super().parse_known_args(words, namespace)
        self._intermixing = True
        try:
            parsed, unknown = self.parse_known_intermixed_args(_without_dashes(words), namespace)
        finally:
            self._intermixing = False
        if unknown:
            self.error(self._unknown(unknown[0]))
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """Exit with a sentence on stderr that says where to find help."""
        self.exit(USAGE_ERROR, f"stylestream: {message}\nSee '{self.prog} --help'.\n")

    def _check_command(self, words: list[str]) -> None:
        if not words:
            self.print_help(sys.stderr)
            self.exit(USAGE_ERROR)
        assert self._commands is not None
        known = self._commands.choices
        command = next((word for word in words if not word.startswith("-")), None)
        if command is not None and command not in known:
            listed = suggestion(command, known) or f": choose from {', '.join(known)}"
            self.error(f"{command!r} is not a command{listed}")

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"{word!r} is one argument too many"
        option = word.partition("=")[0]
        return f"{option!r} is not an option{suggestion(option, self._option_string_actions)}"


def _without_dashes(words: list[str]) -> list[str]:
    """Return equivalent words without ``--``, which argparse forgets between its passes.

    Words after it that begin with a dash are file names.
    """
    if "--" not in words:
        return words
    place = words.index("--")
    names = [f"./{word}" if word.startswith("-") else word for word in words[place + 1 :]]
    return words[:place] + names
