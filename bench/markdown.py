"""Replaces tables in a document with other content."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, name: str, command: str, tables: str) -> None:
    """Write the tables that ``command`` has measured as the section ``name`` of a document.

    If there is no such document or section, the section is added at the end.
    """
    begin, end = f"<!-- {name}: written by a command -->", f"<!-- end of {name} -->"
    measured = f"{begin}\nMeasured by `{command}`.\n\n{tables}\n{end}\n"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Compared\n\n"
    if begin in text and end in text:
        before, _, rest = text.partition(begin)
        text = before + measured + rest.partition(end)[2].removeprefix("\n")
    else:
        text += measured
    path.write_text(text, encoding="utf-8")
