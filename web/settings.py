"""The studio's settings, beyond those that all services share."""

from __future__ import annotations

import os
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from shared.contracts.hosts import is_loopback
from shared.service.settings import StorageSettings

LEAST_SECRET: Final = 32

FEDERATED_TOKEN: Final = "AZURE_FEDERATED_TOKEN_FILE"  # noqa: S105 - its name
"""The variable with the path of a pod's token for workload identity."""

AUTHORITY_HOST: Final = "AZURE_AUTHORITY_HOST"
"""The variable with the host of the cloud's Entra; the public cloud's by default."""

SignIn = Literal["token", "entra", "proxy"]


class WebSettings(StorageSettings):
    """The studio's settings."""

    web_host: str = Field("127.0.0.1", description="address that the studio listens on")
    web_port: int = Field(8080, ge=0, le=65535, description="HTTP port of the studio")
    web_sign_in: SignIn = Field(
        "token",
        description=(
            "who may use the studio: holders of WEB_TOKEN, users of an Entra tenant, or "
            "users that a proxy in front of it lets through"
        ),
    )
    web_token: SecretStr | None = Field(
        None,
        description="token that opens the studio, in the address (/?token=) or as a bearer token",
    )
    web_secret: SecretStr | None = Field(
        None,
        description=(
            "key for sessions and uploads, the same for all instances; default: derived "
            "from WEB_TOKEN"
        ),
    )
    web_public_url: str | None = Field(
        None, description="address at which browsers reach the studio, such as https://NAME"
    )
    web_proxy_header: str = Field(
        "X-Forwarded-User",
        description=(
            "header in which the proxy names the user; it must overwrite what browsers send"
        ),
    )
    web_operators: str = Field(
        "",
        description=(
            "users who see all jobs: names given by the proxy, or Entra object ids, comma-separated"
        ),
    )
    entra_tenant_id: str | None = Field(None, description="Entra tenant whose users may sign in")
    entra_client_id: str | None = Field(None, description="the studio's app registration")
    entra_client_secret: SecretStr | None = Field(
        None, description="that app's secret; default: the pod's federated token"
    )
    entra_operator_role: str = Field("Operator", description="app role whose holders see all jobs")
    default_style: str = Field("starry-night", description="style selected initially")
    max_upload_mib: int = Field(64 * 1024, ge=1, le=190 * 1024, description="largest upload")
    web_direct_uploads: bool = Field(
        False,
        description="whether browsers send videos straight to storage, by signed links; the users' "
        "account must allow it (CORS) to the studio's origin",
    )
    previews_at_once: int = Field(2, ge=1, le=64, description="previews painted concurrently")
    fragments_cache_mib: int = Field(
        128, ge=1, description="memory for fragments shared by several viewers"
    )

    def problems(self) -> list[str]:
        """Return a sentence for each conflict between settings, and for unprotected access."""
        return [*super().problems(), *self._sign_in_problems(), *self._secret_problems()]

    def _sign_in_problems(self) -> list[str]:
        match self.web_sign_in:
            case "token":
                return [] if self.web_token else ["set WEB_TOKEN, or WEB_SIGN_IN to another way"]
            case "entra":
                return self._entra_problems()
            case "proxy":
                return []

    def _entra_problems(self) -> list[str]:
        wanted = ("entra_tenant_id", "entra_client_id", "web_public_url")
        missing = [name.upper() for name in wanted if not getattr(self, name)]
        if not self.entra_client_secret and FEDERATED_TOKEN not in os.environ:
            missing.append("ENTRA_CLIENT_SECRET (or a pod with workload identity)")
        return [f"WEB_SIGN_IN=entra needs {', '.join(missing)}"] if missing else []

    def _secret_problems(self) -> list[str]:
        problems = [
            f"{name.upper()} must have at least {LEAST_SECRET} characters"
            for name in ("web_token", "web_secret")
            if (value := getattr(self, name)) and len(value.get_secret_value()) < LEAST_SECRET
        ]
        if self.web_sign_in != "token" and not self.web_secret:
            problems.append(f"WEB_SIGN_IN={self.web_sign_in} needs WEB_SECRET")
        if self.web_public_url:
            parts = urlsplit(self.web_public_url)
            host = parts.hostname or ""
            if parts.scheme != "https" and not is_loopback(host):
                problems.append(f"WEB_PUBLIC_URL must be https, not {self.web_public_url}")
        elif not self.allow_http and not is_loopback(self.web_host):
            problems.append(
                f"WEB_HOST={self.web_host} would expose sessions on the network: set "
                "WEB_PUBLIC_URL to the https address of the proxy in front of it, or set "
                "ALLOW_HTTP=true if nobody else is on that network"
            )
        return problems

    @property
    def encrypted(self) -> bool:
        """Whether browsers reach the studio over TLS."""
        return bool(self.web_public_url and self.web_public_url.startswith("https:"))

    @property
    def secret(self) -> str:
        """The key that seals sessions and uploads."""
        given = self.web_secret or self.web_token
        assert given is not None
        return given.get_secret_value()
