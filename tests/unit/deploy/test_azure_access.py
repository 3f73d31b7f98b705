"""Who gets which role on what, and whose service accounts are trusted."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from deploy.azure import bicep
from deploy.azure.bicep import File
from shared.service.rights import NEEDS

ROOT = Path(__file__).resolve().parents[3]
AZURE = ROOT / "deploy/azure"
LAYOUT = json.loads((AZURE / "layout.json").read_text(encoding="utf-8"))
ACCESS = json.loads((AZURE / "access.json").read_text(encoding="utf-8"))


def test_roles_are_assigned_to_existing_identities_on_existing_resources(
    modules: dict[str, File],
) -> None:
    identities = modules["modules/identities.bicep"].outputs["principals"].keys()
    hubs = {hub["name"] for hub in LAYOUT["hubs"]}

    grants = [
        grant
        for table in ("hubs", "containers", "studio", "delegators", "topics")
        for grant in ACCESS[table]
    ]
    assert {grant["identity"] for grant in grants} == set(identities)
    assert {grant["hub"] for grant in ACCESS["hubs"]} == hubs
    for grant in (*ACCESS["containers"], *ACCESS["studio"]):
        containers = {entry["container"] for entry in LAYOUT["accounts"][grant["account"]]}
        assert grant["container"] in containers
    assert {grant["role"] for grant in grants} <= ACCESS["roles"].keys()
    assert all(count == 1 for count in Counter(json.dumps(grant) for grant in grants).values())
    for identifier in ACCESS["roles"].values():
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identifier)


@pytest.mark.parametrize(
    ("service", "reads"),
    [("splitter", "uploads"), ("stylizer", "frames"), ("assembler", "segments")],
)
def test_a_service_receives_only_from_its_own_hub(service: str, reads: str) -> None:
    received = [
        grant["hub"]
        for grant in ACCESS["hubs"]
        if grant["identity"] == service and grant["role"].endswith("Receiver")
    ]

    assert received == [reads]


def test_the_autoscaler_may_only_look() -> None:
    grants = [*ACCESS["hubs"], *ACCESS["containers"], *ACCESS["topics"]]

    roles = {grant["role"] for grant in grants if grant["identity"] == "keda"}
    assert roles == {"Azure Event Hubs Data Receiver", "Storage Blob Data Reader"}


def test_the_splitter_cannot_touch_uploads_and_no_stylizer_can_touch_results() -> None:
    def role(identity: str, container: str) -> list[str]:
        return [
            grant["role"]
            for grant in ACCESS["containers"]
            if (grant["identity"], grant["container"]) == (identity, container)
        ]

    assert role("splitter", "uploads") == ["Storage Blob Data Reader"]
    assert role("stylizer", "results") == []
    assert role("stylizer", "uploads") == []


def test_the_manifests_service_accounts_are_trusted(modules: dict[str, File]) -> None:
    variables = modules["modules/federation.bicep"].variables
    accounts = [*variables["accounts"], *variables["ofStudio"]]
    base = ROOT / "deploy/kubernetes/base"
    files = [base / f"{name}.yaml" for name in ("splitter", "stylizer", "assembler", "exporter")]
    files.append(ROOT / "deploy/kubernetes/studio/web.yaml")
    manifests = [
        manifest
        for file in files
        for manifest in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    ]

    names = {m["metadata"]["name"] for m in manifests if m["kind"] == "ServiceAccount"}
    ours = [entry for entry in accounts if entry["namespace"] == bicep.Expression("namespace")]
    assert {entry["account"] for entry in ours} == names
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text(encoding="utf-8"))
    assert kustomization["namespace"] == LAYOUT["kubernetesNamespace"]


def test_a_service_tries_exactly_the_roles_that_it_is_given() -> None:
    for service, needs in NEEDS.items():
        given = {
            (grant["role"], kind, grant[kind])
            for table, kind in (("hubs", "hub"), ("containers", "container"))
            for grant in ACCESS[table]
            if grant["identity"] == service
        }
        tried = {
            (role, kind, field.removesuffix(f"_{kind}").replace("_", "-"))
            for role, fields in needs.items()
            for field in fields
            for kind in [field.rpartition("_")[2]]
        }
        assert tried == given
