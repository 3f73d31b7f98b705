"""The Bicep files are consistent, and agree with the services' settings and the manifests.

No compiler is to be had, so what one would say about names is asked here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.azure import bicep
from deploy.azure.bicep import File
from deploy.kubernetes.manifests import quantity
from local.stack import CONTAINERS
from shared.service.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[3]
AZURE = ROOT / "deploy/azure"
ACCOUNTS = ("media", "internal")
POSITIONS = {"uploads-checkpoints", "frames-checkpoints", "segments-checkpoints"}
LAYOUT = json.loads((AZURE / "layout.json").read_text(encoding="utf-8"))
ACCESS = json.loads((AZURE / "access.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def main() -> File:
    return bicep.read(AZURE / "main.bicep")


def expressions(value: Any) -> str:
    """All text in a value that is worked out later, for searching."""
    match value:
        case bicep.Expression(text):
            return text
        case bicep.Choice(yes, no):
            return f"{expressions(yes)} {expressions(no)}"
        case bicep.Each(items, body):
            return f"{items} {expressions(body)}"
        case dict():
            return " ".join(expressions(inner) for inner in value.values())
        case list():
            return " ".join(expressions(inner) for inner in value)
        case _:
            return ""


def test_every_file_is_bicep(main: File, modules: dict[str, File]) -> None:
    assert len(modules) == 17
    for file in (main, *modules.values()):
        assert file.errors == []


def test_a_file_that_is_not_bicep_is_noticed(tmp_path: Path) -> None:
    broken = tmp_path / "broken.bicep"
    broken.write_text("param name string =\nresource x 'A/b@2024-01-01' = {\n  name: [\n}\n")

    assert bicep.read(broken).errors


def test_everything_declared_is_used(main: File, modules: dict[str, File]) -> None:
    for file in (main, *modules.values()):
        used = Counter(file.names)
        for name in (*file.parameters, *file.variables):
            assert used[name] > 1, f"{file.path.name}: {name} is declared and never used"


def test_every_module_gets_the_parameters_that_it_wants(
    main: File, modules: dict[str, File]
) -> None:
    for name, use in main.modules.items():
        wanted = modules[use.path].parameters
        given = bicep.bodies(use)["params"]
        required = {key for key, parameter in wanted.items() if parameter.default is None}
        assert required <= given.keys() <= wanted.keys(), name


def test_every_module_is_used(main: File, modules: dict[str, File]) -> None:
    assert {use.path for use in main.modules.values()} == modules.keys()


def test_outputs_that_are_referred_to_exist_and_all_are_wanted(
    main: File, modules: dict[str, File]
) -> None:
    everything = [use.body for use in main.modules.values()], list(main.outputs.values())
    referred = set(re.findall(r"(\w+)\.outputs\.(\w+)", expressions(list(everything))))

    offered = {
        (name, output) for name, use in main.modules.items() for output in modules[use.path].outputs
    }
    assert referred <= offered
    wanted = {(main.modules[name].path, output) for name, output in referred}
    assert wanted == {(path, output) for path, file in modules.items() for output in file.outputs}


def test_everything_is_deployed_into_the_one_resource_group(main: File) -> None:
    for name, use in main.modules.items():
        assert bicep.bodies(use)["scope"] == bicep.Expression("group"), name


def test_loaded_data_files_exist_with_the_keys_that_are_used(
    main: File, modules: dict[str, File]
) -> None:
    assert main.variables["layout"] == bicep.Expression("loadJsonContent('layout.json')")
    assert main.variables["access"] == bicep.Expression("loadJsonContent('access.json')")
    asked = expressions([use.body for use in main.modules.values()])
    for root, content in (("layout", LAYOUT), ("access", ACCESS)):
        for path in re.findall(rf"\b{root}((?:\.\w+)+)", asked):
            found: Any = content
            for key in path.strip(".").split("."):
                assert key in found, f"{root}{path}"
                found = found[key]
    resources = [r.body for file in modules.values() for r in file.resources.values()]
    named = re.findall(r"\broles(?:\['(.+?)'\]|\.(\w+))", expressions(resources))
    assert {one or other for one, other in named} <= ACCESS["roles"].keys()


def as_azd_writes(value: Any) -> str:
    """A default as it stands in the file of parameters."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_parameter_is_described_and_can_be_set_by_azd(main: File) -> None:
    given = json.loads((AZURE / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    assert given.keys() == main.parameters.keys()
    for name, parameter in main.parameters.items():
        assert parameter.description.endswith("."), name
        variable, _, default = given[name]["value"].strip("${}").partition("=")
        snake = re.sub(r"([A-Z])", r"_\1", name).upper()
        assert variable in {snake, f"AZURE_{snake}", "AZURE_ENV_NAME"}, name
        assert default == as_azd_writes(parameter.default), name


def test_hubs_and_containers_are_those_that_the_services_name() -> None:
    settings = ServiceSettings(
        eventhub_connection_string="given", storage_connection_string="given"
    )
    hubs = {hub["name"]: hub["partitions"] for hub in LAYOUT["hubs"]}
    media = {entry["container"] for entry in LAYOUT["accounts"]["media"]}
    internal = {entry["container"] for entry in LAYOUT["accounts"]["internal"]}

    assert hubs == {settings.uploads_hub: 4, settings.frames_hub: 32, settings.segments_hub: 8}
    assert media == settings.media_containers
    assert internal - {LAYOUT["styles"], LAYOUT["uploads"]["undelivered"]} == (
        set(CONTAINERS) - settings.media_containers
    )
    assert LAYOUT["uploads"]["container"] == settings.uploads_container
    assert LAYOUT["uploads"]["hub"] == settings.uploads_hub


def test_positions_and_what_users_own_never_expire() -> None:
    kept = {
        entry["container"]
        for account in LAYOUT["accounts"].values()
        for entry in account
        if not entry["deleteAfterDays"]
    }

    assert kept == {"uploads", "results", "styles", *POSITIONS}


def test_orphans_outlive_the_events_that_refer_to_them() -> None:
    days = {e["container"]: e["deleteAfterDays"] for e in LAYOUT["accounts"]["internal"]}
    hours = {hub["name"]: hub["retentionHours"] for hub in LAYOUT["hubs"]}

    assert days["frames"] * 24 >= hours["frames"]


def test_soft_delete_is_off_where_positions_are_kept(main: File) -> None:
    assert {entry["container"] for entry in LAYOUT["accounts"]["internal"]} >= POSITIONS
    assert bicep.bodies(main.modules["internal"])["params"]["softDeleteDays"] == 0
    assert bicep.bodies(main.modules["media"])["params"]["softDeleteDays"] == bicep.Expression(
        "softDeleteDays"
    )


def test_nobody_signs_in_with_a_key(modules: dict[str, File]) -> None:
    def properties(path: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = bicep.bodies(modules[f"modules/{path}"].resources[name])[
            "properties"
        ]
        return found

    assert properties("eventhubs.bicep", "namespace")["disableLocalAuth"] is True
    assert properties("events.bicep", "announcements")["disableLocalAuth"] is True
    assert properties("storage.bicep", "account")["allowSharedKeyAccess"] is False
    assert properties("storage.bicep", "account")["allowBlobPublicAccess"] is False
    assert properties("cluster.bicep", "cluster")["disableLocalAccounts"] is True
    assert properties("registry.bicep", "registry")["adminUserEnabled"] is False


def test_only_uploads_start_jobs(modules: dict[str, File]) -> None:
    subscription = modules["modules/events.bicep"].resources["subscription"]

    wanted = bicep.bodies(subscription)["properties"]["filter"]
    assert wanted["includedEventTypes"] == [
        "Microsoft.Storage.BlobCreated",
        "Microsoft.Storage.BlobRenamed",
    ]
    assert wanted["subjectBeginsWith"].text.endswith("/containers/${uploadsContainer}/'")


def test_only_pages_of_the_studio_may_put_by_signed_links(
    main: File, modules: dict[str, File]
) -> None:
    blobs = bicep.bodies(modules["modules/storage.bicep"].resources["blobs"])
    rules = blobs["properties"]["cors"]["corsRules"]
    assert rules.items == "origins"
    assert rules.body["allowedOrigins"] == [bicep.Expression("origin")]
    assert rules.body["allowedMethods"] == ["PUT"]
    origins = {name: bicep.bodies(main.modules[name])["params"]["origins"] for name in ACCOUNTS}
    page = bicep.Choice([bicep.Expression("studioUrl")], [])
    assert origins == {"media": page, "internal": []}


@pytest.mark.parametrize("pool", ["gpu", "cpu"])
def test_stylizers_are_sent_to_a_pool_that_is_made_for_them(
    modules: dict[str, File], pool: str
) -> None:
    made = bicep.bodies(modules["modules/pools.bicep"].resources[pool])["properties"]
    overlay = ROOT / f"deploy/kubernetes/overlays/{pool}/stylizer.yaml"
    pod = yaml.safe_load(overlay.read_text(encoding="utf-8"))["spec"]["template"]["spec"]

    assert pod["nodeSelector"] == made["nodeLabels"]
    tolerated = {f"{t['key']}={t['value']}:{t['effect']}" for t in pod.get("tolerations", ())}
    assert set(made.get("nodeTaints", ())) <= tolerated


# What AKS reserves of so many cores ("Node resource reservations"), and a generous guess at what
# its agents on every node ask for.
RESERVED_CORES = {4: 0.14, 8: 0.18}
AGENTS_CORES = 0.7


@pytest.mark.parametrize(
    ("pool", "size", "cores", "stylizers"),
    [("gpu", "Standard_NC4as_T4_v3", 4, 1), ("cpu", "Standard_D8ds_v5", 8, 2)],
)
def test_a_node_has_room_for_as_many_stylizers_as_are_counted_on_it(
    main: File, pool: str, size: str, cores: int, stylizers: int
) -> None:
    assert main.parameters[f"{pool}VmSize"].default == size
    overlay = ROOT / f"deploy/kubernetes/overlays/{pool}/stylizer.yaml"
    pod = yaml.safe_load(overlay.read_text(encoding="utf-8"))["spec"]["template"]["spec"]
    request = quantity(pod["containers"][0]["resources"]["requests"]["cpu"])

    assert (cores - RESERVED_CORES[cores] - AGENTS_CORES) // request == stylizers
    most = main.outputs["STYLIZER_MAX_REPLICAS"]
    wanted = "gpuMaxNodes" if stylizers == 1 else f"min(cpuMaxNodes * {stylizers}, 32)"
    assert wanted in {most.yes.text, most.no.text}


def test_pools_are_scale_sets_which_spot_and_the_autoscaler_want(modules: dict[str, File]) -> None:
    cluster = bicep.bodies(modules["modules/cluster.bicep"].resources["cluster"])["properties"]
    added = modules["modules/pools.bicep"].resources
    pools = [
        *cluster["agentPoolProfiles"],
        *(bicep.bodies(added[name])["properties"] for name in ("gpu", "cpu")),
    ]

    assert [pool.get("type") for pool in pools] == ["VirtualMachineScaleSets"] * 3


def test_a_stylizer_on_a_gpu_may_use_all_cores_of_its_node() -> None:
    # It is alone there, has as many lanes as the node has cores, and decodes and encodes in them.
    overlay = ROOT / "deploy/kubernetes/overlays/gpu/stylizer.yaml"
    pod = yaml.safe_load(overlay.read_text(encoding="utf-8"))["spec"]["template"]["spec"]
    limits = pod["containers"][0]["resources"]["limits"]

    assert limits["nvidia.com/gpu"] == "1"
    assert limits["cpu"] is None, "takes the base's limit away"
    assert "memory" in limits


def test_the_alerts_can_be_written_as_azures(modules: dict[str, File]) -> None:
    file = modules["modules/alerts.bicep"]

    for path in sorted((ROOT / "deploy/monitoring/rules").glob("*.yml")):
        assert f"../../{path.relative_to(ROOT / 'deploy')}" in file.variables["groups"].text
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            assert len(group["rules"]) <= 20, "Azure takes no more in one group"
            for rule in group["rules"]:
                assert re.fullmatch(r"\d+[mh]", rule.get("for", "0m")), "becomes PT15M or PT1H"
                if "alert" in rule:
                    assert rule["labels"]["severity"] in file.variables["severities"]


def test_alerts_see_what_was_recorded_for_them(modules: dict[str, File]) -> None:
    # What is recorded by service carries no label of a cluster: a group that is limited to one
    # might not see it. And there is but one cluster in the workspace.
    group = bicep.bodies(modules["modules/alerts.bicep"].resources["rules"])["properties"]
    recorded = (ROOT / "deploy/monitoring/rules/outages.yml").read_text(encoding="utf-8")

    assert "max by (service) (stylestream_backlog_events)" in recorded
    assert "clusterName" not in group
    assert "clusterName" not in modules["modules/alerts.bicep"].parameters


def test_pools_that_go_back_to_zero_attract_no_pods_of_the_clusters_own(
    modules: dict[str, File],
) -> None:
    for pool in ("gpu", "cpu"):
        made = bicep.bodies(modules["modules/pools.bicep"].resources[pool])["properties"]
        assert f"sku={pool}:NoSchedule" in made["nodeTaints"]
