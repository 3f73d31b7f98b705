"""An Event Hubs namespace for one machine, used by the unmodified Azure SDK.

The path of the data: ``server`` accepts a socket and gives it an ``amqp.connection``,
whose engine turns bytes into links and messages for a ``client``; a message goes through
``eventdata`` into a partition of a ``hub``, whose ``log`` keeps it; a ``pump`` delivers it
to the readers. ``amqp`` does not know about hubs, ``log`` does not know about AMQP.
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

# Loaded on first use: a supervisor that starts the broker as a process need not load it.
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
