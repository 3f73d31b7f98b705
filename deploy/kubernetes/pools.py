"""Rules for pools: selectors match pods, and each pool is scaled by its service's lag.

Each rule checks all manifests of an overlay and yields a sentence for each problem.
"""

from __future__ import annotations

import json
import re
from typing import Final

from deploy.kubernetes.manifests import Manifest, Manifests, name_of
from deploy.kubernetes.pods import ROOT, Problems, setting_of

LAYOUT: Final = ROOT / "deploy/azure/layout.json"
CLIENT_ID: Final = "azure.workload.identity/client-id"

# What KEDA's cron_scaler.go reads.
CRON_KEYS: Final = {"desiredReplicas", "end", "start", "timezone"}

# Of what KEDA's azure_eventhub.go and azure_eventhub_scaler.go read, the keys that we need. KEDA
# silently ignores unknown keys.
TRIGGER_KEYS: Final = {
    "activationUnprocessedEventThreshold",
    "blobContainer",
    "checkpointStrategy",
    "consumerGroup",
    "eventHubName",
    "eventHubNamespace",
    "storageAccountName",
    "unprocessedEventThreshold",
}

_NAME: Final = "app.kubernetes.io/name"
_FIGURES: Final = "metrics"
"""The port from which metrics are scraped."""
_EVERY_HOUR: Final = re.compile(r"(\d|[1-5]\d) \* \* \* \*")
_LOOK_FOR_LOST_EVENTS: Final = {"splitter", "assembler"}
_READS: Final = {"splitter": "UPLOADS", "stylizer": "FRAMES", "assembler": "SEGMENTS"}


def selectors_find_something(manifests: Manifests) -> Problems:
    """Every selector matches some pods, and a Deployment's its own."""
    pods = [template["metadata"]["labels"] for _, template in manifests.templates()]
    for deployment in manifests.of("Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        if not deployment["spec"]["selector"]["matchLabels"].items() <= labels.items():
            yield f"{name_of(deployment)}: its selector does not find its own pods"
    for manifest in manifests.of("PodDisruptionBudget", "NetworkPolicy", "Service", "PodMonitor"):
        spec = manifest["spec"]
        if "namespaceSelector" in spec:
            continue  # pods of others
        selector = spec.get("podSelector", spec.get("selector"))
        if manifest["kind"] == "Service":
            selector = {"matchLabels": selector}
        if not any(_selects(selector, labels) for labels in pods):
            yield f"{manifest['kind']} {name_of(manifest)}: selects no pod"
        for wanted in _wanted_names(selector) - {labels[_NAME] for labels in pods}:
            yield f"{manifest['kind']} {name_of(manifest)}: there is no {wanted}"


def applying_again_changes_nothing(manifests: Manifests) -> Problems:
    """Defaults are written out where applying without them goes wrong."""
    for deployment in manifests.of("Deployment"):
        strategy = deployment["spec"].get("strategy", {})
        if "rollingUpdate" in strategy and "type" not in strategy:
            yield f"{name_of(deployment)}: its strategy has no type: each apply would send a change"
    for service in manifests.of("Service"):
        if any("protocol" not in port for port in service["spec"]["ports"]):
            # Server-side apply identifies ports by it.
            yield f"Service {name_of(service)}: a port names no protocol"


def _selects(selector: Manifest, labels: Manifest) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", ())
    )


def _wanted_names(selector: Manifest) -> set[str]:
    return {
        value
        for rule in selector.get("matchExpressions", ())
        if rule["key"] == _NAME
        for value in rule["values"]
    }


def figures_are_collected(manifests: Manifests) -> Problems:
    """If there are pod monitors, every pod with metrics has one, and a policy that admits it."""
    monitors = [m for m in manifests.of("PodMonitor") if "namespaceSelector" not in m["spec"]]
    policies = [m for m in manifests.of("NetworkPolicy") if _admits_scrapes(m)]
    if not monitors:
        return
    for owner, template in manifests.templates():
        containers, labels = template["spec"]["containers"], template["metadata"]["labels"]
        if all(port["name"] != _FIGURES for c in containers for port in c.get("ports", ())):
            continue
        if not any(_selects(monitor["spec"]["selector"], labels) for monitor in monitors):
            yield f"{owner}: no PodMonitor collects its figures"
        if not any(_selects(policy["spec"]["podSelector"], labels) for policy in policies):
            yield f"{owner}: no NetworkPolicy lets its figures be collected"


def _admits_scrapes(policy: Manifest) -> bool:
    rules = policy["spec"].get("ingress", ())
    return any(allowed["port"] == _FIGURES for rule in rules for allowed in rule.get("ports", ()))


