"""An Event Hubs namespace for one machine, spoken to by the real Azure SDK.

The way of the data: ``server`` accepts a socket and gives it an ``amqp.connection``,
whose engine turns bytes into links and messages for a ``client``; a message goes through
``eventdata`` into a partition of a ``hub``, whose ``log`` keeps it; a ``pump`` brings it
to the readers. ``amqp`` knows no hub, ``log`` knows no AMQP.
"""

from local.eventhubs.errors import ConfigurationError, EventHubsError
from local.eventhubs.hub import HubSpec
from local.eventhubs.limits import Limits
from local.eventhubs.log.partition import Retention
from local.eventhubs.server import EventHubs

__all__ = ["ConfigurationError", "EventHubs", "EventHubsError", "HubSpec", "Limits", "Retention"]
