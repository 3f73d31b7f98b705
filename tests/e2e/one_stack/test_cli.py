"""The command line as its users run it: in processes of their own, exit codes included."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from azure.storage.blob.aio import BlobServiceClient
from command_processes import fork
from videos import Sound, Video, times

from cli.commands import common
from cli.progress import JobProgress
from client import Submission

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "a clip.mp4"
    path.write_bytes(Video(frames=20, size=(96, 64), sounds=[Sound()]).make())
    return path


async def test_run_uses_the_stack_that_runs_and_keeps_every_name(
    pipeline, clip: Path, tmp_path: Path
) -> None:
    """Nothing is started for it; names that storage or a file system would alter stay apart."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "stylestream").symlink_to(pipeline.stack.options.directory)
    names = ["back\\slash.mp4", f"{'日' * 80}.mp4", "twin.mp4", "twin.mov"]
    for name in names:
        shutil.copyfile(clip, tmp_path / name)
    code, out, err = await fork(
        "run",
        *(tmp_path / name for name in names),
        "-o",
        tmp_path,
        "--quiet",
        XDG_STATE_HOME=str(home),
    )
    assert (code, err) == (0, ""), err
    results = {
        "back\\slash.starry-night.mp4",
        f"{'日' * 75}.starry-night.mp4",
        "twin.mp4.starry-night.mp4",
        "twin.mov.starry-night.mp4",
    }
    found = await asyncio.to_thread(os.listdir, tmp_path)
    assert {name for name in found if ".starry-night." in name} == results
    assert len(out.splitlines()) == 4


async def test_submit_status_and_fetch_work_against_a_running_stack(
    pipeline, clip: Path, tmp_path: Path
) -> None:
    directory = pipeline.stack.options.directory
    code, out, err = await fork("submit", clip, "--dir", directory, "--style", "the-scream")
    assert code == 0, err
    job = out.strip()
    assert (await pipeline.ended(job)).state == "done"

    code, out, _ = await fork("status", job, "--dir", directory, "--json")
    assert code == 0
    assert json.loads(out)["frames"] == 20
    code, out, _ = await fork("status", "--dir", directory)
    assert code == 0
    assert job in out

    code, out, err = await fork("fetch", job, "--dir", directory, "-o", tmp_path)
    assert code == 0, err
    assert times(Path(out.strip())) == times(clip)
    code, out, err = await fork("fetch", job, "--dir", directory, "-o", tmp_path)
    assert code == 1
    assert "exists: --force replaces it" in err


async def test_submit_with_wait_stays_until_the_result_is_there(pipeline, clip: Path) -> None:
    connection = pipeline.stack.storage_connection_string
    code, out, err = await fork(
        "submit", clip, "--wait", "--json", STORAGE_CONNECTION_STRING=connection
    )
    assert code == 0, err
    assert json.loads(out)["status"] == "done"


async def test_uploads_go_to_the_services_container_and_a_wait_in_vain_is_reported_once(
    pipeline, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = pipeline.stack.storage_connection_string
    elsewhere = {"STORAGE_CONNECTION_STRING": connection, "UPLOADS_CONTAINER": "unwatched"}
    async with BlobServiceClient.from_connection_string(connection) as client:
        await client.create_container("unwatched")
    code, out, err = await fork("submit", clip, "--json", **elsewhere)
    assert code == 0, err
    told = json.loads(out)
    submission = Submission(told["job_id"], told["video"], etag="")
    assert await pipeline.blobs.exists("unwatched", submission.video_name)

    with JobProgress() as progress:
        meter = progress.add("clip")
        patience = common.Patience(limit_s=1.0)
        status = await common.wait_for(
            pipeline.jobs, submission, progress, meter, patience, "nobody is there"
        )
    assert status is None
    assert capsys.readouterr().err == "stylestream: a clip.mp4: nobody is there\n"


async def test_a_job_that_does_not_exist_is_a_sentence(pipeline) -> None:
    directory = pipeline.stack.options.directory
    code, _, err = await fork("status", "0" * 24, "--dir", directory)
    assert code == 1
    assert "no job" in err


async def test_a_key_that_storage_refuses_is_reported_once_and_not_shown(pipeline) -> None:
    good = pipeline.stack.storage_connection_string
    bad = re.sub("AccountKey=[^;]*", "AccountKey=c2VjcmV0", good)
    code, _, err = await fork("status", STORAGE_CONNECTION_STRING=bad)
    assert code == 1
    assert "refuses the key of the connection string (Authoriz" in err
    assert len(err.splitlines()) == 1
    assert "c2VjcmV0" not in err


async def test_dead_letters_of_a_running_stack_are_listed(pipeline) -> None:
    code, _, err = await fork("dead-letters", "--dir", pipeline.stack.options.directory)
    assert (code, err) == (0, "")


async def test_the_doctor_checks_a_running_stack(pipeline) -> None:
    code, out, err = await fork("doctor", "--dir", pipeline.stack.options.directory)
    assert err == ""
    assert re.search(r"ok       versions: \S+ in [4-9] services, and here", out)
    assert "ok       container uploads: answers" in out
    # They may still be on their way to the stylizer.
    assert re.search(r"ok       hub frames: 8 partitions, \d read by the stylizer", out)
    assert re.search("clock: [0-2] s", out), "storage tells the time in whole seconds"
    # Other tests may have left dead letters; nothing else is wrong with the stack.
    problems = [line for line in out.splitlines() if line.startswith("problem")]
    assert all("dead letters" in line for line in problems)
    assert code == bool(problems)


async def test_the_doctor_finds_the_versions_of_a_deployment_in_its_storage(pipeline) -> None:
    # As in Azure, where it reaches no service.
    _, out, err = await fork(
        "doctor",
        EVENTHUB_CONNECTION_STRING=pipeline.stack.eventhub_connection_string,
        STORAGE_CONNECTION_STRING=pipeline.stack.storage_connection_string,
        XDG_STATE_HOME=os.devnull,
    )
    assert err == ""
    found = re.search(r"ok       versions: splitter (\S+), stylizer \1, assembler \1\n", out)
    assert found, out


async def test_the_doctor_tries_what_a_service_may(pipeline) -> None:
    directory = pipeline.stack.options.directory
    code, out, err = await fork("doctor", "--rights-of", "stylizer", "--dir", directory)
    assert (code, err) == (0, "")
    assert "ok       hub frames: Azure Event Hubs Data Receiver is granted" in out
    assert "ok       container segments: Storage Blob Data Contributor is granted" in out
    assert len(out.splitlines()) == 7
