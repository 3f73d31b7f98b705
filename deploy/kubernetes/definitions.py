"""Custom resource definitions for an API server, made from models of the real ones.

A model's JSON schema describes the same resource as the definition that it was generated from, but
it has references and ``null`` for optional fields. An API server accepts only *structural* schemas,
which have neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

# Everything else is for readers or for Python: titles, defaults of None, constants.
_KEPT: Final = (
    *("type", "format", "enum", "required", "pattern"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
)
_ANYTHING: Final[Schema] = {"x-kubernetes-preserve-unknown-fields": True}
_INT_OR_STRING: Final[Schema] = {"x-kubernetes-int-or-string": True}


def definition(version: str, kind: str, schema: Schema) -> dict[str, Any]:
    """Return the definition of a kind.

    Args:
        version: the group and the version, such as ``keda.sh/v1alpha1``.
        kind: such as ``ScaledObject``.
        schema: the JSON schema of the whole resource.
    """
    group, served = version.split("/")
    plural = f"{kind.lower()}s"
    resource = structural(schema)
    # The server defines these itself.
    resource["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": served,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": resource},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


def structural(schema: Schema) -> Schema:
    """Return a structural schema: references are resolved, and there is no ``null``.

    Raises:
        ValueError: a part may have several types that a structural schema cannot combine.
    """
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Schema, parts: Mapping[str, Schema]) -> Schema:
    schema = _resolved(schema, parts)
    if "anyOf" in schema:
        choices = [_resolved(part, parts) for part in schema["anyOf"]]
        return _one_of([choice for choice in choices if choice.get("type") != "null"], parts)
    found: Schema = {key: schema[key] for key in _KEPT if key in schema}
    if "properties" in schema:
        found["properties"] = {
            name: _structural(part, parts) for name, part in schema["properties"].items()
        }
    if "items" in schema:
        found["items"] = _structural(schema["items"], parts)
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _structural(schema["additionalProperties"], parts)
    if found.get("type") == "object" and not found.keys() & {"properties", "additionalProperties"}:
        found |= _ANYTHING
    return found if "type" in found else _ANYTHING


def _resolved(schema: Schema, parts: Mapping[str, Schema]) -> Schema:
    while "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    return schema


def _one_of(choices: list[Schema], parts: Mapping[str, Schema]) -> Schema:
    if len(choices) == 1:
        return _structural(choices[0], parts)
    if {choice.get("type") for choice in choices} == {"integer", "string"}:
        return _INT_OR_STRING
    raise ValueError(f"a structural schema knows no choice of {choices}")
