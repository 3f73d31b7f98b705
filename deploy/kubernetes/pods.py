"""Rules for pods: they have valid settings, are confined, and can drain in time.

Each rule checks all manifests of an overlay and yields a sentence for each problem.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from assembler.settings import AssemblerSettings
from deploy.kubernetes.manifests import Manifests, quantity
from exporter.settings import ExporterSettings
from shared.contracts.manifest import Chunk
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.service.settings import ServiceSettings
from splitter.settings import SplitterSettings
from stylizer.painting.memory import RESERVED_BYTES, needed
from stylizer.settings import StylizerSettings

ROOT: Final = Path(__file__).resolve().parents[2]

SERVICES: Final[dict[str, type[ServiceSettings]]] = {
    "splitter": SplitterSettings,
    "stylizer": StylizerSettings,
    "assembler": AssemblerSettings,
    "exporter": ExporterSettings,
}
# Services that finish their work in hand before they end.
WORKERS: Final = ("splitter", "stylizer", "assembler")
# Our containers that read only the settings that all services share.
HELPERS: Final = {"prepare-checkpoints", "set-up", "watcher"}
# How long shared.service.runtime lets connections take to close after a drain.
CLOSING_S: Final = 10.0
GPUS: Final = ("cuda", "tensorrt")

_USER: Final = 10001
_CONFINED: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

Problems = Iterator[str]


def settings_are_valid(manifests: Manifests) -> Problems:
    """Every variable is one that its service reads, and the values are valid together."""
    for owner, container in manifests.containers():
        name = container["name"]
        if name not in SERVICES.keys() | HELPERS:
            continue
        settings = SERVICES.get(name, ServiceSettings)
        for variable in container.get("env", ()):
            if variable["name"].lower() not in settings.model_fields:
                yield f"{owner}: {variable['name']} is no setting of {name}"
        problem = _invalid(settings, manifests.environment(container))
        if problem:
            yield f"{owner}: {problem}"
    known = {field.upper() for settings in SERVICES.values() for field in settings.model_fields}
    for variable in manifests.config("pipeline").keys() - known:
        yield f"config.env: {variable} is no setting of any service"


def _invalid(settings: type[ServiceSettings], environment: dict[str, str]) -> str | None:
    given = {name.lower(): value for name, value in environment.items() if value}
    try:
        settings.model_validate(given)
    except ValidationError as error:
        return "; ".join(str(problem["msg"]) for problem in error.errors())
    return None


def a_drain_fits_into_the_grace_period(manifests: Manifests) -> Problems:
    """No pod is killed while it drains."""
    for service in WORKERS:
        deployment = manifests.find("Deployment", service)
        if deployment is None:
            continue
        pod = deployment["spec"]["template"]["spec"]
        drain_s = setting_of(manifests, service, "drain_timeout_s")
        if pod["terminationGracePeriodSeconds"] < float(drain_s) + CLOSING_S:
            yield f"{service}: the grace period is shorter than DRAIN_TIMEOUT_S and {CLOSING_S:g} s"


def setting_of(manifests: Manifests, service: str, field: str) -> Any:
    """Return the value of a setting in the service: from the manifests, or its default."""
    deployment = manifests.find("Deployment", service)
    environment: dict[str, str] = {}
    if deployment is not None:
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        environment = manifests.environment(container)
    default = SERVICES[service].model_fields[field].default
    return type(default)(environment.get(field.upper()) or default)


def probes_ask_the_port_that_answers(manifests: Manifests) -> Problems:
    """Every service has all probes, on a port on which it listens."""
    for owner, container in manifests.containers():
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container.get(probe)
            if asked is None:
                if owner in SERVICES and container["name"] == owner:
                    yield f"{owner}: has no {probe}"
                continue
            port = (asked.get("httpGet") or asked["tcpSocket"])["port"]
            if port not in ports:
                yield f"{owner}: {probe} asks the port {port}, which is not declared"
        if owner in SERVICES and container["name"] == owner:
            if ports.get("metrics") != setting_of(manifests, owner, "metrics_port"):
                yield f"{owner}: the port of its metrics is not METRICS_PORT"
            if container["livenessProbe"]["httpGet"]["path"] != "/healthz":
                yield f"{owner}: liveness must not depend on anything but the service itself"


def containers_may_do_little(manifests: Manifests) -> Problems:
    """Every container keeps the standard *restricted*, has limits, and writes only to volumes."""
    for owner, template in manifests.templates():
        pod = template["spec"]
        context = pod.get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("runAsUser") != _USER:
            yield f"{owner}: does not run as user {_USER}"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{owner}: has no seccomp profile"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{owner}: is given a token for the cluster"
        for volume in pod.get("volumes", ()):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{owner}: the volume {volume['name']} may fill the node"
    for owner, container in manifests.containers():
        if container.get("securityContext") != _CONFINED:
            yield f"{owner}: {container['name']} is not confined"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"{owner}: {container['name']} has no limit of memory"


def work_has_room(manifests: Manifests) -> Problems:
    """Mounted volumes exist, work folders are volumes, and decoders fit into the memory."""
    for owner, template in manifests.templates():
        volumes = {volume["name"] for volume in template["spec"].get("volumes", ())}
        for container in template["spec"]["containers"]:
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            for missing in set(mounts.values()) - volumes:
                yield f"{owner}: the volume {missing} does not exist"
            environment = manifests.environment(container)
            if environment.get("WORK_DIR", "/tmp") not in mounts:  # noqa: S108 - in a pod of its own
                yield f"{owner}: WORK_DIR is no volume"
    splitter = manifests.find("Deployment", "splitter")
    if splitter is not None:
        (container,) = splitter["spec"]["template"]["spec"]["containers"]
        limit = quantity(container["resources"]["limits"].get("memory", "0"))
        decoders = setting_of(manifests, "splitter", "splits") * setting_of(
            manifests, "splitter", "decoder_memory_bytes"
        )
        if decoders + quantity("512Mi") > limit:
            yield "splitter: SPLITS decoders of DECODER_MEMORY_BYTES do not fit into its memory"


def the_largest_pictures_can_be_painted(manifests: Manifests) -> Problems:
    """The largest pictures that the splitter accepts fit into a stylizer's memory in all lanes.

    This is for wide pictures and the default brush; with a larger one, fewer lanes paint at once.
    On a GPU, its own memory and GPU_MEM_LIMIT_MIB count instead.
    """
    stylizer = manifests.find("Deployment", "stylizer")
    if stylizer is None or setting_of(manifests, "stylizer", "engine") in GPUS:
        return
    (container,) = stylizer["spec"]["template"]["spec"]["containers"]
    environment, limits = manifests.environment(container), container["resources"]["limits"]
    # Without a limit it would be the node's cores, which are unknown here.
    lanes = int(environment.get("LANES") or quantity(limits["cpu"]))
    pixels = setting_of(manifests, "splitter", "max_pixels")
    wanted = lanes * needed(_wide_picture(pixels)) + RESERVED_BYTES
    if wanted > quantity(limits.get("memory", "0")):
        yield (
            f"stylizer: pictures of MAX_PIXELS in {lanes} lanes want {wanted / 2**30:.1f} GiB, "
            "more than its limit of memory"
        )


def _wide_picture(pixels: int) -> ChunkReady:
    height = math.isqrt(pixels * 9 // 16)
    frame = Chunk(index=0, first_frame=0, frames=1, first_pts=0, duration=1, pts_digest="")
    return ChunkReady(
        job_id="any",
        chunk=frame,
        width=pixels // height,
        height=height,
        time_base=Fraction(1),
        sample_aspect_ratio=Fraction(1),
        style=StyleRequest(style="any"),
    )


def images_are_ours(manifests: Manifests) -> Problems:
    """Every image is a stage of the Dockerfile, or has a version."""
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    # The overlay selects one of the two stylizers.
    stages = {*re.findall(r"^FROM \S+ AS (\S+)", dockerfile, re.MULTILINE), "stylizer"}
    for owner, container in manifests.containers():
        path, _, last = container["image"].rpartition("/")
        image, _, version = last.partition(":")
        if path.rpartition("/")[2] == "stylestream":
            if image not in stages:
                yield f"{owner}: no image {image} is built"
        elif version in ("", "latest"):
            yield f"{owner}: the image {container['image']} has no version"
