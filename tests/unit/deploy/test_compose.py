"""The compose stack names what the services actually read: variables, hubs, containers, files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from assembler.settings import AssemblerSettings
from deploy import settings_table
from deploy.sections import with_section
from exporter.settings import ExporterSettings
from local.eventhubs.config import Settings as BrokerSettings
from local.eventhubs.config import parse_arguments
from local.stack import CONTAINERS
from shared.service.settings import ServiceSettings, StorageSettings
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings
from web.settings import WebSettings

ROOT = Path(__file__).resolve().parents[3]
BROKER = ("-m", "local.eventhubs")

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
WITHOUT_SETTINGS = {"azurite", "eventhubs", "prometheus", "grafana"}

Compose = dict[str, dict[str, Any]]


def settings() -> ServiceSettings:
    return ServiceSettings(eventhub_connection_string="given", storage_connection_string="given")


def give(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Set variables as compose does where the machine's own environment says nothing."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))


def test_every_variable_in_every_file_is_one_that_its_service_reads(compose: Compose) -> None:
    for file, content in compose.items():
        for name, service in content["services"].items():
            if name in WITHOUT_SETTINGS:
                continue
            known = {field.upper() for field in SETTINGS[name].model_fields}
            assert set(service.get("environment", {})) <= known, f"{file}: {name}"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_services_environment_makes_valid_settings(
    services: Compose, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(services[name]["environment"], monkeypatch)
    monkeypatch.setenv("WEB_TOKEN", "chosen-by-whoever-starts-the-stack")

    loaded = SETTINGS[name]()

    if isinstance(loaded, ServiceSettings):
        assert loaded.eventhub_connection_string is not None
        connection = loaded.eventhub_connection_string.get_secret_value()
        assert connection.startswith("Endpoint=sb://eventhubs;")
        assert connection.endswith("UseDevelopmentEmulator=true;")
    assert loaded.storage_connection_string is not None
    (host,) = services["azurite"]["networks"]["default"]["aliases"]
    storage = loaded.storage_connection_string.get_secret_value()
    assert f"BlobEndpoint=http://{host}:10000;" in storage


@pytest.fixture
def broker(services: Compose) -> BrokerSettings:
    """What the container's command is understood as."""
    command = services["eventhubs"]["command"]
    assert tuple(command[:2]) == BROKER
    return parse_arguments(command[2:])


def test_the_hubs_are_those_that_the_services_read_and_write(broker: BrokerSettings) -> None:
    assert [hub.name for hub in broker.hubs] == [*settings().hubs.values()]
    assert {hub.name: hub.partitions for hub in broker.hubs}["frames"] == 8


def test_the_consumer_group_is_in_every_hub(services: Compose, broker: BrokerSettings) -> None:
    for name in ("splitter", "stylizer", "assembler"):
        group = services[name]["environment"]["CONSUMER_GROUP"]
        for hub in broker.hubs:
            assert hub.groups == {group}


def test_hubs_are_reached_where_services_look_for_them_and_outlive_their_container(
    services: Compose, broker: BrokerSettings
) -> None:
    assert (broker.host, broker.port) == ("0.0.0.0", 5672)
    assert "ports" not in services["eventhubs"]
    assert f"hubs:{broker.data_dir}" in services["eventhubs"]["volumes"]


def test_the_exporter_knows_how_long_events_are_kept(
    services: Compose, broker: BrokerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(services["exporter"]["environment"], monkeypatch)

    exporter = ExporterSettings()

    kept_h = broker.retention.max_age_ms // 3_600_000
    assert exporter.uploads_retention_h == kept_h
    assert exporter.frames_retention_h == kept_h
    assert exporter.segments_retention_h == kept_h


def test_set_up_makes_the_containers_of_the_one_machine_stack() -> None:
    assert sorted(settings().containers) == sorted(CONTAINERS)


def test_services_start_after_set_up_which_starts_after_storage_and_hubs(services: Compose) -> None:
    for name in ("watcher", "splitter", "stylizer", "assembler", "exporter"):
        condition = services[name]["depends_on"]["set-up"]["condition"]
        assert condition == "service_completed_successfully"
    for name in ("azurite", "eventhubs"):
        assert services["set-up"]["depends_on"][name]["condition"] == "service_healthy"


def test_stylizers_can_be_scaled(services: Compose) -> None:
    assert not {"ports", "container_name"} & services["stylizer"].keys()


def test_a_stylizer_may_have_the_threads_of_av1_in_a_lane_of_each_core(services: Compose) -> None:
    threads = 1 + 15  # the lane's own, and SVT-AV1's, as measured
    assert services["stylizer"]["pids_limit"] > 64 * threads


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


def test_no_container_can_take_the_whole_machine(services: Compose) -> None:
    for name, service in services.items():
        assert {"mem_limit", "pids_limit", "cpus"} <= service.keys(), name
        # Painting alone may have every core.
        assert service["cpus"] or name == "stylizer"


def test_decoders_fit_into_the_splitters_memory(services: Compose) -> None:
    splitter = services["splitter"]
    decoder = int(splitter["environment"]["DECODER_MEMORY_BYTES"])
    limit = int(splitter["mem_limit"].removesuffix("g")) * 2**30
    assert int(splitter["environment"]["SPLITS"]) * decoder + 2**29 <= limit


def test_services_come_back_after_whatever_ended_them(services: Compose) -> None:
    for name in services.keys() - {"set-up", "cli"}:
        assert services[name]["restart"] == "unless-stopped", name


def test_ports_are_published_on_this_machine_only(compose: Compose) -> None:
    for content in compose.values():
        for service in content["services"].values():
            for port in service.get("ports", ()):
                assert port.startswith("127.0.0.1:")


def test_every_built_target_is_a_stage_of_the_dockerfile(
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


def test_the_scripts_that_are_started_are_in_the_image(
    services: Compose, stages: dict[str, list[tuple[str, str]]]
) -> None:
    copied = " ".join(argument for name, argument in stages["local"] if name == "COPY")

    for name in ("set-up", "watcher"):
        (script,) = services[name]["command"]
        assert f"deploy/compose/{Path(script).name}" in copied
        assert (ROOT / "deploy/compose" / Path(script).name).is_file()


def test_prometheus_scrapes_every_service(services: Compose) -> None:
    text = (ROOT / "deploy/compose/prometheus.yml").read_text(encoding="utf-8")

    names = re.findall(r"names: \[(\w+)\]", text)
    assert names == ["splitter", "stylizer", "assembler", "web", "exporter"]
    assert set(names) <= services.keys()
    assert set(re.findall(r"port: (\d+)", text)) == {
        str(ServiceSettings.model_fields["metrics_port"].default)
    }


def test_the_documented_settings_are_those_of_the_classes() -> None:
    document = settings_table.DOCUMENT.read_text(encoding="utf-8")

    written = with_section(document, "settings", settings_table.table())

    assert document == written, "run: python -m deploy.settings_table"
