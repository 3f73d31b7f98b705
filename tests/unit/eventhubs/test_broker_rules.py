"""The small rules: addresses, start positions, tokens, owner levels, declared hubs."""

from __future__ import annotations

import base64
import hmac
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from azure.eventhub._pyamqp.utils import generate_sas_token

from local import eventhubs
from local.eventhubs import ConfigurationError, HubSpec, Retention
from local.eventhubs.addresses import (
    Position,
    ReceiveAddress,
    SendAddress,
    parse_position,
    parse_receive_address,
    parse_send_address,
)
from local.eventhubs.amqp.errors import LinkFault
from local.eventhubs.amqp.values import Described, Symbol, ULong
from local.eventhubs.authorization import Policy, TokenRefusedError, check_token
from local.eventhubs.config import parse_arguments, parse_hub
from local.eventhubs.groups import Reader, ReaderSeats
from local.eventhubs.hub import Hub
from local.eventhubs.notices import Notices

POLICY = Policy("me", "secret")


def test_the_package_exports_what_it_says() -> None:
    assert eventhubs.__all__ == sorted(eventhubs.__all__)
    for name in eventhubs.__all__:
        assert hasattr(eventhubs, name)


@pytest.mark.parametrize("prefix", ["", "/", "amqp://host/", "amqps://host:5671/", "sb://h/"])
def test_addresses_may_carry_a_scheme_and_host_and_any_case(prefix: str) -> None:
    assert parse_send_address(prefix + "Frames") == SendAddress("frames", None)
    assert parse_send_address(prefix + "frames/Partitions/3") == SendAddress("frames", "3")
    address = parse_receive_address(prefix + "frames/ConsumerGroups/$Default/Partitions/0")
    assert address == ReceiveAddress("frames", "$default", "0")


@pytest.mark.parametrize("address", ["", "a/b", "a/Partitions", "a/Partitions/1/2", "/"])
def test_other_addresses_are_not_found(address: str) -> None:
    with pytest.raises(LinkFault, match="could not be found"):
        parse_send_address(address)
    with pytest.raises(LinkFault, match="could not be found"):
        parse_receive_address(address)


def source(selector: object) -> Described:
    name = Symbol("apache.org:selector-filter:string")
    return Described(ULong(0x28), ["address", *[None] * 6, {name: Described(name, selector)}])


@pytest.mark.parametrize(
    ("selector", "position"),
    [
        ("amqp.annotation.x-opt-offset > '-1'", Position("start")),
        ("amqp.annotation.x-opt-offset > '@latest'", Position("latest")),
        ("amqp.annotation.x-opt-offset >= '@latest'", Position("latest")),
        ("amqp.annotation.x-opt-offset > '12'", Position("offset", 12)),
        ("amqp.annotation.x-opt-sequence-number >= '3'", Position("sequence", 3, True)),
        (b"amqp.annotation.x-opt-enqueued-time > '1700'", Position("time", 1700)),
        (
            "amqp.annotation.x-opt-enqueued-time > '-62135596800000'",
            Position("time", -62135596800000),
        ),
    ],
)
def test_selectors_say_where_to_start(selector: object, position: Position) -> None:
    assert parse_position(source(selector)) == position


SELECTOR = "apache.org:selector-filter:string"


@pytest.mark.parametrize(
    ("key", "descriptor"),
    [
        (SELECTOR, Symbol(SELECTOR)),
        ("jms-selector", ULong(0x0000468C00000004)),
        ("selector", Symbol(SELECTOR)),
    ],
)
def test_a_selector_is_known_by_its_descriptor_whatever_its_key(
    key: str, descriptor: object
) -> None:
    filters = {
        Symbol("none"): None,
        Symbol(key): Described(descriptor, "amqp.annotation.x-opt-offset > '@latest'"),
    }
    asked = Described(ULong(0x28), ["address", *[None] * 6, filters])
    assert parse_position(asked) == Position("latest")


