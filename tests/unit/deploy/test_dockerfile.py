"""What the Dockerfile promises about its images, read from its text."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy.supply.locked import parse, read

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ("splitter", "stylizer-cpu", "stylizer-gpu", "assembler", "exporter", "web", "local")

Stages = dict[str, list[tuple[str, str]]]


def instructions(stages: Stages, stage: str, wanted: str) -> list[str]:
    """The arguments of one instruction in a stage and those that it is built from, oldest first."""
    base = stages[stage][0][1].split(" AS ")[0]
    older = instructions(stages, base, wanted) if base in stages else []
    return older + [argument for instruction, argument in stages[stage] if instruction == wanted]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_starts_a_module_that_exists_as_process_one(stages: Stages, image: str) -> None:
    entrypoint = json.loads(instructions(stages, image, "ENTRYPOINT")[-1])

    assert entrypoint[0] == "python"
    if image != "local":  # whose command says what it runs
        module = image.partition("-")[0]
        assert entrypoint[1:] == ["-m", module]
        assert importlib.util.find_spec(f"{module}.__main__")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_numeric_user_and_has_a_health_check(stages: Stages, image: str) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions(stages, image, "USER")[-1])
    assert "probe.py" in instructions(stages, image, "HEALTHCHECK")[-1]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_what_it_is(stages: Stages, image: str) -> None:
    labels = " ".join(instructions(stages, image, "LABEL"))

    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in labels


@pytest.mark.parametrize("image", IMAGES[:-1])
def test_a_service_image_holds_its_own_packages_and_no_others(stages: Stages, image: str) -> None:
    copied = {
        argument.split()[0]
        for argument in instructions(stages, image, "COPY")
        if not argument.startswith(("--from", "deploy/", "requirements"))
    }

    # The studio paints previews as a stylizer would, and acts for users as the command line does.
    libraries = {"client", "stylizer"} if image == "web" else set()
    assert copied == {"stylestream", "shared", image.partition("-")[0], *libraries}


def test_everything_that_is_copied_is_there_and_in_the_build_context(stages: Stages) -> None:
    allowed = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    sources = [
        source
        for stage in stages.values()
        for instruction, argument in stage
        if instruction == "COPY" and not argument.startswith("--from")
        for source in argument.split()[:-1]
    ]

    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source


def test_all_images_have_one_base_and_that_for_gpus_brings_cuda_and_no_tensorrt(
    stages: Stages,
) -> None:
    bases = {stage[0][1].split(" AS ")[0] for name, stage in stages.items() if name} - stages.keys()
    assert bases == {"${PYTHON_IMAGE}"}
    libraries = {name for name in parse(read("gpu")) if name.startswith(("cuda", "nvidia", "tens"))}
    assert libraries == {
        "nvidia-ml-py",
        *(f"nvidia-{name}" for name in ("cublas", "cuda-nvrtc", "cuda-runtime", "cudnn-cu13")),
        *(f"nvidia-{name}" for name in ("cufft", "curand", "nvjitlink")),
    }


def test_styles_are_in_the_build_context_in_every_precision_that_their_cards_name() -> None:
    cards = sorted((ROOT / "shared/styles").glob("*.json"))
    networks = {path.name for path in (ROOT / "shared/styles").glob("*.onnx")}

    assert networks == {
        f"{card.stem}{ending}.onnx"
        for card in cards
        for ending in ("", *(f".{variant}" for variant in json.loads(card.read_text())["variants"]))
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert not any(line.endswith((".onnx", "styles")) for line in ignored)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_probe_tells_healthy_from_unhealthy(status: int, code: int) -> None:
    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        done = probe(server.server_port)

    assert done.returncode == code
    assert ("503" in done.stderr) == (code == 1)


def test_the_probe_fails_where_nothing_listens() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port

    done = probe(port)

    assert done.returncode == 1
    assert f"/readyz on port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def probe(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(ROOT / "deploy/docker/probe.py"), "readyz"],
        env={"PATH": os.environ["PATH"], "METRICS_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )
