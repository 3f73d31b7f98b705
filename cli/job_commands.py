"""The commands for jobs, and their options."""

from __future__ import annotations

from typing import get_args

from cli.arguments import hours, whole
from cli.options import (
    add_dir,
    add_existing,
    add_json,
    add_quiet,
    add_request,
    add_strict,
)
from cli.parser import CommandParsers
from cli.results import Output
from shared.contracts.status import State


def add_jobs(commands_: CommandParsers) -> None:
    """Add the commands for jobs of a running stack, or in Azure."""
    submit = commands_.add_parser("submit", help="upload videos to a running stack, or to Azure")
    submit.add_argument("videos", nargs="+", metavar="VIDEO", help="files, or folders of videos")
    add_request(submit)
    submit.add_argument("--wait", action="store_true", help="wait until the jobs have ended")
    add_strict(submit)
    add_quiet(submit)
    add_dir(submit)
    add_json(submit)
    submit.set_defaults(command="submit:submit")

    status = commands_.add_parser("status", help="show one job, or all")
    status.add_argument("job", nargs="?", metavar="JOB")
    form = status.add_mutually_exclusive_group()
    form.add_argument("-w", "--watch", action="store_true", help="keep the display up to date")
    add_json(form)
    status.add_argument("--state", choices=get_args(State), help="only jobs in this state")
    status.add_argument(
        "-n", "--limit", type=whole(1, 1_000_000), metavar="N", help="only the newest N jobs"
    )
    add_dir(status)
    status.set_defaults(command="jobs:status")

    fetch = commands_.add_parser("fetch", help="download a job's result")
    fetch.add_argument("job", metavar="JOB")
    fetch.add_argument(
        "-o",
        "--output",
        type=Output,
        help="file (.mp4 or .mkv), or folder, new ones with a slash at the end; default: current "
        "folder",
    )
    add_existing(fetch)
    add_dir(fetch)
    fetch.set_defaults(command="jobs:fetch")

    opening = commands_.add_parser("open", help="show a job's result in a video player")
    opening.add_argument("job", metavar="JOB")
    add_dir(opening)
    opening.set_defaults(command="jobs:open_result")

    remove = commands_.add_parser("rm", help="delete ended jobs: upload, result and record")
    remove.add_argument("jobs", nargs="+", metavar="JOB")
    add_dir(remove)
    remove.set_defaults(command="jobs:rm")

    logs = commands_.add_parser("logs", help="print the logs of a stack on this machine")
    logs.add_argument(
        "process", nargs="?", metavar="PROCESS", help="such as splitter; default: all"
    )
    logs.add_argument(
        "-n",
        "--lines",
        type=whole(0, 1_000_000),
        default=10,
        help="last lines of each log; default: %(default)s",
    )
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing new lines")
    add_dir(logs)
    logs.set_defaults(command="logs:logs")


def add_link(commands_: CommandParsers) -> None:
    """Add the commands that make links for people who have HTTP and nothing else."""
    link = commands_.add_parser(
        "link", help="print a link for uploading or downloading one video over HTTP"
    )
    ways = link.add_commands("WAY")
    upload = ways.add_parser(
        "upload",
        help="print an address that takes a video",
        description="Print an address that takes one video, once, until it expires. To send a "
        "file: curl --upload-file VIDEO --header 'x-ms-blob-type: BlockBlob' ADDRESS",
    )
    upload.add_argument(
        "name",
        metavar="NAME",
        help="of the upload, such as beach.mp4; the-scream/beach.mp4 asks for a style",
    )
    upload.add_argument(
        "--overwrite",
        action="store_true",
        help=(
            "accept any number of versions, each a job, and files in blocks; default: one, in "
            "one request"
        ),
    )
    upload.set_defaults(command="links:upload")
    download = ways.add_parser("download", help="print an address that gives a job's result")
    download.add_argument("job", metavar="JOB")
    download.set_defaults(command="links:download")
    for way in (upload, download):
        way.add_argument(
            "--hours", type=hours, default=24.0, metavar="N", help="until it expires; default: 24"
        )
        add_dir(way)


def add_operating(commands_: CommandParsers) -> None:
    """Add the commands for jobs in trouble."""
    cancel = commands_.add_parser("cancel", help="cancel a job, and delete what it stored")
    cancel.add_argument("job", metavar="JOB")
    add_dir(cancel)
    cancel.set_defaults(command="operate:cancel")

    doctor = commands_.add_parser("doctor", help="check a deployment and say what is wrong")
    doctor.add_argument(
        "--rights-of",
        choices=["splitter", "stylizer", "assembler", "exporter"],
        metavar="SERVICE",
        help="check instead whether the account that runs this has every role that SERVICE needs",
    )
    add_dir(doctor)
    add_json(doctor, "one JSON object a finding on stdout")
    doctor.set_defaults(command="doctor:doctor")

    letters = commands_.add_parser("dead-letters", help="list events that could not be processed")
    doing = letters.add_mutually_exclusive_group()
    doing.add_argument(
        "--redrive",
        nargs="+",
        metavar="NAME",
        help="send these again, or 'all'; after their cause is repaired",
    )
    add_json(doing, "one JSON object a letter on stdout")
    add_dir(letters)
    letters.set_defaults(command="operate:dead_letters")
