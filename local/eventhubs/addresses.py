"""Parse the addresses and filters that clients attach with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from local.eventhubs.amqp.errors import ARGUMENT_ERROR, NOT_FOUND, NOT_IMPLEMENTED, LinkFault
from local.eventhubs.amqp.values import Described

CBS: Final = "$cbs"
MANAGEMENT: Final = "$management"
DEFAULT_GROUP: Final = "$default"

_SCHEME: Final = re.compile(r"^(?:amqps?|sb|https?)://[^/]*/?", re.IGNORECASE)
_SELECTOR: Final = re.compile(
    r"""^\s*amqp\.annotation\.(x-opt-offset|x-opt-sequence-number|x-opt-enqueued-time)
        \s*(>=?)\s*'?(@latest|-?\d{1,19})'?\s*$""",
    re.VERBOSE,
)
# A filter's kind is in its descriptor, as a symbol or as the number registered for it; the key is a
# name of the client's choice (part 3: messaging, section 3.5.8).
_SELECTOR_FILTER: Final = ("apache.org:selector-filter:string", 0x0000_468C_0000_0004)


@dataclass(frozen=True, slots=True)
class SendAddress:
    """A producer's destination: a hub, or one of its partitions."""

    hub: str
    partition: str | None


@dataclass(frozen=True, slots=True)
class ReceiveAddress:
    """The partition and consumer group that a consumer reads."""

    hub: str
    group: str
    partition: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader starts: ``kind`` is offset, sequence or time, or start or latest."""

    kind: str
    value: int = 0
    inclusive: bool = False


def path_of(address: str) -> str:
    """Return an address or audience without its scheme and host, in lower case.

    Names of hubs and groups are case-insensitive on the service.
    """
    return unquote(_SCHEME.sub("", address)).strip("/").lower()


def parse_send_address(address: str) -> SendAddress:
    """Parse ``<hub>`` or ``<hub>/Partitions/<id>``; anything else raises ``LinkFault``."""
    match path_of(address).split("/"):
        case [hub] if hub:
            return SendAddress(hub, None)
        case [hub, "partitions", partition] if hub:
            return SendAddress(hub, partition)
    raise LinkFault(NOT_FOUND, f"The messaging entity '{address}' could not be found.")


def parse_receive_address(address: str) -> ReceiveAddress:
    """Parse ``<hub>/ConsumerGroups/<group>/Partitions/<id>``; else raise ``LinkFault``."""
    match path_of(address).split("/"):
        case [hub, "consumergroups", group, "partitions", partition] if hub and group:
            return ReceiveAddress(hub, group, partition)
    raise LinkFault(NOT_FOUND, f"The messaging entity '{address}' could not be found.")


def parse_position(source: Any) -> Position:
    """Return where a source's filter makes a reader start; without a filter, at the start.

    An unknown filter raises ``LinkFault``, since ignoring it would deliver events that it excludes.
    """
    selector = _selector_of(source)
    if selector is None:
        return Position("start")
    match = _SELECTOR.match(selector)
    if match is None:
        message = f"The filter expression '{selector}' is not supported."
        raise LinkFault(ARGUMENT_ERROR, message)
    name, operator, value = match.groups()
    if value == "@latest":
        return Position("latest")
    inclusive = operator == ">="
    if name == "x-opt-enqueued-time":
        return Position("time", int(value), inclusive)
    if int(value) < 0:
        return Position("start")
    kind = "offset" if name == "x-opt-offset" else "sequence"
    return Position(kind, int(value), inclusive)


def _selector_of(source: Any) -> str | None:
    fields = source.value if isinstance(source, Described) else None
    # The filter set is the eighth field of a source (part 3: messaging, section 3.5.3).
    filters = fields[7] if isinstance(fields, list) and len(fields) > 7 else None  # noqa: PLR2004
    if not isinstance(filters, dict):
        return None
    selector: str | None = None
    for key, entry in filters.items():
        kind, value = (
            (entry.descriptor, entry.value) if isinstance(entry, Described) else (key, entry)
        )
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if entry is None:
            continue
        if kind not in _SELECTOR_FILTER or not isinstance(value, str) or selector is not None:
            message = f"The filter '{key}' ({kind}) is not supported: one selector is."
            raise LinkFault(NOT_IMPLEMENTED, message)
        selector = value
    return selector
