"""Settings: only from the environment, every problem at once, secrets never shown."""

from __future__ import annotations

import pytest

from assembler.settings import AssemblerSettings
from shared.contracts.errors import ConfigurationError
from shared.service.settings import ServiceSettings, describe, load
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings

SECRET = "Endpoint=sb://x;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in (SplitterSettings, StylizerSettings, AssemblerSettings):
        for name in settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def _connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTHUB_CONNECTION_STRING", SECRET)
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", "AccountName=a;AccountKey=c2VjcmV0")


def problems(settings: type[ServiceSettings]) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        load(settings)
    return "\n".join(refusal.value.problems)


def test_nothing_set_names_both_ways_for_both_dependencies() -> None:
    told = problems(ServiceSettings)
    for name in (
        "EVENTHUB_CONNECTION_STRING",
        "EVENTHUB_FULLY_QUALIFIED_NAMESPACE",
        "STORAGE_CONNECTION_STRING",
        "STORAGE_ACCOUNT_URL",
    ):
        assert name in told


@pytest.mark.usefixtures("_connected")
def test_a_key_and_an_identity_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_ACCOUNT_URL", "https://a.blob.core.windows.net")
    assert "are mutually exclusive" in problems(ServiceSettings)


@pytest.mark.usefixtures("_connected")
@pytest.mark.parametrize("name", ["MAX_DURATION_S", "MAX_RATE", "FRAME_DEADLINE_S"])
def test_no_limit_is_infinite(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "inf")
    assert name in problems(SplitterSettings)


@pytest.mark.usefixtures("_connected")
def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE", "abacus")
    monkeypatch.setenv("LANES", "many")
    monkeypatch.setenv("BATCH", "99")
    told = problems(StylizerSettings)
    assert "ENGINE" in told
    assert "LANES" in told
    assert "BATCH" in told


@pytest.mark.usefixtures("_connected")
def test_an_ownership_that_expires_between_two_renewals_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOAD_BALANCING_INTERVAL_S", "10")
    monkeypatch.setenv("OWNERSHIP_EXPIRY_S", "15")
    assert "OWNERSHIP_EXPIRY_S" in problems(ServiceSettings)


@pytest.mark.usefixtures("_connected")
@pytest.mark.parametrize("settings", [SplitterSettings, StylizerSettings, AssemblerSettings])
def test_no_secret_shows_in_repr_or_description(
    settings: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MEDIA_STORAGE_CONNECTION_STRING", "WEBHOOK_SECRET", "EVENTGRID_TOPIC_KEY"):
        monkeypatch.setenv(variable, "AccountName=a;AccountKey=c2VjcmV0")
    loaded = load(settings)
    shown = repr(loaded) + str(loaded) + str(describe(loaded)) + str(loaded.model_dump())
    assert "c2VjcmV0" not in shown
    assert loaded.eventhub_connection_string
    assert loaded.eventhub_connection_string.get_secret_value() == SECRET


@pytest.mark.usefixtures("_connected")
@pytest.mark.parametrize("settings", [SplitterSettings, StylizerSettings, AssemblerSettings])
def test_every_setting_says_what_it_means(settings: type[ServiceSettings]) -> None:
    for variable, _value, meaning in describe(load(settings)):
        assert meaning, variable


@pytest.mark.parametrize("settings", [SplitterSettings, StylizerSettings, AssemblerSettings])
def test_every_setting_that_sounds_like_a_secret_is_kept_as_one(
    settings: type[ServiceSettings],
) -> None:
    suspicious = ("connection_string", "secret", "password", "token", "key")
    named = {name for name in settings.model_fields if name.endswith(suspicious)}
    kept = {
        name for name, field in settings.model_fields.items() if "Secret" in str(field.annotation)
    }
    assert len(named) >= 3
    assert named == kept
