"""The check's results as JSON for programs and Markdown for people, written after every row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Report:
    """Rows, skips and failures by step; ``check-gpu.json`` and ``check-gpu.md`` in a folder."""

    def __init__(self, folder: Path, *, rehearsed: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._rehearsed = rehearsed
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._notes: dict[str, str] = {}
        self.failed: list[str] = []

    def add(self, step: str, row: dict[str, Any]) -> None:
        """Add one result of a step."""
        self._rows.setdefault(step, []).append(row)
        self._write()

    def skip(self, step: str, why: str) -> None:
        """Record that a step, or the rest of it, was skipped."""
        self._notes[step] = f"skipped: {why}"
        self._write()

    def fail(self, step: str, why: str) -> None:
        """Record that a step failed."""
        self.failed.append(step)
        self._notes[step] = f"failed: {why}"
        self._write()

    def markdown(self) -> str:
        """Return all results as Markdown."""
        title = "# Check of a GPU" + (", rehearsed on a processor" if self._rehearsed else "")
        parts = [title]
        for step in dict.fromkeys([*self._rows, *self._notes]):
            parts.append(f"## {step}")
            if rows := self._rows.get(step):
                parts.append(_table(rows))
            if note := self._notes.get(step):
                parts.append(note)
        return "\n\n".join(parts) + "\n"

    def _write(self) -> None:
        results = {
            "rehearsed": self._rehearsed,
            "steps": self._rows,
            "notes": self._notes,
            "failed": self.failed,
        }
        text = json.dumps(results, indent=1)
        (self._folder / "check-gpu.json").write_text(text, encoding="utf-8")
        (self._folder / "check-gpu.md").write_text(self.markdown(), encoding="utf-8")


def _table(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        cells = ("" if row.get(name) is None else str(row[name]) for name in names)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
