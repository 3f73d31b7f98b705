"""The compose stack names what the services really read: variables, hubs, containers, files."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from assembler.settings import AssemblerSettings
from exporter.settings import ExporterSettings
from local.eventhubs.config import load_emulator_config, parse_arguments
from local.stack import CONTAINERS
from shared.service.settings import ServiceSettings, StorageSettings
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings
from web.settings import WebSettings

ROOT = Path(__file__).resolve().parents[3]
EMULATOR_CONFIG = ROOT / "deploy/compose/Config.json"

SETTINGS: dict[str, type[StorageSettings]] = {
    "splitter": SplitterSettings,
    "stylizer": StylizerSettings,
    "assembler": AssemblerSettings,
    "exporter": ExporterSettings,
    "web": WebSettings,
    "watcher": ServiceSettings,
    "set-up": ServiceSettings,
    "cli": ServiceSettings,
}
FOREIGN = {"azurite", "eventhubs", "prometheus", "grafana"}

Compose = dict[str, dict[str, Any]]


def settings() -> ServiceSettings:
    return ServiceSettings(eventhub_connection_string="given", storage_connection_string="given")


def test_every_variable_in_every_file_is_one_that_its_service_reads(compose: Compose) -> None:
    for file, content in compose.items():
        for name, service in content["services"].items():
            if name in FOREIGN:
                continue
            known = {field.upper() for field in SETTINGS[name].model_fields}
            assert set(service.get("environment", {})) <= known, f"{file}: {name}"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_services_environment_makes_valid_settings(
    services: Compose, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in services[name]["environment"].items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))

    monkeypatch.setenv("WEB_TOKEN", "chosen-by-whoever-starts-the-stack")

    loaded = SETTINGS[name]()

    if isinstance(loaded, ServiceSettings):
        assert loaded.eventhub_connection_string is not None
        connection = loaded.eventhub_connection_string.get_secret_value()
        assert connection.startswith("Endpoint=sb://eventhubs;")
        assert connection.endswith("UseDevelopmentEmulator=true;")
    assert loaded.storage_connection_string is not None
    assert (
        "BlobEndpoint=http://azurite:10000/" in loaded.storage_connection_string.get_secret_value()
    )


def test_the_hubs_are_those_that_the_services_read_and_write(prepare: ModuleType) -> None:
    hubs = load_emulator_config(EMULATOR_CONFIG)

    assert [hub.name for hub in hubs] == prepare.hubs_of(settings())
    assert {hub.name: hub.partitions for hub in hubs}["frames"] == 8


def test_the_consumer_group_is_in_every_hub(services: Compose) -> None:
    group = services["stylizer"]["environment"]["CONSUMER_GROUP"]

    for hub in load_emulator_config(EMULATOR_CONFIG):
        assert hub.groups == {group}


def test_the_emulators_own_rules_are_kept() -> None:
    (namespace,) = json.loads(EMULATOR_CONFIG.read_text())["UserConfig"]["NamespaceConfig"]

    assert (namespace["Type"], namespace["Name"]) == ("EventHub", "emulatorNs1")
    assert len(namespace["Entities"]) <= 10
    for entity in namespace["Entities"]:
        assert isinstance(entity["PartitionCount"], str)
        assert 1 <= int(entity["PartitionCount"]) <= 32
        assert "$default" not in [group["Name"].lower() for group in entity["ConsumerGroups"]]


def test_set_up_makes_the_containers_of_the_one_machine_stack(prepare: ModuleType) -> None:
    assert sorted(prepare.containers_of(settings())) == sorted(CONTAINERS)


@pytest.mark.parametrize(
    ("checkpoint", "position", "stale"),
    [
        ("eventhubs/frames/stylestream/checkpoint/0", 7, True),
        ("eventhubs/frames/stylestream/checkpoint/0", 6, False),
        ("eventhubs/frames/stylestream/checkpoint/0", -1, False),
        ("eventhubs/frames/stylestream/checkpoint/1", 0, True),
        ("eventhubs/frames/stylestream/ownership/0", 7, False),
        ("eventhubs/other/stylestream/checkpoint/0", 7, False),
    ],
)
def test_a_position_behind_the_end_of_its_hub_is_an_older_hubs(
    prepare: ModuleType, checkpoint: str, position: int, *, stale: bool
) -> None:
    last_events = {("frames", "0"): 6, ("frames", "1"): -1}

    assert prepare.is_stale(checkpoint, position, last_events) is stale


def test_services_start_after_set_up_which_starts_after_storage(services: Compose) -> None:
    for name in ("watcher", "splitter", "stylizer", "assembler", "exporter"):
        condition = services[name]["depends_on"]["set-up"]["condition"]
        assert condition == "service_completed_successfully"
    assert services["set-up"]["depends_on"]["azurite"]["condition"] == "service_healthy"
    assert services["eventhubs"]["depends_on"]["azurite"]["condition"] == "service_healthy"


def test_stylizers_can_be_scaled(services: Compose) -> None:
    assert not {"ports", "container_name"} & services["stylizer"].keys()


def test_a_drain_ends_before_the_container_is_killed(services: Compose) -> None:
    for name in ("splitter", "stylizer", "assembler"):
        grace_s = float(services[name]["stop_grace_period"].removesuffix("s"))
        assert grace_s > float(services[name]["environment"]["DRAIN_TIMEOUT_S"])


def test_our_containers_may_write_nothing_but_what_is_given_to_them(compose: Compose) -> None:
    ours = {
        (file, name): service
        for file, content in compose.items()
        for name, service in content["services"].items()
        if "image" in service
        and service["image"].startswith("localhost/stylestream/")
        and file != "gpu.yml"
    }

    assert len(ours) == 9
    for service in ours.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_no_container_can_take_the_whole_machine(compose: Compose) -> None:
    for file in ("docker-compose.yml", "embedded.yml"):
        for name, service in compose[file]["services"].items():
            if "image" in service:
                assert {"mem_limit", "pids_limit", "cpus"} <= service.keys(), f"{file}: {name}"
                # Painting alone may have every core.
                assert service["cpus"] or name == "stylizer"


def test_decoders_fit_into_the_splitters_memory(services: Compose) -> None:
    splitter = services["splitter"]
    decoder = int(splitter["environment"]["DECODER_MEMORY_BYTES"])
    limit = int(splitter["mem_limit"].removesuffix("g")) * 2**30
    assert int(splitter["environment"]["SPLITS"]) * decoder + 2**29 <= limit


def test_ports_are_published_on_this_machine_only(compose: Compose) -> None:
    for content in compose.values():
        for service in content["services"].values():
            for port in service.get("ports", ()):
                assert port.startswith("127.0.0.1:")


def test_what_is_built_is_a_stage_of_the_dockerfile(
    compose: Compose, stages: dict[str, list[tuple[str, str]]]
) -> None:
    for content in compose.values():
        for service in content["services"].values():
            if "build" in service:
                assert service["build"]["target"] in stages


def test_mounted_files_are_there(compose: Compose) -> None:
    for content in compose.values():
        for service in content["services"].values():
            for volume in service.get("volumes", ()):
                source = volume.split(":")[0]
                assert not source.startswith("./") or (ROOT / source).exists(), source


def test_the_embedded_event_hubs_understands_its_command(compose: Compose) -> None:
    command = compose["embedded.yml"]["services"]["eventhubs"]["command"]

    assert command[:2] == ["-m", "local.eventhubs"]
    arguments = [
        argument.replace("/etc/eventhubs/Config.json", str(EMULATOR_CONFIG))
        for argument in command[2:]
    ]
    assert parse_arguments(arguments).port == 5672


def test_the_scripts_that_are_started_are_in_the_image(
    services: Compose, stages: dict[str, list[tuple[str, str]]]
) -> None:
    copied = " ".join(argument for name, argument in stages["local"] if name == "COPY")

    for name in ("set-up", "watcher"):
        (script,) = services[name]["command"]
        assert f"deploy/compose/{Path(script).name}" in copied
        assert (ROOT / "deploy/compose" / Path(script).name).is_file()


def test_prometheus_asks_every_service(services: Compose) -> None:
    text = (ROOT / "deploy/compose/prometheus.yml").read_text(encoding="utf-8")

    names = re.findall(r"names: \[(\w+)\]", text)
    assert names == ["splitter", "stylizer", "assembler", "web", "exporter"]
    assert set(names) <= services.keys()
    assert set(re.findall(r"port: (\d+)", text)) == {
        str(ServiceSettings.model_fields["metrics_port"].default)
    }


def test_the_documented_settings_are_those_of_the_classes() -> None:
    path = ROOT / "deploy/settings_table.py"
    document = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")

    written = runpy.run_path(str(path))["with_table"](document)

    assert document == written, "run: python deploy/settings_table.py"
