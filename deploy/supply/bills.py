"""Checks that bills of materials are valid CycloneDX: ``python -m deploy.supply.bills FILE...``.

Needs ``.venv-deploy``, which has the schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main() -> None:
    """Exit 1 with a sentence if a file is invalid or incomplete."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for file in map(Path, sys.argv[1:]):
        text = file.read_text(encoding="utf-8")
        if fault := validator.validate_str(text):
            sys.exit(f"bills: {file} is not CycloneDX 1.6: {fault}")
        names = [component["name"] for component in json.loads(text)["components"]]
        if "av" not in names:
            sys.exit(f"bills: {file} does not name the package av, which all images hold")
        print(f"bills: {file}: {len(names)} components")


if __name__ == "__main__":
    main()
