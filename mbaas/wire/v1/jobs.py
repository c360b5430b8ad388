"""`/jobs`: what Parse has no route for."""

from __future__ import annotations

from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_functions.room import functions_of


async def cancel(request: Request) -> Json:
    """End a job that waits or runs; what its `_JobStatus` then says of its end."""
    return await functions_of(request.app).hosted.cancel_job(request.params[0])


ROUTES = (Route("POST", "/jobs/:jobId/cancel", cancel, "Cancel a job", "jobs", master=True, read_only="cancel a job", base=BASE),)
"""Jobs are started below the mount, as Parse has it."""
