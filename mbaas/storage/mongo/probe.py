"""Does a MongoDB answer at this address, and can it be used? Asked by `mbaas doctor`."""

from __future__ import annotations


def unreachable(url: str, *, standalone: bool = False, timeout_ms: int = 3000) -> str | None:
    """Why the database cannot be used; None if it can. `standalone`: also one that is no replica set."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    from mbaas.storage.mongo.failures import reason
    from mbaas.storage.mongo.store import NO_REPLICA_SET, is_replica_set

    try:
        with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=timeout_ms) as client:
            whole = is_replica_set(client.admin.command("hello"))
    except (PyMongoError, ValueError) as error:
        return f"MongoDB does not answer: {reason(error)}"
    return None if whole or standalone else NO_REPLICA_SET
