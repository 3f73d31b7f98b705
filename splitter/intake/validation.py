"""Event Grid's two handshakes: before it delivers, it asks whether the deliveries are wanted.

With its own schema it posts an event with a code to be echoed; with CloudEvents it sends an OPTIONS
request, as every CloudEvents sender does. Neither makes us call an address from the request.

Sources: "Webhook event delivery" (Event Grid); CloudEvents 1.0, "HTTP 1.1 Web Hooks for Event
Delivery", section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.contracts.errors import MessageError
from splitter.intake.uploads import parse_event

_VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
_CODE_LENGTH: Final = 512
# Deliveries are cheap to accept, and answered with 503 when they are not.
_ANY_RATE: Final = "*"


def validation_code(events: list[Any]) -> str | None:
    """Return the code that a validation event wants back; None if ``events`` are deliveries.

    Raises:
        MessageError: a validation event without a code, or not an Event Grid event.
    """
    if len(events) != 1:
        return None
    kind, _, data = parse_event(events[0])
    if kind != _VALIDATION:
        return None
    code = data.get("validationCode")
    if not isinstance(code, str) or not 0 < len(code) <= _CODE_LENGTH:
        raise MessageError("a subscription validation without a code")
    return code


def permission(headers: Mapping[str, str], origins: list[str]) -> dict[str, str] | None:
    """Return the headers that allow an origin to deliver CloudEvents; None if it may not."""
    origin = headers.get("WebHook-Request-Origin", "").strip()
    if origin.lower() not in origins:
        return None
    return {
        "Allow": "OPTIONS, POST",
        "WebHook-Allowed-Origin": origin,
        "WebHook-Allowed-Rate": _ANY_RATE,
    }
