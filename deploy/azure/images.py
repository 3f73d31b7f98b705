"""Builds the images in the registry and names them in the manifests: azd's predeploy hook.

An ACR task builds them, so that nobody needs Docker, and with BuildKit, which ``az acr build`` does
not use: without it, every image would also build the GPU stages. Where a subscription has no ACR
tasks, as free ones have none, ``IMAGE_BUILDER=docker`` builds and pushes with Docker on this
machine. The tag is a digest of the build context, so unchanged images are neither built again nor
restarted. ::

    python3 -m deploy.azure.images        # in azd's environment
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from deploy.azure.cli import AzureCliError, az, show, show_az
from deploy.azure.manifests import ROOT, image_names, stylizer_image, write_images

TASK: Final = "deploy/docker/acr-task.yaml"
TASK_TIMEOUT_S: Final = 7200
TAG_LENGTH: Final = 12
DOCKERFILE: Final = "deploy/docker/Dockerfile"
PLATFORM: Final = "linux/amd64"


def main() -> None:
    """Build the images that the registry lacks, and name them in the manifests."""
    environment = os.environ
    tag = context_tag(ROOT)
    try:
        build(environment, tag)
    except AzureCliError as error:
        sys.exit(f"images: {error}")
    write_images(environment, tag)
    print(f"images: {tag}")


def build(environment: Mapping[str, str], tag: str) -> None:
    """Build the images with this tag unless the registry has them.

    Raises:
        AzureCliError: a build failed, or IMAGE_BUILDER has an unknown value.
    """
    registry, stylizer = environment["AZURE_CONTAINER_REGISTRY_NAME"], stylizer_image(environment)
    if is_there(registry, stylizer, tag):
        return
    match environment.get("IMAGE_BUILDER") or "acr":
        case "acr":
            _build_in_registry(registry, stylizer, tag)
        case "docker":
            _build_here(environment, tag)
        case other:
            raise AzureCliError(f"IMAGE_BUILDER is acr or docker, not {other}")


def _build_in_registry(registry: str, stylizer: str, tag: str) -> None:
    show_az(
        *("acr", "run", "--registry", registry, "--file", TASK),
        *("--timeout", str(TASK_TIMEOUT_S)),
        *("--set", f"tag={tag}", "--set", f"stylizer={stylizer}", str(ROOT)),
    )


def _build_here(environment: Mapping[str, str], tag: str) -> None:
    az("acr", "login", "--name", environment["AZURE_CONTAINER_REGISTRY_NAME"])
    for name in image_names(environment):
        image = f"{environment['AZURE_CONTAINER_REGISTRY_ENDPOINT']}/stylestream/{name}:{tag}"
        show(
            *("docker", "buildx", "build", "--platform", PLATFORM, "--file", DOCKERFILE),
            *("--target", name, "--build-arg", f"VERSION={tag}", "--tag", image, "--push"),
            str(ROOT),
        )


def is_there(registry: str, stylizer: str, tag: str) -> bool:
    """Return whether the registry has the image that is pushed last."""
    image = f"stylestream/{stylizer}:{tag}"
    try:
        az("acr", "repository", "show", "--name", registry, "--image", image)
    except AzureCliError:
        return False
    return True


def context_tag(root: Path) -> str:
    """Return a tag that changes whenever the build context changes."""
    digest = hashlib.sha256()
    for path in sorted(context(root)):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:TAG_LENGTH]


def context(root: Path) -> Iterator[Path]:
    """Yield the files of the build context, which .dockerignore lists."""
    for line in (root / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            entry = root / line[1:]
            files = entry.rglob("*") if entry.is_dir() else [entry]
            yield from (file for file in files if file.is_file() and file.suffix != ".pyc")


if __name__ == "__main__":
    main()
