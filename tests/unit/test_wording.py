"""What users read is plain English: pages, help texts, and the sentences of the command line.

The patterns are habits that were found more than once. Each has a better word, which is given.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cli.command_line import build_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])

HABITS: Final = {
    r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|\w+er\b)\w+": "is not a ...",
    r"\b(?:is|are) none of (?:ours|the|these|those)\b": "is not one of ...",
    r"\bfor ever\b": "forever",
    r"\bwish(?:es|ed)?\b": "request",
    r"\bstrangers?\b": "untrusted user",
    r"\b(?:lies?|lay) (?:in|at|on|behind|beside|there|here)\b": "is, is stored",
    r"\bwhere \w+ \w+ lies?\b": "where it is",
    r"\b(?:is|are|was|were) told\b": "sees, gets, is reported",
    r"\brings?\b": "fires",
    r"\bawake\b|\bsleeps?\b": "is running, is at zero",
    r"\bhouse\b": "pipeline",
    r"^[#|>*\s-]*What \w+(?: \w+){0,4} is (?:is|are)\b": "name the thing first",
}
FIGURE = re.compile(r"\d (?:frames/s|ms|dB|MiB)\b")
FULL_DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b")


def found_in(text: str) -> Iterator[str]:
    """Yield a sentence for each habit in a text; what is code is not looked at."""
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    for habit, better in HABITS.items():
        for match in re.finditer(habit, prose, re.MULTILINE | re.IGNORECASE):
            yield f"{match[0]!r}: rather {better!r}"


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_plain_english(page: Path) -> None:
    assert not list(found_in(page.read_text(encoding="utf-8")))


def test_help_is_plain_english() -> None:
    assert not [
        said for parser in parsers(build_parser()) for said in found_in(parser.format_help())
    ]


def test_sentences_of_the_command_line_are_plain_english() -> None:
    said = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {habit}"
        for folder in ("cli", "client", "shared/contracts", "splitter/intake")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
        for habit in found_in(node.value)
    ]
    assert not said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_of_figures_name_a_date_and_how_they_were_measured(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if any(line.startswith("|") and FIGURE.search(line) for line in text.splitlines()):
        assert FULL_DATE.search(text)
        assert re.search(r"[Mm]easured (?:by|with)|written by|repeat it", text)


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