@pytest.mark.parametrize(
    "filters",
    [
        {"no-local": Described(ULong(0x0000468C00000003), [])},
        {SELECTOR: Described(Symbol("apache.org:legacy-amqp-direct-binding:string"), "x")},
        {SELECTOR: 5},
        {key: Described(Symbol(SELECTOR), "amqp.annotation.x-opt-offset > '1'") for key in "ab"},
    ],
)
def test_a_filter_that_is_not_understood_is_refused(filters: dict[str, object]) -> None:
    with pytest.raises(LinkFault, match="not supported") as refused:
        parse_position(Described(ULong(0x28), ["address", *[None] * 6, filters]))
    assert refused.value.condition == "amqp:not-implemented"


def test_without_a_selector_a_reader_starts_at_the_start() -> None:
    assert parse_position(Described(ULong(0x28), ["address"])) == Position("start")
    assert parse_position(None) == Position("start")


@pytest.mark.parametrize("selector", ["", "x > 1", "amqp.annotation.x-opt-offset < '1'"])
def test_other_selectors_are_refused(selector: str) -> None:
    with pytest.raises(LinkFault, match="not supported"):
        parse_position(source(selector))


def test_the_sdks_own_token_is_accepted() -> None:
    token = generate_sas_token("sb://localhost:5672/frames", "me", "secret", 2_000)
    grant = check_token(token, "sb://localhost:5672/frames", POLICY, 1_999)
    assert (grant.path, grant.expires_s) == ("frames", 2_000)
    assert grant.covers("frames/partitions/1", 1_999)
    assert not grant.covers("frames-two", 1_999)
    assert not grant.covers("frames", 2_000)


def token(resource: str, expiry: str = "2000", key: str = "secret", policy: str = "me") -> str:
    signed = f"{quote_plus(resource)}\n{expiry}".encode()
    signature = quote_plus(base64.b64encode(hmac.digest(key.encode(), signed, "sha256")))
    return (
        f"SharedAccessSignature sr={quote_plus(resource)}&sig={signature}&se={expiry}&skn={policy}"
    )


def test_a_token_for_the_namespace_lets_into_every_hub() -> None:
    assert check_token(token("sb://host/"), "sb://host/any", POLICY, 0).path == "any"


@pytest.mark.parametrize("audience", ["sb://host/frames/$management", "sb://host/$management"])
def test_a_token_for_a_management_node_lets_into_what_it_manages(audience: str) -> None:
    grant = check_token(token(audience), audience, POLICY, 0)
    assert grant.covers("frames", 0)
    assert grant.covers("other", 0) == ("frames" not in audience)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (token("sb://host/frames", key="wrong"), "invalid signature"),
        (token("sb://host/frames", policy="you"), "invalid signature"),
        (token("sb://host/frames", expiry="999"), "expired"),
        (token("sb://host/other"), "another resource"),
        (token("sb://host/frames", expiry="soon"), "lacks"),
        ("SharedAccessSignature sr=x", "lacks"),
        ("Bearer x", "not a shared access signature"),
        ("", "not a shared access signature"),
        (token("sb://host/frames").replace("se=2000", "se=9999"), "invalid signature"),
    ],
)
def test_other_tokens_are_refused_with_401(bad: str, reason: str) -> None:
    with pytest.raises(TokenRefusedError, match=reason) as refused:
        check_token(bad, "sb://host/frames", POLICY, 1_000)
    assert refused.value.status == 401


def test_a_key_does_not_show_in_a_repr() -> None:
    assert "secret" not in repr(POLICY)
    assert "secret" not in repr(parse_arguments(["--data", "d", "--key", "secret"]))


