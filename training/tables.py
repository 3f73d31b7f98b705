"""Tables as Markdown, and as sections of a document."""

from __future__ import annotations

Rows = list[tuple[str, ...]]


def markdown(rows: Rows) -> str:
    """Return rows as a Markdown table; the first one is the heading."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def with_table(document: str, name: str, table: str, by: str = "training.evaluate") -> str:
    """Return the document with ``table`` as its section ``name``."""
    begin, end = f"<!-- {name}: written by {by} -->\n", f"<!-- end of {name} -->\n"
    before, rest = document.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{table}\n{end}{after}"
