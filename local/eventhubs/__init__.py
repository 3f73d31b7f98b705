"""An Event Hubs namespace for one machine, spoken to by the real Azure SDK.

The way of the data: ``server`` accepts a socket and gives it an ``amqp.connection``,
whose engine turns bytes into links and messages for a ``client``; a message goes through
``eventdata`` into a partition of a ``hub``, whose ``log`` keeps it; a ``pump`` brings it
to the readers. ``amqp`` knows no hub, ``log`` knows no AMQP.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from local.eventhubs.errors import ConfigurationError, EventHubsError
    from local.eventhubs.hub import HubSpec
    from local.eventhubs.limits import Limits
    from local.eventhubs.log.partition import Retention
    from local.eventhubs.server import EventHubs

__all__ = ["ConfigurationError", "EventHubs", "EventHubsError", "HubSpec", "Limits", "Retention"]

# Loaded when it is first asked for: whoever starts a broker as a process need not load it, too.
_MODULES: Final = {
    "ConfigurationError": "errors",
    "EventHubs": "server",
    "EventHubsError": "errors",
    "HubSpec": "hub",
    "Limits": "limits",
    "Retention": "log.partition",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
