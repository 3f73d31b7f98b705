"""Announces the end of every job: one CloudEvent on an Event Grid topic.

=========================  ==========  =======================================================
type                       job's state meaning
=========================  ==========  =======================================================
Stylestream.VideoStylized  done        the result is in the results container
Stylestream.VideoDegraded  degraded    there is a result, and ``data.warnings`` name its flaws
Stylestream.VideoFailed    failed      there is no result, and ``data.error`` says why
Stylestream.VideoCancelled cancelled   there is no result, because its user cancelled the job
=========================  ==========  =======================================================

``source`` is the results container's address, ``subject`` the job, ``data`` the job's whole status
record, ``time`` the record's. An event may come twice, after a restart, but always with the same
``id``, which is made of the job and its state, so that receivers can drop duplicates.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import structlog
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient

from assembler.metrics import AnnouncementOutcome, AssemblerMetrics
from assembler.settings import AssemblerSettings
from shared.contracts.errors import TransientError
from shared.contracts.status import State, Status
from shared.service.clients import AzureClients

log = structlog.get_logger()

TYPES: Final[dict[State, str]] = {
    "done": "Stylestream.VideoStylized",
    "degraded": "Stylestream.VideoDegraded",
    "failed": "Stylestream.VideoFailed",
    "cancelled": "Stylestream.VideoCancelled",
}

_DEADLINE_S: Final = 60.0
_WORTH_ANOTHER_TRY: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class Announcements:
    """Announces ended jobs; without a ``client`` it announces nothing."""

    def __init__(
        self, client: EventGridPublisherClient | None, source: str, metrics: AssemblerMetrics
    ) -> None:
        self._client = client
        self._source = source
        self._metrics = metrics

    async def announce(self, status: Status) -> None:
        """Announce a job's end; do nothing for a job that is still open.

        If the topic refuses the event, that is only logged: a job does not wait for a topic that
        will never accept its event.

        Raises:
            TransientError: the topic is unavailable.
        """
        if self._client is None or status.state not in TYPES:
            return
        try:
            outcome = await _send(self._client, announcement(status, self._source))
        except TransientError:
            self._metrics.announcement(status.state, "put_off")
            raise
        self._metrics.announcement(status.state, outcome)


async def _send(
    client: EventGridPublisherClient, event: CloudEvent[dict[str, Any]]
) -> AnnouncementOutcome:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await client.send(event)
    except TimeoutError as error:
        raise TransientError(f"the topic did not answer within {_DEADLINE_S:g} s") from error
    except AzureError as error:
        if not _is_refusal(error):
            raise TransientError(f"cannot reach the topic: {error.message}") from error
        log.error("announcement refused", job_id=event.subject, error=error.message)
        return "refused"
    log.info("job announced", job_id=event.subject, type=event.type)
    return "delivered"


def announcement(status: Status, source: str) -> CloudEvent[dict[str, Any]]:
    """Return the event for a job that has ended; the same record always gives the same event."""
    return CloudEvent(
        source,
        TYPES[status.state],
        id=f"{status.job_id}-{status.state}",
        time=datetime.fromisoformat(status.updated_at),
        subject=status.job_id,
        datacontenttype="application/json",
        data=status.model_dump(mode="json"),
    )


def _is_refusal(error: AzureError) -> bool:
    """Return whether every try would get this answer; failing to sign in counts as an outage."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None or status in _WORTH_ANOTHER_TRY:
        return False
    return status < HTTPStatus.INTERNAL_SERVER_ERROR


async def open_announcements(
    settings: AssemblerSettings, clients: AzureClients, metrics: AssemblerMetrics
) -> Announcements:
    """Connect to the topic that the settings name; without one, nothing is announced."""
    media = await clients.media_blobs()
    source = media.get_container_client(settings.results_container).url
    if settings.eventgrid_topic_endpoint is None:
        return Announcements(None, source, metrics)
    client = await clients.topic(settings.eventgrid_topic_endpoint, settings.eventgrid_topic_key)
    return Announcements(client, source, metrics)
