"""Links from a real Azurite, used with plain HTTP as their receivers use them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
import pytest_asyncio
from azure.core.credentials import AccessToken
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from ports import unused_port

from client.account import Account, open_account
from client.links import Links
from local import azurite
from local.processes import Command, Supervised
from local.readiness import TcpReady
from shared.contracts.errors import StylestreamError

BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob"}
NAME = "holiday/été & 日本 #1.mp4"


@pytest_asyncio.fixture
async def client(storage_connection: str) -> AsyncIterator[BlobServiceClient]:
    async with open_account(Account(storage_connection)) as client:
        yield client


@pytest_asyncio.fixture
async def container(client: BlobServiceClient) -> ContainerClient:
    return await client.create_container(f"c{uuid.uuid4().hex}")


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def put(http: aiohttp.ClientSession, link: str, data: bytes = b"video") -> int:
    async with http.put(yarl(link), data=data, headers=BLOCK_BLOB) as answer:
        return answer.status


async def get(http: aiohttp.ClientSession, link: str) -> tuple[int, bytes]:
    async with http.get(yarl(link)) as answer:
        return answer.status, await answer.read()


def yarl(link: str):
    """Return the link as it is: aiohttp would undo some of its escapes."""
    from yarl import URL

    return URL(link, encoded=True)


async def test_an_upload_link_takes_a_video_and_allows_nothing_else(
    client: BlobServiceClient, container: ContainerClient, http: aiohttp.ClientSession
) -> None:
    link = await Links(client).upload(container.container_name, NAME, hours=1)

    assert await put(http, link) == 201

    assert await (await container.download_blob(NAME)).readall() == b"video"
    # Once: another version would be another job
    assert await put(http, link, b"other") == 403
    assert await (await container.download_blob(NAME)).readall() == b"video"
    assert (await get(http, link))[0] == 403
    assert await put(http, link.replace("holiday", "elsewhere")) == 403
    async with http.delete(yarl(link)) as answer:
        assert answer.status == 403
    listing = link.replace(urlsplit(link).path, f"/devstoreaccount1/{container.container_name}")
    assert (await get(http, f"{listing}&restype=container&comp=list"))[0] == 403


async def test_a_link_that_may_overwrite_takes_any_number_of_versions(
    client: BlobServiceClient, container: ContainerClient, http: aiohttp.ClientSession
) -> None:
    link = await Links(client).upload(container.container_name, NAME, hours=1, overwrite=True)

    assert [await put(http, link), await put(http, link, b"other")] == [201, 201]

    assert await (await container.download_blob(NAME)).readall() == b"other"


async def test_a_download_link_gives_the_result_and_allows_nothing_else(
    client: BlobServiceClient, container: ContainerClient, http: aiohttp.ClientSession
) -> None:
    await container.upload_blob(NAME, b"painted")
    link = await Links(client).download(container.container_name, NAME, hours=1)

    assert await get(http, link) == (200, b"painted")

    assert await put(http, link, b"other") == 403
    async with http.delete(yarl(link)) as answer:
        assert answer.status == 403
    assert await get(http, link) == (200, b"painted")


async def test_a_link_expires(
    client: BlobServiceClient, container: ContainerClient, http: aiohttp.ClientSession
) -> None:
    await container.upload_blob("a.mp4", b"painted")
    links = Links(client)
    over = await links.download(container.container_name, "a.mp4", hours=-0.01)
    assert (await get(http, over))[0] == 403

    [until] = parse_qs(urlsplit(await links.download(container.container_name, "a.mp4", 2)).query)[
        "se"
    ]
    left = dt.datetime.fromisoformat(until) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=119) < left < dt.timedelta(minutes=121)


async def test_no_link_is_made_for_a_name_that_is_taken(
    client: BlobServiceClient, container: ContainerClient
) -> None:
    await container.upload_blob("a.mp4", b"video")
    with pytest.raises(StylestreamError, match="already exists"):
        await Links(client).upload(container.container_name, "a.mp4", hours=1)


class SignedIn:
    """Hands out the tokens that Azurite checks: all of one but its signature."""

    async def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        now = int(dt.datetime.now(dt.UTC).timestamp())
        claims = {
            "iss": "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
            "aud": "https://storage.azure.com",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
            "oid": str(uuid.uuid4()),
            "tid": str(uuid.uuid4()),
        }
        key = rsa.generate_private_key(65537, 2048)
        return AccessToken(jwt.encode(claims, key, "RS256"), now + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_exc: object) -> None: ...


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 and its key."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


async def test_links_of_signed_in_users_use_a_delegation_key_and_require_tls(
    tmp_path: Path,
) -> None:
    # This Azurite hands out delegated keys, but does not know the newest form of what they sign:
    # whether the link is good only Azure can tell. What it allows is read from the link itself.
    cert, key = certificate(tmp_path)
    port = unused_port()
    process = Supervised(
        Command(
            name="azurite",
            argv=(
                *azurite.command_line(port, tmp_path / "blobs"),
                *("--oauth", "basic", "--cert", str(cert), "--key", str(key)),
            ),
            environment={"PATH": os.environ["PATH"]},
            log=tmp_path / "azurite.log",
            ready=TcpReady(port),
        )
    )
    await process.start()
    url = azurite.endpoint(port).replace("http:", "https:")
    try:
        async with BlobServiceClient(url, SignedIn(), connection_verify=str(cert)) as client:
            results = await client.create_container("results")
            await results.upload_blob(NAME, b"painted")
            up = await Links(client).upload("results", "new.mp4", hours=1)
            down = await Links(client).download("results", NAME, hours=1)
    finally:
        await process.stop()

    for link, permission in ((up, "c"), (down, "r")):
        granted = parse_qs(urlsplit(link).query)
        assert granted["sp"] == [permission]
        assert granted["spr"] == ["https"]
        assert granted["sr"] == ["b"]
        assert granted["skoid"], "signed with a delegated key"
