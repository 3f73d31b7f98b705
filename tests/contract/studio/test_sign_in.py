"""Signing in as with Entra, at a certified OpenID provider that checks what the standard asks for.

It stands at Entra's addresses and knows nothing of the studio but its registration.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode, urlsplit

import pytest
import pytest_asyncio
from openid import CLIENT, SECRET, TENANT, OpenIdProvider, asked_of, come_back, openid_provider
from playwright.async_api import Browser, expect
from ports import unused_port
from studio_bench import TOKEN, Opened, opened, problem
from yarl import URL

from web.access.users import User

ANN = User("ann", "Ann", operator=False)

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # The studio ignores it as well, which pytest undoes.
    pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def provider(tmp_path_factory, port: int) -> AsyncIterator[OpenIdProvider]:
    folder = tmp_path_factory.mktemp("openid")
    async with openid_provider(folder, f"http://127.0.0.1:{port}") as running:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AZURE_AUTHORITY_HOST", f"{running.host}/")
            # MSAL's HTTP client trusts nothing else.
            environment.setenv("REQUESTS_CA_BUNDLE", str(running.certificate))
            yield running


@pytest.fixture(scope="module")
def port() -> int:
    return unused_port()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def studio(
    storage_connection: str, provider: OpenIdProvider, port: int
) -> AsyncIterator[Opened]:
    settings = {
        "web_sign_in": "entra",
        "web_token": None,
        "web_secret": TOKEN,
        "web_public_url": f"http://127.0.0.1:{port}",
        "entra_tenant_id": TENANT,
        "entra_client_id": CLIENT,
        "entra_client_secret": SECRET,
    }
    async with opened(storage_connection, port=port, **settings) as running:
        yield running


async def test_a_person_signs_in_sees_the_page_and_signs_out(studio, browser: Browser):
    context = await browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    await page.goto(studio.url)
    await page.get_by_placeholder("Enter any login").fill("ann")
    await page.get_by_placeholder("and password").fill("any")
    await page.get_by_role("button").click()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator("#user")).to_have_text("Ann")
    (session,) = [one for one in await context.cookies(studio.url) if "session" in one["name"]]
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", level=2)).to_contain_text("signed out")
    assert (await page.request.get(f"{studio.url}/api/session")).status == 401
    # The provider knows them still, until they sign out there, too.
    await page.get_by_role("link", name="Sign in again").click()
    await expect(page.locator("#user")).to_have_text("Ann")
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("link", name="Sign out of Microsoft, too").click()
    await page.get_by_role("button", name="Yes").click()
    await expect(page.get_by_role("heading", level=2)).to_contain_text("signed out")
    await page.get_by_role("link", name="Sign in again").click()
    await expect(page.get_by_placeholder("Enter any login")).to_be_visible()
    await context.close()


@pytest.mark.parametrize(("login", "operator"), [("ann", False), ("boss", True)])
async def test_a_role_makes_an_operator(studio, provider, login, operator):
    record = await studio.job(video_name="somebodys.mp4")
    async with provider.session() as session:
        back = await come_back(session, f"{studio.url}/sign-in", login)
        async with session.get(back, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/"
        async with session.get(f"{studio.url}/api/jobs/{record.job_id}") as answer:
            assert answer.status == (200 if operator else 404)


async def test_users_of_other_tenants_are_not_let_in(studio, provider):
    async with provider.session() as session:
        back = await come_back(session, f"{studio.url}/sign-in", "stranger")
        assert "not belong to the studio's tenant" in await refused(session, back, 403)


async def test_an_expired_token_lets_nobody_in(studio, provider, monkeypatch):
    async with provider.session() as session:
        back = await come_back(session, f"{studio.url}/sign-in", "late")
        # As if the studio's clock were as much ahead.
        later = time.time() + 400
        monkeypatch.setattr(time, "time", lambda: later)
        assert "has expired" in await refused(session, back, 403)


async def test_a_sign_in_that_was_not_begun_here_lets_nobody_in(studio, provider):
    async with provider.session() as session:
        back = await come_back(session, f"{studio.url}/sign-in", "ann")
        forged = f"{studio.url}/signed-in?{urlencode(asked_of(back) | {'state': 'forged'})}"
        assert "not started here" in await refused(session, forged, 400)
        async with provider.session() as other, other.get(back, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/sign-in"


async def test_another_users_code_lets_nobody_in(studio, provider):
    async with provider.session() as thief:
        stolen = asked_of(await come_back(thief, f"{studio.url}/sign-in", "boss"))["code"]
    async with provider.session() as session:
        back = await come_back(session, f"{studio.url}/sign-in", "ann")
        with_code = f"{studio.url}/signed-in?{urlencode(asked_of(back) | {'code': stolen})}"
        # The provider compares the code with the verifier (PKCE), which is ann's.
        assert "Entra refuses the sign-in" in await refused(session, with_code, 403)


async def test_a_token_for_another_sign_in_lets_nobody_in(studio, provider):
    async with provider.session() as session:
        async with session.get(f"{studio.url}/sign-in", allow_redirects=False) as answer:
            leads_to = urlsplit(answer.headers["Location"])
        asked = asked_of(leads_to.geturl())
        assert asked["code_challenge_method"] == "S256"
        changed = leads_to._replace(query=urlencode(asked | {"nonce": "another"})).geturl()
        back = await come_back(session, changed, "ann")
        assert "not started here" in await refused(session, back, 400)


async def test_a_code_is_good_for_one_sign_in(studio, provider):
    async with provider.session() as session:
        back = await come_back(session, f"{studio.url}/sign-in", "ann")
        kept = session.cookie_jar.filter_cookies(URL(studio.url))
        async with session.get(back, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/"
        session.cookie_jar.update_cookies(kept, answer.url)
        assert "Entra refuses the sign-in" in await refused(session, back, 403)


async def refused(session, address: str, status: int) -> str:
    """Ask for an address that does not let in; return the sentence that says why."""
    async with session.get(address, allow_redirects=False) as answer:
        assert answer.status == status
        assert not any("session" in name for name in answer.cookies)
        return await problem(answer)


@pytest.mark.parametrize("end", ["signs out", "was signed in for too long"])
async def test_a_stream_ends_with_the_session_that_it_was_opened_with(
    studio, provider, monkeypatch, end
):
    async with provider.session() as session, provider.session() as other:
        for each in (session, other):
            back = await come_back(each, f"{studio.url}/sign-in", "ann")
            async with each.get(back, allow_redirects=False) as answer:
                assert answer.headers["Location"] == "/"
        kept = session.cookie_jar.filter_cookies(URL(studio.url))
        events, others = [await each.get(f"{studio.url}/api/events") for each in (session, other)]
        for stream in (events, others):
            await stream.content.readuntil(b"event: ready")
        if end == "signs out":
            own = {"Sec-Fetch-Site": "same-origin"}
            await (await session.post(f"{studio.url}/sign-out", headers=own)).read()
        else:
            later = time.time() + 12 * 3600
            monkeypatch.setattr(time, "time", lambda: later)
        async with asyncio.timeout(30):
            await events.content.read()
            if end == "signs out":
                await studio.job(video_name=f"{ANN.folder}/1/a.mp4")
                await others.content.readuntil(b"event: job")
            else:
                await others.content.read()
        # Nor does it help to have kept the cookie.
        session.cookie_jar.update_cookies(kept, URL(studio.url))
        async with session.get(f"{studio.url}/api/jobs") as answer:
            assert answer.status == 401
        for stream in (events, others):
            stream.close()


async def test_an_unavailable_provider_is_waited_for(studio, provider, monkeypatch):
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", f"https://localhost:{unused_port()}")
    async with provider.session() as session:
        assert "does not answer" in await refused(session, f"{studio.url}/sign-in", 503)
