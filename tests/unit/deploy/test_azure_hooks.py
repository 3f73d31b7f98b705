"""What azd runs after it has made everything: fills in the manifests, and builds the images."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from azure_cli import Az

from assembler.settings import AssemblerSettings
from deploy.azure import bicep, configure, images, manifests
from deploy.kubernetes.manifests import read_environment
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings

ROOT = Path(__file__).resolve().parents[3]
AZURE = ROOT / "deploy/azure"

OUTPUTS = {
    "AZURE_ENV_NAME": "painting",
    "AZURE_CONTAINER_REGISTRY_NAME": "imagesabc",
    "AZURE_CONTAINER_REGISTRY_ENDPOINT": "imagesabc.azurecr.io",
    "EVENTHUB_FULLY_QUALIFIED_NAMESPACE": "stylestream-abc.servicebus.windows.net",
    "STORAGE_ACCOUNT_URL": "https://internalabc.blob.core.windows.net",
    "MEDIA_STORAGE_ACCOUNT_URL": "https://mediaabc.blob.core.windows.net",
    "EVENTGRID_TOPIC_ENDPOINT": "https://abc.eastus-1.eventgrid.azure.net/api/events",
    "CONSUMER_GROUP": "stylestream",
    "STYLES_CONTAINER": "styles",
    "INTERNAL_STORAGE_ACCOUNT": "internalabc",
    "SPLITTER_CLIENT_ID": "id-of-the-splitter",
    "STYLIZER_CLIENT_ID": "id-of-the-stylizer",
    "ASSEMBLER_CLIENT_ID": "id-of-the-assembler",
    "EXPORTER_CLIENT_ID": "id-of-the-exporter",
    "KEDA_CLIENT_ID": "id-of-keda",
    "STYLIZER_POOL": "gpu",
    "STYLIZER_MAX_REPLICAS": "8",
}


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Az:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return Az(tmp_path / "bin")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """azd's environment after provisioning; returns where its manifests are written."""
    for name, value in OUTPUTS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(manifests, "ROOT", tmp_path)
    monkeypatch.setattr(configure, "ROOT", tmp_path)
    return tmp_path / ".azure/painting/kubernetes"


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


def test_pods_are_given_only_what_their_services_read(environment: Path) -> None:
    configure.main()

    config = (environment / "azure/config.env").read_text()
    names = set(re.findall(r"^(\w+)=", config, re.MULTILINE))
    settings = (SplitterSettings, StylizerSettings, AssemblerSettings)
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
def test_the_webhook_comes_with_the_right_that_it_needs(
    environment: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, *, there: bool
) -> None:
    if said is not None:
        monkeypatch.setenv("WEBHOOK", said)

    configure.main()

    kustomization = yaml.safe_load((environment / "kustomization.yaml").read_text())
    assert ("webhook" in kustomization["components"]) is there
    assert (environment / "webhook/kustomization.yaml").exists()
    parameters = json.loads((AZURE / "main.parameters.json").read_text(encoding="utf-8"))
    assert parameters["parameters"]["webhook"]["value"] == "${WEBHOOK=false}"


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


