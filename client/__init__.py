"""A user's view of the pipeline, as an asynchronous API; the command line and the studio use it.

It works against any storage account that a pipeline serves, on this machine or in Azure, and reads
and writes nothing but blobs; `open_dead_letters`, for operators, also sends events. Every failure
is a `StylestreamError`: a `ConfigurationError` names what to set, a `TransientError` means that
storage or a hub does not answer, any other is one sentence about the request.

With ``directory`` the directory of a running stack, and ``video`` the path of a file:

>>> import asyncio
>>> from client import StyleRequest, open_pipeline
>>> async def paint():
...     async with open_pipeline(directory) as pipeline:
...         job = await pipeline.submit(video, StyleRequest(style="the-scream"))
...         states = [view.status.state async for view in pipeline.watch(job.job_id) if view.status]
...         return states[-1], await pipeline.fetch(job.job_id, video.parent)
>>> state, result = asyncio.run(paint())
>>> state, result.name
('done', 'clip.the-scream.mp4')
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from client.account import Account, Containers, find_account
    from client.dead_letters import Letter, Letters, open_dead_letters
    from client.diagnosis import Finding, diagnose, diagnose_rights
    from client.pipeline import Pipeline, Submission, View, open_pipeline
    from shared.contracts.errors import ConfigurationError, StylestreamError, TransientError
    from shared.contracts.status import Status
    from shared.contracts.style_request import StyleRequest

__all__ = [
    "Account",
    "ConfigurationError",
    "Containers",
    "Finding",
    "Letter",
    "Letters",
    "Pipeline",
    "Status",
    "StyleRequest",
    "StylestreamError",
    "Submission",
    "TransientError",
    "View",
    "diagnose",
    "diagnose_rights",
    "find_account",
    "open_dead_letters",
    "open_pipeline",
]

# Imported on first use: a command that lists jobs does not need the Event Hubs SDK.
_MODULES: Final = {
    "client.account": ("Account", "Containers", "find_account"),
    "client.dead_letters": ("Letter", "Letters", "open_dead_letters"),
    "client.diagnosis": ("Finding", "diagnose", "diagnose_rights"),
    "client.pipeline": ("Pipeline", "Submission", "View", "open_pipeline"),
    "shared.contracts.errors": ("ConfigurationError", "StylestreamError", "TransientError"),
    "shared.contracts.status": ("Status",),
    "shared.contracts.style_request": ("StyleRequest",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
