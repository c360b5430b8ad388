"""Does a MongoDB answer at this address? Asked by `mbaas doctor`."""

from __future__ import annotations


def unreachable(url: str, timeout_ms: int = 3000) -> str | None:
    """Why the database does not answer; None if it does."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    from mbaas.storage.mongo.failures import reason

    try:
        with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=timeout_ms) as client:
            client.admin.command("ping")
    except (PyMongoError, ValueError) as error:
        return reason(error)
    return None
