"""Azurite does what the services rely on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
from azure.storage.blob.aio import BlobServiceClient
from azurites import azurite_process
from ports import unused_port

from local import azurite, azurite_setup
from shared.contracts.errors import StylestreamError


async def test_a_blob_is_written_once_and_changed_under_its_etag(storage_connection: str) -> None:
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        container = await account.create_container("conditions")
        blob = await container.upload_blob("manifest", b"one")
        before = (await blob.get_blob_properties()).etag

        with pytest.raises(ResourceExistsError):
            await container.upload_blob("manifest", b"two")
        await blob.upload_blob(
            b"three", overwrite=True, etag=before, match_condition=MatchConditions.IfNotModified
        )
        with pytest.raises(ResourceModifiedError):
            await blob.upload_blob(
                b"four", overwrite=True, etag=before, match_condition=MatchConditions.IfNotModified
            )

        assert await (await blob.download_blob()).readall() == b"three"


async def test_metadata_comes_with_the_blob(storage_connection: str) -> None:
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        container = await account.create_container("metadata")
        blob = await container.upload_blob("a.mp4", b"", metadata={"style": "the-scream"})

        assert (await blob.get_blob_properties()).metadata == {"style": "the-scream"}


def test_it_starts_without_the_parts_that_are_not_used(tmp_path: Path) -> None:
    node, *options, main = azurite.command_line(1, tmp_path)[:4]
    factory = Path(main).with_name("BlobServerFactory.js")
    loads = f"require({str(factory)!r}); console.log(Object.keys(require.cache).join('\\n'))"
    loaded = subprocess.run(
        [node, *options, "-e", loads], capture_output=True, text=True, check=True
    )

    packages = {
        line.rpartition("node_modules/")[2].partition("/")[0] for line in loaded.stdout.split()
    }
    assert packages >= {"azurite", "lokijs", "winston"}
    assert not packages & {*azurite_setup.UNUSED}


def test_what_it_does_not_load_is_not_installed() -> None:
    place = azurite_setup.find_installed()
    assert place is not None
    installed = {package.name for package in place.parents[1].rglob("node_modules/*")}
    assert installed >= {"azurite", "lokijs", "winston"}
    # The largest of what the unused packages require is another measure of them.
    assert not installed & {*azurite_setup.UNUSED, "@opentelemetry"}


async def test_what_is_deleted_frees_its_disk_space_although_other_blobs_stay(
    tmp_path: Path,
) -> None:
    process = azurite_process(tmp_path, port := unused_port())
    source = Path(process.command.argv[process.command.argv.index("--silent") - 1]).parents[1]
    hurry = tmp_path / "hurry.cjs"
    # Space is freed in rounds, one every ten minutes.
    hurry.write_text(f"""
        const source = {json.dumps(str(source))};
        require(source + "/common/utils/constants").DEFAULT_EXTENT_GC_PROTECT_TIME_IN_MS = 1;
        require(source + "/blob/utils/constants").DEFAULT_GC_INTERVAL_MS = 100;
    """)
    environment = {"PATH": os.environ["PATH"], "NODE_OPTIONS": f"--require {hurry}"}
    process.command = replace(process.command, environment=environment)
    await process.start()
    try:
        connection = azurite.connection_string(port)
        async with BlobServiceClient.from_connection_string(connection) as account:
            container = await account.create_container("blobs")
            for name in ("chunk", "result"):
                await container.upload_blob(name, bytes(1 << 20))
            assert _stored(tmp_path) == 2 << 20
            await container.delete_blob("chunk")
            while _stored(tmp_path) > 1 << 20:
                await asyncio.sleep(0.05)
            result = await container.get_blob_client("result").download_blob()
            assert await result.readall() == bytes(1 << 20)
    finally:
        await process.stop()


def _stored(directory: Path) -> int:
    return sum(file.stat().st_size for file in (directory / "blobs/__blobstorage__").iterdir())


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of those that may hold Azurite."""
    place = tmp_path / "azurite"
    monkeypatch.setattr(azurite_setup, "places", lambda: [place, place])
    return place


def test_a_missing_installation_is_one_sentence_with_its_remedy(
    nowhere: Path, tmp_path: Path
) -> None:
    with pytest.raises(StylestreamError, match=r"^Azurite is not installed: run 'stylestream set"):
        azurite.command_line(1, tmp_path)


def test_a_node_that_is_too_old_is_not_taken(nowhere: Path, tmp_path: Path) -> None:
    package = nowhere / "node_modules/azurite"
    (package / "dist/src/blob").mkdir(parents=True)
    (package / "dist/src/blob/main.js").touch()
    (package / "package.json").write_text('{"engines": {"node": ">=999.0.0"}}')
    with pytest.raises(StylestreamError, match="^Azurite needs Node 999 or newer, which was not"):
        azurite.command_line(1, tmp_path)


def test_an_installation_that_fails_says_what_npm_said(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text(
            "#!/bin/sh\necho v22.1.0; echo the registry is away >&2; test $1 != pack\n"
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(azurite_setup.SetupError, match="azurite@3.36.0; it said:\nthe registry is"):
        azurite_setup.install(nowhere)
    assert not nowhere.exists()


def test_the_connection_string_names_the_account_in_full() -> None:
    connection = azurite.connection_string(12345)

    assert "BlobEndpoint=http://127.0.0.1:12345/devstoreaccount1;" in connection
    assert "UseDevelopmentStorage" not in connection
