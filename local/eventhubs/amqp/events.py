"""What the engine tells its owner: one value for each thing that happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.eventhubs.amqp.errors import AmqpError
    from local.eventhubs.amqp.links import Delivery, IncomingLink, Link, OutgoingLink
    from local.eventhubs.amqp.performatives import Open


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection is open."""

    peer: Open


@dataclass(frozen=True, slots=True)
class LinkAttaching:
    """A client asks for a link: accept or refuse it."""

    link: Link


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """A whole message came in."""

    link: IncomingLink
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class CreditChanged:
    """These links may be able to send now."""

    links: tuple[OutgoingLink, ...]


@dataclass(frozen=True, slots=True)
class LinkDetached:
    """A link is gone."""

    link: Link


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is gone, and its links with it."""

    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """Nothing more will come or go; ``error`` is what we closed it for, if we did."""

    error: AmqpError | None


Event = (
    Opened
    | LinkAttaching
    | MessageArrived
    | CreditChanged
    | LinkDetached
    | SessionEnded
    | ConnectionEnded
)
