"""Runs a real, temporary API server: etcd and kube-apiserver, with their data in one folder.

The programs are searched for in the folder that ``KUBEBUILDER_ASSETS`` names, as Kubernetes' own
test tools do, and on the path. There is no kubelet: pods are accepted and stay pending.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deploy.monitoring.prometheus import unused_port

PROGRAMS: Final = ("etcd", "kube-apiserver")
ASSETS: Final = "KUBEBUILDER_ASSETS"

_START_S: Final = 180.0
_TOKEN: Final = "rehearsal"  # noqa: S105 - of a server that nobody else can reach
_SERVICES: Final = "10.0.0.0/24"


@dataclass(frozen=True, slots=True)
class Answer:
    """The output and exit code of kubectl."""

    code: int
    output: str
    errors: str

    @property
    def warnings(self) -> list[str]:
        """The server's warnings, and kubectl's own."""
        lines = self.errors.splitlines()
        return [line.strip() for line in lines if line.lower().startswith("warning")]


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running API server."""

    environment: Mapping[str, str]
    """The environment for kubectl and for programs that call it."""

    @property
    def version(self) -> tuple[int, int]:
        """Kubernetes' version, such as ``(1, 37)``."""
        found = json.loads(self.kubectl("version", "--output", "json").output)["serverVersion"]
        return int(found["major"]), int(found["minor"].rstrip("+"))

    def kubectl(self, *arguments: str, text: str = "") -> Answer:
        """Run kubectl with ``text`` on its standard input."""
        done = subprocess.run(
            ["kubectl", *arguments],
            input=text,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def get(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the resources that ``kubectl get`` finds.

        Raises:
            RuntimeError: kubectl fails, for instance because a named resource does not exist.
        """
        answer = self.kubectl("get", *arguments, "--output", "json")
        if answer.code:
            raise RuntimeError(f"kubectl get {' '.join(arguments)}: {answer.errors.strip()}")
        found = json.loads(answer.output)
        return list(found["items"]) if found["kind"] == "List" else [found]


def find(environment: Mapping[str, str]) -> dict[str, Path] | None:
    """Return the paths of the programs; None if one is missing."""
    searched = os.pathsep.join(
        filter(None, (environment.get(ASSETS), environment.get("PATH", os.defpath)))
    )
    found = {program: shutil.which(program, path=searched) for program in PROGRAMS}
    if not all(found.values()):
        return None
    return {program: Path(path) for program, path in found.items() if path}


@contextmanager
def running(folder: Path, programs: Mapping[str, Path], tools: Path) -> Iterator[ControlPlane]:
    """Run an empty control plane.

    Args:
        folder: for data, keys and logs; emptied first.
        programs: as `find` returns them.
        tools: the folder of the kubectl to use.

    Raises:
        RuntimeError: it does not start; the message has the end of the server's log.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store, peers, port = (unused_port() for _ in range(3))
    with (
        _process(folder, _etcd(programs["etcd"], folder, store, peers)),
        _process(folder, _api_server(programs["kube-apiserver"], folder, store, port)) as server,
    ):
        _await_ready(folder, server, port)
        yield ControlPlane(_environment(folder, port, tools))


def _etcd(program: Path, folder: Path, store: int, peers: int) -> list[str]:
    clients, others = f"http://127.0.0.1:{store}", f"http://127.0.0.1:{peers}"
    return [
        str(program),
        f"--data-dir={folder / 'data'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={others}",
        f"--initial-advertise-peer-urls={others}",
        f"--initial-cluster=default={others}",
    ]


def _api_server(program: Path, folder: Path, store: int, port: int) -> list[str]:
    key = folder / "accounts.pem"
    key.write_bytes(
        rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{_TOKEN},operator,operator,"system:masters"\n', encoding="utf-8")
    return [
        str(program),
        f"--etcd-servers=http://127.0.0.1:{store}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        f"--service-cluster-ip-range={_SERVICES}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        # Service accounts are created by a controller, which does not run here.
        "--disable-admission-plugins=ServiceAccount",
    ]


@contextmanager
def _process(folder: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with _log(folder, command[0]).open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield process
    finally:
        # Nothing of it is kept, so it need not close its connections.
        process.kill()
        process.wait()


def _log(folder: Path, program: str) -> Path:
    return folder / f"{Path(program).name}.log"


def _environment(folder: Path, port: int, tools: Path) -> dict[str, str]:
    named = {
        "clusters": {
            "cluster": {
                "server": f"https://127.0.0.1:{port}",
                "certificate-authority": str(folder / "apiserver.crt"),
            }
        },
        "users": {"user": {"token": _TOKEN}},
        "contexts": {"context": {"cluster": "here", "user": "here"}},
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        **{plural: [{"name": "here", **content}] for plural, content in named.items()},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return os.environ | {
        "KUBECONFIG": str(folder / "config.yaml"),
        # kubectl caches there what the server at a port knows.
        "HOME": str(folder),
        "PATH": os.pathsep.join((str(tools), os.environ.get("PATH", os.defpath))),
    }


def _await_ready(folder: Path, server: subprocess.Popen[bytes], port: int) -> None:
    request = urllib.request.Request(
        f"https://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {_TOKEN}"}
    )
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            trusted = ssl.create_default_context(cafile=folder / "apiserver.crt")
            urllib.request.urlopen(request, context=trusted).close()  # noqa: S310 - our own server
        except OSError:
            time.sleep(0.2)
        else:
            return
    said = _log(folder, "kube-apiserver").read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"kube-apiserver did not start:\n{said[-2000:]}")
