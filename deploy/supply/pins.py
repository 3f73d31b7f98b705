"""Pins third-party images by digest: our base images, and those that run beside ours.

The owner of a tag such as ``3.11-slim-bookworm`` moves it whenever packages are updated; a digest
never changes. So references have both: the tag for the next update, the digest for reproducibility.
New digests change the build context, so our own images get a new tag and are built again. ::

    python -m deploy.supply.pins             # exit 1 if one has no digest
    python -m deploy.supply.pins --update    # writes the digests that the registries report

It queries registries with skopeo (``apt-get install skopeo``).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from deploy.supply.locked import ROOT, SupplyError

DOCKERFILE: Final = "deploy/docker/Dockerfile"
PLACES: Final = (
    DOCKERFILE,
    "docker-compose.yml",
    "deploy/compose/*.yml",
    "deploy/kubernetes/**/*.yaml",
    "deploy/azure/kubernetes/*.yaml",
)

_REFERENCE: Final = re.compile(
    r"^(?P<before>\s*(?:- )?image: |ARG \w+_IMAGE=)"
    r"(?P<image>(?!localhost/)[\w.:/-]*[\w-]+:[\w.-]+)(?:@(?P<digest>sha256:[0-9a-f]{64}))?$",
    re.MULTILINE,
)

DigestOf = Callable[[str], str]
"""Returns the digest that an image's tag has now."""


def main() -> None:
    """Report unpinned images, or pin all."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply.pins", description=__doc__)
    parser.add_argument("--update", action="store_true", help="ask the registries, and write")
    if parser.parse_args().update:
        try:
            print(*update(ROOT, ask), sep="\n")
        except SupplyError as error:
            sys.exit(f"pins: {error}")
    elif loose := sorted({*unpinned(ROOT)}):
        sys.exit(
            f"pins: without a digest: {', '.join(loose)}; where their registries can be reached, "
            "run: python -m deploy.supply.pins --update"
        )


def unpinned(root: Path) -> Iterator[str]:
    """Yield the third-party images without a digest."""
    return (image for image, digest in references(root) if digest is None)


def files(root: Path, *places: str) -> Iterator[Path]:
    """Yield the files that name images."""
    for place in places or PLACES:
        yield from sorted(root.glob(place))


def references(root: Path, *places: str) -> Iterator[tuple[str, str | None]]:
    """Yield every third-party image, with its digest if it has one."""
    for file in files(root, *places):
        for found in _REFERENCE.finditer(file.read_text(encoding="utf-8")):
            yield found["image"], found["digest"]


def update(root: Path, digest_of: DigestOf) -> list[str]:
    """Write today's digests; return a line for each file that has changed.

    All registries are queried before anything is written, so a failure changes nothing.

    Raises:
        SupplyError: a registry did not answer.
    """
    digests = {image: digest_of(image) for image in sorted({i for i, _ in references(root)})}
    news = []
    for file in files(root):
        text = file.read_text(encoding="utf-8")
        renewed = _REFERENCE.sub(
            lambda found: f"{found['before']}{found['image']}@{digests[found['image']]}", text
        )
        if renewed != text:
            file.write_text(renewed, encoding="utf-8")
            news.append(f"{file.relative_to(root)}: new digests")
    return news


def ask(image: str, *options: str) -> str:
    """Return an image's digest, which is the same for all platforms, from its registry.

    Raises:
        SupplyError: skopeo is missing, or the registry gives no digest.
    """
    platform = ("--override-os", "linux", "--override-arch", "amd64")
    command = ["skopeo", *platform, "inspect", "--no-tags", "--format", "{{.Digest}}", *options]
    try:
        done = subprocess.run(
            [*command, f"docker://{image}"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise SupplyError("skopeo is needed: apt-get install skopeo") from error
    if done.returncode or not re.fullmatch(r"sha256:[0-9a-f]{64}\n", done.stdout):
        raise SupplyError(f"no digest of {image} could be had: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
