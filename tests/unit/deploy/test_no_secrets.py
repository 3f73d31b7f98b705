"""Images and compose files contain no secret except the emulators' own keys, which are public."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import SecretStr

from assembler.settings import AssemblerSettings
from local.azurite import ACCOUNT_KEY
from local.eventhubs.access import DEFAULT_KEY
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings

PUBLIC = {ACCOUNT_KEY, DEFAULT_KEY}
SECRETS = {
    name.upper()
    for settings in (SplitterSettings, StylizerSettings, AssemblerSettings)
    for name, field in settings.model_fields.items()
    if field.annotation in (SecretStr, SecretStr | None)
}


def values(content: Any) -> list[str]:
    """Return every text of a document."""
    match content:
        case dict():
            return [text for value in content.values() for text in values(value)]
        case list():
            return [text for value in content for text in values(value)]
        case _:
            return [str(content)]


def test_no_image_is_built_with_a_secret(stages: dict[str, list[tuple[str, str]]]) -> None:
    assert {"STORAGE_CONNECTION_STRING", "WEBHOOK_SECRET", "EVENTGRID_TOPIC_KEY"} <= SECRETS
    for stage, instructions in stages.items():
        for instruction, argument in instructions:
            given = {word.split("=")[0] for word in argument.split()}
            assert not given & SECRETS, f"{stage}: {instruction}"
            assert not re.search(r"AccountKey=|SharedAccessKey=|sig=", argument), stage


@pytest.mark.parametrize("key", ["AccountKey", "SharedAccessKey"])
def test_the_keys_in_compose_files_are_the_emulators_own(
    compose: dict[str, dict[str, Any]], key: str
) -> None:
    found = {match for text in values(compose) for match in re.findall(rf"\b{key}=([^;]+);", text)}
    assert found
    assert found <= PUBLIC
