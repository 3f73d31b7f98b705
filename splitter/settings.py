"""The splitter's settings, beyond those that all services share."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, SecretStr

from shared.service.endpoints import check_url
from shared.service.machine import usable_cores
from shared.service.settings import ServiceSettings, listed
from splitter.budget import Budget, Sharing
from splitter.media.epochs import LONGEST_PAUSE_S
from splitter.media.limits import Limits
from splitter.protection import LAYERS, Layer

_DEFAULTS: Final = Limits()

EVENT_GRID: Final = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
"""The id of Event Grid's application in Entra's public cloud, the same in all tenants."""

SECRET_LENGTH: Final = 16

MOST_THREADS: Final = 8
"""Reading, which only one thread at a time can do, keeps at most this many threads busy."""


def default_threads() -> int:
    """Return how many threads split one video on this machine by default."""
    return min(usable_cores(), MOST_THREADS)


class SplitterSettings(ServiceSettings):
    """The splitter's settings."""

    chunk_frames: int = Field(32, ge=1, le=1024, description="frames in a chunk")
    first_chunk_frames: int = Field(
        8, ge=1, le=1024, description="frames in a video's first chunk; they double from there"
    )
    default_style: str = Field("starry-night", description="style of uploads that do not name one")
    splits: int = Field(8, ge=1, le=32, description="videos split concurrently")
    split_threads: int | None = Field(
        None,
        ge=1,
        le=64,
        description="threads that split one video; default: one per core, at most 8",
    )
    split_attempts: int = Field(
        5, ge=1, description="attempts at a video that kill the splitter before it is given up"
    )
    outstanding_chunks: int = Field(
        8,
        ge=1,
        description=(
            "chunks of a video that may wait to be painted, per partition of the frames hub"
        ),
    )
    pace_patience_s: float = Field(
        60.0, gt=0, description="time without a painted chunk after which one more is sent anyway"
    )
    uploads_ahead: int = Field(4, ge=1, le=64, description="concurrent chunk uploads per video")
    uploads_look_s: float = Field(
        600.0,
        gt=0,
        description="how often uploads are checked for lost events",
    )
    progress_interval_s: float = Field(
        1.0,
        gt=0,
        description=(
            "how often a split records its progress and checks whether its job is still open"
        ),
    )
    frame_deadline_s: float = Field(
        60.0, gt=0, description="time without any progress after which a decoder is stopped"
    )
    work_dir: str | None = Field(
        None,
        description=(
            "folder for tracks while they are copied; default: the system's temporary folder"
        ),
    )
    max_bytes: int = Field(_DEFAULTS.max_bytes, ge=1, description="largest upload in bytes")
    max_pixels: int = Field(
        _DEFAULTS.max_pixels,
        ge=4,
        description="largest frame in pixels; larger ones need stylizers with more memory",
    )
    max_frames: int = Field(_DEFAULTS.max_frames, ge=1, description="longest video in frames")
    max_duration_s: float = Field(
        _DEFAULTS.max_duration_s, gt=0, description="longest video in seconds"
    )
    max_rate: float = Field(_DEFAULTS.max_rate, gt=0, description="highest average frame rate")
    min_decodable: float = Field(
        _DEFAULTS.min_decodable,
        ge=0,
        le=1,
        description="share of decodable frames below which a damaged video is refused",
    )
    longest_pause_s: float = Field(
        LONGEST_PAUSE_S,
        ge=0,
        description=(
            "longest pause that is kept in a broadcast recording (MPEG-TS, MPEG-PS); a longer one "
            "counts as a jump of its clock and is cut out"
        ),
    )
    decoder_memory_bytes: int = Field(
        _DEFAULTS.memory_bytes, ge=2**28, description="memory limit for decoding one video"
    )
    decoder_cpu_s: int = Field(
        _DEFAULTS.cpu_s, ge=1, description="CPU time limit for decoding one video"
    )
    sandbox: Literal["required", "optional"] = Field(
        "optional",
        description="whether the splitter refuses to start where decoders cannot be confined by "
        "Landlock and seccomp; required in the images",
    )
    upload_suffixes: str = Field(
        "", description="accepted file extensions, comma-separated, such as .mp4,.mov; empty: all"
    )
    upload_accounts: str = Field(
        "",
        description=(
            "additional addresses of the users' storage account that events may name, "
            "comma-separated"
        ),
    )

    budget_of: Sharing = Field(
        "folder",
        description=(
            "what a budget applies to: each first folder of uploads' names, each name (as "
            "used by upload links), or the whole account"
        ),
    )
    budget_open_jobs: int = Field(
        100,
        ge=0,
        description="open jobs per uploader; further ones wait; 0: unlimited",
    )
    budget_daily_videos: int = Field(
        1000, ge=0, description="videos started per uploader and day (UTC); 0: unlimited"
    )
    budget_daily_bytes: int = Field(
        2**40, ge=0, description="bytes of videos started per uploader and day; 0: unlimited"
    )
    budget_daily_frames: int = Field(
        5_000_000,
        ge=0,
        description="frames split per uploader and day; 0: unlimited",
    )

    webhook_port: int | None = Field(
        None, ge=0, le=65535, description="HTTP port for Event Grid's deliveries; unset: off"
    )
    webhook_host: str = Field("0.0.0.0", description="address that port listens on")  # noqa: S104 - Event Grid comes from outside the pod
    webhook_secret: SecretStr | None = Field(
        None,
        description=(
            "secret that webhook callers must present; two, comma-separated, during rotation"
        ),
    )
    webhook_tenant: str | None = Field(
        None, description="Entra tenant whose tokens the webhook accepts"
    )
    webhook_audience: str | None = Field(
        None, description="audience of these tokens: the application's id, its URI, or both"
    )
    webhook_callers: str = Field(
        EVENT_GRID,
        description="applications that may call; default: Event Grid's in the public cloud",
    )
    webhook_authority: str = Field(
        "https://login.microsoftonline.com", description="Entra's address in the tenant's cloud"
    )
    webhook_origins: str = Field(
        "eventgrid.azure.net",
        description="origins that may subscribe with CloudEvents, comma-separated",
    )

    @property
    def threads(self) -> int:
        """How many threads split one video."""
        return self.split_threads or default_threads()

    def problems(self) -> list[str]:
        """Return what cannot work, including an unprotected webhook."""
        problems = super().problems()
        problems += [
            f"UPLOAD_ACCOUNTS: {url!r} is not an address such as https://NAME.blob.core.windows.net"
            for url in listed(self.upload_accounts)
            if not url.startswith(("https://", "http://"))
        ]
        if problem := check_url(
            "WEBHOOK_AUTHORITY",
            self.webhook_authority,
            allow_http=self.allow_http,
            example="https://login.microsoftonline.com",
        ):
            problems.append(problem)
        if bool(self.webhook_tenant) != bool(self.webhook_audience):
            problems.append("WEBHOOK_TENANT and WEBHOOK_AUDIENCE must be set together")
        if any(len(secret) < SECRET_LENGTH for secret in self.webhook_secrets):
            problems.append(f"WEBHOOK_SECRET must have at least {SECRET_LENGTH} characters")
        if self.webhook_port is not None and not (self.webhook_secrets or self.webhook_tenant):
            problems.append(
                "WEBHOOK_PORT needs WEBHOOK_SECRET, or WEBHOOK_TENANT and WEBHOOK_AUDIENCE, to "
                "authenticate callers"
            )
        return problems

    @property
    def webhook_secrets(self) -> list[str]:
        """The secrets that callers may present; two during rotation."""
        return listed(self.webhook_secret.get_secret_value()) if self.webhook_secret else []

    @property
    def required_layers(self) -> frozenset[Layer]:
        """The layers of the decoders' sandbox without which nothing is decoded."""
        return frozenset(LAYERS) if self.sandbox == "required" else frozenset()

    @property
    def budget(self) -> Budget:
        """What each uploader may use."""
        return Budget(
            open_jobs=self.budget_open_jobs or None,
            videos=self.budget_daily_videos or None,
            size=self.budget_daily_bytes or None,
            frames=self.budget_daily_frames or None,
        )

    @property
    def limits(self) -> Limits:
        """What an upload may be, and what decoding it may cost."""
        return Limits(
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
            max_frames=self.max_frames,
            max_duration_s=self.max_duration_s,
            max_rate=self.max_rate,
            min_decodable=self.min_decodable,
            memory_bytes=self.decoder_memory_bytes,
            cpu_s=self.decoder_cpu_s,
        )
