"""What the doctor says about a hub, and its advice."""

from __future__ import annotations

import pytest

from client.diagnosis import judge_clock, judge_hub, judge_readers, judge_versions
from shared.service.backlog import Backlog, PartitionBacklog
from shared.service.checkpoints import Partition


def hub(*partitions: PartitionBacklog, name: str = "frames") -> Backlog:
    return Backlog(name, partitions, 0.0)


def one(last: int, position: int | None, *, first: int = 0, owner: str | None = "me"):
    return PartitionBacklog(Partition("0", first, last, "0", last < first), position, owner)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param(hub(one(9, 4)), None, id="a hub that is worked off"),
        pytest.param(hub(one(9, 9, owner=None)), None, id="a pool that sleeps"),
        pytest.param(hub(one(9, 4, owner=None)), "no stylizer reads them", id="nobody reads"),
        pytest.param(hub(one(9, None)), "no position for partitions 0", id="no position"),
        pytest.param(hub(one(3, 99)), "are those of an earlier hub", id="another hub's positions"),
        pytest.param(hub(one(9, 2, first=5)), "2 events were dropped", id="expired"),
        pytest.param(hub(one(9, 9), name="Frames"), "not in lower case", id="upper case"),
    ],
)
def test_a_hub_is_judged_by_what_is_wrong_with_it(seen: Backlog, said: str | None) -> None:
    found = list(judge_hub("stylizer", seen))

    problems = [finding for finding in found if not finding.good]
    assert len(found) == 1
    assert (problems == []) is (said is None)
    if said is not None:
        assert said in found[0].what
        assert found[0].remedy


@pytest.mark.parametrize(("skew_s", "good"), [(2.0, True), (-299.0, True), (301.0, False)])
def test_clocks_may_differ_by_what_sign_ins_forgive(skew_s: float, *, good: bool) -> None:
    assert judge_clock(skew_s).good is good


def test_services_of_another_version_are_named() -> None:
    assert judge_versions({"splitter": "2.0", "stylizer-1": "2.0"}, "2.0").good
    found = judge_versions({"splitter": "2.0", "stylizer-1": "1.9"}, "2.0")
    assert found.what == "versions: splitter 2.0, stylizer-1 1.9; this command is 2.0"
    assert found.remedy


@pytest.mark.parametrize(
    ("readers", "said", "good"),
    [
        (({"1.1"}, {"1.1"}, set()), "versions: splitter 1.1, stylizer 1.1", True),
        (({"1.1"}, {"1.0", "1.1"}, set()), "versions: splitter 1.1, stylizer 1.0 and 1.1", False),
        (({"1.1"}, set(), {""}), "versions: splitter 1.1, assembler unknown", False),
    ],
)
def test_a_deployment_of_several_versions_is_reported(
    readers: tuple[set[str], ...], said: str, *, good: bool
) -> None:
    services = ("splitter", "stylizer", "assembler")
    (found,) = judge_readers(dict(zip(services, map(frozenset, readers), strict=True)))

    assert (found.what, found.good) == (said, good)


def test_no_version_is_reported_for_a_deployment_at_zero() -> None:
    assert list(judge_readers({"splitter": frozenset(), "stylizer": frozenset()})) == []
