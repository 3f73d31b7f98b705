"""``stylestream submit``, ``status`` and ``fetch``: jobs of a running stack, or in Azure."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Final

from cli.commands.common import (
    find_problems,
    find_result_problems,
    read_request,
    refuse,
    tell,
    wait_for,
)
from cli.progress import JobProgress
from cli.report import Report
from client import open_pipeline

_UNNOTICED: Final = (
    "nothing has noticed the upload yet: is a splitter running? Waiting goes on; Ctrl-C ends it "
    "and leaves the upload there"
)


async def submit(arguments: Namespace) -> int:
    """Upload a video and tell its job."""
    refuse(find_problems([arguments.video], arguments))
    request = read_request(arguments)
    async with open_pipeline(arguments.dir) as pipeline:
        submission = await pipeline.submit(arguments.video, request)
        if not arguments.wait:
            print(
                json.dumps({"job_id": submission.job_id, "video": submission.video_name})
                if arguments.json
                else submission.job_id
            )
            return 0
        with JobProgress() as progress:
            status = await wait_for(pipeline, submission, progress, if_unnoticed=_UNNOTICED)
    return tell([Report.of(status, status.result)], as_json=arguments.json)


async def status(arguments: Namespace) -> int:
    """Tell about one job or all jobs."""
    async with open_pipeline(arguments.dir) as pipeline:
        if arguments.job is None:
            found = await pipeline.list()
        else:
            found = [await pipeline.status(arguments.job)]
    for record in found:
        if arguments.json:
            print(Report.of(record, record.result).json())
        else:
            print(f"{record.job_id}  {Report.of(record, record.result).sentence()}")
    return 0


async def fetch(arguments: Namespace) -> int:
    """Download the result of a job that is done."""
    refuse(find_result_problems(arguments.output))
    async with open_pipeline(arguments.dir) as pipeline:
        print(await pipeline.fetch(arguments.job, arguments.output))
    return 0
