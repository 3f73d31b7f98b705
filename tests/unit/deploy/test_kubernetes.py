"""The manifests agree with the services, as far as shows without kustomize; and rules can fail."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes import pods, pools, rules
from deploy.kubernetes.manifests import Manifests, quantity, read_environment
from deploy.scaling.assumptions import Assumptions
from deploy.scaling.autoscaler import ScalingRule
from shared.service import runtime
from splitter import job_monitor, overlooked

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = ROOT / "deploy/kubernetes"

Break = Callable[[dict[tuple[str, str], Any]], object]


@pytest.fixture(scope="session")
def manifests() -> Manifests:
    """What the Azure overlays have in common, with names put in as kustomize would."""
    config = read_environment(KUBERNETES / "azure/config.env")
    identities = read_environment(KUBERNETES / "azure/identities.env")
    read = Manifests.read(
        *sorted((KUBERNETES / "base").glob("[!k]*.yaml")),
        *sorted(set((KUBERNETES / "azure").glob("[!k]*.yaml")) - {REPLACEMENTS}),
    )
    documents = copy.deepcopy(read.documents)
    for document in documents:
        if document["kind"] == "Deployment":
            labels = document["spec"]["template"]["metadata"]["labels"]
            labels["azure.workload.identity/use"] = "true"
    sources = {
        "pipeline": {"kind": "ConfigMap", "metadata": {"name": "pipeline"}, "data": config},
        "identities": {"kind": "ConfigMap", "metadata": {"name": "identities"}, "data": identities},
    }
    for replacement in yaml.safe_load(REPLACEMENTS.read_text(encoding="utf-8")):
        replace(documents, sources, replacement)
    return Manifests((*documents, sources["pipeline"]))


REPLACEMENTS = KUBERNETES / "azure/replacements.yaml"


def replace(documents: tuple[Any, ...], sources: Any, replacement: Any) -> None:
    """Do what kustomize does with a replacement, as far as ours need it."""
    source = replacement["source"]
    value = sources[source["name"]]["data"][source["fieldPath"].removeprefix("data.")]
    if options := source.get("options"):
        value = value.split(options["delimiter"])[options["index"]]
    found = 0
    for target in replacement["targets"]:
        for document in documents:
            chosen = {"kind": document["kind"], "name": document["metadata"]["name"]}
            if not target["select"].items() <= chosen.items():
                continue
            for path in target["fieldPaths"]:
                *steps, last = [key.strip("[]") for key in re.findall(r"\[[^]]+\]|[^.]+", path)]
                at = document
                for step in steps:
                    at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
                at[last] = value
                found += 1
    assert found, f"nothing is replaced by {source}"


def test_the_manifests_keep_all_rules(manifests: Manifests) -> None:
    assert rules.problems(manifests) == []
    assert len(manifests.of("Deployment")) == len(manifests.of("ScaledObject")) + 1 == 4


def test_a_pods_end_allows_for_what_the_runtime_takes() -> None:
    assert pods.CLOSING_S == runtime._CLOSING_S


def test_records_in_azure_are_rewritten_rarely_and_splits_still_hear_of_painting_in_time(
    manifests: Manifests,
) -> None:
    status_s = pods.setting_of(manifests, "assembler", "status_interval_s")
    progress_s = pods.setting_of(manifests, "splitter", "progress_interval_s")
    assert min(status_s, progress_s) >= 5, "soft delete keeps every copy"

    # What is painted is learned from the record: meanwhile a window of chunks must last.
    settings = {
        name: pods.setting_of(manifests, "splitter", name)
        for name in ("outstanding_chunks", "chunk_frames")
    }
    model = Assumptions(videos_a_day=1)
    window = settings["outstanding_chunks"] * model.partitions * settings["chunk_frames"]
    assert window / (status_s + progress_s) > 2 * model.split_speed
    redrive_s = pods.setting_of(manifests, "assembler", "redrive_after_s")
    assert job_monitor._SIGN_OF_LIFE_S + progress_s < redrive_s, (
        "a split that lives must look alive"
    )


def test_the_minutes_of_each_hour_are_enough_to_find_lost_events(manifests: Manifests) -> None:
    splitter_s = pods.setting_of(manifests, "splitter", "uploads_look_s") / overlooked._LOOKS
    assembler_s = pods.setting_of(manifests, "assembler", "redrive_after_s")
    for name, between_s in (("splitter", splitter_s), ("assembler", assembler_s)):
        scaled = manifests.find("ScaledObject", name)
        assert scaled is not None
        times = scaled["spec"]["triggers"][1]["metadata"]
        begin, end = (int(times[key].split()[0]) for key in ("start", "end"))
        # KEDA sees the hour, a pod starts on the node of the system pool, two looks find a loss,
        # each after a pause; and there is as much time again, should storage be away for a look
        start_s = scaled["spec"]["pollingInterval"] + Assumptions(videos_a_day=1).pod_start_s
        assert 60 * (end - begin) > 2 * (start_s + 3 * between_s), name


def test_a_stylizers_scaling_rule_can_be_simulated(manifests: Manifests) -> None:
    scaled = manifests.find("ScaledObject", "stylizer")
    assert scaled is not None

    rule = ScalingRule.of(scaled)

    assert (rule.least, rule.activation) == (0, 0)
    assert rule.most <= Assumptions(videos_a_day=1).partitions
    assert rule.threshold == 64


def test_the_simulation_keeps_idle_nodes_as_long_as_the_cluster() -> None:
    cluster = (ROOT / "deploy/azure/modules/cluster.bicep").read_text(encoding="utf-8")
    (minutes,) = re.findall(r"'scale-down-unneeded-time': '(\d+)m'", cluster)

    assert Assumptions(videos_a_day=1).node_idle_s == 60 * int(minutes)


def test_every_file_is_part_of_something() -> None:
    for folder in (path.parent for path in KUBERNETES.rglob("kustomization.yaml")):
        text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
        for file in folder.glob("*.*"):
            if file.name != "kustomization.yaml":
                assert re.search(rf"\b{re.escape(file.name)}\b", text), file


def test_the_overlays_paint_with_images_of_their_own() -> None:
    images = {
        overlay: yaml.safe_load((KUBERNETES / f"overlays/{overlay}/kustomization.yaml").read_text())
        for overlay in ("cpu", "gpu", "dev")
    }

    painted_by = {overlay: entry["images"][0]["newName"] for overlay, entry in images.items()}

    assert painted_by == {
        "cpu": "localhost/stylestream/stylizer-cpu",
        "gpu": "localhost/stylestream/stylizer-gpu",
        "dev": "localhost/stylestream/stylizer-cpu",
    }


@pytest.mark.parametrize(("lanes", "fits"), [("4", True), ("6", False)])
def test_the_processors_overlay_has_memory_for_its_lanes(
    manifests: Manifests, lanes: str, *, fits: bool
) -> None:
    overlay = yaml.safe_load((KUBERNETES / "overlays/cpu/stylizer.yaml").read_text())
    (patch,) = overlay["spec"]["template"]["spec"]["containers"]
    assert "limits" not in patch["resources"], "they are the base's"
    documents = copy.deepcopy(manifests.documents)
    container = container_of({(d["kind"], d["metadata"]["name"]): d for d in documents}, "stylizer")
    container["env"] = patch["env"]
    assert {"name": "LANES", "value": "4"} in container["env"]

    container["env"] = [*patch["env"], {"name": "LANES", "value": lanes}]

    problems = list(pods.the_largest_pictures_can_be_painted(Manifests(documents)))
    assert (problems == []) is fits


def test_the_containers_on_one_machine_take_the_same_pictures(manifests: Manifests) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))

    given = int(compose["services"]["splitter"]["environment"]["MAX_PIXELS"])

    assert given == pods.setting_of(manifests, "splitter", "max_pixels")


def test_the_development_overlay_has_the_hubs_that_compose_has() -> None:
    broker = yaml.safe_load_all((KUBERNETES / "overlays/dev/eventhubs.yaml").read_text())
    (container,) = next(iter(broker))["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    command = compose["services"]["eventhubs"]["command"]

    hubs = {argument for argument in container["args"] if argument.startswith("--hub=")}

    assert hubs == {argument for argument in command if argument.startswith("--hub=")} != set()


def container_of(documents: dict[tuple[str, str], Any], name: str) -> Any:
    return documents["Deployment", name]["spec"]["template"]["spec"]["containers"][0]


def triggers_of(documents: dict[tuple[str, str], Any], name: str) -> Any:
    return documents["ScaledObject", name]["spec"]["triggers"]


def trigger_of(documents: dict[tuple[str, str], Any], name: str) -> Any:
    return triggers_of(documents, name)[0]["metadata"]


def hourly_of(documents: dict[tuple[str, str], Any], name: str) -> Any:
    return triggers_of(documents, name)[1]["metadata"]


BREAKS: dict[str, Break] = {
    "is no setting of splitter": lambda d: container_of(d, "splitter")["env"].append(
        {"name": "SPLIT", "value": "3"}
    ),
    "is no setting of any service": lambda d: d["ConfigMap", "pipeline"]["data"].update(HUB="x"),
    "are mutually exclusive": lambda d: d["ConfigMap", "pipeline"]["data"].update(
        STORAGE_CONNECTION_STRING="x"
    ),
    "the grace period is shorter": lambda d: d["ConfigMap", "pipeline"]["data"].update(
        DRAIN_TIMEOUT_S="111"
    ),
    "asks the port": lambda d: container_of(d, "stylizer")["ports"][0].update(name="other"),
    "has no startupProbe": lambda d: container_of(d, "assembler").pop("startupProbe"),
    "is not METRICS_PORT": lambda d: container_of(d, "assembler")["ports"][0].update(
        containerPort=9001
    ),
    "liveness must not depend": lambda d: container_of(d, "splitter")["livenessProbe"].update(
        httpGet={"path": "/readyz", "port": "metrics"}
    ),
    "is not confined": lambda d: container_of(d, "splitter")["securityContext"].update(
        readOnlyRootFilesystem=False
    ),
    "has no limit of memory": lambda d: container_of(d, "splitter")["resources"]["limits"].pop(
        "memory"
    ),
    "do not fit into its memory": lambda d: container_of(d, "splitter")["resources"][
        "limits"
    ].update(memory="8Gi"),
    "pictures of MAX_PIXELS in 4 lanes want 7.0 GiB": lambda d: container_of(d, "splitter")[
        "env"
    ].remove({"name": "MAX_PIXELS", "value": "8355840"}),
    "may fill the node": lambda d: d["Deployment", "stylizer"]["spec"]["template"]["spec"][
        "volumes"
    ][0].update(emptyDir={}),
    "the volume tmp does not exist": lambda d: d["Deployment", "stylizer"]["spec"]["template"][
        "spec"
    ].update(volumes=[]),
    "WORK_DIR is no volume": lambda d: container_of(d, "assembler")["env"][0].update(value="/work"),
    "no image stylizzer is built": lambda d: container_of(d, "stylizer").update(
        image="registry.example/stylestream/stylizzer:1"
    ),
    "has no version": lambda d: container_of(d, "stylizer").update(
        image="registry.example/other:latest"
    ),
    "does not find its own pods": lambda d: d["Deployment", "stylizer"]["spec"]["selector"][
        "matchLabels"
    ].update({"app.kubernetes.io/name": "painter"}),
    "selects no pod": lambda d: d["PodDisruptionBudget", "stylizer"]["spec"]["selector"][
        "matchLabels"
    ].update({"app.kubernetes.io/name": "painter"}),
    "its strategy has no type": lambda d: d["Deployment", "splitter"]["spec"]["strategy"].pop(
        "type"
    ),
    "a port names no protocol": lambda d: d["PodDisruptionBudget", "stylizer"].update(
        kind="Service", spec={"selector": {}, "ports": [{"port": 80}]}
    ),
    "there is no painter": lambda d: d["NetworkPolicy", "allow-metrics"]["spec"]["podSelector"][
        "matchExpressions"
    ][0]["values"].append("painter"),
    "exporter: no PodMonitor collects": lambda d: d["PodMonitor", "stylestream"]["spec"][
        "selector"
    ]["matchExpressions"][0]["values"].remove("exporter"),
    "exporter: no NetworkPolicy lets": lambda d: d["NetworkPolicy", "allow-metrics"]["spec"][
        "podSelector"
    ]["matchExpressions"][0]["values"].remove("exporter"),
    "keys are not those that KEDA reads": lambda d: trigger_of(d, "stylizer").update(
        eventHubsNamespace="x"
    ),
    "have to be strings": lambda d: trigger_of(d, "stylizer").update(unprocessedEventThreshold=64),
    "in the metadata of blobs": lambda d: trigger_of(d, "stylizer").update(
        checkpointStrategy="goSdk"
    ),
    "watches another hub": lambda d: trigger_of(d, "stylizer").update(eventHubName="segments"),
    "more replicas than the hub has partitions": lambda d: d["ScaledObject", "splitter"][
        "spec"
    ].update(maxReplicaCount=5),
    "the services use stylestream": lambda d: trigger_of(d, "stylizer").update(
        consumerGroup="$Default"
    ),
    "blobContainer is uploads-checkpoints": lambda d: trigger_of(d, "stylizer").update(
        blobContainer="uploads-checkpoints"
    ),
    "has to be in lower case": lambda d: d["ConfigMap", "pipeline"]["data"].update(
        EVENTHUB_FULLY_QUALIFIED_NAMESPACE="Style.servicebus.windows.net"
    ),
    "its authentication does not exist": lambda d: d["TriggerAuthentication", "azure"][
        "metadata"
    ].update(name="other"),
    "stylizer: wants no trigger beside": lambda d: triggers_of(d, "stylizer").append(
        triggers_of(d, "splitter")[1]
    ),
    "assembler: wants one trigger beside": lambda d: triggers_of(d, "assembler").pop(),
    "a cron trigger with KEDA's keys": lambda d: hourly_of(d, "splitter").update(timeZone="UTC"),
    "at a minute of every hour": lambda d: hourly_of(d, "splitter").update(start="0 6 * * *"),
    "and end at a later one": lambda d: hourly_of(d, "assembler").update(end="0 * * * *"),
    "one replica is enough": lambda d: hourly_of(d, "splitter").update(desiredReplicas="2"),
    "no lag asks for all replicas": lambda d: trigger_of(d, "stylizer").update(
        unprocessedEventThreshold="300"
    ),
    "get no token": lambda d: d["Job", "prepare-checkpoints-stylizer"]["spec"]["template"][
        "metadata"
    ]["labels"].pop("azure.workload.identity/use"),
    "names no identity": lambda d: d["ServiceAccount", "stylizer"]["metadata"].pop("annotations"),
}


@pytest.mark.parametrize("sentence", BREAKS)
def test_a_broken_manifest_is_found(manifests: Manifests, sentence: str) -> None:
    documents = copy.deepcopy(manifests.documents)
    BREAKS[sentence]({(d["kind"], d["metadata"]["name"]): d for d in documents})

    found = rules.problems(Manifests(documents))

    assert any(sentence in problem for problem in found), found


def test_every_rule_is_seen_to_fail() -> None:
    known = {rule.__name__ for rule in rules.RULES}
    defined = {
        name
        for module in (pods, pools)
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__annotations__", {}).get("return") == "Problems"
    }

    assert known == {name for name in defined if not name.startswith("_")}


@pytest.mark.parametrize(
    ("text", "number"), [("2", 2), ("250m", 0.25), ("1Gi", 2**30), ("512Mi", 2**29), ("3k", 3000)]
)
def test_quantities_are_understood(text: str, number: float) -> None:
    assert quantity(text) == number
