"""The two nodes that answer requests: ``$cbs`` and ``$management``.

``$cbs`` takes tokens (claims-based security), ``$management`` returns the properties of
hubs and partitions. The answers have the fields, types and texts of the service's.
"""

from __future__ import annotations

from typing import Any, Final

from local.eventhubs.addresses import path_of
from local.eventhubs.amqp.errors import ARGUMENT_ERROR, AUTH_FAILED, NOT_FOUND, LinkFault
from local.eventhubs.amqp.message import Request, build_reply
from local.eventhubs.amqp.values import NEVER, Array, Int, Long, Symbol, Timestamp
from local.eventhubs.authorization import Grant, TokenRefusedError, check_token
from local.eventhubs.broker import Broker

_OK: Final = 200
_ACCEPTED: Final = 202
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404

_SHOWN: Final = 200  # characters of an audience

_SAS_TOKEN: Final = "servicebus.windows.net:sastoken"  # noqa: S105 - the name of a type
_HUB_TYPE: Final = "com.microsoft:eventhub"
_PARTITION_TYPE: Final = "com.microsoft:partition"


def answer_cbs(broker: Broker, request: Request, now_s: float) -> tuple[Grant | None, bytes]:
    """Return what a put-token request grants, if anything, and the reply."""
    properties, token = request.properties, request.body
    audience = properties.get("name")
    if isinstance(token, bytes):
        token = token.decode("utf-8", "replace")
    if (
        properties.get("operation") != "put-token"
        or not isinstance(audience, str)
        or not isinstance(token, str)
    ):
        return None, _failure(request, _BAD_REQUEST, ARGUMENT_ERROR, "Only put-token is known.")
    if properties.get("type") != _SAS_TOKEN:
        description = "InvalidTokenType: Only shared access signatures are known."
        return None, _failure(request, _UNAUTHORIZED, AUTH_FAILED, description)
    try:
        grant = check_token(token, audience, broker.policy, now_s)
    except TokenRefusedError as error:
        _warn_of_refusal(broker, audience, error)
        return None, _failure(request, error.status, error.condition, str(error))
    name = path_of(audience).split("/")[0]
    try:
        if name:
            broker.hub(name)
    except LinkFault:
        description = f"The messaging entity '{audience}' could not be found."
        return None, _failure(request, _NOT_FOUND, NOT_FOUND, description)
    status = {"status-code": Int(_ACCEPTED), "status-description": "Accepted"}
    return grant, build_reply(request, status)


def answer_management(broker: Broker, request: Request, grants: list[Grant], now_s: float) -> bytes:
    """Return the reply to a request for the properties of a hub or a partition.

    For this, the SDKs for .NET and Java put a token into each request instead of using ``$cbs``.
    """
    properties = request.properties
    name, kind = properties.get("name"), properties.get("type")
    if properties.get("operation") != "READ" or not isinstance(name, str):
        return _failure(request, _BAD_REQUEST, ARGUMENT_ERROR, "Only READ with a name is known.")
    token = properties.get("security_token")
    if isinstance(token, str):
        try:
            grants = [*grants, check_token(token, name, broker.policy, now_s)]
        except TokenRefusedError as error:
            _warn_of_refusal(broker, name, error)
            return _failure(request, error.status, error.condition, str(error))
    if not any(grant.covers(path_of(name), now_s) for grant in grants):
        description = "Unauthorized access. 'Listen' claim(s) are required."
        return _failure(request, _UNAUTHORIZED, AUTH_FAILED, description)
    try:
        if kind == _HUB_TYPE:
            body = _hub_properties(broker, name)
        elif kind == _PARTITION_TYPE:
            body = _partition_properties(broker, name, str(properties.get("partition")), now_s)
        else:
            description = f"There is no type '{kind}' to read."
            return _failure(request, _BAD_REQUEST, ARGUMENT_ERROR, description)
    except LinkFault as fault:
        return _failure(request, _NOT_FOUND, fault.condition, fault.description)
    return build_reply(request, {"operation": "READ", "status-code": Int(_OK)}, body)


def _hub_properties(broker: Broker, name: str) -> dict[Any, Any]:
    hub = broker.hub(name)
    return {
        "name": hub.name,
        "type": _HUB_TYPE,
        "created_at": Timestamp(hub.created_ms),
        "partition_count": Int(len(hub.partitions)),
        "partition_ids": Array(tuple(hub.partitions)),
        "georeplication_factor": Int(1),
    }


def _partition_properties(
    broker: Broker, name: str, partition_id: str, now_s: float
) -> dict[Any, Any]:
    hub = broker.hub(name)
    partition = hub.partition(partition_id)
    last = partition.last_enqueued
    never = last.sequence < 0
    return {
        "name": hub.name,
        "type": _PARTITION_TYPE,
        "partition": partition_id,
        "begin_sequence_number": Long(partition.begin_sequence),
        "begin_sequence_number_epoch": Int(-1),
        "last_enqueued_sequence_number": Long(last.sequence),
        "last_enqueued_sequence_number_epoch": Int(-1),
        "last_enqueued_offset": last.offset,
        "last_enqueued_time_utc": NEVER if never else Timestamp(last.enqueued_ms),
        "is_partition_empty": partition.is_empty,
        "runtime_info_retrieval_time_utc": Timestamp(int(now_s * 1000)),
    }


def _warn_of_refusal(broker: Broker, audience: str, error: TokenRefusedError) -> None:
    broker.notices.warn(
        "refused tokens",
        f"a client is refused for '{audience[:_SHOWN]}': {error} "
        f"The policy served here is '{broker.policy.name}'.",
    )


def _failure(request: Request, status: int, condition: str, description: str) -> bytes:
    return build_reply(
        request,
        {
            "status-code": Int(status),
            "status-description": description,
            "error-condition": Symbol(condition),
        },
    )
