"""Checks before anything is created that the region has room for it: azd's preprovision hook.

Most deployments of GPUs fail after half an hour, at a quota of zero. So this asks first: does the
region offer every service, may this subscription use the machines, and are enough vCPUs left for
at least one machine of each pool? For pools that exist already, it checks that no setting has
changed which AKS cannot change. All problems are reported at once. ::

    AZURE_LOCATION=eastus python3 -m deploy.azure.quota
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from deploy.azure.cli import AzureCliError, az, subscription

PARAMETERS: Final = Path(__file__).parent / "main.parameters.json"

# Services that not every region offers: the provider, and the resource type that is needed.
OFFERED: Final = {
    "Microsoft.ContainerService": "managedClusters",
    "Microsoft.Dashboard": "grafana",
    "Microsoft.EventGrid": "systemTopics",
    "Microsoft.EventHub": "namespaces",
    "Microsoft.Monitor": "accounts",
    "Microsoft.OperationalInsights": "workspaces",
    "Microsoft.Storage": "storageAccounts",
}

# Providers that the subscription must have registered; the added ones are offered everywhere.
REGISTERED: Final = (
    *OFFERED,
    "Microsoft.AlertsManagement",
    "Microsoft.Compute",
    "Microsoft.ContainerRegistry",
    "Microsoft.Insights",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
)

COMPUTES: Final = ("T4_v3", "A100_v4", "H100_v5", "H200_v5")
"""Endings of the GPU sizes that can run the image's CUDA 13.

On A10 sizes AKS installs NVIDIA's GRID driver 570, but CUDA 13 needs 580. The V100 and older GPUs
are not supported by CUDA 13.
"""

SPOT: Final = "lowPriorityCores"
"""The quota that all spot machines share."""


@dataclass(frozen=True)
class Pool:
    """A node pool: its VM size, and its minimum and maximum number of machines."""

    name: str
    size: str
    least: int
    most: int
    spot: bool = False
    encrypted: bool = False

    @property
    def fixed(self) -> dict[str, str]:
        """What AKS cannot change in an existing pool, by the variables that set it."""
        spot = {"GPU_SPOT": _text(self.spot)} if self.name == "gpu" else {}
        size = {f"{self.name.upper()}_VM_SIZE": self.size}
        return {**size, **spot, "HOST_ENCRYPTION": _text(self.encrypted)}


def main() -> None:
    """Check; exit 1 on any problem. What only limits the pools is reported as a note."""
    settings = parameters(os.environ)
    location = settings["location"]
    if not location:
        sys.exit("quota: set AZURE_LOCATION to a region, such as eastus")
    wanted = pools(settings)
    if not any(pool.name in ("gpu", "cpu") for pool in wanted):
        sys.exit("quota: GPU_MAX_NODES and CPU_MAX_NODES are both 0: set one of them to 1 or more")
    try:
        found, notes = check(location, wanted, settings["environmentName"])
    except AzureCliError as error:
        sys.exit(f"quota: {error}; sign in with: az login")
    for note in notes:
        print(f"quota: note: {note}")
    for problem in found:
        print(f"quota: {problem}", file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"quota: {location} has room")


def check(location: str, wanted: list[Pool], environment: str) -> tuple[list[str], list[str]]:
    """Return what would make the deployment fail, and what would only limit it."""
    found = list(missing(az("provider", "list"), location))
    usage = free_cores(az("vm", "list-usage", "--location", location))
    notes: list[str] = []
    there = dict(made(az("aks", "list"), environment))
    for asked in wanted:
        pool, machines = asked, 0
        if asked.name in there:
            before, cluster = there[asked.name]
            found += unchangeable(asked, before, cluster)
            # It may stay as it is, however little quota is left.
            pool, machines = replace(asked, least=0), before.least
        if pool.name == "gpu" and not pool.size.endswith(COMPUTES):
            found.append(
                f"{pool.size} cannot run CUDA 13, which the GPU image needs: set "
                f"GPU_VM_SIZE to a size that ends with {', '.join(COMPUTES)}"
            )
            continue
        skus = az(
            *("vm", "list-skus", "--location", location, "--all"),
            *("--resource-type", "virtualMachines", "--size", pool.size),
        )
        sku = next((sku for sku in skus if sku["name"].lower() == pool.size.lower()), None)
        if sku is None:
            found.append(f"{location} has no {pool.size}, which the {pool.name} pool needs")
        elif reasons := restrictions(sku):
            found.append(
                f"this subscription may not use {pool.size} in {location} ({', '.join(reasons)})"
            )
        else:
            problem, note = room(pool, sku, usage, machines)
            found += problem
            notes += note
    return found, notes


def parameters(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the deployment's parameters as azd fills them in, from the environment or defaults."""
    entries = json.loads(PARAMETERS.read_text(encoding="utf-8"))["parameters"]
    found = {}
    for name, entry in entries.items():
        match = re.fullmatch(r"\$\{(\w+)(?:=(.*))?\}", entry["value"])
        assert match is not None, entry
        found[name] = environment.get(match[1]) or match[2] or ""
    return found


