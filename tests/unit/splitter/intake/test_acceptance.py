"""Which uploads are ours, whatever an event claims."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from splitter.intake.acceptance import Acceptance
from splitter.intake.uploads import Upload
from splitter.settings import SplitterSettings


def acceptance(account: str = "https://acc.blob.core.windows.net/", **settings: Any) -> Acceptance:
    chosen = SplitterSettings(
        storage_connection_string=SecretStr("AccountName=a;AccountKey=k"),
        eventhub_connection_string=SecretStr("Endpoint=sb://x"),
        **settings,
    )
    return Acceptance(chosen, account)


def upload(url: str, container: str = "uploads", name: str = "a/b c.mp4") -> Upload:
    return Upload(container, name, "0x1", url)


@pytest.mark.parametrize(
    "url",
    [
        "https://acc.blob.core.windows.net/uploads/a/b%20c.mp4",
        "https://ACC.blob.core.windows.net/uploads/a/b%20c.mp4",
        "https://acc.dfs.core.windows.net/uploads/a/b%20c.mp4",
        "https://videos.example.com/uploads/a/b%20c.mp4",
    ],
)
def test_the_accounts_own_and_further_addresses_are_ours(url: str) -> None:
    ours = acceptance(upload_accounts="https://videos.example.com/, https://more.example.com")
    assert ours.refusal(upload(url)) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://other.blob.core.windows.net/uploads/a/b%20c.mp4",
        "https://acc.blob.core.windows.net.evil.example/uploads/a/b%20c.mp4",
        "https://acc.blob.core.windows.net@evil.example/uploads/a/b%20c.mp4",
        "https://evil.example/acc.blob.core.windows.net/uploads/a/b%20c.mp4",
        "https://acc.blob.core.windows.net:8443/uploads/a/b%20c.mp4",
        "https://acc.blob.core.windows.net/uploadsx/a/b%20c.mp4",
        "/uploads/a/b%20c.mp4",
        "http://[::1/uploads/a",
        "",
    ],
)
def test_every_other_address_is_foreign(url: str) -> None:
    assert "another storage account" in (acceptance().refusal(upload(url)) or "")


def test_an_emulators_account_is_part_of_its_addresses() -> None:
    ours = acceptance("http://127.0.0.1:10000/devstoreaccount1/")
    assert ours.refusal(upload("http://127.0.0.1:10000/devstoreaccount1/uploads/a.mp4")) is None
    assert ours.refusal(upload("http://127.0.0.1:10000/devstoreaccount2/uploads/a.mp4"))
    assert ours.refusal(upload("http://127.0.0.1:10001/devstoreaccount1/uploads/a.mp4"))


def test_other_containers_and_endings_are_ignored() -> None:
    ours = acceptance(upload_suffixes=".mp4, .MOV")
    base = "https://acc.blob.core.windows.net"
    assert "container" in (ours.refusal(upload(f"{base}/results/a", "results")) or "")
    for name, wanted in {"a.mov": True, "A.MP4": True, "mp4": False, "a.mp4.txt": False}.items():
        assert (ours.refusal(upload(f"{base}/uploads/{name}", name=name)) is None) is wanted, name
