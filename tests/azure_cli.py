"""A stand-in for the Azure and Kubernetes command lines, since neither is available to tests."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any


class Az:
    """A program in ``folder``: answers from a table, and keeps a record of words and input."""

    def __init__(self, folder: Path, name: str = "az") -> None:
        self._folder = folder / f"of-{name}"
        self._folder.mkdir()
        program = folder / name
        program.write_text(
            # Without the environment's packages, which take longer to find than it runs.
            f"#!{sys.executable} -IS\n"
            "import json, pathlib, sys\n"
            f"folder = pathlib.Path({str(self._folder)!r})\n"
            "given = '' if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()\n"
            "for file, words in (('calls', sys.argv[1:]), ('inputs', given)):\n"
            "    with (folder / file).open('a') as record:\n"
            "        record.write(json.dumps(words) + '\\n')\n"
            "for entry in json.loads((folder / 'answers').read_text()):\n"
            "    if set(entry['to']) <= set(sys.argv[1:]):\n"
            "        says = entry['says']\n"
            "        print(says if isinstance(says, str) else json.dumps(says))\n"
            "        sys.exit()\n"
            "sys.exit('ERROR: nobody knows')\n"
        )
        program.chmod(0o755)

    def answers(self, *answers: tuple[str, Any]) -> None:
        table = [{"to": shlex.split(command), "says": says} for command, says in answers]
        (self._folder / "answers").write_text(json.dumps(table))

    @property
    def calls(self) -> list[list[str]]:
        return self._recorded("calls")

    @property
    def inputs(self) -> list[str]:
        """What each call was given on its standard input."""
        return self._recorded("inputs")

    def _recorded(self, what: str) -> list[Any]:
        record = self._folder / what
        lines = record.read_text().splitlines() if record.exists() else []
        return [json.loads(line) for line in lines]
