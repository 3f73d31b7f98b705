"""Which addresses are reached without TLS, and how settings refuse those beyond this machine."""

from __future__ import annotations

from typing import Any

import pytest

from assembler.settings import AssemblerSettings
from shared.contracts.errors import ConfigurationError
from shared.service.endpoints import plain_eventhubs, plain_storage, plain_url
from shared.service.settings import ServiceSettings, load
from splitter.settings import SplitterSettings

AZURE = {
    "EVENTHUB_FULLY_QUALIFIED_NAMESPACE": "name.servicebus.windows.net",
    "STORAGE_ACCOUNT_URL": "https://name.blob.core.windows.net",
}
AZURITE = "AccountName=devstoreaccount1;AccountKey=c2VjcmV0;BlobEndpoint=http://{host}:10000/d;"
EMULATOR = (
    "Endpoint=sb://{host};SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0;"
    "UseDevelopmentEmulator=true;"
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in (SplitterSettings, AssemblerSettings):
        for name in settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def problems(
    monkeypatch: pytest.MonkeyPatch,
    settings: type[ServiceSettings] = ServiceSettings,
    **environment: str,
) -> list[str]:
    """Load settings; return what they complain about."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        load(settings)
    except ConfigurationError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    ("connection", "host"),
    [
        ("AccountName=a;AccountKey=k", None),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k", None),
        ("DefaultEndpointsProtocol=http;AccountName=a;EndpointSuffix=x.y", "a.blob.x.y"),
        ("defaultendpointsprotocol=https;BlobEndpoint=http://azurite:10000/a", "azurite"),
        ("BlobEndpoint=https://azurite:10000/a", None),
        ("UseDevelopmentStorage=true", "127.0.0.1"),
    ],
)
def test_a_storage_connection_string_tells_whom_it_reaches_without_tls(
    connection: str, host: str | None
) -> None:
    assert plain_storage(connection) == host


@pytest.mark.parametrize(
    ("connection", "host"),
    [
        ("Endpoint=sb://name.servicebus.windows.net/;SharedAccessKey=k", None),
        ("Endpoint=sb://eventhubs;UseDevelopmentEmulator=true;", "eventhubs"),
        ("Endpoint=sb://eventhubs:5673;usedevelopmentemulator=true", "eventhubs"),
        # The SDK takes no other spelling for the flag, and speaks TLS.
        ("Endpoint=sb://eventhubs;UseDevelopmentEmulator=True;", None),
    ],
)
def test_an_event_hubs_connection_string_tells_whom_it_reaches_without_tls(
    connection: str, host: str | None
) -> None:
    assert plain_eventhubs(connection) == host


def test_an_address_without_a_scheme_is_not_taken_for_an_encrypted_one() -> None:
    assert plain_url("https://a.blob.core.windows.net") is None
    assert plain_url("http://a.example/x") == "a.example"
    assert plain_url("a.blob.core.windows.net") == "a.blob.core.windows.net"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_emulators_on_this_machine_need_no_tls(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    local = {
        "STORAGE_CONNECTION_STRING": AZURITE.format(host=host),
        "EVENTHUB_CONNECTION_STRING": EMULATOR.format(host=host),
    }
    assert problems(monkeypatch, **local) == []


def test_emulators_elsewhere_need_permission_to_do_without_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compose = {
        "STORAGE_CONNECTION_STRING": AZURITE.format(host="azurite"),
        "EVENTHUB_CONNECTION_STRING": EMULATOR.format(host="eventhubs"),
        "MEDIA_STORAGE_CONNECTION_STRING": AZURITE.format(host="media"),
    }
    [told] = problems(monkeypatch, **compose)
    for name in ("azurite", "eventhubs", "media", *compose, "ALLOW_HTTP"):
        assert name in told
    assert "c2VjcmV0" not in told
    assert problems(monkeypatch, **compose, ALLOW_HTTP="true") == []


@pytest.mark.parametrize(
    ("settings", "variables", "said"),
    [
        (
            ServiceSettings,
            {"STORAGE_ACCOUNT_URL": "http://name.blob.core.windows.net"},
            "without TLS",
        ),
        (
            ServiceSettings,
            {"STORAGE_ACCOUNT_URL": "name.blob.core.windows.net"},
            "STORAGE_ACCOUNT_URL must be a URL such as https://",
        ),
        (
            AssemblerSettings,
            {"EVENTGRID_TOPIC_ENDPOINT": "topic.example"},
            "EVENTGRID_TOPIC_ENDPOINT must be a URL such as https://",
        ),
        (
            ServiceSettings,
            {"STORAGE_ACCOUNT_URL": "https://name.blob.core.windows.net?sv=1&sig=c2VjcmV0"},
            "shared access signature",
        ),
        (
            ServiceSettings,
            {
                "MEDIA_STORAGE_CONNECTION_STRING": "BlobEndpoint=https://n.blob.core.windows.net;"
                "SharedAccessSignature=sv=1&sig=c2VjcmV0"
            },
            "shared access signature",
        ),
        (
            ServiceSettings,
            {
                "MEDIA_STORAGE_ACCOUNT_URL": "https://m.blob.core.windows.net",
                "MEDIA_STORAGE_CONNECTION_STRING": "AccountName=m;AccountKey=c2VjcmV0",
            },
            "are mutually exclusive",
        ),
        (
            AssemblerSettings,
            {"EVENTGRID_TOPIC_ENDPOINT": "http://topic.example/api/events"},
            "EVENTGRID_TOPIC",
        ),
        (
            AssemblerSettings,
            {"EVENTGRID_TOPIC_ENDPOINT": "http://127.0.0.1:1/api/events"},
            "tokens need TLS",
        ),
        (SplitterSettings, {"WEBHOOK_PORT": "8080"}, "to authenticate callers"),
        (SplitterSettings, {"WEBHOOK_PORT": "8080", "WEBHOOK_SECRET": "c2VjcmV0"}, "at least 16"),
        (SplitterSettings, {"WEBHOOK_TENANT": "t"}, "must be set together"),
        (
            SplitterSettings,
            {
                "WEBHOOK_TENANT": "t",
                "WEBHOOK_AUDIENCE": "a",
                "WEBHOOK_AUTHORITY": "http://entra.example",
            },
            "without TLS",
        ),
        (SplitterSettings, {"UPLOAD_ACCOUNTS": "acc"}, "UPLOAD_ACCOUNTS"),
    ],
)
def test_an_unsafe_address_is_refused_in_a_sentence_without_the_secret(
    monkeypatch: pytest.MonkeyPatch,
    settings: type[ServiceSettings],
    variables: dict[str, Any],
    said: str,
) -> None:
    [told] = problems(monkeypatch, settings, **{**AZURE, **variables})
    assert said in told
    assert "c2VjcmV0" not in told


def test_a_services_own_problems_are_named_together_with_the_common_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [told] = problems(monkeypatch, SplitterSettings, WEBHOOK_PORT="8080")
    for name in ("EVENTHUB_CONNECTION_STRING", "STORAGE_ACCOUNT_URL", "WEBHOOK_SECRET"):
        assert name in told


def test_with_one_account_all_containers_are_in_it_and_with_two_users_have_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in AZURE.items():
        monkeypatch.setenv(name, value)
    assert load(ServiceSettings).media_account == (None, AZURE["STORAGE_ACCOUNT_URL"])

    monkeypatch.setenv("MEDIA_STORAGE_ACCOUNT_URL", "https://media.blob.core.windows.net")
    monkeypatch.setenv("JOBS_CONTAINER", "records")
    loaded = load(ServiceSettings)
    assert loaded.media_account == (None, "https://media.blob.core.windows.net")
    assert loaded.media_containers == {"uploads", "results", "records"}
