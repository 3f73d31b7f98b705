"""The parts of images: versions, hashes, digests, and who updates them."""

from __future__ import annotations

import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.azure.images import context_tag
from deploy.supply import audit, pins
from deploy.supply.locked import (
    EXCLUDED,
    LAYERS,
    REQUIREMENTS,
    TWINS,
    SupplyError,
    machine,
    parse,
    read,
    same_version,
)

ROOT = Path(__file__).resolve().parents[3]
DIGEST = f"sha256:{'5' * 64}"

Stages = dict[str, list[tuple[str, str]]]


def locked() -> dict[str, list[Requirement]]:
    """Every package of every layer: its version, perhaps one for each of several Pythons."""
    return {
        canonicalize_name(name): [
            Requirement(line.rstrip(" \\"))
            for line in lines.splitlines()
            if not line.startswith(" ")
        ]
        for layer in LAYERS
        for name, lines in parse(read(layer)).items()
    }


def version(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


@pytest.mark.parametrize("layer", LAYERS)
def test_every_requirement_of_a_layer_is_locked_in_a_version_that_it_accepts(layer: str) -> None:
    there = {
        canonicalize_name(name)
        for each in (layer, *LAYERS[layer].base)
        for name in parse(read(each))
    }
    for file in LAYERS[layer].files:
        for line in (REQUIREMENTS / f"{file}.txt").read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                continue
            asked = Requirement(line)
            name = canonicalize_name(asked.name)
            assert name in there
            assert all(asked.specifier.contains(version(one)) for one in locked()[name])


@pytest.mark.parametrize("layer", LAYERS)
def test_every_package_has_hashes_and_no_address(layer: str) -> None:
    for name, lines in parse(read(layer)).items():
        first, *hashes = lines.replace(" \\\n", "\n").splitlines()
        assert first.startswith(f"{name}=="), name
        assert hashes, name
        pinned = r"    --hash=sha256:[0-9a-f]{64}|[\w.-]+==[^/@]+"
        assert [line for line in hashes if not re.fullmatch(pinned, line)] == []
    assert "://" not in read(layer)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_holds_all_that_its_packages_need(layer: str) -> None:
    # Images install nothing that is not named.
    there = {
        canonicalize_name(name)
        for each in (layer, *LAYERS[layer].base)
        for name in parse(read(each))
    }
    for name in parse(read(layer)):
        try:
            needed = distribution(name).requires or []
        except PackageNotFoundError:  # it is for GPUs, or another system
            continue
        for one in map(Requirement, needed):
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                lacking = {canonicalize_name(one.name)} - there - excluded()
                assert not lacking, f"{name} needs {one.name}"


def excluded() -> set[str]:
    lines = EXCLUDED.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if not line.startswith("#")}


def test_no_package_is_installed_that_reports_its_use() -> None:
    assert "openvino-telemetry" in excluded()
    assert not excluded() & locked().keys()
    assert find_spec("openvino_telemetry") is None, "run scripts/setup --test"


def test_these_tests_run_with_the_versions_that_images_hold() -> None:
    if machine() not in read("machines").splitlines():
        pytest.skip("requirements/locked lacks packages for this machine")
    for name, versions in locked().items():
        try:
            installed = distribution(name).version
        except PackageNotFoundError:
            continue
        applies = [one for one in versions if one.marker is None or one.marker.evaluate()]
        assert installed in {version(one) for one in applies}, f"{name}: run scripts/setup --test"


def test_processors_and_gpus_run_the_same_onnx_runtime() -> None:
    one, other = ({version(each) for each in locked()[name]} for name in TWINS)
    assert one == other


@pytest.mark.parametrize(
    ("cpu", "gpu", "together"),
    [("1.32.0", "1.31.1", "1.31.1"), ("1.9.0", "1.10.0", "1.9.0"), ("1.31.1", "1.31.1", None)],
)
def test_onnx_runtime_is_updated_when_both_of_its_packages_can_be(
    cpu: str, gpu: str, together: str | None
) -> None:
    lines = f"onnxruntime=={cpu} ; a\nonnxruntime-gpu=={gpu} \\\n    --hash=sha256:0\n"
    assert same_version(parse(lines)) == together


def test_images_install_nothing_but_files_whose_hash_is_written_down(stages: Stages) -> None:
    builders = [name for name in stages if name.startswith("packages")]
    assert len(builders) == 4
    for name in builders:
        installs = [
            argument
            for instruction, argument in stages[name]
            if instruction == "RUN" and "pip --python" in argument
        ]
        assert installs, name
        for words in (argument.split("install", 1)[1].split() for argument in installs):
            assert {*words[::2]} == {"--requirement"}
            assert {*words[1::2]} <= {f"locked/{layer}.txt" for layer in LAYERS}
        assert stages[name][0][1].startswith("packages AS" if "-" in name else "${PYTHON_IMAGE} AS")
    environment = " ".join(argument for what, argument in stages["packages"] if what == "ENV")
    for setting in ("PIP_REQUIRE_HASHES=1", "PIP_NO_DEPS=1", "PIP_ONLY_BINARY=:all:"):
        assert setting in environment


