"""``stylestream submit``, ``status`` and ``fetch``: jobs of a running stack, or in Azure."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from local.commands.common import (
    find_problems,
    output_path,
    read_request,
    refuse,
    tell,
    wait_for,
)
from local.defaults import default_dir
from local.jobs import Jobs, open_jobs
from local.progress import JobProgress
from local.report import Report
from local.workspace import running_stack
from shared.errors import ConfigurationError, StylestreamError
from shared.layout import is_job_id
from shared.status import Status


async def submit(arguments: Namespace) -> int:
    """Upload a video and tell its job."""
    request = read_request(arguments)
    refuse(find_problems([arguments.video], request, None))
    async with _connect(arguments.dir) as jobs:
        submission = await jobs.submit(arguments.video, request)
        if not arguments.wait:
            print(
                json.dumps({"job_id": submission.job_id, "video": submission.video_name})
                if arguments.json
                else submission.job_id
            )
            return 0
        with JobProgress() as progress:
            status = await wait_for(jobs, submission, progress)
    return tell([Report.of(status, status.result)], as_json=arguments.json)


async def status(arguments: Namespace) -> int:
    """Tell about one job or all jobs."""
    async with _connect(arguments.dir) as jobs:
        if arguments.job is None:
            found = await jobs.all()
        else:
            found = [await _known(jobs, arguments.job)]
    for record in found:
        if arguments.json:
            print(Report.of(record, record.result).json())
        else:
            print(f"{record.job_id}  {Report.of(record, record.result).sentence()}")
    return 0


async def fetch(arguments: Namespace) -> int:
    """Download the result of a job that is done."""
    async with _connect(arguments.dir) as jobs:
        record = await _known(jobs, arguments.job)
        if record.result is None:
            why = f": {record.error.message}" if record.error else ""
            raise StylestreamError(f"job {record.job_id} is {record.state} and has no result{why}")
        path = output_path(record, arguments.output)
        await jobs.fetch(record.result, path)
    print(path)
    return 0


@asynccontextmanager
async def _connect(directory: Path | None) -> AsyncIterator[Jobs]:
    """Open the jobs of a stack's directory, the environment's storage, or the default stack."""
    connection = os.environ.get("STORAGE_CONNECTION_STRING")
    url = os.environ.get("STORAGE_ACCOUNT_URL")
    if directory is None and (connection or url):
        async with open_jobs(connection, url) as jobs:
            yield jobs
        return
    directory = directory or default_dir()
    state = running_stack(directory)
    if state is None:
        raise ConfigurationError(
            [
                f"no stack runs in {directory}: start one with 'stylestream up', or set "
                "STORAGE_CONNECTION_STRING or STORAGE_ACCOUNT_URL"
            ]
        )
    async with open_jobs(state.storage_connection_string, None) as jobs:
        yield jobs


async def _known(jobs: Jobs, job: str) -> Status:
    if not is_job_id(job):
        raise ConfigurationError([f"{job!r} is no job id: see 'stylestream status'"])
    view = await jobs.view(job)
    if view.status is None:
        raise StylestreamError(f"there is no job {job}: see 'stylestream status'")
    return view.status
