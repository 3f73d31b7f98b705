"""The exporter's settings, beyond those that all services share."""

from __future__ import annotations

from pydantic import Field

from shared.service.settings import ServiceSettings


class ExporterSettings(ServiceSettings):
    """The exporter's settings."""

    look_interval_s: float = Field(
        15.0, gt=0, description="how often hubs and checkpoints are read"
    )
    uploads_interval_s: float = Field(
        60.0, gt=0, description="how often the container of uploads is listed"
    )
    onlooker_group: str = Field(
        "$Default",
        description="consumer group for reading the oldest waiting events; not CONSUMER_GROUP",
    )
    uploads_retention_h: float = Field(
        168, gt=0, description="hours that the hub of uploads keeps events"
    )
    frames_retention_h: float = Field(
        72, gt=0, description="hours that the hub of frames keeps events"
    )
    segments_retention_h: float = Field(
        168, gt=0, description="hours that the hub of segments keeps events"
    )

    def problems(self) -> list[str]:
        """Return a sentence for each conflict between settings."""
        problems = super().problems()
        if self.onlooker_group == self.consumer_group:
            problems.append(
                "ONLOOKER_GROUP must be another group than CONSUMER_GROUP, "
                "which admits no second reader"
            )
        return problems