def pools(settings: Mapping[str, str]) -> list[Pool]:
    """Return the node pools that the parameters describe."""
    spot, encrypted = (settings[name].lower() == "true" for name in ("gpuSpot", "hostEncryption"))
    wanted = [
        Pool(
            "system",
            settings["systemVmSize"],
            int(settings["systemMinNodes"]),
            int(settings["systemMaxNodes"]),
            encrypted=encrypted,
        ),
        Pool("gpu", settings["gpuVmSize"], 1, int(settings["gpuMaxNodes"]), spot, encrypted),
        Pool("cpu", settings["cpuVmSize"], 1, int(settings["cpuMaxNodes"]), encrypted=encrypted),
    ]
    return [pool for pool in wanted if pool.most]


def made(
    clusters: list[dict[str, Any]], environment: str
) -> Iterator[tuple[str, tuple[Pool, dict[str, Any]]]]:
    """Yield an environment's existing pools by name, each with its cluster."""
    for cluster in clusters:
        if (cluster.get("tags") or {}).get("azd-env-name") != environment:
            continue
        for profile in cluster["agentPoolProfiles"]:
            spot = profile.get("scaleSetPriority") == "Spot"
            encrypted = bool(profile.get("enableEncryptionAtHost"))
            count = int(profile["count"])
            pool = Pool(profile["name"], profile["vmSize"], count, count, spot, encrypted)
            yield pool.name, (pool, cluster)


def unchangeable(wanted: Pool, there: Pool, cluster: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each setting that AKS cannot change, with the remedy."""
    remedy = "make another environment (azd env new)"
    if wanted.name != "system":
        command = (
            *("az aks nodepool delete --resource-group", cluster["resourceGroup"]),
            *("--cluster-name", cluster["name"], "--name", wanted.name),
        )
        remedy = f"delete the pool while nothing is painted: {_line(*command)}"
    for variable, value in there.fixed.items():
        if value.lower() != wanted.fixed[variable].lower():
            yield (
                f"the {wanted.name} pool was made with {variable}={value}, which AKS cannot "
                f"change: set it back, or {remedy}"
            )


def missing(providers: list[dict[str, Any]], location: str) -> Iterator[str]:
    """Yield a sentence for each service that the region or the subscription lacks."""
    known = {provider["namespace"].lower(): provider for provider in providers}
    for namespace in REGISTERED:
        provider = known.get(namespace.lower())
        if provider is None or provider["registrationState"] != "Registered":
            register = _line("az provider register --namespace", namespace)
            yield f"{namespace} is not registered: {register}"
        if provider is None or namespace not in OFFERED:
            continue
        regions = {
            _plain(region)
            for kind in provider["resourceTypes"]
            if kind["resourceType"].lower() == OFFERED[namespace].lower()
            for region in kind["locations"]
        }
        if regions and _plain(location) not in regions:
            yield f"{location} does not offer {namespace}/{OFFERED[namespace]}"


def free_cores(usage: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many vCPUs are left, by the name of the quota in lower case."""
    return {
        entry["name"]["value"].lower(): int(entry["limit"]) - int(entry["currentValue"])
        for entry in usage
    }


def restrictions(sku: dict[str, Any]) -> list[str]:
    """Return why a size is unavailable in the whole region; restricted zones do not count."""
    return [
        restriction.get("reasonCode") or "restricted"
        for restriction in sku.get("restrictions") or ()
        if restriction["type"] == "Location"
    ]


def room(
    pool: Pool, sku: dict[str, Any], usage: dict[str, int], machines: int = 0
) -> tuple[list[str], list[str]]:
    """Compare a pool, which may have machines already, with the quota left.

    What it needs at least is taken from ``usage``, since pools may share a quota. Return problems
    and notes.
    """
    cores = next(int(c["value"]) for c in sku["capabilities"] if c["name"] == "vCPUs")
    quotas = [SPOT] if pool.spot else [sku["family"], "cores"]
    found, notes = [], []
    for quota in quotas:
        left = usage.get(quota.lower(), 0)
        if left < pool.least * cores:
            found.append(
                f"the {pool.name} pool needs at least {pool.least * cores} vCPUs of the quota "
                f"{quota!r}, of which {left} are left: request more under Quotas in the portal"
            )
        elif left < (pool.most - machines) * cores:
            notes.append(
                f"quota {quota!r} has {left} vCPUs left, so the {pool.name} pool can grow to "
                f"{machines + left // cores} of {pool.most} machines"
            )
        usage[quota.lower()] = left - pool.least * cores
    return found, notes


def _line(*command: str) -> str:
    """Return a command of ``az`` to type, for the subscription that was checked."""
    return " ".join((*command, *subscription()))


def _text(flag: bool) -> str:
    return "true" if flag else "false"


def _plain(region: str) -> str:
    return region.replace(" ", "").lower()


if __name__ == "__main__":
    main()
