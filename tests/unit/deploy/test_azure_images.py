"""The images that azd's hook builds, or finds built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from azure_cli import Az

from deploy.azure import configure, images

ROOT = Path(__file__).resolve().parents[3]


def test_images_are_built_once_and_named_in_the_manifests(az: Az, environment: Path) -> None:
    configure.main()
    tag = images.context_tag(images.ROOT)
    az.answers(("acr run", None))

    images.main()

    (asked, built) = az.calls
    assert asked[:3] == ["acr", "repository", "show"]
    assert built[:4] == ["acr", "run", "--registry", "imagesabc"]
    assert {f"tag={tag}", "stylizer=stylizer-gpu"} <= set(built)
    component = yaml.safe_load((environment / "images/kustomization.yaml").read_text())
    named = {
        image["name"]: f"{image['newName']}:{image['newTag']}" for image in component["images"]
    }
    assert named == {
        f"localhost/stylestream/{name}": f"imagesabc.azurecr.io/stylestream/{name}:{tag}"
        for name in ("splitter", "assembler", "exporter", "web", "stylizer-gpu")
    }


def test_images_that_are_there_are_not_built_again(az: Az, environment: Path) -> None:
    configure.main()
    az.answers(("acr repository show", {"name": "there"}))

    images.main()

    assert [call[:2] for call in az.calls] == [["acr", "repository"]]


def test_without_tasks_in_the_registry_docker_builds_and_pushes_the_same(
    az: Az, environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMAGE_BUILDER", "docker")
    configure.main()
    az.answers(("acr login", None))
    docker = Az(tmp_path / "bin", "docker")
    docker.answers(("buildx build", None))

    images.main()

    tag = images.context_tag(images.ROOT)
    assert [call[:2] for call in az.calls] == [["acr", "repository"], ["acr", "login"]]
    built = [call[call.index("--tag") + 1] for call in docker.calls]
    assert built == [
        f"imagesabc.azurecr.io/stylestream/{name}:{tag}"
        for name in ("splitter", "assembler", "exporter", "web", "stylizer-gpu")
    ]
    assert all("--push" in call for call in docker.calls)


def test_a_builder_that_nobody_knows_ends_the_deployment(
    az: Az, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_BUILDER", "kaniko")
    configure.main()
    az.answers()

    with pytest.raises(SystemExit, match="IMAGE_BUILDER is acr or docker, not kaniko"):
        images.main()


def test_a_failed_build_ends_the_deployment(az: Az, environment: Path) -> None:
    configure.main()
    az.answers()

    with pytest.raises(SystemExit, match="images: az acr run: exit code 1"):
        images.main()


def test_provisioning_again_keeps_the_images_that_run(az: Az, environment: Path) -> None:
    configure.main()
    az.answers(("acr run", None))
    images.main()
    before = (environment / "images/kustomization.yaml").read_text()

    configure.main()

    assert (environment / "images/kustomization.yaml").read_text() == before


def test_the_tag_changes_with_what_goes_into_the_images_and_with_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / ".dockerignore").write_text("*\n!shared\n!pyproject.toml\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/a.py").write_text("1")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "README.md").write_text("hello")
    first = images.context_tag(tmp_path)

    (tmp_path / "README.md").write_text("bye")
    (tmp_path / "shared/__pycache__").mkdir()
    (tmp_path / "shared/__pycache__/a.pyc").write_text("compiled")
    assert images.context_tag(tmp_path) == first
    (tmp_path / "shared/a.py").write_text("2")
    assert images.context_tag(tmp_path) != first


def test_the_registrys_task_builds_stages_of_the_dockerfile_from_its_context(
    stages: dict[str, list[tuple[str, str]]],
) -> None:
    text = (ROOT / images.TASK).read_text(encoding="utf-8")
    task = yaml.safe_load(text)

    targets = re.findall(r"--target (\S+)", text)
    assert targets == ["splitter", "assembler", "exporter", "web", "{{.Values.stylizer}}"]
    assert {"splitter", "assembler", "stylizer-gpu", "stylizer-cpu"} <= stages.keys()
    assert task["env"] == ["DOCKER_BUILDKIT=1"]
    built = re.findall(r"--tag (\S+) \.", text)
    assert task["steps"][-1]["push"] == built
    assert ROOT / images.TASK in set(images.context(ROOT)), "the task is taken from the context"