def test_images_are_made_of_bases_that_cannot_be_changed_under_them() -> None:
    assert len([*pins.references(ROOT, pins.DOCKERFILE)]) == 1
    assert [*pins.unpinned(ROOT)] == []


def test_every_third_party_image_can_be_pinned() -> None:
    found = {image for image, _ in pins.references(ROOT)}
    for file in pins.files(ROOT):
        for line in file.read_text(encoding="utf-8").splitlines():
            if named := re.match(r"\s*(?:- )?image: (\S+)|ARG \w+_IMAGE=(\S+)", line):
                image = (named[1] or named[2]).partition("@")[0]
                assert image in found or image.startswith("localhost/stylestream/"), line


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "deploy/docker").mkdir(parents=True)
    shutil.copy(ROOT / pins.DOCKERFILE, tmp_path / pins.DOCKERFILE)
    for name in ("docker-compose.yml", ".dockerignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_new_bases_are_written_down_and_make_new_images(tree: Path) -> None:
    before = context_tag(tree)
    asked = []

    news = pins.update(tree, lambda image: asked.append(image) or DIGEST)

    assert news == ["deploy/docker/Dockerfile: new digests", "docker-compose.yml: new digests"]
    assert len(asked) == len({*asked})
    assert {digest for _, digest in pins.references(tree)} == {DIGEST}
    assert {image for image, _ in pins.references(tree)} == {*asked}
    assert context_tag(tree) != before
    assert pins.update(tree, lambda _image: DIGEST) == []


def test_a_registry_that_does_not_answer_changes_nothing(tree: Path) -> None:
    before = (tree / "docker-compose.yml").read_text(), (tree / pins.DOCKERFILE).read_text()

    def refuse(image: str) -> str:
        if image.startswith("python"):
            raise SupplyError("away")
        return DIGEST

    with pytest.raises(SupplyError, match="away"):
        pins.update(tree, refuse)

    after = (tree / "docker-compose.yml").read_text(), (tree / pins.DOCKERFILE).read_text()
    assert after == before


def test_an_audit_without_a_database_does_not_count_as_clean() -> None:
    # As pip-audit writes its reports: a database that is away, a fault, a package without one.
    blind = {"dependencies": [{"name": "requests", "skip_reason": "not found on PyPI"}]}
    fault = {"id": "PYSEC-2018-28", "fix_versions": ["2.20.0"], "aliases": [], "description": ""}
    seen = {"dependencies": [{"name": "requests", "version": "2.5.0", "vulns": [fault]}]}
    clean = {"dependencies": [{"name": "requests", "version": "2.34.2", "vulns": []}]}

    assert audit.faults(blind) == []
    assert audit.not_audited(blind) == ["requests: not found on PyPI"]
    assert audit.not_audited({"dependencies": []}) == ["pip-audit gave no report"]
    assert audit.faults(seen) == ["requests 2.5.0: PYSEC-2018-28, mended in 2.20.0"]
    assert (audit.faults(clean), audit.not_audited(clean)) == ([], [])


def test_bases_and_packages_are_checked_for_updates_every_week() -> None:
    file = ROOT / ".github/workflows/supply-chain.yml"
    # YAML takes the key for the truth value.
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow[True]["schedule"]
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
    commands = [step["run"] for step in steps if "run" in step]
    assert all(command.startswith(("scripts/", "sudo apt-get ")) for command in commands)
    scripts = [command.split()[0] for command in commands if command.startswith("scripts/")]
    assert {*scripts} == {"scripts/renew", "scripts/check-deploy", "scripts/check-images"}
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


def test_the_weekly_scripts_build_every_image(stages: Stages) -> None:
    text = (ROOT / "scripts/check-images").read_text(encoding="utf-8")
    (images,) = re.findall(r"^images=\((.*)\)$", text, re.MULTILINE)
    started = {name for name, steps in stages.items() if "ENTRYPOINT" in dict(steps)}
    assert {*images.split()} == started


def test_the_deployments_checks_hold_the_supply_chain() -> None:
    script = (ROOT / "scripts/check-deploy").read_text(encoding="utf-8")
    stages = [line for line in script.splitlines() if line.startswith("stage ")]
    for command in (
        *("supply.locked --check", "supply.audit", "supply.pins"),
        *("check_bill", "check_workflow", "check_images"),
    ):
        assert any(line.endswith(command) for line in stages), command
