"""Pages and services agree with the files that are deployed to Azure."""

from __future__ import annotations

import json

from deploy.azure import document
from exporter.settings import ExporterSettings

LAYOUT = json.loads((document.MAIN.parent / "layout.json").read_text(encoding="utf-8"))


def test_the_documented_parameters_and_costs_are_those_of_the_files() -> None:
    text = document.DOCUMENT.read_text(encoding="utf-8")

    assert text == document.with_tables(text), "run: python -m deploy.azure.document"


def test_the_exporter_uses_the_hubs_retention() -> None:
    assert {hub["name"]: hub["retentionHours"] for hub in LAYOUT["hubs"]} == {
        hub: ExporterSettings.model_fields[f"{hub}_retention_h"].default
        for hub in ("uploads", "frames", "segments")
    }
