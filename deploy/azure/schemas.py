"""Checks every resource of the Bicep files against Microsoft's management packages.

The Bicep compiler is not on PyPI, in npm or in Debian. The models in these packages are generated
from the same API descriptions as the compiler's types: the properties of a resource and their
types, the values of enumerations, and what only Azure sets. Each package is pinned to the API
version that the Bicep files name (deploy/azure/check), which is checked as well. ::

    python -m deploy.azure.schemas
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from deploy.azure.bicep import Choice, Each, Expression, File, Resource, Value, bodies, read

FOLDER: Final = Path(__file__).parent

# By resource type: the package, its module of models, and the model.
MODELS: Final = {
    "Microsoft.Authorization/roleAssignments": (
        "authorization",
        "v2022_04_01.models",
        "RoleAssignmentCreateParameters",
    ),
    "Microsoft.ContainerRegistry/registries": (
        "containerregistry",
        "v2025_04_01.models",
        "Registry",
    ),
    "Microsoft.ContainerService/managedClusters": ("containerservice", "models", "ManagedCluster"),
    "Microsoft.ContainerService/managedClusters/agentPools": (
        "containerservice",
        "models",
        "AgentPool",
    ),
    "Microsoft.Dashboard/grafana": ("dashboard", "models", "ManagedGrafana"),
    "Microsoft.EventGrid/systemTopics": ("eventgrid", "models", "SystemTopic"),
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": (
        "eventgrid",
        "models",
        "EventSubscription",
    ),
    "Microsoft.EventGrid/topics": ("eventgrid", "models", "Topic"),
    "Microsoft.EventHub/namespaces": ("eventhub", "v2024_01_01.models", "EHNamespace"),
    "Microsoft.EventHub/namespaces/eventhubs": ("eventhub", "v2024_01_01.models", "Eventhub"),
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups": (
        "eventhub",
        "v2024_01_01.models",
        "ConsumerGroup",
    ),
    "Microsoft.EventHub/namespaces/networkRuleSets": (
        "eventhub",
        "v2024_01_01.models",
        "NetworkRuleSet",
    ),
    "Microsoft.Insights/actionGroups": ("monitor", "models", "ActionGroupResource"),
    "Microsoft.Insights/dataCollectionEndpoints": (
        "monitor",
        "models",
        "DataCollectionEndpointResource",
    ),
    "Microsoft.Insights/dataCollectionRuleAssociations": (
        "monitor",
        "models",
        "DataCollectionRuleAssociationProxyOnlyResource",
    ),
    "Microsoft.Insights/dataCollectionRules": ("monitor", "models", "DataCollectionRuleResource"),
    "Microsoft.Insights/metricAlerts": ("monitor", "models", "MetricAlertResource"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi", "v2024_11_30.models", "Identity"),
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials": (
        "msi",
        "v2024_11_30.models",
        "FederatedIdentityCredential",
    ),
    "Microsoft.Monitor/accounts": ("monitor", "models", "AzureMonitorWorkspaceResource"),
    "Microsoft.Network/networkSecurityGroups": ("network", "models", "NetworkSecurityGroup"),
    "Microsoft.Network/privateDnsZones": ("privatedns", "models", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": (
        "privatedns",
        "models",
        "VirtualNetworkLink",
    ),
    "Microsoft.Network/privateEndpoints": ("network", "models", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": (
        "network",
        "models",
        "PrivateDnsZoneGroup",
    ),
    "Microsoft.Network/virtualNetworks": ("network", "models", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics", "models", "Workspace"),
    "Microsoft.Storage/storageAccounts": ("storage", "models", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices": (
        "storage",
        "models",
        "BlobServiceProperties",
    ),
    "Microsoft.Storage/storageAccounts/blobServices/containers": (
        "storage",
        "models",
        "BlobContainer",
    ),
    "Microsoft.Storage/storageAccounts/managementPolicies": (
        "storage",
        "models",
        "ManagementPolicy",
    ),
}

# No package has models of these in the version used; rule groups were compared by hand.
UNMODELLED: Final = {
    "Microsoft.AlertsManagement/prometheusRuleGroups",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Resources/resourceGroups",
}

# Agents define further streams, so the models' list is incomplete.
_OPEN: Final = re.compile(r"\.streams\[\d+\]$")

# Properties that Bicep adds to every resource.
_BICEP: Final = {"name", "parent", "scope", "dependsOn"}

Problems = Iterator[str]


def main() -> None:
    """Check all files; exit 1 on any problem."""
    files = [FOLDER / "main.bicep", *sorted((FOLDER / "modules").glob("*.bicep"))]
    found = [problem for path in files for problem in problems(read(path))]
    print("\n".join(found) if found else f"{len(files)} files agree with the models")
    sys.exit(bool(found))


def problems(file: File) -> Problems:
    """Yield a sentence for everything that the models do not allow."""
    yield from file.errors
    for name, resource in file.resources.items():
        if resource.existing or resource.type in UNMODELLED:
            continue
        where = f"{file.path.name}: {name}"
        if resource.type not in MODELS:
            yield f"{where}: no model is known for {resource.type}"
            continue
        yield from _version(resource, where)
        package, module, model = MODELS[resource.type]
        models = importlib.import_module(f"azure.mgmt.{package}.{module}")
        body = {key: value for key, value in bodies(resource).items() if key not in _BICEP}
        yield from _Schema(models, file).check(body, getattr(models, model), where)


def _version(resource: Resource, where: str) -> Problems:
    """The package is of the API version that the file names."""
    package, module, _ = MODELS[resource.type]
    if module.startswith("v"):
        spoken = module.partition(".")[0].removeprefix("v").replace("_", "-") == resource.version
    else:
        path = importlib.import_module(f"azure.mgmt.{package}").__path__[0]
        spoken = any(
            f'"{resource.version}"' in source.read_text(encoding="utf-8")
            for source in Path(path).rglob("*.py")
        )
    if not spoken:
        yield f"{where}: the models of {package} are not of version {resource.version}"


class _Schema:
    """Compares values with the models of one package."""

    def __init__(self, models: Any, file: File) -> None:
        self._models = models
        self._file = file

    def check(self, value: Value, model: Any, where: str) -> Problems:
        """Yield what ``model`` does not allow in ``value``."""
        if isinstance(value, dict):
            model = self._subtype(model, value)
        fields = _fields(model)
        for choice in self._possible(value):
            if not isinstance(choice, dict):
                continue
            for key, inner in choice.items():
                yield from self._property(fields, key, inner, where)

    def _property(self, fields: dict[str, str], key: str, value: Value, where: str) -> Problems:
        where = f"{where}.{key}"
        # Old models flatten "properties": the keys have a dot then.
        beneath = {
            name.partition(".")[2]: kind
            for name, kind in fields.items()
            if name.startswith(f"{key}.")
        }
        if key in fields:
            yield from self._typed(value, fields[key], where)
        elif beneath:
            for inner in self._possible(value):
                if isinstance(inner, dict):
                    for name, content in inner.items():
                        yield from self._property(beneath, name, content, where)
        else:
            yield f"{where}: there is no such property"

    def _typed(self, value: Value, kind: str, where: str) -> Problems:
        if kind.startswith("READONLY"):
            yield f"{where}: only Azure sets this"
            return
        for choice in self._possible(value):
            if isinstance(choice, list):
                for index, item in enumerate(choice):
                    yield from self._typed(item, kind, f"{where}[{index}]")
            elif isinstance(choice, dict):
                yield from self._object(choice, kind, where)
            elif isinstance(choice, str):
                yield from self._enumerated(choice, kind, where)
            elif isinstance(choice, int) and kind.startswith("str"):
                yield f"{where}: {choice!r} where a string is wanted"

    def _object(self, value: dict[str, Value], kind: str, where: str) -> Problems:
        model = self._model(kind)
        if model and kind.startswith("{"):
            for key, inner in value.items():
                yield from self.check(inner, model, f"{where}.{key}")
        elif model:
            yield from self.check(value, model, where)
        elif not re.search(r"\{|dict|object|Any|JSON", kind):
            yield f"{where}: an object where {kind} is wanted"

    def _enumerated(self, value: str, kind: str, where: str) -> Problems:
        for name in re.findall(r"\w+", kind):
            found = getattr(self._models, name, None)
            if inspect.isclass(found) and hasattr(found, "__members__") and not _OPEN.search(where):
                allowed = [str(member.value) for member in found.__members__.values()]
                if value not in allowed:
                    yield f"{where}: {value!r} is none of {', '.join(allowed)}"
        if kind in ("bool", "int"):
            yield f"{where}: {value!r} where {kind} is wanted"

    def _model(self, kind: str) -> Any:
        for name in re.findall(r"\w+", kind):
            found = getattr(self._models, name, None)
            if inspect.isclass(found) and not hasattr(found, "__members__"):
                return found
        return None

    def _subtype(self, model: Any, value: dict[str, Value]) -> Any:
        """Return the subclass that a discriminator, such as ``endpointType``, selects."""
        for attribute, names in getattr(model, "_subtype_map", {}).items():
            key = _plain(model._attribute_map[attribute]["key"])  # noqa: SLF001 - the packages' only way
            if value.get(key) in names:
                return getattr(self._models, names[value[key]])
        return model

    def _possible(self, value: Value) -> list[Value]:
        """Return the values that an expression may have, with variables looked up."""
        if isinstance(value, Choice):
            return [*self._possible(value.yes), *self._possible(value.no)]
        if isinstance(value, Each):
            return [[value.body]]
        if isinstance(value, Expression):
            return [self._file.variables[value.text]] if value.text in self._file.variables else []
        return [value]


def _fields(model: Any) -> dict[str, str]:
    """Return a model's properties under their JSON names, with their types as text."""
    if hasattr(model, "_attribute_map"):
        return _old_fields(model)
    model()  # newer models compute their fields when the first instance is created
    found = {}
    for base in reversed(model.__mro__):
        for attribute, annotation in getattr(base, "__annotations__", {}).items():
            rest_field = getattr(model, "_attr_to_rest_field", {}).get(attribute)
            if rest_field is not None:
                prefix = "READONLY " if rest_field._visibility == ["read"] else ""  # noqa: SLF001
                found[rest_field._rest_name] = prefix + str(annotation)  # noqa: SLF001
    return found


def _plain(key: str) -> str:
    """Return a property's name; the packages escape a dot that is part of it."""
    return key.replace("\\\\.", ".").replace("\\.", ".")


def _old_fields(model: Any) -> dict[str, str]:
    documented = {}
    for base in reversed(model.__mro__):
        for attribute, kind in re.findall(r":vartype (\w+): (.+)", base.__doc__ or ""):
            documented[attribute] = kind.rpartition(".")[2] if " or ~" in kind else ""
    found = {}
    for attribute, entry in model._attribute_map.items():  # noqa: SLF001
        key = _plain(entry["key"])
        readonly = getattr(model, "_validation", {}).get(attribute, {}).get("readonly")
        kind = f"{entry['type']} {documented.get(attribute, '')}".strip()
        found[key] = f"READONLY {kind}" if readonly else kind
    return found


if __name__ == "__main__":
    main()
