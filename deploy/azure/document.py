"""Writes the tables of docs/azure.md: parameters from main.bicep, costs from prices.json.

A test checks that they are up to date. ::

    python -m deploy.azure.document
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

from deploy.azure import costs
from deploy.azure.bicep import read
from deploy.azure.manifests import ROOT
from deploy.azure.quota import PARAMETERS
from deploy.sections import with_section

DOCUMENT: Final = ROOT / "docs/azure.md"
MAIN: Final = ROOT / "deploy/azure/main.bicep"


def parameters() -> Iterator[str]:
    """Yield the table of variables for ``azd env set``, as lines of Markdown."""
    variables = json.loads(PARAMETERS.read_text(encoding="utf-8"))["parameters"]
    yield "| variable | default | |"
    yield "|---|---|---|"
    for name, parameter in read(MAIN).parameters.items():
        variable, _, default = variables[name]["value"].strip("${}").partition("=")
        yield f"| `{variable}` | {f'`{default}`' if default else ''} | {parameter.description} |"


def prices() -> Iterator[str]:
    """Yield the tables of costs and of the prices that they are based on."""
    yield from costs.tables(costs.Prices.read())
    yield ""
    yield from costs.sources()


TABLES: Final[dict[str, Callable[[], Iterator[str]]]] = {"parameters": parameters, "costs": prices}


def with_tables(document: str) -> str:
    """Return the document with today's tables."""
    for name, table in TABLES.items():
        document = with_section(document, name, "\n".join((*table(), "")))
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
