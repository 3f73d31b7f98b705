"""Deploys to a real API server as an operator does: a first time, again, and as the next release.

::

    python -m deploy.kubernetes.rehearsal build/kubernetes build/kubernetes/*.yaml

The folder is where `deploy.kubernetes.schemas` has written the custom resource definitions. The
files are built overlays, each of which gets an API server of its own
(`deploy.kubernetes.control_plane`). Without the server's programs, the rehearsal is skipped.

It shows what only a server can: what it refuses or warns about, which fields it drops silently,
whether applying again changes anything, and whether it accepts pods of the templates. No controller
runs, so it does not show whether pods start.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.azure.cluster import NAMESPACE
from deploy.kubernetes import control_plane
from deploy.kubernetes.control_plane import Answer, ControlPlane
from deploy.kubernetes.manifests import Manifests, name_of
from deploy.kubernetes.pods import Problems
from deploy.kubernetes.servers import as_known_to, lost

ROOT: Final = Path(__file__).resolve().parents[2]
TOOLS: Final = ROOT / ".venv-deploy/bin"
DASHBOARDS: Final = ROOT / "deploy/monitoring"
RUNBOOK: Final = ROOT / "docs/runbook.md"
DEFINITIONS: Final = "definitions/definitions.yaml"

NEXT_TAG: Final = "next"
SCALED_TO: Final = 3
"""The number of replicas that an autoscaler has set when the next release is deployed."""


def main() -> None:
    """Rehearse the built overlays that the command line names; exit 1 on any problem."""
    folder, files = Path(sys.argv[1]).resolve(), [Path(name) for name in sys.argv[2:]]
    programs = control_plane.find(os.environ)
    if programs is None:
        print(
            f"skipped: {' or '.join(control_plane.PROGRAMS)} is neither in the folder that "
            f"{control_plane.ASSETS} names nor on the path"
        )
        return
    found = []
    for file in files:
        problems = list(rehearsed(file, folder, programs))
        print(f"  {len(problems)} problems", flush=True)
        found += [f"{file.name}: {problem}" for problem in problems]
    sys.exit("\n".join(found) or 0)


def rehearsed(file: Path, folder: Path, programs: Mapping[str, Path]) -> Problems:
    """Yield what is wrong with a built overlay, on a server of its own."""
    at = folder / "rehearsed" / file.stem
    with control_plane.running(at, programs, TOOLS) as server:
        answer = server.kubectl("create", "--filename", str(folder / DEFINITIONS))
        yield from _failed("the definitions", answer)
        try:
            yield from Rehearsal.prepare(server, at, Manifests.read(file)).problems()
        except RuntimeError as error:
            yield f"{error}; what the server did is in {at}"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The deployment of an overlay to an empty server."""

    server: ControlPlane
    folder: Path
    """What is applied, for ``kubectl apply -k``."""

    manifests: Manifests

    @classmethod
    def prepare(cls, server: ControlPlane, folder: Path, built: Manifests) -> Rehearsal:
        """Write what is applied, without what a server of this version cannot know."""
        version = server.version
        documents, left_out = as_known_to(version, built.documents)
        made = cls(server, folder / "applied", Manifests(documents))
        made.folder.mkdir()
        text = yaml.safe_dump_all(documents, sort_keys=False)
        (made.folder / "manifests.yaml").write_text(text, encoding="utf-8")
        made.release({})
        print(f"{folder.name}: {len(documents)} manifests, Kubernetes {version[0]}.{version[1]}")
        print(*(f"  {note}\n" for note in left_out), sep="", end="", flush=True)
        return made

    def release(self, tags: Mapping[str, str]) -> None:
        """Write the kustomization, with new tags for some images."""
        images = [{"name": name, "newTag": tag} for name, tag in tags.items()]
        text = yaml.safe_dump({"resources": ["manifests.yaml"], "images": images})
        (self.folder / "kustomization.yaml").write_text(text, encoding="utf-8")

    def problems(self) -> Problems:
        """Yield what is wrong, in sentences."""
        yield from self.first()
        yield from self.stored()
        yield from self.again()
        yield from self.pods()
        yield from self.dashboards()
        yield from self.runbook()
        yield from self.next_release()

    @property
    def scaled(self) -> set[str]:
        """The autoscaled Deployments."""
        return {
            manifest["spec"]["scaleTargetRef"]["name"]
            for manifest in self.manifests.of("ScaledObject")
        }

    def first(self) -> Problems:
        """Everything is accepted without a warning, and autoscaled pools start with no replicas."""
        yield from self._deploy("the first time")
        for name, deployment in self._deployments().items():
            replicas, expected = deployment["spec"]["replicas"], 0 if name in self.scaled else 1
            if replicas != expected:
                yield f"Deployment {name}: begins with {replicas} replicas instead of {expected}"

    def stored(self) -> Problems:
        """The server stores every field that it was sent."""
        kept = {
            (manifest["kind"], name_of(manifest)): manifest
            for manifest in self.server.get("--filename", str(self.folder / "manifests.yaml"))
        }
        for sent in self.manifests.documents:
            for path in lost(sent, kept[sent["kind"], name_of(sent)]):
                yield f"{sent['kind']} {name_of(sent)}: the server does not keep {path}"

    def again(self) -> Problems:
        """Applying the same again changes nothing, on the client's side or the server's."""
        differs = self.server.kubectl("diff", "--kustomize", str(self.folder))
        if differs.code:
            yield f"applying again would change: {(differs.output + differs.errors).strip()}"
        answer = self.server.kubectl("apply", "--kustomize", str(self.folder))
        yield from _failed("applying again", answer)
        yield from (
            f"applied again, and not unchanged: {line}"
            for line in answer.output.splitlines()
            if not line.endswith(" unchanged")
        )
        answer = self.server.kubectl(
            *("apply", "--kustomize", str(self.folder), "--server-side", "--dry-run=server"),
            "--field-manager=rehearsal",
        )
        yield from _failed("applying on the server's side", answer)

    def pods(self) -> Problems:
        """The namespace accepts a pod of each template."""
        for name, template in self.manifests.templates():
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                **template,
                "metadata": {**template["metadata"], "name": name, "namespace": NAMESPACE},
            }
            answer = self.server.kubectl(
                *("create", "--dry-run=server", "--filename", "-"), text=yaml.safe_dump(pod)
            )
            yield from _failed(f"a pod of {name}", answer)

    def dashboards(self) -> Problems:
        """The dashboards for a Grafana in the cluster are accepted, twice."""
        for when in ("the first time", "again"):
            answer = self.server.kubectl("apply", "--kustomize", str(DASHBOARDS))
            yield from _failed(f"applying the dashboards {when}", answer)

    def runbook(self) -> Problems:
        """The runbook's first commands work, except those that need a running pod."""
        if not self.scaled:
            return  # it is about autoscaled pools
        text = RUNBOOK.read_text(encoding="utf-8")
        for command in sorted(set(re.findall(r"^First: `kubectl ([^`]+)`", text, re.MULTILINE))):
            if {"get", "describe"} & set(command.split()):
                yield from _failed(command, self.server.kubectl(*shlex.split(command)))

    def next_release(self) -> Problems:
        """New images reach every template, and the numbers of replicas stay."""
        for deployment in self.manifests.of("Deployment"):
            if "replicas" not in deployment["spec"]:
                scaled = f"deployment/{name_of(deployment)}"
                answer = self.server.kubectl(
                    *("scale", scaled, f"--replicas={SCALED_TO}", "--namespace", NAMESPACE)
                )
                yield from _failed(f"scaling {scaled}", answer)
        before = {name: found["spec"]["replicas"] for name, found in self._deployments().items()}
        images = {container["image"] for _, container in self.manifests.containers()}
        self.release({image.rpartition(":")[0]: NEXT_TAG for image in images})
        yield from self._deploy("the next release")
        for name, deployment in self._deployments().items():
            if deployment["spec"]["replicas"] != before[name]:
                yield f"Deployment {name}: the next release changes its number of replicas"
        for name, container in self._live().containers():
            if container["image"].rpartition(":")[2] != NEXT_TAG:
                yield f"{name}: the next release does not reach the image {container['image']}"

    def _deploy(self, when: str) -> Problems:
        if self.scaled:
            done = subprocess.run(
                [sys.executable, "-m", "deploy.azure.cluster", str(self.folder)],
                cwd=ROOT,
                env=self.server.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            yield from _failed(
                f"making ready {when}", Answer(done.returncode, done.stdout, done.stderr)
            )
        answer = self.server.kubectl("apply", "--kustomize", str(self.folder))
        yield from _failed(f"applying {when}", answer)

    def _live(self) -> Manifests:
        kinds = "deployments,jobs"
        return Manifests(tuple(self.server.get(kinds, "--namespace", NAMESPACE)))

    def _deployments(self) -> dict[str, Mapping[str, Any]]:
        return {name_of(manifest): manifest for manifest in self._live().of("Deployment")}


def _failed(what: str, answer: Answer) -> Iterator[str]:
    complaints: Iterable[str] = answer.warnings
    if answer.code:
        complaints = answer.errors.strip().splitlines() or [f"exit code {answer.code}"]
    yield from (f"{what}: {line}" for line in complaints)


if __name__ == "__main__":
    main()