def pools_scale_by_their_lag(manifests: Manifests) -> Problems:
    """The first trigger is on the hub that the service reads, with keys that KEDA reads."""
    config, partitions = manifests.config("pipeline"), _partitions()
    for scaled in manifests.of("ScaledObject"):
        name, spec = name_of(scaled), scaled["spec"]
        trigger, *_ = spec["triggers"]
        metadata = trigger["metadata"]
        if spec["scaleTargetRef"]["name"] != name or not manifests.find("Deployment", name):
            yield f"ScaledObject {name}: there is no such Deployment"
        if trigger["type"] != "azure-eventhub" or metadata.keys() != TRIGGER_KEYS:
            yield f"ScaledObject {name}: its trigger's keys are not those that KEDA reads"
            continue
        if any(not isinstance(value, str) for value in metadata.values()):
            yield f"ScaledObject {name}: a trigger's values have to be strings"
        if metadata["checkpointStrategy"] != "blobMetadata":
            yield f"ScaledObject {name}: our checkpoints are in the metadata of blobs"
        if not manifests.find("TriggerAuthentication", trigger["authenticationRef"]["name"]):
            yield f"ScaledObject {name}: its authentication does not exist"
        if metadata["eventHubName"] != config.get(f"{_READS[name]}_HUB"):
            yield f"ScaledObject {name}: watches another hub than its service reads"
        if spec["maxReplicaCount"] > partitions[_READS[name].lower()]:
            yield f"ScaledObject {name}: more replicas than the hub has partitions"
        yield from _addresses_agree(name, metadata, config)


def _addresses_agree(name: str, metadata: Manifest, config: dict[str, str]) -> Problems:
    namespace = config.get("EVENTHUB_FULLY_QUALIFIED_NAMESPACE", "")
    account = config.get("STORAGE_ACCOUNT_URL", "").removeprefix("https://")
    for key, wanted in (
        ("eventHubNamespace", namespace.split(".")[0]),
        ("storageAccountName", account.split(".")[0]),
        ("consumerGroup", config.get("CONSUMER_GROUP")),
        ("blobContainer", config.get(f"{_READS[name]}_CHECKPOINTS_CONTAINER")),
    ):
        if metadata[key] != wanted:
            yield f"ScaledObject {name}: {key} is {metadata[key]}, the services use {wanted}"
    for text in (namespace, metadata["eventHubName"]):
        if text != text.lower():
            # Consumers write checkpoints under lower-case names; KEDA uses the name as given.
            yield f"ScaledObject {name}: {text} has to be in lower case"


def _partitions() -> dict[str, int]:
    layout = json.loads(LAYOUT.read_text(encoding="utf-8"))
    return {hub["name"]: hub["partitions"] for hub in layout["hubs"]}


def lost_events_are_looked_for(manifests: Manifests) -> Problems:
    """Services that look for lost events run for a while every hour; no other service does."""
    for scaled in manifests.of("ScaledObject"):
        name, (_, *others) = name_of(scaled), scaled["spec"]["triggers"]
        if len(others) != (name in _LOOK_FOR_LOST_EVENTS):
            wanted = "one trigger" if name in _LOOK_FOR_LOST_EVENTS else "no trigger"
            yield f"ScaledObject {name}: wants {wanted} beside its lag"
        for trigger in others:
            yield from _is_hourly(name, trigger)


def _is_hourly(name: str, trigger: Manifest) -> Problems:
    metadata = trigger["metadata"]
    if trigger["type"] != "cron" or metadata.keys() != CRON_KEYS:
        yield f"ScaledObject {name}: beside its lag, it may have a cron trigger with KEDA's keys"
        return
    start, end = (_EVERY_HOUR.fullmatch(metadata[key]) for key in ("start", "end"))
    if start is None or end is None or int(start[1]) >= int(end[1]):
        yield f"ScaledObject {name}: has to begin at a minute of every hour, and end at a later one"
    if metadata["desiredReplicas"] != "1":
        yield f"ScaledObject {name}: one replica is enough to look for lost events"


def the_stylizers_are_all_reached(manifests: Manifests) -> Problems:
    """The splitters' windows allow the lag at which the last stylizer is started."""
    stylizer, splitter = (manifests.find("ScaledObject", name) for name in ("stylizer", "splitter"))
    if stylizer is None or splitter is None:
        return
    trigger, *_ = stylizer["spec"]["triggers"]
    threshold = int(trigger["metadata"]["unprocessedEventThreshold"])
    ahead = (
        splitter["spec"]["maxReplicaCount"]
        * setting_of(manifests, "splitter", "splits")
        * setting_of(manifests, "splitter", "outstanding_chunks")
        * _partitions()["frames"]
    )
    if (stylizer["spec"]["maxReplicaCount"] - 1) * threshold >= ahead:
        yield f"ScaledObject stylizer: no lag asks for all replicas, at most {ahead} chunks wait"


def pods_have_identities(manifests: Manifests) -> Problems:
    """In Azure every pod signs in with its service's identity."""
    if not manifests.of("ScaledObject"):
        return
    for owner, template in manifests.templates():
        if template["metadata"]["labels"].get("azure.workload.identity/use") != "true":
            yield f"{owner}: its pods get no token to sign in with"
        account = manifests.find("ServiceAccount", template["spec"]["serviceAccountName"])
        if account is None:
            yield f"{owner}: its service account does not exist"
        elif not account["metadata"].get("annotations", {}).get(CLIENT_ID):
            yield f"{owner}: its service account names no identity"
