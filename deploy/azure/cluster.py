"""Prepares a cluster for the manifests: the last part of azd's predeploy hook.

It does what ``kubectl apply`` cannot. It waits until the cluster's add-ons have installed their
custom resources, and until the role that was just assigned takes effect. It creates autoscaled
Deployments with no replicas: the manifests must not set a number, and without one each would start
with one replica, and the stylizer's would start a GPU node for nothing. It deletes the Jobs of an
earlier deployment, because Jobs cannot be changed. It creates, once, the key that encrypts the
studio's sessions, which is stored only in the cluster. In azd's environment it first points kubectl
to that environment's cluster, which azd does only after this hook. ::

    python3 -m deploy.azure.cluster                                 # in azd's environment
    python3 -m deploy.azure.cluster deploy/kubernetes/overlays/gpu  # before an apply by hand
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from deploy.azure.cli import AzureCliError, az, show
from deploy.azure.manifests import folder

_KIND: Final = re.compile(r"^apiVersion: ([\w.-]+)/\w+\nkind: (\w+)$", re.MULTILINE)
_BUILT_IN: Final = ".k8s.io"
NAMESPACE: Final = "stylestream"
JOBS: Final = tuple(
    f"prepare-checkpoints-{service}" for service in ("splitter", "stylizer", "assembler")
)
STUDIO: Final = "web"
STUDIO_SECRET: Final = "studio"  # noqa: S105 - its name

PATIENCE_S: Final = 600.0
PAUSE_S: Final = 15.0

Manifest = dict[str, Any]


class KubectlError(Exception):
    """kubectl is missing, or a command failed."""


def main() -> None:
    """Prepare the cluster; on failure exit with 1 and the cluster's message."""
    by_hand = len(sys.argv) > 1
    manifests = Path(sys.argv[1]) if by_hand else folder(os.environ)
    try:
        if not by_hand:
            choose_cluster(os.environ)
        if kinds := custom_kinds(kubectl("kustomize", str(manifests))):
            wait_for_kinds(kinds)
        wanted = list(documents(kubectl("create", *_DRY, "--kustomize", str(manifests))))
        made = make_asleep(wanted)
        make_studio_secret(wanted)
        kubectl("delete", "job", *JOBS, "--namespace", NAMESPACE, "--ignore-not-found")
    except (AzureCliError, KubectlError) as error:
        sys.exit(f"cluster: {error}")
    print(f"cluster: ready; created without replicas: {', '.join(made) or 'nothing new'}")


def choose_cluster(environment: Mapping[str, str]) -> None:
    """Point kubectl to the environment's cluster unless ``KUBECONFIG`` is set, like azd.

    Raises:
        AzureCliError: there is no access to the cluster, or kubelogin is not installed.
    """
    if environment.get("KUBECONFIG"):
        return
    name = environment["AZURE_AKS_CLUSTER_NAME"]
    group = ("--resource-group", environment["AZURE_RESOURCE_GROUP"])
    az("aks", "get-credentials", *group, "--name", name, "--overwrite-existing")
    show("kubelogin", "convert-kubeconfig", "--login", "azurecli", "--context", name)


def custom_kinds(built: str) -> list[str]:
    """Return the definitions of the custom resources in manifests that kustomize has built."""
    return sorted(
        {
            f"crd/{kind.lower()}s.{group}"
            for group, kind in _KIND.findall(built)
            if "." in group and not group.endswith(_BUILT_IN)
        }
    )


def wait_for_kinds(kinds: Iterable[str], pause: Callable[[float], None] = time.sleep) -> None:
    """Return once the cluster knows these kinds and lets us list them.

    Raises:
        KubectlError: it does not after `PATIENCE_S`.
    """
    left_s = PATIENCE_S
    while True:
        try:
            kubectl("get", *kinds, "--output", "name")
            return
        except KubectlError as error:
            if left_s <= 0:
                raise
            print(f"cluster: not ready yet: {error}", file=sys.stderr)
        pause(PAUSE_S)
        left_s -= PAUSE_S


def make_asleep(wanted: list[Manifest]) -> list[str]:
    """Create the autoscaled Deployments that do not exist, with no replicas; return their names.

    They are created rather than applied: applying first with a number and later without one would
    reset it to the default, 1.
    """
    scaled = {m["spec"]["scaleTargetRef"]["name"] for m in wanted if m["kind"] == "ScaledObject"}
    there = {
        name_of(m)
        for m in documents(
            kubectl("get", "deployments", "--namespace", NAMESPACE, "--output", "json")
        )
    }
    new = [
        m
        for m in wanted
        if m["kind"] == "Deployment" and name_of(m) in scaled and name_of(m) not in there
    ]
    if new:
        _put(_namespace(wanted), "apply")
        _put([m | {"spec": m["spec"] | {"replicas": 0}} for m in new], "create")
        # Makes the next apply behave as if they had been applied without a number: it neither
        # warns nor sets one.
        _put(new, "apply", "set-last-applied", "--create-annotation")
    return [name_of(m) for m in new]


def make_studio_secret(wanted: list[Manifest]) -> None:
    """Create the key that the studio's pods share, if there is a studio without one."""
    if STUDIO not in {name_of(m) for m in wanted if m["kind"] == "Deployment"}:
        return
    there = documents(kubectl("get", "secrets", "--namespace", NAMESPACE, "--output", "json"))
    if STUDIO_SECRET in map(name_of, there):
        return
    _put(_namespace(wanted), "apply")
    metadata = {"name": STUDIO_SECRET, "namespace": NAMESPACE}
    key = {"secret": secrets.token_hex(32)}
    _put(
        [{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": key}],
        "create",
    )


def _namespace(wanted: list[Manifest]) -> list[Manifest]:
    return [m for m in wanted if m["kind"] == "Namespace"]


_DRY: Final = ("--dry-run=client", "--output", "json")


def _put(manifests: list[Manifest], *command: str) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
    kubectl(*command, "--filename", "-", text=json.dumps(listed))


def documents(text: str) -> Iterator[Manifest]:
    """Yield the manifests in kubectl's output, which is any number of JSON documents or lists."""
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        yield from document["items"] if document["kind"].endswith("List") else [document]
        text = text[end:].lstrip()


def name_of(manifest: Manifest) -> str:
    """Return a manifest's name."""
    return str(manifest["metadata"]["name"])


def kubectl(*arguments: str, text: str = "") -> str:
    """Run kubectl and return its output.

    Raises:
        KubectlError: it failed; the message is the last line of its error output.
    """
    try:
        done = subprocess.run(
            ["kubectl", *arguments], input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise KubectlError("kubectl is not installed") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise KubectlError(f"kubectl {' '.join(arguments[:2])}: {said[-1]}")
    return done.stdout


if __name__ == "__main__":
    main()
