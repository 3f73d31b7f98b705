"""Writes the shell of every workflow's steps into files, as the runner does, for shellcheck.

python -m deploy.supply.workflows FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from deploy.supply.locked import ROOT

WORKFLOWS: Final = ROOT / ".github/workflows"


def main() -> None:
    """Write ``WORKFLOW-JOB-STEP.sh`` for each step that runs a shell."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, script in scripts():
        (folder / f"{name}.sh").write_text(script, encoding="utf-8")


def scripts() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every step's script; Linux runners start ``bash -e``."""
    for file in sorted(WORKFLOWS.glob("*.yml")):
        workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
        for job, what in workflow["jobs"].items():
            for number, step in enumerate(what["steps"], start=1):
                if "run" in step:
                    yield f"{file.stem}-{job}-{number}", f"#!/bin/bash -e\n{step['run']}"


if __name__ == "__main__":
    main()
