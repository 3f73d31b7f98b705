"""Installs the checkout's packages into the environment of the Python that runs this.

``scripts/setup`` runs it before any package is installed, so it needs only Python and pip. It
installs pip and then all packages in ``requirements/locked`` by hash, and then the checkout
itself; a file with another hash is an error. On machines for which a locked wheel is missing, it
installs the locked versions as far as possible, without hashes. ::

    python -m deploy.supply.install             # to run
    python -m deploy.supply.install --test
    python -m deploy.supply.install --train     # PyTorch is not locked: machines choose its builds
    python -m deploy.supply.install --gpu       # after one of these

UNLOCKED=1 skips the hashes on any machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Final

from deploy.supply.locked import (
    EXCLUDED,
    LAYERS,
    ROOT,
    TO_RUN,
    TO_TEST,
    TWINS,
    SupplyError,
    machine,
    parse,
    path,
    read,
)
from local.azurite_setup import machine_tools

EXTRAS: Final = {"": "", "--test": "[test]", "--train": "[test,train]"}
PIP: Final = (sys.executable, "-m", "pip")
NO_NEWS: Final = ("--disable-pip-version-check",)
QUIET: Final = ("--quiet", *NO_NEWS)
FETCHED_AT_ONCE: Final = 10
"""So many packages are fetched from one sign of progress to the next."""
USED: Final = (
    *("cli.main", "cli.commands.run", "cli.commands.up", "local.eventhubs.server", "local.loader"),
    *("splitter.service", "stylizer.service", "assembler.service", "web.service"),
)
"""The modules that the processes of a stack begin with."""

_LARGE: Final = re.compile(r"\s*Downloading ([^-]+)-.* \((\d{2,}\.\d MB|\d+\.\d GB)\)")
"""A package of 10 MB or more, on whose download a slow connection spends its time."""

_OTHER_HASH: Final = re.compile(r"DO NOT MATCH THE HASHES.*?\n\s+(\S+==\S+)", re.DOTALL)


def main() -> None:
    """Install what the argument asks for."""
    asked = "".join(sys.argv[1:])
    try:
        if asked == "--gpu":
            install_gpu()
        else:
            install_checkout(asked)
        remove_excluded()
    except SupplyError as error:
        sys.exit(f"set-up: {error}")


def install_checkout(asked: str) -> None:
    """Install the checkout, editable, with its packages: to run, to test or to train.

    Raises:
        SupplyError: a package is not the locked one, or pip could not install it.
    """
    checkout = ("--editable", f".{EXTRAS[asked]}")
    if not is_locked():
        with_versions(checkout, TO_TEST)
        return
    renew_pip()
    by_hash(path(layer) for layer in layers_here(TO_TEST if asked else TO_RUN))
    # Its build tools are installed by now.
    with compiling(*USED):
        if asked == "--train":
            with_versions(("--no-build-isolation", *checkout), TO_TEST)
        elif pip("--no-build-isolation", "--no-deps", *checkout).returncode:
            raise SupplyError("pip could not install the checkout, for the reason above")


def renew_pip() -> None:
    """Install the locked pip, which finds packages in less time than earlier ones.

    Raises:
        SupplyError: it is not the locked one, or pip could not install it.
    """
    if f"pip=={metadata.version('pip')} " not in read("pip"):
        by_hash([path("pip")])


def layers_here(layers: Iterable[str]) -> list[str]:
    """Return those of the layers that this machine needs: no Node where it has one of its own."""
    unneeded = "node" if machine_tools() else None
    return [layer for layer in layers if layer != unneeded]


def install_gpu() -> None:
    """Replace ONNX Runtime for CPUs by the one for GPUs, with CUDA's libraries.

    The CPU package is uninstalled first, because both use the same folder.

    Raises:
        SupplyError: a package is not the locked one, or pip could not install it.
    """
    subprocess.run([*PIP, "uninstall", *QUIET, "--yes", *TWINS], check=True)
    if is_locked():
        by_hash([path("gpu")])
    else:
        with_versions(("--requirement", str(ROOT / "requirements/gpu.txt")), LAYERS)


def remove_excluded() -> None:
    """Remove excluded packages, which an older set-up or one without hashes has installed."""
    names = [line for line in EXCLUDED.read_text("utf-8").splitlines() if line[0] != "#"]
    if there := [name for name in names if is_installed(name)]:
        subprocess.run([*PIP, "uninstall", *QUIET, "--yes", *there], check=True)


def is_installed(name: str) -> bool:
    """Return whether the environment of this Python has a package."""
    return any(True for _ in metadata.distributions(name=name))


@contextmanager
def compiling(*modules: str) -> Iterator[None]:
    """Meanwhile compile modules and all that they load, by loading them, which pip was told not to.

    That is a quarter of all that is installed, and a module that is not among it is compiled when
    it is first loaded. If some cannot be loaded, whoever needs them says why.
    """
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL):
        yield


def is_locked() -> bool:
    """Return whether this machine installs by hash; if not, print why."""
    here = machine()
    if os.environ.get("UNLOCKED"):
        say("UNLOCKED is set: packages are not compared with their hashes")
    elif here not in read("machines").splitlines():
        say(f"requirements/locked lacks packages for Python {here}: doing without hashes")
    else:
        return True
    return False


def by_hash(files: Iterable[Path]) -> None:
    """Install exactly the packages in the files, or none.

    Raises:
        SupplyError: the index has a package with another hash, or pip failed.
    """
    requirements = [argument for file in files for argument in ("--requirement", str(file))]
    done = pip("--require-hashes", "--no-deps", "--only-binary=:all:", *requirements)
    if other := _OTHER_HASH.search(done.stderr):
        raise SupplyError(
            f"{other[1]} is not the file that requirements/locked names: its hash, above, is not "
            "among those, and it was not installed. Find out which index or mirror gave it out"
        )
    if done.returncode:
        raise SupplyError(
            "the locked packages could not be installed, for the reason above; to take others, "
            "without comparing hashes: UNLOCKED=1 scripts/setup"
        )


def with_versions(arguments: Iterable[str], layers: Iterable[str]) -> None:
    """Install with the locked versions of layers, or else with any that the project accepts.

    Raises:
        SupplyError: neither works.
    """
    arguments = [*arguments]
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder, "versions.txt")
        versions.write_text("".join(version_lines(layers)), encoding="utf-8")
        if not pip("--constraint", str(versions), *arguments).returncode:
            return
    say("these versions could not be installed: taking those that pyproject.toml accepts")
    if pip(*arguments).returncode:
        raise SupplyError("pip could not install the packages, for the reason above")


def version_lines(layers: Iterable[str]) -> set[str]:
    """Return the locked versions of layers as constraints, without hashes.

    PyTorch needs its own versions of CUDA's libraries, so its set-up leaves out that layer.
    """
    pins = [pin for layer in layers for pin in parse(read(layer)).values()]
    lines = [line for pin in pins for line in pin.splitlines() if not line.startswith(" ")]
    return {line.rstrip(" \\") + "\n" for line in lines}


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``pip install`` and print how far it is; its errors are printed and returned."""
    command = [*PIP, "install", *NO_NEWS, "--progress-bar=off", "--no-compile", *arguments]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as running:
            for stage in stages(running.stdout or ()):
                say(stage)
        errors.seek(0)
        done = subprocess.CompletedProcess(command, running.returncode, stderr=errors.read())
    # On a mismatch pip lists the hashes of all wheels, which can be a hundred.
    lines = done.stderr.splitlines(keepends=True)
    sys.stderr.writelines(line for line in lines if not line.lstrip().startswith("Expected "))
    return done


def stages(output: Iterable[str]) -> Iterator[str]:
    """Yield how far ``pip install`` is, every few seconds on a usual machine, from its output."""
    fetched = 0
    for line in output:
        if line.startswith("Collecting "):
            fetched += 1
            if fetched % FETCHED_AT_ONCE == 0:
                yield f"{fetched} packages fetched"
        elif large := _LARGE.match(line):
            yield f"fetching {large[1]}, {large[2]}"
        elif line.startswith("Installing collected packages: "):
            names = line.partition(": ")[2].strip().split(", ")
            if len(names) > FETCHED_AT_ONCE:
                yield f"unpacking all {len(names)}, half a minute or so"
            else:
                yield f"unpacking {', '.join(names)}"


def say(text: str) -> None:
    """Print a line like ``scripts/setup``."""
    print(f"set-up: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
