"""Reads Bicep files into Python values, so that tests can check them without a compiler.

The parser is tree-sitter's grammar of Bicep. Objects become dictionaries, arrays become lists, and
literals become strings, numbers and booleans. What only Azure can evaluate (a name, a call, an
interpolated string) becomes an `Expression`, whose text can be searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_LANGUAGE: Final = Language(tree_sitter_bicep.language())

Value: TypeAlias = Any
"""A literal, a list, a dictionary, or one of the classes below."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that is evaluated at deployment."""

    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """``condition ? yes : no``."""

    yes: Value
    no: Value


@dataclass(frozen=True, slots=True)
class Each:
    """``[for item in items: body]``."""

    items: str
    body: Value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a file. ``default`` is None if the caller has to pass a value."""

    type: str
    default: Value
    description: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource, with its ARM type and API version; ``body`` may be an `Each`."""

    type: str
    version: str
    existing: bool
    body: Value


@dataclass(frozen=True, slots=True)
class Module:
    """The use of another file."""

    path: str
    body: Value


@dataclass(slots=True)
class File:
    """The declarations of one Bicep file, by name, and its syntax errors."""

    path: Path
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)
    outputs: dict[str, Value] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    """Every identifier in the file, once for each use."""
    errors: list[str] = field(default_factory=list)


def read(path: Path) -> File:
    """Read a file. Syntax errors are listed in the result; the rest of the file is still read."""
    root = Parser(_LANGUAGE).parse(path.read_bytes()).root_node
    file = File(path)
    described = ""
    for node in root.named_children:
        if node.type == "decorators":
            described = _description(node)
        else:
            _declare(file, node, described)
            described = ""
    for node in _all(root):
        if node.type == "identifier":
            file.names.append(_text(node))
        if node.type == "ERROR" or node.is_missing:
            line = node.start_point.row + 1
            file.errors.append(f"{path.name}:{line}: {_text(node)[:60]!r}")
    return file


def _declare(file: File, node: Node, description: str) -> None:
    """Add one declaration to ``file``; other nodes, such as comments, are ignored."""
    parts = node.named_children
    match node.type:
        case "parameter_declaration":
            default = _value(parts[2]) if len(parts) > 2 else None  # noqa: PLR2004 - name and type
            file.parameters[_text(parts[0])] = Parameter(_text(parts[1]), default, description)
        case "variable_declaration":
            file.variables[_text(parts[0])] = _value(parts[-1])
        case "output_declaration":
            file.outputs[_text(parts[0])] = _value(parts[-1])
        case "resource_declaration":
            file.resources[_text(parts[0])] = _resource(node)
        case "module_declaration":
            file.modules[_text(parts[0])] = Module(_value(parts[1]), _unconditional(parts[-1]))


def bodies(resource: Resource | Module) -> Value:
    """Return a declaration's object; of a loop, the object that is repeated."""
    return resource.body.body if isinstance(resource.body, Each) else resource.body


def _resource(node: Node) -> Resource:
    kind, _, version = str(_value(node.named_children[1])).partition("@")
    existing = any(child.type == "existing" for child in node.children)
    return Resource(kind, version, existing, _unconditional(node.named_children[-1]))


def _unconditional(node: Node) -> Value:
    return _value(node.named_children[-1] if node.type == "if_statement" else node)


def _value(node: Node) -> Value:
    read_as = _READERS.get(node.type)
    if read_as is None:
        return Expression(_text(node))
    return read_as(node, [child for child in node.named_children if child.type != "comment"])


def _string(node: Node, parts: list[Node]) -> str | Expression:
    if any(part.type == "interpolation" for part in parts):
        return Expression(_text(node))
    return re.sub(r"\\(.)", r"\1", _text(node)[1:-1])


def _object(_node: Node, parts: list[Node]) -> dict[str, Value]:
    return {_key(part.named_children[0]): _value(part.named_children[-1]) for part in parts}


_READERS: Final[dict[str, Callable[[Node, list[Node]], Value]]] = {
    "array": lambda _node, parts: [_value(part) for part in parts],
    "boolean": lambda node, _parts: _text(node) == "true",
    "for_statement": lambda _node, parts: Each(_text(parts[1]), _value(parts[-1])),
    "null": lambda _node, _parts: None,
    "number": lambda node, _parts: int(_text(node)),
    "object": _object,
    "string": _string,
    "ternary_expression": lambda _node, parts: Choice(_value(parts[1]), _value(parts[2])),
}


def _key(node: Node) -> str:
    return _text(node).strip("'")


def _description(decorators: Node) -> str:
    for node in _all(decorators):
        if node.type == "call_expression" and _text(node).startswith("description("):
            return str(_value(node.named_children[1].named_children[0]))
    return ""


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)
