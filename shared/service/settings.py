"""Settings come from environment variables alone; each service reads them in one place.

Every field below is one variable, its name in capitals: ``chunk_frames`` is ``CHUNK_FRAMES``.
Connection strings serve local stacks; in Azure a namespace and an account URL are given instead and
``DefaultAzureCredential`` signs in. The two ways exclude each other.

What users touch (uploads, results and the records of jobs) may be in a storage account of its own,
which is then given as well; the other containers stay in the first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.errors import ConfigurationError
from shared.service.endpoints import check_eventhubs, check_storage, check_url, holds_signature

S = TypeVar("S", bound=BaseSettings)

SETTINGS: Final = SettingsConfigDict(
    frozen=True, extra="ignore", env_ignore_empty=True, allow_inf_nan=False
)


class StorageSettings(BaseSettings):
    """The settings that every service needs: where the blobs are, and how to report."""

    model_config = SETTINGS

    storage_connection_string: SecretStr | None = Field(
        None, description="storage account with a key; for local stacks"
    )
    storage_account_url: str | None = Field(
        None,
        description="storage account to sign in to, such as https://NAME.blob.core.windows.net",
    )
    media_storage_connection_string: SecretStr | None = Field(
        None,
        description="users' storage account with a key; default: the pipeline's storage account",
    )
    media_storage_account_url: str | None = Field(
        None,
        description="users' storage account to sign in to; default: the pipeline's storage account",
    )
    allow_http: bool = Field(
        False, description="allow plain HTTP beyond loopback, on an isolated network"
    )

    uploads_container: str = Field("uploads", description="where users put videos")
    results_container: str = Field("results", description="where users find results")
    frames_container: str = Field("frames", description="chunks of source frames; manifests")
    segments_container: str = Field("segments", description="chunks of stylized frames")
    jobs_container: str = Field("jobs", description="status records of jobs")
    uploads_checkpoints_container: str = Field(
        "uploads-checkpoints", description="splitters' positions in the hub of uploads"
    )
    frames_checkpoints_container: str = Field(
        "frames-checkpoints", description="stylizers' positions in the hub of frames"
    )
    segments_checkpoints_container: str = Field(
        "segments-checkpoints", description="assemblers' positions in the hub of segments"
    )
    dead_letters_container: str = Field(
        "dead-letters", description="events that could not be processed"
    )

    styles_dir: str | None = Field(
        None, description="folder with additional styles (NAME.onnx and NAME.json)"
    )
    styles_container: str | None = Field(
        None,
        description=(
            "blob container with additional styles, fetched at start; instead of STYLES_DIR"
        ),
    )

    probe_interval_s: float = Field(
        10.0, gt=0, description="interval of the checks on dependencies (/readyz)"
    )
    drain_timeout_s: float = Field(
        90.0,
        gt=0,
        description=(
            "time to finish work in progress after SIGTERM; must be shorter than the "
            "pod's grace period"
        ),
    )

    metrics_port: int = Field(
        9000, ge=0, le=65535, description="HTTP port of /metrics, /healthz and /readyz"
    )
    metrics_host: str = Field("0.0.0.0", description="address that port listens on")  # noqa: S104 - probes come from outside the pod
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="minimum level of log lines"
    )
    log_format: Literal["json", "console"] = Field("json", description="format of log lines")
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="trace collector (OTLP over HTTP), http://HOST:4318; unset: no traces"
    )

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if problems := self.problems():
            raise ValueError("; ".join(problems))
        return self

    def problems(self) -> list[str]:
        """Return a sentence for each conflict between settings; services add their own."""
        storage = ("storage_connection_string", "storage_account_url")
        problems = [*filter(None, [self._exactly_one(*storage)])]
        if self.media_storage_connection_string or self.media_storage_account_url:
            media = ("media_storage_connection_string", "media_storage_account_url")
            problems += filter(None, [self._exactly_one(*media)])
        return problems + self._endpoints() + self._signatures()

    @property
    def media_account(self) -> tuple[SecretStr | None, str | None]:
        """Connection string and URL of the users' account; one of them is None."""
        if self.media_storage_connection_string or self.media_storage_account_url:
            return self.media_storage_connection_string, self.media_storage_account_url
        return self.storage_connection_string, self.storage_account_url

    @property
    def media_containers(self) -> frozenset[str]:
        """The containers that users write to or read from, which are in the users' account."""
        return frozenset({self.uploads_container, self.results_container, self.jobs_container})

    @property
    def _checks(self) -> dict[str, Callable[..., str | None]]:
        """By setting, the function that finds the problem with the endpoint that it holds."""
        return {
            "storage_connection_string": check_storage,
            "storage_account_url": check_url,
            "media_storage_connection_string": check_storage,
            "media_storage_account_url": check_url,
        }

    def _endpoints(self) -> list[str]:
        """Return a sentence for each variable whose endpoint cannot be used as it is."""
        found = (
            check(name.upper(), _revealed(value), allow_http=self.allow_http)
            for name, check in self._checks.items()
            if (value := getattr(self, name))
        )
        return [problem for problem in found if problem]

    def _signatures(self) -> list[str]:
        return [
            f"{name.upper()} holds a shared access signature, which would appear in blobs' "
            "addresses: use the account's key, or sign in"
            for name in (
                "storage_connection_string",
                "storage_account_url",
                "media_storage_connection_string",
                "media_storage_account_url",
            )
            if (value := getattr(self, name)) and holds_signature(_revealed(value))
        ]

    def _exactly_one(self, one: str, other: str) -> str | None:
        given = [name.upper() for name in (one, other) if getattr(self, name)]
        if len(given) == 1:
            return None
        if given:
            return f"{given[0]} and {given[1]} are mutually exclusive: set one of them"
        return f"set {one.upper()} or {other.upper()}"


