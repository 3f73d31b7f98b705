"""The preparation of a cluster before manifests are applied for the first time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from azure_cli import Az

from deploy.azure import cluster


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Az:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr("sys.argv", ["cluster", "manifests"])
    return Az(tmp_path / "bin", "kubectl")


def deployment(name: str) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"template": {}}}


WANTED = {
    "kind": "List",
    "items": [
        {"kind": "Namespace", "metadata": {"name": "stylestream"}},
        *map(deployment, ("splitter", "stylizer", "exporter")),
        *(
            {
                "kind": "ScaledObject",
                "metadata": {"name": n},
                "spec": {"scaleTargetRef": {"name": n}},
            }
            for n in ("splitter", "stylizer")
        ),
    ],
}


KINDS = ("crd/podmonitors.azmonitoring.coreos.com", "crd/scaledobjects.keda.sh")
BUILT = """\
apiVersion: v1
kind: Namespace
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
---
apiVersion: azmonitoring.coreos.com/v1
kind: PodMonitor
"""


def answers(*there: str) -> list[tuple[str, Any]]:
    existing = {"kind": "DeploymentList", "items": [deployment(name) for name in there]}
    return [
        ("kustomize manifests", BUILT),
        (" ".join(("get", *KINDS)), "there"),
        ("create --kustomize manifests", WANTED),
        ("get deployments", existing),
        ("apply", "applied"),
        ("create --filename", "created"),
        ("delete job", "deleted"),
    ]


def test_at_first_pools_are_made_without_replicas(
    kubectl: Az, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.answers(*answers())

    cluster.main()

    verbs = [call[0] for call in kubectl.calls]
    assert verbs == ["kustomize", "get", "create", "get", "apply", "create", "apply", "delete"]
    namespace, made, said = (json.loads(text)["items"] for text in kubectl.inputs if text)
    assert [item["kind"] for item in namespace] == ["Namespace"]
    assert [(item["metadata"]["name"], item["spec"]["replicas"]) for item in made] == [
        ("splitter", 0),
        ("stylizer", 0),
    ]
    # With that number saved, the next apply would set the default of one; with nothing, it warns.
    assert "--save-config" not in kubectl.calls[5]
    assert kubectl.calls[6][:3] == ["apply", "set-last-applied", "--create-annotation"]
    assert [item["metadata"]["name"] for item in said] == ["splitter", "stylizer"]
    assert not any("replicas" in item["spec"] for item in said)
    assert "created without replicas: splitter, stylizer" in capsys.readouterr().out


def test_pools_that_are_there_keep_what_the_autoscaler_has_decided(kubectl: Az) -> None:
    kubectl.answers(*answers("splitter", "stylizer", "exporter"))

    cluster.main()

    verbs = [call[0] for call in kubectl.calls]
    assert verbs == ["kustomize", "get", "create", "get", "delete"]
    assert kubectl.calls[-1][:3] == ["delete", "job", "prepare-checkpoints-splitter"]


def studio(*secrets: str) -> list[tuple[str, Any]]:
    wanted = {"kind": "List", "items": [*WANTED["items"], deployment("web")]}
    there = [{"kind": "Secret", "metadata": {"name": name}} for name in secrets]
    return [
        ("create --kustomize manifests", wanted),
        ("get secrets", {"kind": "SecretList", "items": there}),
        *answers("splitter", "stylizer", "exporter"),
    ]


def test_a_studio_gets_a_key_of_its_own_once(kubectl: Az) -> None:
    kubectl.answers(*studio("another"))

    cluster.main()

    (made,) = (
        item
        for text in kubectl.inputs
        if text
        for item in json.loads(text)["items"][-1:]
        if item["kind"] == "Secret"
    )
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("studio", "stylestream")
    assert len(made["stringData"]["secret"]) == 64
    assert not any(made["stringData"]["secret"] in word for call in kubectl.calls for word in call)


def test_a_studios_key_is_never_changed(kubectl: Az) -> None:
    kubectl.answers(*studio("studio"))

    cluster.main()

    assert not any(kubectl.inputs)


def test_a_prometheus_operator_of_ones_own_has_a_kind_of_its_own(kubectl: Az) -> None:
    group = "monitoring.coreos.com"
    kubectl.answers(
        ("kustomize manifests", BUILT.replace("azmonitoring.coreos.com", group)),
        (f"get crd/podmonitors.{group} crd/scaledobjects.keda.sh", "there"),
        *answers("splitter", "stylizer", "exporter")[2:],
    )

    cluster.main()


def test_a_role_that_is_seconds_old_is_waited_for(kubectl: Az) -> None:
    kubectl.answers()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            kubectl.answers(*answers())

    cluster.wait_for_kinds(KINDS, pause)

    assert pauses == [cluster.PAUSE_S] * 3


def test_a_cluster_that_never_answers_ends_the_deployment_with_its_words(kubectl: Az) -> None:
    kubectl.answers()

    with pytest.raises(cluster.KubectlError, match="kubectl get crd/.*: ERROR: nobody knows"):
        cluster.wait_for_kinds(KINDS, lambda _seconds: None)
    assert len(kubectl.calls) == cluster.PATIENCE_S / cluster.PAUSE_S + 1


@pytest.fixture
def signed_in(tmp_path: Path, kubectl: Az, monkeypatch: pytest.MonkeyPatch) -> tuple[Az, Az]:
    """The programs that let kubectl into a cluster, in azd's environment."""
    monkeypatch.setattr("sys.argv", ["cluster"])
    monkeypatch.setenv("AZURE_ENV_NAME", "painting")
    monkeypatch.setenv("AZURE_RESOURCE_GROUP", "rg-painting")
    monkeypatch.setenv("AZURE_AKS_CLUSTER_NAME", "stylestream-abc")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    kubectl.answers(
        ("kustomize", BUILT), ("create --kustomize", WANTED), *answers("splitter", "stylizer")
    )
    programs = Az(tmp_path / "bin", "az"), Az(tmp_path / "bin", "kubelogin")
    for program in programs:
        program.answers(("stylestream-abc", None))
    return programs


def test_the_environments_own_cluster_is_asked_whichever_was_before(
    signed_in: tuple[Az, Az],
) -> None:
    az, kubelogin = signed_in

    cluster.main()

    (credentials,), (converted,) = az.calls, kubelogin.calls
    assert credentials[:2] == ["aks", "get-credentials"]
    assert {"rg-painting", "stylestream-abc"} <= set(credentials)
    assert converted[0] == "convert-kubeconfig"
    assert converted[-2:] == ["--context", "stylestream-abc"], "other clusters' stay as they are"


def test_a_configuration_that_somebody_chose_is_left_alone(
    signed_in: tuple[Az, Az], kubectl: Az, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "elsewhere")

    cluster.main()

    assert signed_in[0].calls == []
    assert kubectl.calls


def test_a_cluster_that_lets_nobody_in_ends_the_deployment_before_another_is_asked(
    signed_in: tuple[Az, Az], kubectl: Az
) -> None:
    signed_in[0].answers()

    with pytest.raises(SystemExit, match="cluster: az aks get-credentials: ERROR: nobody knows"):
        cluster.main()
    assert kubectl.calls == []
