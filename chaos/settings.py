"""Settings for the services of a stack that is to be broken."""

from __future__ import annotations

from typing import Final

STYLES: Final = ("starry-night", "udnie")
CHUNK_ATTEMPTS: Final = 5

SETTINGS: Final = {
    # Many small chunks give many points to strike at.
    "CHUNK_FRAMES": "8",
    "FIRST_CHUNK_FRAMES": "4",
    "CHUNK_ATTEMPTS": str(CHUNK_ATTEMPTS),
    "CHECKPOINT_INTERVAL_S": "0.5",
    # Azurite dates ownership in whole seconds, so an expiry much below this would flap.
    "LOAD_BALANCING_INTERVAL_S": "1",
    "OWNERSHIP_EXPIRY_S": "4",
    "CONSUMER_PATIENCE_S": "5",
    "SEND_DEADLINE_S": "5",
    "REDRIVE_AFTER_S": "5",
    # Less than the longest time without any stylizer: a job that only waits must not fail. More
    # than a splitter takes to announce an upload again after its event was lost.
    "STALL_TIMEOUT_S": "18",
    "PROGRESS_INTERVAL_S": "0.25",
    # Windows and slots are few, so that small clips fill them.
    "OUTSTANDING_CHUNKS": "1",
    "SPLITS": "1",
    "PACE_PATIENCE_S": "10",
    "UPLOADS_LOOK_S": "5",
}
"""The settings of an arena's services. Takeovers are quick, so that runs can be short."""

OTHER_SETTINGS: Final = {
    "CHUNK_FRAMES": "12",
    "FIRST_CHUNK_FRAMES": "6",
    "SPLITS": "2",
    "LANES": "2",
    "DOWNLOADS_AHEAD": "2",
}
"""Further settings of the services, once other settings are rolled out."""