def test_the_log_has_the_first_of_many_refusals_and_how_many_more_there_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = 0.0
    notices = Notices(lambda: now_s)
    for number in range(500):
        notices.warn("knocks", f"knock {number}")
    notices.warn("rings", "ring")
    now_s = 61.0
    notices.warn("knocks", "knock again")
    told = [record.getMessage() for record in caplog.records]
    expected = [*(f"knock {number}" for number in range(10)), "ring"]
    assert told == [*expected, "knock again (490 more lines on knocks were left out)"]


class Sitting:
    """Readers of one partition, and whom they made leave."""

    def __init__(self) -> None:
        self.seats = ReaderSeats()
        self.evicted: list[str] = []

    def sit(self, name: str, epoch: int | None) -> Reader:
        reader = Reader(name, epoch, lambda _: self.evicted.append(name))
        self.seats.admit(reader, 5)
        return reader


@pytest.mark.parametrize(("present", "newcomer"), [(None, 0), (0, 0), (0, 1), (3, 3), (None, 7)])
def test_an_equal_or_higher_epoch_takes_the_place(present: int | None, newcomer: int) -> None:
    sitting = Sitting()
    old = sitting.sit("old", present)
    sitting.sit("new", newcomer)
    assert sitting.evicted == ["old"]
    sitting.seats.leave(old)  # of no effect: it is gone
    assert len(sitting.seats) == 1


@pytest.mark.parametrize(("present", "newcomer"), [(0, None), (2, 1), (1, 0)])
def test_a_lower_epoch_or_none_is_kept_out(present: int, newcomer: int | None) -> None:
    sitting = Sitting()
    old = sitting.sit("old", present)
    with pytest.raises(LinkFault) as refused:
        sitting.sit("new", newcomer)
    assert refused.value.condition == "amqp:link:stolen"
    assert sitting.evicted == []
    sitting.seats.leave(old)
    sitting.sit("new", newcomer)


def test_an_epoch_clears_out_every_reader_without_one() -> None:
    sitting = Sitting()
    for number in range(5):
        sitting.sit(str(number), None)
    with pytest.raises(LinkFault, match="maximum number"):
        sitting.sit("5", None)
    sitting.sit("owner", 0)
    assert sitting.evicted == ["0", "1", "2", "3", "4"]


def test_a_hub_forgets_the_groups_that_nobody_reads_for(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        hub = Hub(HubSpec("frames", 1), 0, tmp_path / "frames", Retention(), pool)
        kept = hub.seats("kept", "0")
        for number in range(1_000):
            hub.seats(f"group {number}", "0")
        assert list(hub._seats) == [("kept", "0")]
        assert hub.seats("Kept", "0") is kept


def test_a_hub_is_declared_with_or_without_groups() -> None:
    assert parse_hub("frames:8") == HubSpec("frames", 8, None)
    assert parse_hub("frames:8:A,b") == HubSpec("frames", 8, frozenset({"a", "b"}))
    assert parse_hub("frames:8:") == HubSpec("frames", 8, frozenset())
    for bad in ("frames", ":8", "frames:", "frames:x", "frames:-1"):
        with pytest.raises(ConfigurationError):
            parse_hub(bad)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--hub", "a:0"],
        ["--hub", "a:33"],
        ["--hub", "a:1", "--hub", "A:1"],
        ["--hub", "a/b:1"],
        ["--hub", "a:1:gro/up"],
        ["--port", "65536"],
        ["--host", "example.org"],
        ["--policy", "a;b"],
        ["--retention-hours", "0"],
    ],
)
def test_each_bad_argument_is_one_clear_sentence(arguments: list[str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_arguments(["--data", "d", *arguments])
    (problem,) = raised.value.problems
    assert problem.endswith(".")


def test_remote_hosts_must_be_allowed_explicitly() -> None:
    for host in ("127.0.0.1", "localhost", "127.0.0.2"):
        assert parse_arguments(["--data", "d", "--host", host]).host == host
    given = ["--data", "d", "--host", "0.0.0.0", "--allow-remote"]
    assert parse_arguments(given).host == "0.0.0.0"
