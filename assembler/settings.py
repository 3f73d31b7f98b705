"""The assembler's settings, beyond those that all services share."""

from __future__ import annotations

from pydantic import Field, SecretStr

from shared.service.endpoints import check_url, plain_url
from shared.service.settings import ServiceSettings


class AssemblerSettings(ServiceSettings):
    """The assembler's settings."""

    work_dir: str | None = Field(
        None,
        description=(
            "folder for results while they are made; default: the system's temporary folder"
        ),
    )
    assemblies: int = Field(1, ge=1, le=32, description="results made concurrently")
    assembly_attempts: int = Field(
        10,
        ge=1,
        description=(
            "attempts at a result that kill the assembler before it is given up; a last "
            "one leaves out sound and other tracks"
        ),
    )
    drafts: int = Field(
        4,
        ge=0,
        le=64,
        description=(
            "results started before their last segments exist; each takes space in `WORK_DIR`"
        ),
    )
    downloads_ahead: int = Field(8, ge=1, le=64, description="segments fetched ahead of the muxer")
    redrive_after_s: float = Field(
        30.0, gt=0, description="time without progress after which a job is checked for lost chunks"
    )
    redrives: int = Field(
        3, ge=0, description="how many times a job's lost chunks are sent to the stylizers again"
    )
    stall_timeout_s: float = Field(
        1800.0,
        gt=0,
        description=(
            "time after which a job fails if its split has provably ended without reporting"
        ),
    )
    status_interval_s: float = Field(
        1.0,
        gt=0,
        description="how often a job's status record is updated; more often while the job is young",
    )
    segments_linger_s: float = Field(
        0.0,
        ge=0,
        description="how long segments are kept after a job's end, for viewers in the studio",
    )
    eventgrid_topic_endpoint: str | None = Field(
        None, description="Event Grid topic for announcements of ended jobs; unset: none"
    )
    eventgrid_topic_key: SecretStr | None = Field(
        None, description="key of that topic, for local stacks; unset: sign in"
    )

    def problems(self) -> list[str]:
        """Return what cannot work, including a topic that would be reached unencrypted."""
        return [*super().problems(), *filter(None, [self._topic_problem()])]

    def _topic_problem(self) -> str | None:
        endpoint = self.eventgrid_topic_endpoint
        if not endpoint:
            return None
        problem = check_url(
            "EVENTGRID_TOPIC_ENDPOINT",
            endpoint,
            allow_http=self.allow_http,
            example="https://NAME.REGION.eventgrid.azure.net/api/events",
        )
        if problem is None and plain_url(endpoint) and not self.eventgrid_topic_key:
            return "EVENTGRID_TOPIC_ENDPOINT needs https, or EVENTGRID_TOPIC_KEY: tokens need TLS"
        return problem
