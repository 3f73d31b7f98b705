"""What is sent to a real API server, and how its answers are checked."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes import control_plane, rehearsal, servers
from deploy.kubernetes.definitions import definition, structural

PARTS = {
    "Limit": {"type": "integer", "title": "Limit", "minimum": 0},
    "Name": {"type": "string", "pattern": "^a"},
    "Pool": {
        "type": "object",
        "title": "Pool",
        "required": ["name"],
        "properties": {
            "name": {"$ref": "#/$defs/Name"},
            "limit": {"anyOf": [{"$ref": "#/$defs/Limit"}, {"type": "null"}], "default": None},
            "size": {"anyOf": [{"$ref": "#/$defs/Limit"}, {"$ref": "#/$defs/Name"}]},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "extra": {"type": "object"},
            "value": {"title": "Value"},
        },
    },
}


def test_a_definition_has_its_parts_in_their_places_and_knows_no_null() -> None:
    pools = {"type": "array", "items": {"$ref": "#/$defs/Pool"}}
    schema = {"type": "object", "properties": {"pools": pools}, "$defs": PARTS}

    made = structural(schema)

    anything = {"x-kubernetes-preserve-unknown-fields": True}
    assert made["properties"]["pools"]["items"] == {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "pattern": "^a"},
            "limit": {"type": "integer", "minimum": 0},
            "size": {"x-kubernetes-int-or-string": True},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "extra": {"type": "object", **anything},
            "value": anything,
        },
    }


def test_a_choice_that_no_definition_can_express_is_refused() -> None:
    with pytest.raises(ValueError, match="no choice"):
        structural({"anyOf": [{"type": "boolean"}, {"type": "string"}]})


def test_a_definition_is_called_as_its_kind() -> None:
    made = definition("keda.sh/v1alpha1", "ScaledObject", {"type": "object", "properties": {}})

    assert made["metadata"]["name"] == "scaledobjects.keda.sh"
    assert made["spec"]["names"]["kind"] == "ScaledObject"
    (version,) = made["spec"]["versions"]
    assert version["name"] == "v1alpha1"
    assert version["schema"]["openAPIV3Schema"]["properties"]["metadata"] == {"type": "object"}


BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "splitter"},
    "spec": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
}


def test_a_server_that_knows_everything_gets_the_manifests_as_they_are() -> None:
    assert servers.as_known_to((1, 37), [BUDGET]) == ((BUDGET,), [])


def test_an_older_server_gets_what_it_knows_and_the_rest_is_named() -> None:
    ((budget,), notes) = servers.as_known_to((1, 20), [BUDGET])

    assert budget["apiVersion"] == "policy/v1beta1"
    assert budget["spec"] == {"maxUnavailable": 1}
    assert len(notes) == 2
    assert BUDGET["apiVersion"] == "policy/v1"


@pytest.mark.parametrize(
    ("sent", "stored", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, []),
        ({"a": {"b": 1}}, {"a": {}}, ["a.b"]),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {}]}, ["a[1].b"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({"memory": "1024Mi", "cpu": "1000m"}, {"memory": "1Gi", "cpu": 1}, []),
        ({"memory": "1024Mi"}, {"memory": "1M"}, ["memory"]),
        ({"value": "", "selector": {}}, {}, []),
        ({"value": "a"}, {"value": "b"}, ["value"]),
    ],
)
def test_what_a_server_has_not_kept_is_found(sent: Any, stored: Any, expected: list[str]) -> None:
    assert list(servers.lost(sent, stored)) == expected


def test_the_servers_programs_are_found_where_their_developers_put_them(tmp_path: Path) -> None:
    for program in control_plane.PROGRAMS:
        (tmp_path / program).touch(mode=0o755)

    found = control_plane.find({control_plane.ASSETS: str(tmp_path), "PATH": "/nowhere"})

    assert found == {program: tmp_path / program for program in control_plane.PROGRAMS}
    (tmp_path / "etcd").unlink()
    assert control_plane.find({control_plane.ASSETS: str(tmp_path), "PATH": "/nowhere"}) is None


def test_without_a_server_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(control_plane.ASSETS, raising=False)
    monkeypatch.setattr("sys.argv", ["rehearsal", "build", "manifests.yaml"])

    rehearsal.main()

    said = capsys.readouterr().out
    assert said.startswith("skipped: ")
    assert control_plane.ASSETS in said
    assert said.count("\n") == 1


def test_the_checks_rehearse_what_they_have_built() -> None:
    script = (rehearsal.ROOT / "scripts/check-deploy").read_text(encoding="utf-8")
    stages = [line for line in script.splitlines() if line.startswith("stage ")]
    (rehearsed,) = (n for n, line in enumerate(stages) if "deploy.kubernetes.rehearsal" in line)
    for built in ("deploy.kubernetes.schemas build/kubernetes", "deploy/azure/check"):
        assert any(line.endswith(built) for line in stages[:rehearsed]), built


POD = {
    "containers": [{"name": "painter", "image": "localhost/painter:1"}],
    "terminationGracePeriodSeconds": 30,
}
LABELS = {"app.kubernetes.io/name": "painter"}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "stylestream"}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "painter", "namespace": "stylestream"},
    "spec": {
        "selector": {"matchLabels": LABELS},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {"metadata": {"labels": LABELS}, "spec": POD},
    },
}


@pytest.mark.slow
@pytest.mark.skipif(
    control_plane.find(os.environ) is None
    or shutil.which("kubectl", path=f"{rehearsal.TOOLS}:{os.environ['PATH']}") is None,
    reason="kube-apiserver, etcd and kubectl are not all here",
)
def test_a_real_server_takes_what_is_right_and_tells_what_is_wrong(tmp_path: Path) -> None:
    def told(*manifests: Any) -> list[str]:
        file = tmp_path / "manifests.yaml"
        file.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
        programs = control_plane.find(os.environ)
        assert programs is not None
        return list(rehearsal.rehearsed(file, tmp_path, programs))

    (tmp_path / "definitions").mkdir()
    made = definition("example.com/v1", "Pool", {"type": "object", "properties": {}})
    (tmp_path / rehearsal.DEFINITIONS).write_text(yaml.safe_dump(made), encoding="utf-8")
    wrong = copy.deepcopy(DEPLOYMENT)
    del wrong["spec"]["strategy"]["type"]
    refused = copy.deepcopy(DEPLOYMENT)
    refused["spec"]["template"]["metadata"]["labels"] = {"other": "painter"}

    assert told(NAMESPACE, DEPLOYMENT) == []
    assert any("not unchanged: deployment" in problem for problem in told(NAMESPACE, wrong))
    assert any("does not match template" in problem for problem in told(NAMESPACE, refused))
