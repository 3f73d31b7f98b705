"""What the pages point to exists: headings, files, variables, and resources in the cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SOURCES: Final = {".py", ".bicep", ".css", ".env", ".js", ".json", ".toml", ".yaml", ".yml"}

FOREIGN: Final = {
    *("EXECUTION_MODE_HINT", "M_MMAP_THRESHOLD", "PERFORMANCE_HINT", "PR_SET_DUMPABLE"),
    "SECCOMP_FILTER_FLAG_TSYNC",
}
"""Names that belong to the kernel or to libraries, and are only in the pages."""

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def files() -> frozenset[str]:
    """The files of the checkout by their paths, without what tools leave there."""
    folders = (
        each
        for each in ROOT.iterdir()
        if each.is_dir()
        and each.name != "build"
        and (each.name[0] != "." or each.name == ".github")
    )
    inside = (file for folder in folders for file in folder.rglob("*"))
    return frozenset(str(file.relative_to(ROOT)) for file in (*ROOT.iterdir(), *inside))


@cache
def words() -> frozenset[str]:
    """Every word of the code in upper case: variables are fields of settings there."""
    sources = (
        ROOT / name
        for name in files()
        if Path(name).suffix in SOURCES or name.startswith(("scripts/", "deploy/docker/D"))
    )
    read = (file for file in sources if file.is_file() and file != Path(__file__))
    text = "".join(file.read_text(encoding="utf-8") for file in read)
    return frozenset(re.findall(r"[A-Z]\w*", text.upper()))


def quoted(page: Path) -> Iterator[str]:
    """Yield what a page has in backticks."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", prose)


@cache
def resources() -> frozenset[str]:
    """The names of everything in the manifests."""
    manifests = (ROOT / "deploy/kubernetes").rglob("*.yaml")
    text = "".join(file.read_text(encoding="utf-8") for file in manifests)
    return frozenset(re.findall(r"^  name: ([\w-]+)$", text, re.MULTILINE))


@cache
def anchors(page: Path) -> frozenset[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return frozenset(heading.replace(" ", "-") for heading in plain)


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@by_page
def test_files_that_are_named_exist(page: Path) -> None:
    named = {
        name for name in quoted(page) if re.fullmatch(r"[\w.-][\w./-]*\.(?:py|bicep|ya?ml)", name)
    }
    assert {
        name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files())
    } == set()


@by_page
def test_variables_that_are_named_are_read_somewhere(page: Path) -> None:
    named = {
        name for text in quoted(page) for name in re.findall(r"\b[A-Z]+(?:_[A-Z0-9]+)+\b", text)
    }
    assert named - FOREIGN - words() == set()


@by_page
def test_resources_that_commands_name_are_in_the_manifests(page: Path) -> None:
    named = {
        name
        for command in re.findall(r"kubectl [^`#]+", page.read_text(encoding="utf-8"))
        for name in re.findall(
            r"(?:deployment[/ ]|scaledobject |app\.kubernetes\.io/name=)([a-z][a-z-]+)",
            " ".join(command.split()),
        )
    }
    assert named - {"keda-operator"} <= resources()
