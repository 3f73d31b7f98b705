"""azd's hook after provisioning: it fills in the manifests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from azd_environment import OUTPUTS

from assembler.settings import AssemblerSettings
from deploy.azure import bicep, configure, manifests
from deploy.kubernetes.manifests import read_environment
from exporter.settings import ExporterSettings
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings

ROOT = Path(__file__).resolve().parents[3]
AZURE = ROOT / "deploy/azure"


def test_the_manifests_get_this_environments_values(environment: Path) -> None:
    configure.main()

    config = (environment / "azure/config.env").read_text()
    identities = (environment / "azure/identities.env").read_text()
    given = dict(
        line.split("=", 1)
        for line in (config + identities).splitlines()
        if line and not line.startswith("#")
    )
    assert given["STORAGE_ACCOUNT"] == "internalabc"
    for name in given.keys() & OUTPUTS.keys():
        assert given[name] == OUTPUTS[name]
    assert {"SPLITTER_CLIENT_ID", "KEDA_CLIENT_ID", "STYLES_CONTAINER"} <= given.keys()
    assert "example" not in config + identities
    assert "00000000" not in config + identities


def test_the_exporter_is_told_how_long_each_hub_keeps_its_events(environment: Path) -> None:
    configure.main()

    config = read_environment(environment / "azure/config.env")
    layout = json.loads((AZURE / "layout.json").read_text(encoding="utf-8"))
    assert {hub["name"]: str(hub["retentionHours"]) for hub in layout["hubs"]} == {
        hub: config.get(f"{hub.upper()}_RETENTION_H") for hub in ("uploads", "frames", "segments")
    }


def test_pods_are_given_only_what_their_services_read(environment: Path) -> None:
    configure.main()

    config = (environment / "azure/config.env").read_text()
    names = set(re.findall(r"^(\w+)=", config, re.MULTILINE))
    settings = (SplitterSettings, StylizerSettings, AssemblerSettings, ExporterSettings)
    known = {field.upper() for service in settings for field in service.model_fields}
    assert names - known == set()


def test_the_committed_manifests_stay_as_they_are(environment: Path) -> None:
    before = (ROOT / "deploy/kubernetes/azure/config.env").read_text()

    configure.main()

    assert (ROOT / "deploy/kubernetes/azure/config.env").read_text() == before


@pytest.mark.parametrize(("pool", "plugin"), [("gpu", True), ("cpu", False)])
def test_the_pool_that_was_made_decides_the_overlay(
    environment: Path, monkeypatch: pytest.MonkeyPatch, pool: str, *, plugin: bool
) -> None:
    monkeypatch.setenv("STYLIZER_POOL", pool)

    configure.main()

    kustomization = yaml.safe_load((environment / "kustomization.yaml").read_text())
    assert kustomization["resources"][0] == f"overlays/{pool}"
    assert ("device-plugin.yaml" in kustomization["resources"]) is plugin
    assert all((environment / resource).exists() for resource in kustomization["resources"])
    (patch,) = kustomization["patches"]
    assert yaml.safe_load(patch["patch"])[0]["value"] == 8


@pytest.mark.parametrize(("said", "there"), [("true", True), ("false", False), (None, False)])
def test_the_webhook_comes_where_it_is_chosen(
    environment: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, *, there: bool
) -> None:
    if said is not None:
        monkeypatch.setenv("WEBHOOK", said)

    configure.main()

    kustomization = yaml.safe_load((environment / "kustomization.yaml").read_text())
    assert ("webhook" in kustomization["components"]) is there
    assert (environment / "webhook/kustomization.yaml").exists()


@pytest.mark.parametrize(("said", "there"), [("true", True), ("false", False), (None, False)])
def test_with_private_endpoints_pods_reach_these_and_entra_alone(
    environment: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, *, there: bool
) -> None:
    if said is not None:
        monkeypatch.setenv("PRIVATE_NETWORK", said)

    configure.main()

    kustomization = yaml.safe_load((environment / "kustomization.yaml").read_text())
    assert ("private" in kustomization["components"]) is there
    component = yaml.safe_load((environment / "private/kustomization.yaml").read_text())
    (change,) = yaml.safe_load(component["patches"][0]["patch"])
    endpoints, entra = change["value"]
    network = (AZURE / "modules/network.bicep").read_text(encoding="utf-8")
    (subnet,) = endpoints["to"]
    assert f"addressPrefix: '{subnet['ipBlock']['cidr']}'" in network
    assert {port["port"] for port in endpoints["ports"]} == {443, 5671}
    assert [port["port"] for port in entra["ports"]] == [443]
    assert "0.0.0.0/0" not in component["patches"][0]["patch"]


STUDIO = {
    "STUDIO": "true",
    "STUDIO_URL": "https://studio.company.com",
    "STUDIO_CLIENT_ID": "id-of-the-application",
    "WEB_CLIENT_ID": "id-of-the-studio",
    "AZURE_TENANT_ID": "id-of-the-tenant",
}


def test_a_studio_is_deployed_if_requested_with_its_sign_in(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure.main()
    without = yaml.safe_load((environment / "kustomization.yaml").read_text())
    for name, value in STUDIO.items():
        monkeypatch.setenv(name, value)

    configure.main()

    kustomization = yaml.safe_load((environment / "kustomization.yaml").read_text())
    assert set(kustomization["components"]) - set(without["components"]) == {"studio-azure"}
    component = environment / "studio-azure"
    assert read_environment(component / "studio.env") == {
        "WEB_SIGN_IN": "entra",
        "WEB_PUBLIC_URL": "https://studio.company.com",
        "ENTRA_TENANT_ID": "id-of-the-tenant",
        "ENTRA_CLIENT_ID": "id-of-the-application",
        "WEB_DIRECT_UPLOADS": "true",
    }
    assert read_environment(component / "identity.env") == {"WEB_CLIENT_ID": "id-of-the-studio"}


def test_a_studio_without_an_address_is_refused(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in STUDIO.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("STUDIO_URL")

    with pytest.raises(SystemExit, match="STUDIO=true needs STUDIO_URL"):
        configure.main()


def test_until_images_are_built_the_manifests_name_none_that_could_be_anothers(
    environment: Path,
) -> None:
    configure.main()

    component = yaml.safe_load((environment / "images/kustomization.yaml").read_text())
    assert len(component["images"]) == 5, "kustomize refuses a component without anything in it"
    assert {image["newTag"] for image in component["images"]} == {manifests.UNBUILT}


def test_outputs_that_are_missing_are_all_named(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEDA_CLIENT_ID")
    monkeypatch.delenv("STORAGE_ACCOUNT_URL")

    with pytest.raises(SystemExit, match="not set: STORAGE_ACCOUNT_URL, KEDA_CLIENT_ID"):
        configure.main()
    assert not environment.exists()


def test_the_deployment_outputs_everything_that_the_hooks_need() -> None:
    outputs = bicep.read(AZURE / "main.bicep").outputs.keys()

    # azd itself names the environment.
    assert OUTPUTS.keys() - outputs == {"AZURE_ENV_NAME"}
    assert set(configure.REQUIRED) <= OUTPUTS.keys()
    assert {"AZURE_RESOURCE_GROUP", "AZURE_AKS_CLUSTER_NAME", "GRAFANA_ENDPOINT"} <= outputs


def test_azds_hooks_and_folders_exist() -> None:
    content = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))

    assert (ROOT / content["infra"]["path"] / f"{content['infra']['module']}.bicep").is_file()
    assert content["hooks"].keys() == {"preprovision", "postprovision", "predeploy"}
    for hook in content["hooks"].values():
        started = [re.findall(r"-m deploy\.azure\.(\w+)", hook[on]["run"]) for on in hook]
        assert started[0] == started[1] != []
        for module in started[0]:
            assert (AZURE / f"{module}.py").is_file()
    k8s = content["services"]["pipeline"]["k8s"]
    written = manifests.folder({"AZURE_ENV_NAME": "${AZURE_ENV_NAME}"}).relative_to(manifests.ROOT)
    assert k8s["kustomize"]["dir"] == written.as_posix()
    layout = json.loads((AZURE / "layout.json").read_text(encoding="utf-8"))
    assert k8s["namespace"] == layout["kubernetesNamespace"]


def test_by_hand_everything_is_started_that_azds_last_hook_starts() -> None:
    hooks = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))["hooks"]
    (block,) = re.findall(
        r"```sh\n(azd provision\n.*?)```", (ROOT / "docs/azure.md").read_text("utf-8"), re.DOTALL
    )
    by_hand = re.findall(r"^python3 -m deploy\.azure\.(\w+)$", block, re.MULTILINE)
    hooked = re.findall(r"-m deploy\.azure\.(\w+)", hooks["predeploy"]["posix"]["run"])
    assert by_hand == hooked
    assert block.splitlines()[-1].startswith("kubectl apply -k ")
