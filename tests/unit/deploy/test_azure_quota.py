"""The checks before anything is created in Azure: are quota and services available."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from azure_cli import Az

from deploy.azure import bicep, quota

AZURE = Path(__file__).resolve().parents[3] / "deploy/azure"

USAGE = [
    {"name": {"value": "cores"}, "currentValue": 10, "limit": 100},
    {"name": {"value": "lowPriorityCores"}, "currentValue": 0, "limit": 20},
    {"name": {"value": "standardDDSv5Family"}, "currentValue": 10, "limit": 100},
    {"name": {"value": "Standard NCASv3_T4 Family"}, "currentValue": 0, "limit": 0},
]
PROVIDERS = [
    {
        "namespace": namespace,
        "registrationState": "Registered",
        "resourceTypes": [
            {
                "resourceType": quota.OFFERED.get(namespace, "any"),
                "locations": ["East US", "Japan East"],
            }
        ],
    }
    for namespace in quota.REGISTERED
]


def sku(name: str, family: str, cores: int, *restrictions: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "family": family,
        "capabilities": [{"name": "vCPUs", "value": str(cores)}],
        "restrictions": list(restrictions),
    }


SYSTEM = sku("Standard_D4ds_v5", "standardDDSv5Family", 4)
GPU = sku("Standard_NC4as_T4_v3", "standard NCASv3_T4 Family", 4)
A100 = sku("Standard_NC24ads_A100_v4", "standard NCADSA100v4 Family", 24)


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Az:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return Az(tmp_path / "bin")


def room(
    az: Az,
    *,
    usage: list[dict[str, Any]] = USAGE,
    gpu: dict[str, Any] = GPU,
    clusters: Sequence[dict[str, Any]] = (),
) -> None:
    az.answers(
        ("provider list", PROVIDERS),
        ("aks list", clusters),
        ("vm list-usage --location eastus", usage),
        ("vm list-skus --size Standard_D4ds_v5", [SYSTEM, sku("Standard_D4ds_v5_x", "none", 4)]),
        ("vm list-skus --size Standard_NC4as_T4_v3", [gpu]),
        ("vm list-skus --size Standard_NC24ads_A100_v4", [A100]),
    )


def ask(capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        quota.main()
    except SystemExit as stop:
        printed = capsys.readouterr()
        said = stop.code if isinstance(stop.code, str) else ""
        return 1, printed.out, printed.err + said
    return 0, *capsys.readouterr()


def test_the_environments_subscription_is_asked_whichever_is_the_default(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    az.answers(
        *(("provider list", []), ("aks list", []), ("vm list-usage", USAGE), ("vm list-skus", []))
    )
    monkeypatch.setenv("AZURE_LOCATION", "eastus")
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "id-of-the-subscription")

    _, _, err = ask(capsys)

    chosen = ["--subscription", "id-of-the-subscription"]
    assert {call[1] for call in az.calls if call[-2:] == chosen} == {call[1] for call in az.calls}
    register = "az provider register --namespace Microsoft.EventHub"
    assert f"{register} {' '.join(chosen)}\n" in err


def test_a_region_with_quota_is_reported_with_how_far_it_suffices(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room(az)
    monkeypatch.setenv("AZURE_LOCATION", "eastus")

    code, out, err = ask(capsys)

    assert (code, err) == (0, "")
    assert "the gpu pool can grow to 5 of 8 machines" in out
    assert "eastus has room" in out


def cluster(environment: str) -> dict[str, Any]:
    """Return a cluster as ``az aks list`` does, with the pools of an environment."""
    size = {"system": SYSTEM["name"], "gpu": GPU["name"]}
    pools = [
        {"name": name, "vmSize": size[name], "scaleSetPriority": None, "count": 1}
        for name in ("system", "gpu")
    ]
    pools[1] |= {"scaleSetPriority": "Spot", "count": 3}
    return {
        "name": f"cluster-of-{environment}",
        "resourceGroup": f"rg-{environment}",
        "tags": {"azd-env-name": environment},
        "agentPoolProfiles": pools,
    }


def test_pools_that_are_there_need_no_further_room(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    used_up = [{**quota, "currentValue": quota["limit"]} for quota in USAGE]
    room(az, usage=used_up, clusters=[cluster("other"), cluster("painting")])
    monkeypatch.setenv("AZURE_LOCATION", "eastus")
    monkeypatch.setenv("AZURE_ENV_NAME", "painting")

    code, out, _ = ask(capsys)

    assert code == 0
    assert "the gpu pool can grow to 3 of 8 machines" in out
    monkeypatch.setenv("AZURE_ENV_NAME", "a-third")
    assert "the gpu pool needs at least 4 vCPUs" in ask(capsys)[2]


@pytest.mark.parametrize(
    ("setting", "before", "value"),
    [
        ("GPU_SPOT", "true", "false"),
        ("GPU_VM_SIZE", "Standard_NC4as_T4_v3", "Standard_NC24ads_A100_v4"),
        ("HOST_ENCRYPTION", "false", "true"),
    ],
)
def test_what_cannot_be_changed_about_a_pool_is_said_before_anything_is_tried(
    az: Az,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    before: str,
    value: str,
) -> None:
    room(az, clusters=[cluster("painting")])
    monkeypatch.setenv("AZURE_LOCATION", "eastus")
    monkeypatch.setenv("AZURE_ENV_NAME", "painting")
    monkeypatch.setenv(setting, value)

    code, _, err = ask(capsys)

    assert code == 1
    assert f"the gpu pool was made with {setting}={before}, which AKS cannot change" in err
    assert (
        "az aks nodepool delete --resource-group rg-painting --cluster-name cluster-of-painting "
        "--name gpu"
    ) in err
    assert "--name system" not in err, "a cluster cannot be without"


def test_a_missing_gpu_quota_is_a_problem_that_says_what_to_request(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room(az)
    monkeypatch.setenv("AZURE_LOCATION", "eastus")
    monkeypatch.setenv("GPU_SPOT", "false")

    code, _, err = ask(capsys)

    assert code == 1
    assert (
        "needs at least 4 vCPUs of the quota 'standard NCASv3_T4 Family', of which 0 are left"
        in err
    )


def test_pools_that_share_a_quota_have_to_fit_into_it_together(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = [
        {"name": {"value": name}, "currentValue": 0, "limit": 10}
        for name in ("cores", "standardDDSv5Family")
    ]
    az.answers(
        ("provider list", PROVIDERS),
        ("aks list", []),
        ("vm list-usage", usage),
        ("vm list-skus --size Standard_D4ds_v5", [SYSTEM]),
        ("vm list-skus --size Standard_D8ds_v5", [sku("Standard_D8ds_v5", SYSTEM["family"], 8)]),
    )
    for name, value in {"AZURE_LOCATION": "eastus", "GPU_MAX_NODES": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CPU_MAX_NODES", "4")

    code, _, err = ask(capsys)

    assert code == 1
    assert (
        "the cpu pool needs at least 8 vCPUs of the quota 'standardDDSv5Family', of which 6" in err
    )


def test_all_problems_are_named_at_once(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forbidden = {"type": "Location", "reasonCode": "NotAvailableForSubscription"}
    room(az, usage=USAGE[1:2], gpu=sku(GPU["name"], GPU["family"], 4, forbidden))
    monkeypatch.setenv("AZURE_LOCATION", "eastus")

    code, _, err = ask(capsys)

    assert code == 1
    assert "may not use Standard_NC4as_T4_v3 in eastus (NotAvailableForSubscription)" in err
    assert "the system pool needs at least 4 vCPUs of the quota 'cores'" in err


def test_a_machine_that_one_zone_lacks_can_be_had_in_the_others(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room(az, gpu=sku(GPU["name"], GPU["family"], 4, {"type": "Zone", "reasonCode": "x"}))
    monkeypatch.setenv("AZURE_LOCATION", "eastus")

    assert ask(capsys)[0] == 0


def test_a_machine_that_the_region_lacks_is_a_problem(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room(az, gpu=sku("Standard_NC4as_T4_v3_other", "none", 4))
    monkeypatch.setenv("AZURE_LOCATION", "eastus")

    assert "eastus has no Standard_NC4as_T4_v3" in ask(capsys)[2]


def test_services_that_are_not_offered_or_not_registered_are_named() -> None:
    providers = [
        {**provider, "registrationState": "NotRegistered"}
        if provider["namespace"] == "Microsoft.EventGrid"
        else provider
        for provider in PROVIDERS
        if provider["namespace"] != "Microsoft.Storage"
    ]

    found = list(quota.missing(providers, "northeurope"))

    assert "northeurope does not offer Microsoft.EventHub/namespaces" in found
    assert any(problem.startswith("Microsoft.Storage is not registered") for problem in found)
    assert any(problem.startswith("Microsoft.EventGrid is not registered") for problem in found)
    assert list(quota.missing(PROVIDERS, "japaneast")) == []


def test_every_provider_of_the_bicep_files_is_asked_for() -> None:
    files = [AZURE / "main.bicep", *(AZURE / "modules").glob("*.bicep")]
    used = {
        resource.type.partition("/")[0]
        for file in files
        for resource in bicep.read(file).resources.values()
    }

    # These two cannot be switched off; the cluster's machines are not among its files.
    asked = used - {"Microsoft.Authorization", "Microsoft.Resources"} | {"Microsoft.Compute"}
    assert asked == set(quota.REGISTERED)


def test_without_signing_in_one_sentence_says_so(
    az: Az, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    az.answers()
    monkeypatch.setenv("AZURE_LOCATION", "eastus")

    assert ask(capsys)[2] == "quota: az provider list: ERROR: nobody knows; sign in with: az login"


def test_a_deployment_in_which_nobody_would_paint_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AZURE_LOCATION", "eastus")
    monkeypatch.setenv("GPU_MAX_NODES", "0")

    assert "set one of them to 1 or more" in ask(capsys)[2]


@pytest.mark.parametrize(
    ("size", "runs"),
    [
        ("Standard_NC4as_T4_v3", True),
        ("Standard_NC24ads_A100_v4", True),
        ("Standard_NV36ads_A10_v5", False),
        ("Standard_NC6s_v3", False),
    ],
)
def test_machines_whose_gpus_cannot_run_the_image_are_refused_before_anything_is_made(
    az: Az,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    size: str,
    *,
    runs: bool,
) -> None:
    room(az)
    monkeypatch.setenv("AZURE_LOCATION", "eastus")
    monkeypatch.setenv("GPU_VM_SIZE", size)

    code, _, err = ask(capsys)

    assert (f"{size} cannot run CUDA 13" in err) is not runs
    assert runs or code == 1
