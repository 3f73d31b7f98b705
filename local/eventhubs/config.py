"""The broker's command line, and the hubs that it declares."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from local.eventhubs.access import DEFAULT_KEY, DEFAULT_POLICY
from local.eventhubs.errors import ConfigurationError
from local.eventhubs.hub import HubSpec
from local.eventhubs.log.partition import Retention

DEFAULT_PORT: Final = 5672

MAX_PARTITIONS: Final = 32
_MAX_PORT: Final = 65_535
# The service's rule, less one character, because a folder's name is limited to 255.
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
_GROUP: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{0,49}")
_MIB: Final = 1024 * 1024
_MS_PER_HOUR: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Settings:
    """The parsed command line."""

    data_dir: Path
    hubs: tuple[HubSpec, ...]
    host: str
    port: int
    policy: str
    key: str = field(repr=False)
    retention: Retention


def check_hubs(specs: Iterable[HubSpec]) -> list[str]:
    """Return a sentence for each problem of the requested hubs."""
    problems = []
    seen: set[str] = set()
    for spec in specs:
        if not _NAME.fullmatch(spec.name):
            problems.append(
                f"'{spec.name}' cannot be the name of a hub: it takes letters, digits, '.', '-' "
                f"and '_', begins and ends with a letter or digit, and has at most 255 characters."
            )
        if spec.name.lower() in seen:
            problems.append(f"The hub '{spec.name}' is given twice.")
        seen.add(spec.name.lower())
        if not 1 <= spec.partitions <= MAX_PARTITIONS:
            problems.append(
                f"The hub '{spec.name}' must have 1 to {MAX_PARTITIONS} partitions, "
                f"not {spec.partitions}."
            )
        problems += [
            f"'{group}' cannot be the name of a consumer group of the hub '{spec.name}': it takes "
            f"letters, digits, '.', '-' and '_', and has at most 50 characters."
            for group in sorted(spec.groups or ())
            if not _GROUP.fullmatch(group)
        ]
    return problems


def parse_hub(text: str) -> HubSpec:
    """Parse ``name:partitions`` or ``name:partitions:group,group``.

    With groups given, only these and ``$Default`` exist; without, any group does.
    """
    name, _, rest = text.partition(":")
    count, colon, groups = rest.partition(":")
    if not name or not count.isdecimal():
        message = f"--hub takes name:partitions, such as frames:8, not '{text}'."
        raise ConfigurationError(message)
    names = frozenset(group.lower() for group in groups.split(",") if group)
    return HubSpec(name, int(count), names if colon else None)


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that problems are reported in one way."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(message[0].upper() + message[1:] + ".")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m local.eventhubs",
        description="An Event Hubs namespace on this machine, for the unmodified Azure SDK.",
    )
    parser.add_argument("--data", metavar="DIR", help="where events are kept; made if missing")
    parser.add_argument(
        "--port", default=str(DEFAULT_PORT), help="0 picks a free one (%(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--allow-remote", action="store_true", help="let --host be reachable from other machines"
    )
    parser.add_argument(
        "--hub",
        action="append",
        default=[],
        metavar="NAME:PARTITIONS[:GROUP,...]",
        help="a hub to serve; repeatable",
    )
    parser.add_argument("--policy", default=DEFAULT_POLICY, help="name of the key (%(default)s)")
    parser.add_argument("--key", default=DEFAULT_KEY, help="the shared access key (%(default)s)")
    parser.add_argument("--retention-hours", default="168", help="drop older events (%(default)s)")
    parser.add_argument(
        "--retention-mib", default="1024", help="keep no more in a partition (%(default)s)"
    )
    return parser


def parse_arguments(arguments: Sequence[str]) -> Settings:
    """Return the settings; ``ConfigurationError`` names everything that is wrong at once."""
    given = _parser().parse_args(arguments)
    specs, problems = _declared_hubs(given)
    problems += check_hubs(specs) + _wrong_options(given)
    if problems:
        raise ConfigurationError(*problems)
    return Settings(
        data_dir=Path(given.data),
        hubs=tuple(specs),
        host=given.host,
        port=int(given.port),
        policy=given.policy,
        key=given.key,
        retention=Retention(
            max_age_ms=int(given.retention_hours) * _MS_PER_HOUR,
            max_bytes=int(given.retention_mib) * _MIB,
        ),
    )


def _declared_hubs(given: argparse.Namespace) -> tuple[list[HubSpec], list[str]]:
    specs: list[HubSpec] = []
    problems: list[str] = []
    for text in given.hub:
        try:
            specs.append(parse_hub(text))
        except ConfigurationError as error:
            problems += error.problems
    return specs, problems


def _wrong_options(given: argparse.Namespace) -> list[str]:
    problems = []
    if not given.data:
        problems.append("--data is missing: the directory where events are kept.")
    if not given.port.isdecimal() or int(given.port) > _MAX_PORT:
        problems.append(f"--port takes a number from 0 to {_MAX_PORT}, not '{given.port}'.")
    if not given.allow_remote and not _is_loopback(given.host):
        problems.append(
            f"--host {given.host} can be reached from other machines, without encryption: "
            f"add --allow-remote if that is meant."
        )
    problems += [
        f"{option} must be neither empty nor contain ';'."
        for option, value in (("--policy", given.policy), ("--key", given.key))
        if not value or ";" in value
    ]
    problems += [
        f"{option} takes a whole number from 1 on, not '{value}'."
        for option, value in (
            ("--retention-hours", given.retention_hours),
            ("--retention-mib", given.retention_mib),
        )
        if not value.isdecimal() or int(value) == 0
    ]
    return problems


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
