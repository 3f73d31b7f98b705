"""Writes the table of settings in docs/deploy.md: ``python -m deploy.settings_table``.

Variables are described only in the settings classes; a test compares the table with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from assembler.settings import AssemblerSettings
from deploy.sections import with_section
from exporter.settings import ExporterSettings
from shared.service.settings import ServiceSettings, StorageSettings
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings
from web.settings import WebSettings

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs/deploy.md"

SERVICES: Final[dict[str, type[StorageSettings]]] = {
    "all": StorageSettings,
    "all but web": ServiceSettings,
    "splitter": SplitterSettings,
    "stylizer": StylizerSettings,
    "assembler": AssemblerSettings,
    "exporter": ExporterSettings,
    "web": WebSettings,
}


def table() -> str:
    """Return the table as Markdown."""
    lines = ["| variable | read by | default | |", "|---|---|---|---|"]
    for service, settings in SERVICES.items():
        inherited = {
            name
            for base in (StorageSettings, ServiceSettings)
            if base is not settings and issubclass(settings, base)
            for name in base.model_fields
        }
        for name, field in settings.model_fields.items():
            if name in inherited:
                continue
            default = "" if field.default in (None, "") else f"`{field.default}`"
            meaning = f"{field.description or ''}{choices(field.annotation)}"
            lines.append(f"| `{name.upper()}` | {service} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def choices(annotation: object) -> str:
    """Return the values that a setting may have, if they are listed."""
    if get_origin(annotation) is not Literal:
        return ""
    return f" ({', '.join(f'`{value}`' for value in get_args(annotation))})"


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(with_section(text, "settings", table()), encoding="utf-8")
