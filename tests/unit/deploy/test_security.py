"""The documented roles are the ones that the templates assign."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def documented() -> set[tuple[str, str, str]]:
    """Return (identity, role, on what) for each row of the services' table."""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    section = text.split("## The services' roles")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| ([\w ]+) \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE)
    return {(identity, role, on.replace("`", "").strip()) for identity, role, on in rows[1:]}


def assigned() -> set[tuple[str, str, str]]:
    """Return the same from the table that the templates read."""
    access = json.loads((ROOT / "deploy/azure/access.json").read_text(encoding="utf-8"))
    return {
        *((g["identity"], g["role"], f"hub {g['hub']}") for g in access["hubs"]),
        *(
            (g["identity"], g["role"], f"{g['account']} {g['container']}")
            for g in access["containers"]
        ),
        *((g["identity"], g["role"], "topic") for g in access["topics"]),
    }


def test_the_documented_roles_are_the_assigned_ones() -> None:
    assert len(documented()) > 20
    assert documented() == assigned()


def test_no_service_may_do_anything_on_a_whole_account_or_namespace() -> None:
    for _identity, _role, on in documented():
        assert on == "topic" or len(on.split()) == 2


def test_nobody_may_change_videos_that_users_uploaded() -> None:
    uploads = {(identity, role) for identity, role, on in documented() if on == "media uploads"}
    assert uploads == {("splitter", "Storage Blob Data Reader")}
