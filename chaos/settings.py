"""How the services of a stack that is to be broken are set up."""

from __future__ import annotations

from typing import Final

STYLES: Final = ("starry-night", "udnie")
CHUNK_ATTEMPTS: Final = 5

SETTINGS: Final = {
    # Many small chunks: many places to be hit at.
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
    # Below the longest time without any stylizer: a job that only waits must not fail.
    # Above what a splitter takes to announce an upload again whose event was lost.
    "STALL_TIMEOUT_S": "18",
    "PROGRESS_INTERVAL_S": "0.25",
    # Windows and slots are few, so that small clips fill them.
    "OUTSTANDING_CHUNKS": "1",
    "SPLITS": "1",
    "PACE_PATIENCE_S": "10",
    "UPLOADS_LOOK_S": "5",
}
"""What the services of an arena are told. Takeovers are quick, so that runs can be short."""

OTHER_SETTINGS: Final = {
    "CHUNK_FRAMES": "12",
    "FIRST_CHUNK_FRAMES": "6",
    "SPLITS": "2",
    "LANES": "2",
    "DOWNLOADS_AHEAD": "2",
}
"""What services are told beside, once other settings are rolled out."""
