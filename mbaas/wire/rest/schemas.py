"""`/schemas`, `/purge` and `/aggregate`: what the master key does with whole classes."""

from __future__ import annotations

from mbaas.data import purge as purging
from mbaas.data import schemas
from mbaas.data.aggregate.run import aggregate as aggregating
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route


async def every(request: Request) -> Json:
    """All classes."""
    return await schemas.all(request.app)


async def read(request: Request) -> Json:
    """One class."""
    return await schemas.read(request.app, request.params[0])


async def create(request: Request) -> Json:
    """Make a class; its name is in the path, the body, or both."""
    _refuse_locked(request)
    body, named = request.object(), request.params
    name = named[0] if named else body.get("className")
    if not isinstance(name, str) or not name:
        raise ParseError(Code.INSTALLATION_MISSING_ID_FIELD, f"POST /{request.path} needs a class name.")
    _refuse_other_name(body.get("className"), name)
    return await schemas.create(request.app, name, body)


async def change(request: Request) -> Json:
    """Change a class's columns, permissions and indexes."""
    _refuse_locked(request)
    body = request.object()
    _refuse_other_name(body.get("className"), request.params[0])
    return await schemas.change(request.app, request.params[0], body)


async def drop(request: Request) -> Json:
    """Drop a class that has no objects."""
    return await schemas.drop(request.app, request.params[0])


async def purge(request: Request) -> Json:
    """Remove all objects of a class."""
    await purging.purge(request.app, request.params[0])
    return {}


async def aggregate(request: Request) -> Json:
    """Run a pipeline over a class."""
    return await aggregating(request.app, request.caller, request.params[0], request.arguments())


def _refuse_locked(request: Request) -> None:
    if (request.app.options.schema or {}).get("lockSchemas") is True:
        raise ParseError(Code.OPERATION_FORBIDDEN, "Cannot perform this operation when schemas options is used.")


def _refuse_other_name(in_body: Json, in_path: str) -> None:
    if in_body and in_body != in_path:
        raise ParseError(Code.INVALID_CLASS_NAME, f"Class name mismatch between {in_body} and {in_path}.")


ROUTES = (
    Route("GET", "/schemas", every, "All classes", "schemas", master=True),
    Route("GET", "/schemas/:className", read, "One class", "schemas", master=True),
    Route("POST", "/schemas", create, "Make a class", "schemas", master=True, read_only="create a schema"),
    Route("POST", "/schemas/:className", create, "Make a class", "schemas", master=True, read_only="create a schema"),
    Route("PUT", "/schemas/:className", change, "Change a class", "schemas", master=True, read_only="update a schema"),
    Route("DELETE", "/schemas/:className", drop, "Drop an empty class", "schemas", master=True, read_only="delete a schema"),
    Route("DELETE", "/purge/:className", purge, "Remove all objects of a class", "schemas", master=True, read_only="purge a schema"),
    Route("GET", "/aggregate/:className", aggregate, "Aggregate a class", "schemas", master=True),
)
