"""Write the table of settings into docs/deploy.md: ``python deploy/settings_table.py``.

The settings classes are the only place where a variable is described; a test compares.
"""

# ruff: noqa: INP001 - a script, in no package

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from assembler.settings import AssemblerSettings
from exporter.settings import ExporterSettings
from shared.service.settings import ServiceSettings, StorageSettings
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings
from web.settings import WebSettings

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs/deploy.md"
BEGIN: Final = "<!-- settings: written by deploy/settings_table.py -->\n"
END: Final = "<!-- end of settings -->\n"

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
    """Return the values that a setting may have, if it has a list of them."""
    if get_origin(annotation) is not Literal:
        return ""
    return f" ({', '.join(f'`{value}`' for value in get_args(annotation))})"


def with_table(document: str) -> str:
    """Return the document with the table of today between its marks."""
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
