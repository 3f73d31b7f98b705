"""An argument parser that accepts options anywhere, and suggests words for mistyped ones."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

USAGE_ERROR: Final = 2
"""The exit code for wrong usage."""

_REWORDED: Final = (
    (r"the following arguments are required: ([^,]*)", r"\1 is missing"),
    (r"the following arguments are required: (.*)", r"\1 are missing"),
    (r"argument (\S+): not allowed with argument (\S+)", r"\1 is not allowed with \2"),
    (r"argument (\S+): ignored explicit argument (.*)", r"\1 takes no value, not \2"),
    (r"argument (\S+): (.*)", r"\1 \2"),
)
"""What argparse says, and how to say it in a sentence."""

_NUMBER: Final = re.compile(r"-[0-9.]")

CommandParsers: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - it has no public name


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a clause that suggests the most similar known word; empty if none is similar.

    >>> suggestion("stauts", ["run", "status"])
    "; did you mean 'status'?"
    """
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def listed(words: Sequence[str]) -> str:
    """Return words as a choice of one.

    >>> listed(["bash", "zsh", "tcsh"])
    'bash, zsh or tcsh'
    """
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


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
        if not self._intermixing:
            self._check_options(words)
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
            self.error(f"{unknown[0]!r} is one argument too many")
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """Exit with a sentence on stderr that says where to find help."""
        sentence = self._reworded(message)
        self.exit(USAGE_ERROR, f"stylestream: {sentence}\nSee '{self.prog} --help'.\n")

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

    def _check_options(self, words: list[str]) -> None:
        """End with an error for the first option that there is not.

        argparse would first miss the arguments that the command needs.
        """
        for word in words:
            if word == "--" or (self._commands is not None and not word.startswith("-")):
                return  # file names follow, or a command with options of its own
            option = word.partition("=")[0]
            known = {option, word[:2]} & self._option_string_actions.keys()
            # argparse takes these for arguments.
            plain = not word.startswith("-") or word == "-" or " " in word or _NUMBER.match(word)
            if not (known or plain):
                self.error(f"{option!r} is not an option{self._meant(word, option)}")

    def _meant(self, word: str, option: str) -> str:
        if Path(word).exists():
            return f"; for the file of this name, write ./{word}"
        return suggestion(option, self._option_string_actions)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choice = listed([str(word) for word in action.choices])
            raise argparse.ArgumentError(action, f"must be {choice}, not {value!r}")

    def _reworded(self, message: str) -> str:
        if found := re.fullmatch(r"argument (\S+): expected .*", message):
            option = found[1].rpartition("/")[2]
            action = self._option_string_actions[option]
            choices = f"{{{','.join(map(str, action.choices))}}}" if action.choices else ""
            value = action.metavar or choices or action.dest.upper()
            return f"{found[1]} needs a value: {option} {value}"
        for pattern, replacement in _REWORDED:
            if found := re.fullmatch(pattern, message):
                return found.expand(replacement)
        return message


def _without_dashes(words: list[str]) -> list[str]:
    """Return equivalent words without ``--``, which argparse forgets between its passes.

    Words after it that begin with a dash are file names.
    """
    if "--" not in words:
        return words
    place = words.index("--")
    names = [f"./{word}" if word.startswith("-") else word for word in words[place + 1 :]]
    return words[:place] + names
