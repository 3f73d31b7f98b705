"""The studio's Kubernetes component agrees with the studio and with the rules of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes import pods, pools
from deploy.kubernetes.manifests import Manifests, quantity
from stylizer.painting.memory import RESERVED_BYTES, needed
from web.settings import WebSettings

COMPONENT = Path(__file__).resolve().parents[3] / "deploy/kubernetes/studio"


@pytest.fixture(scope="module")
def manifests() -> Manifests:
    return Manifests.read(*sorted(COMPONENT.glob("[!k]*.yaml")))


def test_the_component_lists_its_files_but_the_example(manifests: Manifests) -> None:
    listed = yaml.safe_load((COMPONENT / "kustomization.yaml").read_text(encoding="utf-8"))
    there = {path.name for path in COMPONENT.glob("*.yaml")}
    assert set(listed["resources"]) == there - {"kustomization.yaml", "ingress.yaml"}
    for document in manifests.documents:
        assert document["metadata"]["namespace"] == "stylestream"


def test_the_studio_reads_what_it_is_given_and_answers_where_it_is_asked(
    manifests: Manifests,
) -> None:
    ((_, container),) = manifests.containers()
    known = {name.upper() for name in WebSettings.model_fields}
    assert {variable["name"] for variable in container["env"]} <= known
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {
        "http": WebSettings.model_fields["web_port"].default,
        "metrics": WebSettings.model_fields["metrics_port"].default,
    }
    service = manifests.find("Service", "web")
    ingress = manifests.find("Ingress", "studio")
    assert service is not None
    assert ingress is not None
    assert service["spec"]["ports"][0]["targetPort"] == "http"
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "web", "port": {"name": service["spec"]["ports"][0]["name"]}}


@pytest.mark.parametrize("by", ["compose", "kubernetes"])
def test_previews_have_the_memory_that_a_stylizers_lanes_would(
    manifests: Manifests, services: dict[str, Any], by: str
) -> None:
    ((_, container),) = manifests.containers()
    limits = {
        "compose": services["web"]["mem_limit"].replace("m", "Mi").replace("g", "Gi"),
        "kubernetes": container["resources"]["limits"]["memory"],
    }
    default = {name: field.default for name, field in WebSettings.model_fields.items()}
    picture = needed(pods._wide_picture(1280 * 720))
    wanted = RESERVED_BYTES + default["previews_at_once"] * picture
    wanted += default["fragments_cache_mib"] << 20

    assert wanted <= quantity(limits[by])


def test_a_pods_end_allows_for_its_drain(manifests: Manifests) -> None:
    ((_, template),) = manifests.templates()
    (container,) = template["spec"]["containers"]
    drain = next(v["value"] for v in container["env"] if v["name"] == "DRAIN_TIMEOUT_S")
    assert template["spec"]["terminationGracePeriodSeconds"] > float(drain) + 10


def test_the_studio_runs_confined_and_reaches_nothing_but_tls(manifests: Manifests) -> None:
    ((_, template),) = manifests.templates()
    pod, (container,) = template["spec"], template["spec"]["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    policy = manifests.find("NetworkPolicy", "allow-studio")
    assert policy is not None
    assert policy["spec"]["egress"] == [{"ports": [{"protocol": "TCP", "port": 443}]}]


@pytest.mark.parametrize("component", ["studio", "webhook"])
def test_an_ingress_in_any_namespace_can_be_let_in_by_a_label(component: str) -> None:
    (policy,) = Manifests.read(COMPONENT.parent / component / "network-policy.yaml").documents

    admitted = policy["spec"]["ingress"][0]["from"]

    assert {"namespaceSelector": {"matchLabels": {"stylestream/ingress": "true"}}} in admitted


def test_its_figures_are_collected_where_those_of_the_services_are(manifests: Manifests) -> None:
    # Else its dashboard is empty, and an alert says for ever that it runs nowhere.
    (monitor,) = Manifests.read(COMPONENT.parent / "azure/pod-monitor.yaml").documents
    for change in changes(COMPONENT, "PodMonitor", monitor["metadata"]["name"]):
        added = {"op": "add", "path": "/spec/selector/matchExpressions/0/values/-"}
        assert added.items() <= change.items()
        monitor["spec"]["selector"]["matchExpressions"][0]["values"].append(change["value"])

    assert list(pools.figures_are_collected(Manifests((*manifests.documents, monitor)))) == []


def test_in_azure_its_pods_go_where_all_others_go_and_nowhere_else() -> None:
    # What lets a pod go anywhere would outdo the policy of a closed network: policies add up.
    azure = COMPONENT.parent / "studio-azure"

    removed = [{"op": "remove", "path": "/spec/egress"}]

    assert changes(azure, "NetworkPolicy", "allow-studio") == removed


def changes(component: Path, kind: str, name: str) -> list[dict[str, str]]:
    """Return how a component changes a manifest of its overlay."""
    listed = yaml.safe_load((component / "kustomization.yaml").read_text(encoding="utf-8"))
    return [
        change
        for patch in listed["patches"]
        if patch["target"] == {"kind": kind, "name": name}
        for change in yaml.safe_load(patch["patch"])
    ]
