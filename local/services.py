"""How the services of a stack are started: their commands, ports and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.children import inherited, painting_settings, unlimited
from local.gate import Gate
from local.processes import Command
from local.readiness import HttpReady
from local.workspace import (
    ASSEMBLER_PORT,
    FIRST_STYLIZER_PORT,
    OTHER_ASSEMBLERS_PORT,
    OTHER_SPLITTERS_PORT,
    SPLITTER_PORT,
    STUDIO_METRICS_PORT,
    STUDIO_PORT,
    Workspace,
)
from shared.service.machine import usable_cores

DRAIN_TIMEOUT_S: Final = 8
"""Shorter than in a cluster, because a person waits for it, and shorter than the grace time."""

STUDIO_LINGER_S: Final = 300
"""Lets viewers watch a job to its end even if it was painted faster than it plays."""


@dataclass(frozen=True, slots=True)
class Services:
    """Makes the commands of one stack's services.

    The address of each is added to ``endpoints``; ``environment`` overrides everything set here.
    """

    workspace: Workspace
    gate: Gate
    endpoints: dict[str, str]
    common: Mapping[str, str]
    """The settings of all services: how to reach the hubs and storage."""
    topic_key: str
    environment: Mapping[str, str]
    studio: bool
    grace_s: float

    def splitter(self, index: int) -> Command:
        """Return the command of a splitter."""
        return self._service(
            f"splitter-{index + 1}" if index else "splitter",
            "splitter",
            OTHER_SPLITTERS_PORT + index - 1 if index else SPLITTER_PORT,
            # The watcher's events name this address, however the splitter reaches the account.
            {"UPLOAD_ACCOUNTS": self.endpoints["storage"], **unlimited()},
        )

    def assembler(self, index: int) -> Command:
        """Return the command of an assembler."""
        return self._service(
            f"assembler-{index + 1}" if index else "assembler",
            "assembler",
            OTHER_ASSEMBLERS_PORT + index - 1 if index else ASSEMBLER_PORT,
            {
                "EVENTGRID_TOPIC_ENDPOINT": self.endpoints["announcements"],
                "EVENTGRID_TOPIC_KEY": self.topic_key,
                "SEGMENTS_LINGER_S": str(STUDIO_LINGER_S if self.studio else 0),
            },
        )

    def stylizer(self, index: int, count: int) -> Command:
        """Return the command of one of ``count`` stylizers."""
        lanes = max(1, usable_cores() // count)
        place = FIRST_STYLIZER_PORT + index
        return self._service(f"stylizer-{index + 1}", "stylizer", place, {"LANES": str(lanes)})

    @property
    def studio_origin(self) -> str:
        """The origin of the studio's page."""
        return f"http://127.0.0.1:{self.workspace.port(STUDIO_PORT)}"

    @property
    def studio_address(self) -> str:
        """The studio's address, including the token that opens it."""
        return f"{self.studio_origin}/?token={self._studio_token}"

    def web(self) -> Command:
        """Return the command of the studio."""
        settings = {
            "WEB_PORT": str(self.workspace.port(STUDIO_PORT)),
            "WEB_TOKEN": self._studio_token,
            "WEB_DIRECT_UPLOADS": "true",
        }
        return self._service("web", "web", STUDIO_METRICS_PORT, settings)

    @property
    def _studio_token(self) -> str:
        return self.workspace.secret("studio-token")

    def _service(self, name: str, module: str, place: int, settings: Mapping[str, str]) -> Command:
        port = self.workspace.port(place)
        environment = {
            **inherited(self.workspace.temporary),
            **self.common,
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": str(port),
            "LOG_FORMAT": "json",
            "OWNERSHIP_EXPIRY_S": "7",
            # Nothing routes by readiness here, and every probe of a hub opens a connection.
            "PROBE_INTERVAL_S": "30",
            "DRAIN_TIMEOUT_S": str(DRAIN_TIMEOUT_S),
            **painting_settings(),
            **settings,
            **self.environment,
        }
        self.endpoints[name] = f"http://127.0.0.1:{port}"
        ready = HttpReady(f"{self.endpoints[name]}/readyz")
        log: Path = self.workspace.logs / f"{name}.log"
        argv = self.gate.before(module)
        return Command(name, argv, environment, log, ready, grace_s=self.grace_s)
