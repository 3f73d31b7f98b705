"""The documented roles are the ones that the templates assign."""

from __future__ import annotations

import json
import re
from pathlib import Path

from deploy.azure import bicep

ROOT = Path(__file__).resolve().parents[3]
MODULES = ROOT / "deploy/azure/modules"
LAYOUT = json.loads((ROOT / "deploy/azure/layout.json").read_text(encoding="utf-8"))

Grant = tuple[str, str, str]
"""Who, which role, on what."""

# Whose object id an expression is, and what a symbol stands for, in the words of the document.
WHO = {
    "uploads.identity.principalId": "Event Grid",
    "identityPrincipalId": "cluster",
    "kubeletPrincipalId": "nodes",
    "viewer!.identity.principalId": "Grafana",
    "principalId": "who deploys",
}
ON = {
    ("events", "hub"): [f"hub {LAYOUT['uploads']['hub']}"],
    ("events", "undelivered"): [f"internal {LAYOUT['uploads']['undelivered']}"],
    ("cluster", "nodes"): ["the nodes' subnet"],
    ("pull", "registry"): ["container registry"],
    ("dashboards", "metrics"): ["metrics workspace"],
    ("operator", "cluster"): ["cluster"],
    ("operator", "media"): ["media account"],
    ("operator", "internal"): ["internal account"],
    ("operator", "container[index]"): [f"internal {name}" for name in LAYOUT["operator"]],
    ("operator", "namespace"): ["Event Hubs namespace"],
    ("operator", "viewer"): ["Grafana"],
}


def documented(heading: str) -> set[Grant]:
    """Return the rows of the table under a heading; what stands in brackets only explains."""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}")[1].split("\n## ")[0]
    _heading, *rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE
    )
    assert len(rows) == len({*rows}), "said twice"
    return {
        (re.sub(r" \(.*\)", "", who), role, on.replace("`", "").strip()) for who, role, on in rows
    }


def of_services() -> set[Grant]:
    """Return the grants of the table from which access.bicep makes assignments."""
    access = json.loads((ROOT / "deploy/azure/access.json").read_text(encoding="utf-8"))
    return {
        *((g["identity"], g["role"], f"hub {g['hub']}") for g in access["hubs"]),
        *(
            (g["identity"], g["role"], f"{g['account']} {g['container']}")
            for g in access["containers"]
        ),
        *(
            (
                f"{g['identity']}, with the studio only",
                g["role"],
                f"{g['account']} {g['container']}",
            )
            for g in access["studio"]
        ),
        *(
            (f"{g['identity']}, with the studio only", g["role"], f"{g['account']} account")
            for g in access["delegators"]
        ),
        *((g["identity"], g["role"], "topic") for g in access["topics"]),
    }


def of_surroundings() -> set[Grant]:
    """Return the assignments that every other module makes by itself."""
    return {
        grant
        for path in MODULES.glob("*.bicep")
        if path.stem != "access"
        for resource in bicep.read(path).resources.values()
        if resource.type == "Microsoft.Authorization/roleAssignments"
        for grant in grants(path.stem, bicep.bodies(resource))
    }


def grants(module: str, assignment: dict[str, bicep.Value]) -> list[Grant]:
    properties = assignment["properties"]
    (role,) = re.findall(r"\broles(?:\['(.+?)'\]|\.(\w+))", properties["roleDefinitionId"].text)
    who = WHO[properties["principalId"].text]
    return [(who, "".join(role), on) for on in ON[module, assignment["scope"].text]]


def test_the_documented_roles_of_services_are_the_assigned_ones() -> None:
    rows = documented("The services' roles")
    assert len(rows) > 20
    assert rows == of_services()


def test_the_documented_roles_of_the_surroundings_are_the_assigned_ones() -> None:
    rows = documented("The surroundings' roles")
    assert {role for _, role, _ in rows} > {"AcrPull", "Network Contributor", "Grafana Admin"}
    assert rows == of_surroundings()


def test_all_assignments_of_services_are_made_from_the_table() -> None:
    access = bicep.read(MODULES / "access.bicep")
    made = [r.body for r in access.resources.values() if r.type.endswith("roleAssignments")]
    assert {each.items for each in made} == {
        "access.hubs",
        "onContainers",
        "onAccounts",
        "access.topics",
    }
    choice = "studio ? concat(access.containers, access.studio) : access.containers"
    assert access.variables["onContainers"].text == choice
    assert access.variables["onAccounts"] == bicep.Choice(bicep.Expression("access.delegators"), [])


def test_no_service_may_do_anything_on_a_whole_account_or_namespace_but_sign_links() -> None:
    for _identity, role, on in documented("The services' roles"):
        assert on == "topic" or role == "Storage Blob Delegator" or "account" not in on
        assert on == "topic" or len(on.split()) == 2


def test_nobody_but_who_deploys_and_the_studio_may_change_videos_that_users_uploaded() -> None:
    assigned = of_services() | of_surroundings()
    changes = {
        who
        for who, role, on in assigned
        if on in {"media uploads", "media account"} and role != "Storage Blob Data Reader"
    }
    assert changes == {"who deploys", "web, with the studio only"}
    assert ("splitter", "Storage Blob Data Reader", "media uploads") in assigned


def test_only_the_reader_of_a_hub_may_move_its_positions() -> None:
    readers = {"uploads": "splitter", "frames": "stylizer", "segments": "assembler"}
    for hub, reader in readers.items():
        assert (reader, "Azure Event Hubs Data Receiver", f"hub {hub}") in of_services()
        writers = {
            who
            for who, role, on in of_services() | of_surroundings()
            if on == f"internal {hub}-checkpoints" and role != "Storage Blob Data Reader"
        }
        assert writers == {reader}


def test_the_hub_of_uploads_has_no_other_senders_than_event_grid_its_reader_and_who_deploys() -> (
    None
):
    senders = {
        who
        for who, role, on in of_services() | of_surroundings()
        if role.endswith("Sender") and on in {"hub uploads", "Event Hubs namespace"}
    }
    assert senders == {"Event Grid", "who deploys", "splitter"}


def test_the_tests_that_the_threat_model_names_are_there() -> None:
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    model = text.split("## Threat model")[1].split("\n## ")[0]
    named = re.findall(r"`((?:unit|contract|e2e)/[^`]+)`", model)
    assert len(named) > 30
    for file, _, function in (name.partition("::") for name in named):
        assert (ROOT / "tests" / file).is_file(), file
        assert f"def {function}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), function


def test_the_threat_model_names_tests_for_every_attacker_that_is_stopped() -> None:
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    attackers, proofs = (
        text.split("## Threat model")[1].split("\n## ")[0].split("The tests that prove it")
    )
    named = {name.lower() for name in re.findall(r"^\| \*\*([^*]+)\*\*", attackers, re.MULTILINE)}
    rows = set(re.findall(r"^\| ([\w' ]+) \|.*`", proofs, re.MULTILINE))
    short = {"caller from the internet": "caller", "compromised decoder": "decoder"}
    short |= {"compromised service": "service"}
    # Whoever deploys is not stopped.
    assert {short.get(name, name) for name in named} - {"operator"} == rows
