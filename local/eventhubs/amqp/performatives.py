"""The performatives of AMQP 1.0 (part 2: transport, section 2.7).

Every performative is written with its full field count, trailing nulls included, because
azure-eventhub 5.15 reads fields by position and fails on a shorter list. Reading accepts
any shorter list, and fills in the defaults of the specification.
"""

from __future__ import annotations

import struct
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Final, TypeVar

from local.eventhubs.amqp.decoder import decode
from local.eventhubs.amqp.encoder import encode_into
from local.eventhubs.amqp.errors import DecodeError
from local.eventhubs.amqp.values import (
    Array,
    Described,
    Symbol,
    UByte,
    UInt,
    ULong,
    UShort,
)

_ANY: Final = object

_UINT_MAX: Final = {UByte: 0xFF, UShort: 0xFFFF, UInt: 0xFFFF_FFFF, ULong: 0xFFFF_FFFF_FFFF_FFFF}


@dataclass(frozen=True, slots=True)
class Open:
    """Negotiate the connection (section 2.7.1)."""

    CODE: ClassVar[int] = 0x10
    TYPES: ClassVar[tuple[type, ...]] = (str, str, UInt, UShort, UInt, _ANY, _ANY, _ANY, _ANY, dict)
    container_id: str
    hostname: str | None = None
    max_frame_size: int = 0xFFFF_FFFF
    channel_max: int = 0xFFFF
    idle_time_out: int | None = None
    outgoing_locales: Any = None
    incoming_locales: Any = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a session on a channel (section 2.7.2)."""

    CODE: ClassVar[int] = 0x11
    TYPES: ClassVar[tuple[type, ...]] = (UShort, UInt, UInt, UInt, UInt, _ANY, _ANY, dict)
    remote_channel: int | None
    next_outgoing_id: int
    incoming_window: int
    outgoing_window: int
    handle_max: int = 0xFFFF_FFFF
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Attach:
    """Attach a link to a session (section 2.7.3)."""

    CODE: ClassVar[int] = 0x12
    TYPES: ClassVar[tuple[type, ...]] = (
        *(str, UInt, bool, UByte, UByte, _ANY, _ANY, dict, bool),
        *(UInt, ULong, _ANY, _ANY, dict),
    )
    name: str
    handle: int
    role: bool
    snd_settle_mode: int = 2
    rcv_settle_mode: int = 0
    source: Any = None
    target: Any = None
    unsettled: dict[Any, Any] | None = None
    incomplete_unsettled: bool = False
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """Update the windows of a session and the credit of a link (section 2.7.4)."""

    CODE: ClassVar[int] = 0x13
    TYPES: ClassVar[tuple[type, ...]] = (
        UInt,
        UInt,
        UInt,
        UInt,
        UInt,
        UInt,
        UInt,
        UInt,
        bool,
        bool,
        dict,
    )
    next_incoming_id: int | None
    incoming_window: int
    next_outgoing_id: int
    outgoing_window: int
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool = False
    echo: bool = False
    properties: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Carry a message, or a piece of one, over a link (section 2.7.5)."""

    CODE: ClassVar[int] = 0x14
    TYPES: ClassVar[tuple[type, ...]] = (
        UInt,
        UInt,
        bytes,
        UInt,
        bool,
        bool,
        UByte,
        _ANY,
        bool,
        bool,
        bool,
    )
    handle: int
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool | None = None
    more: bool = False
    rcv_settle_mode: int | None = None
    state: Any = None
    resume: bool = False
    aborted: bool = False
    batchable: bool = False


@dataclass(frozen=True, slots=True)
class Disposition:
    """Report the outcome of a range of deliveries (section 2.7.6)."""

    CODE: ClassVar[int] = 0x15
    TYPES: ClassVar[tuple[type, ...]] = (bool, UInt, UInt, bool, _ANY, bool)
    role: bool
    first: int
    last: int | None = None
    settled: bool = False
    state: Any = None
    batchable: bool = False


@dataclass(frozen=True, slots=True)
class Detach:
    """Detach a link from its session (section 2.7.7)."""

    CODE: ClassVar[int] = 0x16
    TYPES: ClassVar[tuple[type, ...]] = (UInt, bool, _ANY)
    handle: int
    closed: bool = False
    error: Any = None


