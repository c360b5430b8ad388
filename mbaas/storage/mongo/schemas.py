"""The port `Schemas` on MongoDB: definitions in `_SCHEMA`, a collection per class with pre-images for the feed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pymongo.errors import CollectionInvalid, OperationFailure

from mbaas.kernel.errors import Duplicate, MbaasError
from mbaas.kernel.schema import ClassSchema
from mbaas.observe.logs import get_logger
from mbaas.storage.mongo import indexes, relations
from mbaas.storage.mongo.definitions import definition_in, definition_out
from mbaas.storage.mongo.failures import index_name, told
from mbaas.storage.mongo.format import NOTES, Bson, column_key, document_out
from mbaas.storage.mongo.names import SCHEMAS, Database, join_name, joins_of
from mbaas.storage.mongo.neighbours import Neighbours
from mbaas.storage.ports import Change, Changed, Document
from mbaas.storage.sharing import Sharing

PRE_IMAGES: Bson = {"enabled": True}
_EXISTS = 48
_DUPLICATE = 11000


class MongoSchemas:
    """Definitions. A collection is ready when it feeds pre-images, and so are those of the class's relations."""

    def __init__(self, database: Database, sharing: Sharing, beside: Neighbours) -> None:
        self._database, self._sharing, self._beside = database, sharing, beside
        self._ready: set[str] = set()
        self._indexed: dict[str, set[str]] = {}
        """Class → the indexes that this process has made, or is making."""
        self._told: dict[str, Bson] = {}
        self._undeclared: dict[str, set[str]] = {}
        """Class → keys that its objects have and its definition has not."""
        self.behind = False
        """True if definitions were found that are not those which `load` gave last."""
        self.changed: Changed | None = None
        """Told of definitions that are found to have changed."""

    async def load(self) -> dict[str, ClassSchema]:
        self.behind = False
        with told():
            self._told = found = await self._stored()
        return {name: definition_out(one) for name, one in found.items()}

    async def current(self) -> dict[str, ClassSchema]:
        """All classes, for others than those who remember them: these are `behind` if they differ."""
        found = await self._stored()
        self.behind = self.behind or found != self._told
        return {name: definition_out(one) for name, one in found.items()}

    async def _stored(self) -> dict[str, Bson]:
        return {one["_id"]: one for one in await self._database[SCHEMAS].find({}).to_list()}

    async def lookup(self, name: str) -> ClassSchema | None:
        with told():
            found = await self._database[SCHEMAS].find_one({"_id": name})
        return None if found is None else definition_out(found)

    async def read(self, schema: ClassSchema, found: Sequence[Bson]) -> list[Document]:
        """Objects as the ports show them: by the definition that they were written by, where the given one is older."""
        documents = [document_out(schema, one) for one in found]
        if all(document.body.keys() <= schema.fields.keys() for document in documents):
            return documents
        unknown = {name for document in documents for name in document.body if name not in schema.fields}
        newer = await self._declaring(schema.name, unknown)
        return documents if newer is None else [document_out(newer, one) for one in found]

    async def _declaring(self, class_name: str, names: set[str]) -> ClassSchema | None:
        """The definition as it is now, if it has one of these columns. What no definition has is not looked for again."""
        undeclared = self._undeclared.setdefault(class_name, set())
        if names <= undeclared:
            return None
        newer = await self.lookup(class_name)
        declared = names & newer.fields.keys() if newer is not None else set()
        undeclared |= names - declared
        if not declared:
            return None
        if self.changed is not None:
            await self.changed(None, None)
        return newer

    async def put(self, schema: ClassSchema, dropped: Sequence[str] = ()) -> None:
        await self.alter(schema.name, lambda _: (schema, dropped))

    async def alter(self, name: str, change: Change) -> ClassSchema:
        """Columns that others add meanwhile stay; where they change the same as this does, it is done anew."""
        with told():
            while True:
                kept = await self._database[SCHEMAS].find_one({"_id": name})
                before = None if kept is None else definition_out(kept)
                schema, dropped = change(before)
                if schema is before:
                    return schema
                if kept is None:
                    self._unready(name)
                self._indexed[name] = set(indexes.wanted(schema))
                await self.ensure(schema)
                await self._indexes(schema, before)
                if await self._written(schema, kept, dropped):
                    break
            self._beside.tell(definitions=True)
            if dropped and before is not None:
                await self._drop_columns(before, dropped)
            return schema

    async def _written(self, schema: ClassSchema, kept: Bson | None, dropped: Sequence[str]) -> bool:
        """Write what is new in the definition, unless others have written the same parts since it was `kept`; says whether."""
        if kept is None:
            # It has been made just now, by this or by another process; what others have made of it is another matter.
            found = await self._database[SCHEMAS].find_one({"_id": schema.name})
            return found is not None and definition_out(found).same_as(schema)
        new = definition_in(schema, kept)
        put = {key: value for key, value in new.items() if kept.get(key) != value}
        gone = [name for name in dropped if name in kept and name not in new]
        if not put and not gone:
            return True
        unchanged = {key: kept.get(key, {"$exists": False}) for key in (*put, *gone)}
        change = {operator: parts for operator, parts in (("$set", put), ("$unset", dict.fromkeys(gone, ""))) if parts}
        result = await self._database[SCHEMAS].update_one({"_id": schema.name, **unchanged}, change)
        return result.matched_count > 0

    async def _indexes(self, schema: ClassSchema, before: ClassSchema | None) -> None:
        try:
            await indexes.build(self._database[schema.name], schema, before)
        except OperationFailure as error:
            if error.code == _DUPLICATE:
                raise Duplicate(index_name(error)) from error
            raise

    async def _drop_columns(self, schema: ClassSchema, names: Sequence[str]) -> None:
        keys = [column_key(schema, name) for name in names]
        for name in names:
            join = join_name(name, schema.name)
            field = schema.fields.get(name)
            if join is not None and field is not None and field.type == "Relation":
                await self._database.drop_collection(join)
                self._ready.discard(join)
        some = {"$or": [{key: {"$exists": True}} for key in keys]}
        change = {"$unset": dict.fromkeys(keys, ""), "$inc": {f"{NOTES}.v": 1}}
        await self._database[schema.name].update_many(some, change)

    async def ensure(self, schema: ClassSchema, keys: Iterable[str] = ()) -> None:
        """Make the collections of the class and of its relations, and its definition, where they are not there."""
        declared = [name for name, field in schema.fields.items() if field.type == "Relation"]
        if schema.name not in self._ready:
            await self._feeding(schema.name)
            await self._database[SCHEMAS].update_one({"_id": schema.name}, {"$setOnInsert": _without_id(schema)}, upsert=True)
            self._ready.add(schema.name)
        for key in (*declared, *keys):
            join = join_name(key, schema.name)
            if join is not None and join not in self._ready:
                for index in relations.INDEXES:
                    await self._database[join].create_index(index)
                self._ready.add(join)

    def _unready(self, name: str) -> None:
        """The class is not there: another process may have dropped what this one has made."""
        self._ready -= {name, *(join for join in self._ready if join.endswith(f":{name}"))}

    async def look_again(self) -> None:
        """Definitions may have changed. Have the changes of every class fed with what was there before, of those too that Parse
        Server has made."""
        self._undeclared.clear()
        with told():
            await self._revive()
            fed = {
                found["name"]
                async for found in await self._database.list_collections()
                if found.get("options", {}).get("changeStreamPreAndPostImages") == PRE_IMAGES
            }
            for name in await self._database[SCHEMAS].distinct("_id"):
                if name not in fed:
                    await self._feeding(name)

    async def _revive(self) -> None:
        """Another process may have dropped a class in the moment in which this one wrote to it: what was acknowledged counts."""
        known = set(await self._database[SCHEMAS].distinct("_id"))
        for name, definition in self._told.items():
            if name in self._ready and name not in known:
                self._unready(name)
                if await self._database[name].find_one({}, {"_id": 1}) is not None:
                    await self.ensure(definition_out(definition))

    async def index_all(self) -> None:
        """Make the indexes of every class that has got a reason for one since: Parse Server makes other ones."""
        try:
            with told():
                for schema in (await self.current()).values():
                    names = set(indexes.wanted(schema))
                    if self._indexed.get(schema.name) != names:
                        await indexes.build(self._database[schema.name], schema, None)
                        self._indexed[schema.name] = names
        except MbaasError as error:
            get_logger(__name__).warning("indexes cannot be made; finds may be slow", reason=repr(error.__cause__))

    async def _feeding(self, name: str) -> None:
        """A collection whose changes are fed with what was there before."""
        if not self._sharing.atomic:
            return
        try:
            await self._database.create_collection(name, changeStreamPreAndPostImages=PRE_IMAGES)
        except (CollectionInvalid, OperationFailure) as error:
            if isinstance(error, OperationFailure) and error.code != _EXISTS:
                raise
            await self._database.command("collMod", name, changeStreamPreAndPostImages=PRE_IMAGES)

    async def drop(self, schema: ClassSchema) -> None:
        with told():
            await self._database[SCHEMAS].delete_one({"_id": schema.name})
            self._indexed.pop(schema.name, None)
            self._unready(schema.name)
            joins = await self._database.list_collection_names(filter=joins_of(schema.name))
            for name in (schema.name, *joins):
                await self._database.drop_collection(name)
            self._beside.tell(definitions=True)

    async def purge(self, schema: ClassSchema) -> None:
        with told():
            await self._database[schema.name].delete_many({})
            for name in await self._database.list_collection_names(filter=joins_of(schema.name)):
                await self._database[name].delete_many({})
            self._beside.tell(followed=True)


def _without_id(schema: ClassSchema) -> Bson:
    return {key: value for key, value in definition_in(schema, None).items() if key != "_id"}