def test_a_studio_is_put_where_it_is_asked_for_and_who_signs_in_is_said(
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

    with pytest.raises(SystemExit, match="no STORAGE_ACCOUNT_URL, KEDA_CLIENT_ID"):
        configure.main()
    assert not environment.exists()


def test_what_the_hooks_want_the_deployment_puts_out() -> None:
    outputs = bicep.read(AZURE / "main.bicep").outputs.keys()

    # azd itself names the environment.
    assert OUTPUTS.keys() - outputs == {"AZURE_ENV_NAME"}
    assert set(configure.REQUIRED) <= OUTPUTS.keys()
    assert {"AZURE_RESOURCE_GROUP", "AZURE_AKS_CLUSTER_NAME", "GRAFANA_ENDPOINT"} <= outputs


def test_images_are_built_once_and_named_in_the_manifests(az: Az, environment: Path) -> None:
    configure.main()
    tag = images.context_tag(images.ROOT)
    az.answers(("acr run", None))

    images.main()

    (asked, built) = az.calls
    assert asked[:3] == ["acr", "repository", "show"]
    assert built[:4] == ["acr", "run", "--registry", "imagesabc"]
    assert {f"tag={tag}", "stylizer=stylizer-gpu"} <= set(built)
    component = yaml.safe_load((environment / "images/kustomization.yaml").read_text())
    named = {
        image["name"]: f"{image['newName']}:{image['newTag']}" for image in component["images"]
    }
    assert named == {
        f"localhost/stylestream/{name}": f"imagesabc.azurecr.io/stylestream/{name}:{tag}"
        for name in ("splitter", "assembler", "exporter", "web", "stylizer-gpu")
    }


def test_images_that_are_there_are_not_built_again(az: Az, environment: Path) -> None:
    configure.main()
    az.answers(("acr repository show", {"name": "there"}))

    images.main()

    assert [call[:2] for call in az.calls] == [["acr", "repository"]]


def test_without_tasks_in_the_registry_docker_builds_and_pushes_the_same(
    az: Az, environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMAGE_BUILDER", "docker")
    configure.main()
    az.answers(("acr login", None))
    docker = Az(tmp_path / "bin", "docker")
    docker.answers(("buildx build", None))

    images.main()

    tag = images.context_tag(images.ROOT)
    assert [call[:2] for call in az.calls] == [["acr", "repository"], ["acr", "login"]]
    built = [call[call.index("--tag") + 1] for call in docker.calls]
    assert built == [
        f"imagesabc.azurecr.io/stylestream/{name}:{tag}"
        for name in ("splitter", "assembler", "exporter", "web", "stylizer-gpu")
    ]
    assert all("--push" in call for call in docker.calls)


def test_a_builder_that_nobody_knows_ends_the_deployment(
    az: Az, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_BUILDER", "kaniko")
    configure.main()
    az.answers()

    with pytest.raises(SystemExit, match="IMAGE_BUILDER is acr or docker, not kaniko"):
        images.main()


def test_a_failed_build_ends_the_deployment(az: Az, environment: Path) -> None:
    configure.main()
    az.answers()

    with pytest.raises(SystemExit, match="images: az acr run: exit code 1"):
        images.main()


def test_provisioning_again_keeps_the_images_that_run(az: Az, environment: Path) -> None:
    configure.main()
    az.answers(("acr run", None))
    images.main()
    before = (environment / "images/kustomization.yaml").read_text()

    configure.main()

    assert (environment / "images/kustomization.yaml").read_text() == before


def test_the_tag_changes_with_what_goes_into_the_images_and_with_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / ".dockerignore").write_text("*\n!shared\n!pyproject.toml\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/a.py").write_text("1")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "README.md").write_text("hello")
    first = images.context_tag(tmp_path)

    (tmp_path / "README.md").write_text("bye")
    (tmp_path / "shared/__pycache__").mkdir()
    (tmp_path / "shared/__pycache__/a.pyc").write_text("compiled")
    assert images.context_tag(tmp_path) == first
    (tmp_path / "shared/a.py").write_text("2")
    assert images.context_tag(tmp_path) != first


def test_the_registrys_task_builds_stages_of_the_dockerfile_from_its_context(
    stages: dict[str, list[tuple[str, str]]],
) -> None:
    text = (ROOT / images.TASK).read_text(encoding="utf-8")
    task = yaml.safe_load(text)

    targets = re.findall(r"--target (\S+)", text)
    assert targets == ["splitter", "assembler", "exporter", "web", "{{.Values.stylizer}}"]
    assert {"splitter", "assembler", "stylizer-gpu", "stylizer-cpu"} <= stages.keys()
    assert task["env"] == ["DOCKER_BUILDKIT=1"]
    built = re.findall(r"--tag (\S+) \.", text)
    assert task["steps"][-1]["push"] == built
    assert ROOT / images.TASK in set(images.context(ROOT)), "the task is taken from the context"


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
