"""``stylestream submit``, ``status`` and ``fetch``: jobs of a running stack, or in Azure."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cli.commands.common import (
    find_problems,
    find_result_problems,
    output_path,
    read_request,
    refuse,
    tell,
    wait_for,
)
from cli.progress import JobProgress
from cli.report import Report
from client.account import find_account, open_account
from client.jobs import Jobs
from shared.contracts.errors import ConfigurationError, StylestreamError
from shared.contracts.layout import is_job_id
from shared.contracts.status import Status
from shared.storage.blobs import BlobStore

_UNNOTICED: Final = (
    "nothing has noticed the upload yet: is a splitter running? Waiting goes on; Ctrl-C ends it "
    "and leaves the upload there"
)


async def submit(arguments: Namespace) -> int:
    """Upload a video and tell its job."""
    refuse(find_problems([arguments.video], arguments))
    request = read_request(arguments)
    async with connect(arguments.dir) as jobs:
        submission = await jobs.submit(arguments.video, request)
        if not arguments.wait:
            print(
                json.dumps({"job_id": submission.job_id, "video": submission.video_name})
                if arguments.json
                else submission.job_id
            )
            return 0
        with JobProgress() as progress:
            status = await wait_for(jobs, submission, progress, if_unnoticed=_UNNOTICED)
    return tell([Report.of(status, status.result)], as_json=arguments.json)


async def status(arguments: Namespace) -> int:
    """Tell about one job or all jobs."""
    async with connect(arguments.dir) as jobs:
        if arguments.job is None:
            found = await jobs.all()
        else:
            found = [await known(jobs, arguments.job)]
    for record in found:
        if arguments.json:
            print(Report.of(record, record.result).json())
        else:
            print(f"{record.job_id}  {Report.of(record, record.result).sentence()}")
    return 0


async def fetch(arguments: Namespace) -> int:
    """Download the result of a job that is done."""
    refuse(find_result_problems(arguments.output))
    async with connect(arguments.dir) as jobs:
        record = await known(jobs, arguments.job)
        result = result_of(record)
        path = output_path(record, arguments.output)
        await jobs.fetch(result, path)
    print(path)
    return 0


@asynccontextmanager
async def connect(directory: Path | None) -> AsyncIterator[Jobs]:
    """Open the jobs of a stack's directory, the environment's storage, or the default stack."""
    account = find_account(directory)
    async with open_account(account) as client:
        yield Jobs(BlobStore(client), account.containers)


def result_of(record: Status) -> str:
    """Return the name of a job's result, or raise the sentence that says why there is none."""
    if record.result is None:
        why = f": {record.error.message}" if record.error else ""
        raise StylestreamError(f"job {record.job_id} is {record.state} and has no result{why}")
    return record.result


async def known(jobs: Jobs, job: str) -> Status:
    """Return the record of a job that a user names."""
    if not is_job_id(job):
        raise ConfigurationError([f"{job!r} is no job id: see 'stylestream status'"])
    view = await jobs.view(job)
    if view.status is None:
        raise StylestreamError(f"there is no job {job}: see 'stylestream status'")
    return view.status
