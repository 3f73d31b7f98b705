"""A third-party OpenID provider, and how to sign in with it without a browser."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from node import MODULES, node_with_modules

TENANT: Final = "a-tenant"
CLIENT: Final = "the-studio"
SECRET: Final = "a secret of tests"
_PROVIDER: Final = Path(__file__).parent / "contract/studio/openid_provider.mjs"
_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """A running provider: its address, and the certificate by which it is known."""

    host: str
    certificate: Path

    def session(self) -> aiohttp.ClientSession:
        """Visit it, and the studio, as somebody new."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust), cookie_jar=aiohttp.CookieJar(unsafe=True)
        )


@asynccontextmanager
async def openid_provider(folder: Path, origin: str) -> AsyncIterator[OpenIdProvider]:
    """Run a provider whose one client is a studio at ``origin``."""
    node = node_with_modules()
    key, certificate = _certificate(folder)
    process = await asyncio.create_subprocess_exec(
        *map(str, (node, _PROVIDER, MODULES, key, certificate, TENANT, CLIENT, SECRET, origin)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while not (line := await process.stdout.readline()).startswith(b"{"):
                assert line, "the provider has ended"
        yield OpenIdProvider(json.loads(line)["host"], certificate)
    finally:
        process.kill()
        await process.wait()


async def come_back(session: aiohttp.ClientSession, begin: str, login: str) -> str:
    """Sign in, from an address that leads to the provider; return the one that leads back.

    What is asked on the way, who one is and whether one agrees, is answered as in a browser.
    """
    method, address, data = "GET", begin, None
    for _ in range(_STEPS):
        async with session.request(method, address, data=data, allow_redirects=False) as answer:
            text = await answer.text()
            location = answer.headers.get("Location")
        if location is None:
            form = re.search(r'<form[^>]* action="([^"]+)"', text)
            prompt = re.search(r'name="prompt" value="(\w+)"', text)
            assert form is not None, text
            assert prompt is not None, text
            method, address = "POST", urljoin(address, unescape(form[1]))
            data = {"prompt": prompt[1], "login": login, "password": "any"}
            continue
        method, address, data = "GET", urljoin(address, location), None
        if urlsplit(address).path == "/signed-in":
            return address
    raise AssertionError(f"the provider leads nowhere: {address}")


def asked_of(address: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key, and a certificate of it that vouches for itself; return their files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "key.pem", folder / "certificate.pem"
    files[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    files[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return files