class ServiceSettings(StorageSettings):
    """The further settings of a service that handles events: where the hubs are, how to read."""

    eventhub_connection_string: SecretStr | None = Field(
        None, description="Event Hubs namespace with a key; for local stacks"
    )
    eventhub_fully_qualified_namespace: str | None = Field(
        None, description="Event Hubs namespace to sign in to, such as NAME.servicebus.windows.net"
    )

    uploads_hub: str = Field("uploads", description="hub of BlobCreated events")
    frames_hub: str = Field("frames", description="hub of chunk references")
    segments_hub: str = Field("segments", description="hub of finished segments and splits")
    consumer_group: str = Field("$Default", description="consumer group read in every hub")

    keep_intermediates: bool = Field(
        False, description="keep chunks, segments and manifests of ended jobs"
    )

    load_balancing_interval_s: float = Field(
        1.0, gt=0, description="how often consumers rebalance their partitions"
    )
    ownership_expiry_s: float = Field(
        30.0, gt=0, description="time after which a silent consumer's partitions are taken over"
    )
    checkpoint_interval_s: float = Field(
        3.0, gt=0, description="how often finished work is checkpointed"
    )
    send_deadline_s: float = Field(
        30.0, gt=0, description="time to wait for a hub's response before reconnecting"
    )
    consumer_patience_s: float = Field(
        60.0, gt=4, description="silence after which a consumer reconnects"
    )

    def problems(self) -> list[str]:
        """Return a sentence for each conflict between settings; services add their own."""
        hubs = ("eventhub_connection_string", "eventhub_fully_qualified_namespace")
        problems = [*filter(None, [self._exactly_one(*hubs)]), *super().problems()]
        if self.ownership_expiry_s < 2 * self.load_balancing_interval_s:
            problems.append(
                "OWNERSHIP_EXPIRY_S must be at least twice LOAD_BALANCING_INTERVAL_S, "
                "or consumers lose partitions that they are working on"
            )
        return problems

    @property
    def hubs(self) -> dict[str, str]:
        """The hubs, by the service that reads each."""
        return {
            "splitter": self.uploads_hub,
            "stylizer": self.frames_hub,
            "assembler": self.segments_hub,
        }

    @property
    def containers(self) -> list[str]:
        """The containers that the services need."""
        return [
            str(name)
            for field in type(self).model_fields
            if field.endswith("_container") and (name := getattr(self, field))
        ]

    def checkpoints_container(self, hub: str) -> str:
        """Return the container of the positions in ``hub``, which only its reader may write."""
        return {
            self.uploads_hub: self.uploads_checkpoints_container,
            self.frames_hub: self.frames_checkpoints_container,
            self.segments_hub: self.segments_checkpoints_container,
        }[hub]

    @property
    def _checks(self) -> dict[str, Callable[..., str | None]]:
        return {"eventhub_connection_string": check_eventhubs, **super()._checks}


def load(settings: type[S]) -> S:
    """Read ``settings`` from the environment.

    Raises:
        ConfigurationError: with one sentence for each variable that is missing or wrong.
    """
    try:
        return settings()
    except ValidationError as error:
        raise ConfigurationError([_sentence(problem) for problem in error.errors()]) from None


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Exit 2, with every problem on stderr, if a configuration turns out to be wrong in a block."""
    try:
        yield
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"{name}: {problem}", file=sys.stderr)
        sys.exit(2)


def _sentence(problem: object) -> str:
    assert isinstance(problem, dict)
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    return f"{'.'.join(map(str, problem['loc'])).upper()}: {message}"


def _revealed(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def listed(text: str) -> list[str]:
    """Return the words of a comma-separated setting."""
    return [word for part in text.split(",") if (word := part.strip())]


def describe(settings: BaseSettings) -> list[tuple[str, str, str]]:
    """List a settings object as (variable, value, description), secrets masked."""
    return [
        (name.upper(), str(getattr(settings, name)), field.description or "")
        for name, field in type(settings).model_fields.items()
    ]
