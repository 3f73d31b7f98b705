"""Jobs end with the pipeline's own sentences; libraries' messages are only in the log."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[2]


@cache
def trees() -> dict[Path, ast.Module]:
    """Parse them once, and only where the test runs: each process of pytest loads this module."""
    return {
        file: ast.parse(file.read_text(encoding="utf-8"))
        for folder in ("assembler", "shared", "splitter", "stylizer", "web")
        for file in sorted((ROOT / folder).rglob("*.py"))
    }


def named(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


@cache
def classes() -> list[ast.ClassDef]:
    return [n for tree in trees().values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]


def descendants(root: str) -> set[str]:
    """Return the names of a class's subclasses, and its own."""
    found = {root}
    while more := {c.name for c in classes() if {named(b) for b in c.bases} & found} - found:
        found |= more
    return found


@cache
def reach_users() -> set[str]:
    """Return the names of errors that users see; an event that nobody understands has no user."""
    return descendants("PermanentError") - {"MessageError"} | {"AttemptFailed", "Refusal"}


OWN_SENTENCES: Final = {"gallery.py": {"ValueError"}}
"""Where the pipeline's own sentences are raised as a class of Python's."""


def quoted(call: ast.Call, error: str) -> bool:
    """Tell whether an argument of a call quotes what an error says, or names its class."""
    for node in (n for argument in call.args for n in ast.walk(argument)):
        match node:
            case (
                ast.FormattedValue(value=ast.Name(id=name))
                | ast.Call(func=ast.Name(id="str" | "repr" | "type"), args=[ast.Name(id=name)])
            ) if name == error:
                return True
    return False


def foreign(handler: ast.ExceptHandler, file: Path) -> bool:
    caught = handler.type
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught] if caught else []
    ours = {each.name for each in classes()}
    return not {named(k) for k in kinds} <= ours | OWN_SENTENCES.get(file.name, set())


def borrowed() -> Iterator[str]:
    for file, tree in trees().items():
        for handler in (n for n in ast.walk(tree) if isinstance(n, ast.ExceptHandler)):
            if handler.name is None or not foreign(handler, file):
                continue
            for call in (n for n in ast.walk(handler) if isinstance(n, ast.Call)):
                if named(call.func) in reach_users() and quoted(call, handler.name):
                    yield f"{file.relative_to(ROOT)}:{call.lineno}"


def test_no_error_of_a_library_is_quoted_to_a_user() -> None:
    assert {"SourceRefused", "ChunkError", "TrackError", "DoubtfulError"} <= reach_users()
    assert list(borrowed()) == []
