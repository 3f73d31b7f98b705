"""Print what pyproject.toml requires, one requirement a line: the services' packages and extras.

``python requirements.py [EXTRA...] [--without PACKAGE]``. It lets an image install the packages
before the source is there, so that a change of the source does not install them anew.
"""

# ruff: noqa: INP001 - a script of the image's build, in no package

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path


def main() -> None:
    """Print the requirements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extras", nargs="*")
    parser.add_argument("--without", action="append", default=[])
    arguments = parser.parse_args()
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = list(project["dependencies"])
    for extra in arguments.extras:
        requirements += project["optional-dependencies"][extra]
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        if name is None or name[0] not in arguments.without:
            print(requirement)


if __name__ == "__main__":
    main()
