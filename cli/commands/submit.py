"""``stylestream submit``: uploads videos to a running stack, or to a pipeline in Azure."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

from cli.commands.common import (
    Patience,
    exit_code,
    find_request_problems,
    read_request,
    refuse,
    refuse_needless,
    tell,
    wait_for,
)
from cli.interruption import Interrupted
from cli.progress import JobProgress
from cli.report import Report
from cli.room import find_room_problems
from cli.videos import find_left_out, find_videos
from client import Pipeline, Submission, open_pipeline
from client.account import find_account
from local.defaults import gallery
from shared.telemetry.escapes import escaped, escaped_json

_UNNOTICED: Final = (
    "the upload has not been picked up; is a splitter running? The upload stays, and "
    "'stylestream status' shows its job once it has begun"
)
_STAYS: Final = (
    "what was uploaded is still painted: 'stylestream status' shows its jobs, and "
    "'stylestream cancel JOB' ends one"
)


async def submit(arguments: Namespace) -> int:
    """Upload videos and print their jobs; with ``--wait``, stay until they have ended."""
    if not arguments.wait:
        refuse_needless({"--strict": arguments.strict}, "needs --wait")
    videos, problems = find_videos(arguments.videos, gallery().styles)
    refuse(problems + find_request_problems(arguments))
    request = read_request(arguments)
    account = find_account(arguments.dir)
    if account.directory is not None:
        refuse(find_room_problems(videos, account.directory))
    if not arguments.quiet:
        for said in find_left_out(arguments.videos):
            print(f"stylestream: {escaped(said)}", file=sys.stderr)
    submissions: list[tuple[Path, Submission]] = []
    try:
        async with open_pipeline(account) as pipeline:
            for video in videos:
                submission = await pipeline.submit(video, request)
                submissions.append((video, submission))
                if not arguments.wait:
                    print(_line(video, submission, as_json=arguments.json), flush=True)
            return await _wait(pipeline, submissions, arguments) if arguments.wait else 0
    except asyncio.CancelledError:
        if submissions:
            raise Interrupted(_STAYS) from None
        raise


async def _wait(
    pipeline: Pipeline, submissions: list[tuple[Path, Submission]], arguments: Namespace
) -> int:
    patience = Patience()
    with JobProgress(quiet=arguments.quiet) as progress:

        async def one(video: Path, submission: Submission) -> Report | None:
            meter = progress.add(submission.video_name)
            status = await wait_for(pipeline, submission, progress, meter, patience, _UNNOTICED)
            if status is None:
                return None
            report = Report.of(status).of_file(video, status.video_name)
            report = report.judged_strictly() if arguments.strict else report
            tell(report, progress, as_json=arguments.json)
            return report

        reports = await asyncio.gather(*(one(*each) for each in submissions))
    ended = [report for report in reports if report is not None]
    return exit_code(ended) if len(ended) == len(reports) else 1


def _line(video: Path, submission: Submission, *, as_json: bool) -> str:
    if not as_json:
        return submission.job_id
    content = {
        "job_id": submission.job_id,
        "video": submission.video_name,
        "input": str(video),
    }
    return escaped_json(json.dumps(content, ensure_ascii=False))
