"""Describes the API for programs (OpenAPI 3.1), from the list of endpoints that serves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from web.api.endpoint import Endpoint
from web.models import ProblemDetails
from web.problems import CONTENT_TYPE

_ALWAYS: Final = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_PARAMETER: Final = re.compile(r"{(?P<name>\w+)(:(?P<pattern>(?:[^{}]|{[^{}]*})+))?}")
_REFS: Final = "#/components/schemas/{model}"


def description(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI document of some endpoints."""
    listed = list(endpoints)
    models = {
        model
        for endpoint in listed
        for model in (endpoint.body, endpoint.answer)
        if isinstance(model, type)
    }
    ordered = sorted(models | {ProblemDetails}, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "serialization") for model in ordered], ref_template=_REFS
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in listed:
        path = _PARAMETER.sub(r"{\g<name>}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stylestream studio",
            "version": "1",
            "description": "Upload videos, watch them being painted, and download the results.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "parameters": [*_in_path(endpoint.path), *_in_query(endpoint.query)],
        "responses": {str(endpoint.status.value): _answer(endpoint)},
    }
    invalid = (HTTPStatus.BAD_REQUEST,) if endpoint.query or endpoint.body else ()
    for status in sorted({*endpoint.refusals, *invalid, *_ALWAYS}):
        operation["responses"][str(status.value)] = {
            "description": status.phrase,
            "content": {CONTENT_TYPE: _schema(ProblemDetails)},
        }
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.body)}
    return operation


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": endpoint.status.phrase}
    if endpoint.answer is not None:
        answer["content"] = _content(endpoint.answer)
    return answer


def _content(what: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(what, str):
        return {what: {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": _schema(what)}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REFS.format(model=model.__name__)}}


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": found["name"],
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{found['pattern'] or '.+'}$"},
        }
        for found in _PARAMETER.finditer(path)
    ]


def _in_query(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": {key: value for key, value in details.items() if key != "title"},
        }
        for name, details in schema["properties"].items()
    ]
