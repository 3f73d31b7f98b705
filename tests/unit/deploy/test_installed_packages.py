"""Setting up by hash: exactly the locked packages are installed, or none."""

from __future__ import annotations

import base64
import hashlib
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.supply import install, locked

LOCKED_FILE = "locked.txt"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own, for which the tests' pip looks into a folder and nowhere else."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin/python"))
    monkeypatch.setattr(install, "PIP", pip)
    monkeypatch.setattr(locked, "REQUIREMENTS", tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return folder


def wheel(folder: Path, content: str) -> str:
    """Write a wheel of one module; return its SHA-256."""
    metadata = "palette-1.0.dist-info"
    files = {
        "palette.py": content,
        f"{metadata}/METADATA": "Metadata-Version: 2.1\nName: palette\nVersion: 1.0\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    path = folder / "palette-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record += f"{name},sha256={digest.decode().rstrip('=')},{len(text)}\n"
        archive.writestr(f"{metadata}/RECORD", f"{record}{metadata}/RECORD,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lock(folder: Path, *hashes: str) -> Path:
    """Write what may be installed: a wheel for this machine, and those for others."""
    file = folder / LOCKED_FILE
    file.write_text(" \\\n".join(["palette==1.0", *(f"    --hash=sha256:{h}" for h in hashes)]))
    return file


def installed(environment: Path) -> str | None:
    return next((f.read_text() for f in environment.rglob("site-packages/palette.py")), None)


def test_the_locked_file_is_installed_whatever_machine_the_other_hashes_are_for(
    environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = wheel(tmp_path, "COLOURS = 12\n")

    install.by_hash([lock(tmp_path, "0" * 64, ours)])

    assert installed(environment) == "COLOURS = 12\n"
    assert capsys.readouterr().err.splitlines()[-1] == "set-up: unpacking palette"


def test_every_few_packages_and_at_each_large_one_there_is_a_sign_of_progress() -> None:
    def fetched(size: str) -> list[str]:
        return ["Collecting p==1\n", f"  Downloading p_q-1.0-cp311-x-y.whl ({size})\n"]

    small, large = fetched("9.9 MB"), fetched("61.1 MB")
    names = ", ".join(f"p{number}" for number in range(21))

    told = list(
        install.stages(
            [*small * 12, *large, *small * 8, f"Installing collected packages: {names}\n"]
        )
    )

    assert told == [
        "10 packages fetched",
        "fetching p_q, 61.1 MB",
        "20 packages fetched",
        "unpacking all 21, half a minute or so",
    ]


def test_what_is_loaded_is_compiled_and_what_cannot_be_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "easel.py").write_text("import palette\n")
    (tmp_path / "palette.py").write_text("COLOURS = 12\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)

    with install.compiling("easel", "no_such_module"):
        pass

    assert capfd.readouterr() == ("", "")
    compiled = {file.name.split(".")[0] for file in (tmp_path / "__pycache__").iterdir()}
    assert compiled == {"easel", "palette"}


def test_what_a_set_up_compiles_is_there() -> None:
    assert [module for module in install.USED if find_spec(module) is None] == []


def test_a_file_that_was_changed_ends_the_set_up_in_a_sentence_and_is_not_installed(
    environment: Path, tmp_path: Path
) -> None:
    file = lock(tmp_path, wheel(tmp_path, "COLOURS = 12\n"))
    wheel(tmp_path, "import os; os.environ\n")

    with pytest.raises(locked.SupplyError, match=r"^palette==1\.0 is not the file that") as raised:
        install.by_hash([file])

    assert installed(environment) is None
    assert "UNLOCKED" not in str(raised.value)


def test_a_package_that_is_gone_is_not_replaced_by_another_version(
    environment: Path, tmp_path: Path
) -> None:
    file = lock(tmp_path, wheel(tmp_path, "COLOURS = 12\n"))
    file.write_text(file.read_text().replace("1.0", "1.1"))

    with pytest.raises(locked.SupplyError, match="UNLOCKED=1 scripts/setup"):
        install.by_hash([file])

    assert installed(environment) is None


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def write(*lines: str) -> None:
        (tmp_path / "locked").mkdir()
        (tmp_path / "locked/machines.txt").write_text("".join(f"{line}\n" for line in lines))

    monkeypatch.setattr(locked, "REQUIREMENTS", tmp_path)
    return write


def test_a_machine_without_locked_wheels_is_warned(
    machines: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    machines("3.11 Plan9 mips")

    assert not install.is_locked()

    (line,) = capsys.readouterr().err.splitlines()
    assert locked.machine() in line
    assert "without hashes" in line


def test_hashes_are_compared_unless_the_user_says_otherwise(
    machines: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machines(locked.machine())
    assert install.is_locked()
    monkeypatch.setenv("UNLOCKED", "1")
    assert not install.is_locked()
    assert "UNLOCKED" in capsys.readouterr().err


def test_set_up_is_by_hash_where_images_and_checks_run() -> None:
    listed = locked.read("machines").splitlines()
    assert {"3.11 Linux x86_64", "3.12 Linux x86_64", "3.11 Linux aarch64"} <= {*listed}


def test_set_up_installs_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((locked.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    dynamic = project["tool"]["setuptools"]["dynamic"]
    to_run = {f"requirements/{file}.txt" for file in files(locked.TO_RUN)}
    assert {*dynamic["dependencies"]["file"]} <= to_run
    (tests,) = dynamic["optional-dependencies"]["test"]["file"]
    assert tests in {f"requirements/{file}.txt" for file in files(locked.TO_TEST)}
    build = (locked.REQUIREMENTS / "build.txt").read_text(encoding="utf-8").splitlines()
    assert project["build-system"]["requires"] == [line for line in build if line[0] != "#"]


def test_node_is_installed_where_the_machine_has_none_that_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.layers_here(locked.TO_RUN) == [*locked.TO_RUN]
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v18.20.0\n")
        (tmp_path / name).chmod(0o755)
    assert "node" in install.layers_here(locked.TO_RUN)
    (tmp_path / "node").write_text("#!/bin/sh\necho v22.1.0\n")
    assert set(locked.TO_RUN) - {*install.layers_here(locked.TO_RUN)} == {"node"}


def files(layers: Iterable[str]) -> Iterator[str]:
    return (file for layer in layers for file in locked.LAYERS[layer].files)


def test_versions_without_hashes_are_constraints_that_pip_takes() -> None:
    for line in install.version_lines(locked.LAYERS):
        (version,) = Requirement(line.removesuffix("\n")).specifier
        assert version.operator == "=="


def test_pytorch_may_have_cudas_libraries_in_versions_of_its_own() -> None:
    assert any(line.startswith("nvidia-cublas==") for line in install.version_lines(["gpu"]))
    assert not [line for line in install.version_lines(locked.TO_TEST) if "nvidia-cu" in line]