@dataclass(frozen=True, slots=True)
class End:
    """End a session (section 2.7.8)."""

    CODE: ClassVar[int] = 0x17
    TYPES: ClassVar[tuple[type, ...]] = (_ANY,)
    error: Any = None


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection (section 2.7.9)."""

    CODE: ClassVar[int] = 0x18
    TYPES: ClassVar[tuple[type, ...]] = (_ANY,)
    error: Any = None


@dataclass(frozen=True, slots=True)
class SaslMechanisms:
    """Offer the SASL mechanisms (part 5: security, section 5.3.3.1)."""

    CODE: ClassVar[int] = 0x40
    TYPES: ClassVar[tuple[type, ...]] = (_ANY,)
    sasl_server_mechanisms: Array


@dataclass(frozen=True, slots=True)
class SaslInit:
    """Choose a SASL mechanism (part 5: security, section 5.3.3.2)."""

    CODE: ClassVar[int] = 0x41
    TYPES: ClassVar[tuple[type, ...]] = (Symbol, bytes, str)
    mechanism: str
    initial_response: bytes | None = None
    hostname: str | None = None


@dataclass(frozen=True, slots=True)
class SaslOutcome:
    """Report the outcome of the SASL exchange (part 5: security, section 5.3.3.6)."""

    CODE: ClassVar[int] = 0x44
    TYPES: ClassVar[tuple[type, ...]] = (UByte, bytes)
    code: int
    additional_data: bytes | None = None


Performative = (
    Open
    | Begin
    | Attach
    | Flow
    | Transfer
    | Disposition
    | Detach
    | End
    | Close
    | SaslMechanisms
    | SaslInit
    | SaslOutcome
)

_AMQP_KINDS: Final[dict[int, type[Any]]] = {
    kind.CODE: kind for kind in (Open, Begin, Attach, Flow, Transfer, Disposition, Detach)
} | {End.CODE: End, Close.CODE: Close}
_SASL_KINDS: Final[dict[int, type[Any]]] = {
    kind.CODE: kind for kind in (SaslMechanisms, SaslInit, SaslOutcome)
}
_NAMES: Final = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (*_AMQP_KINDS.values(), *_SASL_KINDS.values())
}
_SYMBOLIC: Final = {
    f"amqp:{kind.__name__.lower().replace('sasl', 'sasl-')}:list": kind.CODE for kind in _NAMES
}
_MANDATORY: Final[dict[type, int]] = {
    # How many leading fields must not be null, counted after remote-channel and
    # next-incoming-id, which come first and may be null.
    Open: 1,
    Attach: 3,
    Transfer: 1,
    Disposition: 2,
    Detach: 1,
    SaslMechanisms: 1,
    SaslInit: 1,
    SaslOutcome: 1,
}
_DEFAULTS: Final = {
    kind: {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    for kind in _NAMES
}


def encode_performative(performative: Performative) -> bytes:
    """Return the performative as a described list with its full field count."""
    kind = type(performative)
    body = bytearray()
    for name, wanted in zip(_NAMES[kind], kind.TYPES, strict=True):
        value = getattr(performative, name)
        if value is not None and wanted is not _ANY and type(value) is not wanted:
            value = wanted(value)
        encode_into(body, value)
    head = bytes((0x00, 0x53, kind.CODE))
    count = len(kind.TYPES)
    if len(body) < 0xFF:  # noqa: PLR2004 - the sizes that a list8 can hold
        return head + bytes((0xC0, len(body) + 1, count)) + body
    return head + struct.pack(">BII", 0xD0, len(body) + 4, count) + body


def decode_performative(body: bytes, *, sasl: bool = False) -> tuple[Performative, int]:
    """Return the performative that ``body`` starts with, and where its payload begins.

    Raises ``DecodeError`` for an unknown performative, a field of a wrong type, a missing
    mandatory field or too many fields.
    """
    described, position = decode(body)
    if not isinstance(described, Described) or not isinstance(described.value, list):
        message = "a frame body is a described list"
        raise DecodeError(message)
    code = described.descriptor
    if isinstance(code, str):
        code = _SYMBOLIC.get(code)
    kind = (_SASL_KINDS if sasl else _AMQP_KINDS).get(code if isinstance(code, int) else -1)
    if kind is None:
        message = f"there is no performative with descriptor {described.descriptor!r}"
        raise DecodeError(message)
    return _build(kind, described.value), position


_T = TypeVar("_T")


def _build(kind: type[_T], values: list[Any]) -> _T:
    names = _NAMES[kind]
    types: tuple[type, ...] = kind.TYPES  # type: ignore[attr-defined]
    if len(values) > len(names):
        message = f"{kind.__name__.lower()} has {len(names)} fields, not {len(values)}"
        raise DecodeError(message)
    values += [None] * (len(names) - len(values))
    defaults = _DEFAULTS[kind]
    for index, value in enumerate(values):
        name = names[index]
        if value is None:
            required = index < _MANDATORY.get(kind, 0) or (
                kind in (Begin, Flow) and 1 <= index <= 3  # noqa: PLR2004 - ids and windows
            )
            if required:
                message = f"{kind.__name__.lower()} lacks its field {name}"
                raise DecodeError(message)
            values[index] = defaults.get(name)
        else:
            _check(kind, name, types[index], value)
    return kind(*values)


def _check(kind: type, name: str, wanted: type, value: Any) -> None:
    if wanted is _ANY:
        return
    limit = _UINT_MAX.get(wanted)
    if limit is not None:
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit
    else:
        fits = isinstance(value, wanted)
    if not fits:
        message = f"the field {name} of {kind.__name__.lower()} has a wrong type"
        raise DecodeError(message)
