"""The collections of an app's database: Parse Server's, and one of our own."""

from __future__ import annotations

import re
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from mbaas.storage.mongo.format import Bson

Database = AsyncDatabase[dict[str, Any]]
Collection = AsyncCollection[dict[str, Any]]

SCHEMAS = "_SCHEMA"
ROWS = "mbaas.rows"
"""The dot keeps it apart from every class."""
NOT_CLASSES: Bson = {"$not": {"$regex": r"^(_SCHEMA$|_Join:|system\.|fs\.|mbaas\.)"}}
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def join_name(key: str, class_name: str) -> str | None:
    """The collection of a relation; None if there can be no such relation."""
    return f"_Join:{key}:{class_name}" if _NAME.fullmatch(key) and _NAME.fullmatch(class_name) else None


def joins_of(class_name: str) -> Bson:
    """The condition on the names of the collections of a class's relations."""
    return {"name": {"$regex": f"^_Join:[^:]+:{re.escape(class_name)}$"}}
