"""Settings that would admit anybody are refused at start, and seals open only for their purpose."""

from __future__ import annotations

import time

import pytest

from shared.contracts.errors import ConfigurationError
from shared.service.settings import load
from web.access.entra import check_claims, user_of
from web.access.limits import Limits
from web.access.seals import Seals
from web.access.sessions import Session, Sessions
from web.access.users import User
from web.problems import Problem
from web.settings import WebSettings

LONG = "x" * 32
STORAGE = {"STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"}


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({}, "set WEB_TOKEN"),
        ({"WEB_TOKEN": "short"}, "WEB_TOKEN must have at least 32 characters"),
        ({"WEB_TOKEN": LONG, "WEB_HOST": "0.0.0.0"}, "would expose sessions on the network"),
        ({"WEB_TOKEN": LONG, "WEB_PUBLIC_URL": "http://studio.example"}, "must be https"),
        ({"WEB_SIGN_IN": "proxy"}, "WEB_SIGN_IN=proxy needs WEB_SECRET"),
        (
            {"WEB_SIGN_IN": "entra", "WEB_SECRET": LONG},
            "WEB_SIGN_IN=entra needs ENTRA_TENANT_ID, ENTRA_CLIENT_ID, WEB_PUBLIC_URL, "
            "ENTRA_CLIENT_SECRET",
        ),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(monkeypatch, environment, problem):
    for name, value in {**STORAGE, **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        load(WebSettings)
    assert problem in str(refused.value)


def test_a_studio_needs_no_hubs_and_shows_no_secret(monkeypatch):
    for name, value in {**STORAGE, "WEB_TOKEN": LONG}.items():
        monkeypatch.setenv(name, value)
    settings = load(WebSettings)
    assert settings.secret == LONG
    assert LONG not in repr(settings)
    assert not settings.encrypted


def test_a_seal_opens_for_its_purpose_with_its_secret_and_in_time(monkeypatch):
    sealed = Seals("one").seal("session", {"id": "ann"})
    assert Seals("one").open("session", sealed, 60) == {"id": "ann"}
    assert Seals("one").open("upload", sealed, 60) is None
    assert Seals("other").open("session", sealed, 60) is None
    assert Seals("one").open("session", sealed[:-4] + "AAA=", 60) is None
    assert Seals("one").open("session", "", 60) is None
    assert Seals("one").open("session", "ünfug", 60) is None
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert Seals("one").open("session", sealed, 60) is None


def test_signing_out_ends_no_session_but_its_own():
    sessions, ada = Sessions(Seals(LONG), 60), User("a", "Ada", operator=False)
    ended, kept = sessions.find(sessions.begin(ada)), sessions.find(sessions.begin(ada))
    # As behind a proxy, which alone knows when somebody signs out.
    unnamed = Session(ada, time.time() + 60)
    for session in (ended, unnamed):
        sessions.sign_out(session)
    assert [sessions.is_over(each) for each in (ended, kept, unnamed)] == [True, False, False]


@pytest.mark.parametrize(
    "changed",
    [{"tid": "theirs"}, {"tid": None}, {"aud": "another"}, {"aud": ["studio"]}, {"exp": 0}],
)
def test_a_token_of_or_for_others_or_of_before_is_refused(changed):
    good = {"tid": "ours", "aud": "studio", "exp": 1000}
    check_claims(good, "ours", "studio", now=1100)
    with pytest.raises(Problem):
        check_claims(good | changed, "ours", "studio", now=1100)


@pytest.mark.parametrize(("roles", "operator"), [([], False), (["Operator"], True)])
def test_an_identity_token_says_who_it_is_and_whether_an_operator(roles, operator):
    claims = {"oid": "11-22", "name": "Ann", "roles": roles}
    assert user_of(claims, "Operator") == User("11-22", "Ann", operator)


def test_users_see_their_own_jobs_and_operators_all():
    ann, boss = User("ann", "", operator=False), User("boss", "", operator=True)
    bob = User("bob", "", operator=False)
    videos = (
        f"{ann.folder}/1/a.mp4",
        f"{bob.folder}/1/a.mp4",
        "ann/a.mp4",
        "a.mp4",
        "studio/a.mp4",
    )
    assert [ann.may_see(video) for video in videos] == [True, False, False, False, False]
    assert all(boss.may_see(video) for video in videos)
    assert not any(User(None, "", operator=False).may_see(video) for video in videos)


def test_a_user_with_too_many_requests_waits_and_others_do_not():
    limits = Limits(per_s=0.001, at_once=3)
    for _ in range(3):
        limits.spend("ann")
    with pytest.raises(Problem) as refused:
        limits.spend("ann")
    assert refused.value.status == 429
    limits.spend("bob")
