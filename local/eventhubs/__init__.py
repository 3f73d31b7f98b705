"""An Event Hubs namespace for one machine, spoken to by the real Azure SDK.

The way of the data: ``server`` accepts a socket and gives it a ``connection``; its
``engine`` (with ``frames``, ``sasl``, ``session`` and ``links``) turns bytes into
events; a message goes through ``message`` into a partition of a ``hub``, whose ``log``
keeps it in ``segment`` files; a ``pump`` brings it to the readers.
"""

from local.eventhubs.amqp.limits import Limits
from local.eventhubs.errors import ConfigurationError, EventHubsError
from local.eventhubs.hub import HubSpec
from local.eventhubs.log.partition import Retention
from local.eventhubs.server import EventHubs

__all__ = ["ConfigurationError", "EventHubs", "EventHubsError", "HubSpec", "Limits", "Retention"]
