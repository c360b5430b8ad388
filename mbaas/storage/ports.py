"""What the server asks of a database: Parse objects (`Documents`), named internal tables (`Rows`), and the feed.

A write is a *unit*: a list of steps that commit together or not at all, and are durable when `commit` returns
(`synchronous=FULL`; on MongoDB `w:majority, j:true`). Every step on an object leaves one entry in the feed, in the same
commit. Steps are applied to the document as it is at commit, so callers need no lock; a step that must see a certain
version says so. The contract suite in `mbaas.testing` proves an implementation of these protocols.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from mbaas.kernel.ops import Op
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, Object
from mbaas.query.ast import EVERYTHING, Node, Path

# What every write makes is not frozen: that would take three times as long to make.


@dataclass(slots=True)
class Document:
    """A stored object. `body` is its complete wire form (objectId, createdAt, updatedAt, ACL if any, columns);
    `hidden` what never leaves the server (keys start with `_`, e.g. `_hashed_password`). `version` counts its writes from 1."""

    body: Object
    hidden: Object = field(default_factory=dict)
    version: int = 0


# Steps of a unit. Each names its class by schema, so that a store can find columns' types, indexes and its own table.


@dataclass(slots=True)
class Insert:
    """Put a new object. Duplicate (index `_id_`) if the id is taken; Duplicate(index) if a unique index refuses."""

    schema: ClassSchema
    document: Document


@dataclass(slots=True)
class Update:
    """Apply operators to one object as it is at commit.

    `hidden` sets hidden fields (a value of None removes); without operators that is all, and is not fed. ParseError 101 unless
    the object exists, its ACL lets one of `writers` write (None: not asked), and `guard` matches it as it was. Conflict if
    `expect` is given and is not its version.
    """

    schema: ClassSchema
    object_id: str
    ops: Sequence[Op] = ()
    hidden: Mapping[str, Json] = field(default_factory=dict)
    writers: frozenset[str] | None = None
    guard: Node = EVERYTHING
    expect: int | None = None


@dataclass(slots=True)
class Delete:
    """Remove one object and the rows of its own relations; the same conditions as Update.

    `if_there`: one that is gone already is no error, and the other steps are done all the same.
    """

    schema: ClassSchema
    object_id: str
    writers: frozenset[str] | None = None
    guard: Node = EVERYTHING
    expect: int | None = None
    if_there: bool = False


@dataclass(frozen=True, slots=True)
class Relate:
    """Add ids to and take ids from the relation `key` of an object. Not fed: the owner's own step is."""

    schema: ClassSchema
    key: str
    owner: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PutRow:
    """Insert or replace a row of an internal table, as one that `owner` holds, if it is given.

    `if_absent`: Duplicate (index = table) if the key is there and not expired.
    """

    table: str
    key: str
    value: Json
    due: int | None = None
    expires: int | None = None
    if_absent: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class DropRow:
    """Remove a row, if there. With a `fence`: Conflict unless it is there and its fence is that."""

    table: str
    key: str
    fence: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an internal table. `due` and `expires` in ms; `fence` grows with every claim."""

    key: str
    value: Json
    due: int | None = None
    expires: int | None = None
    owner: str | None = None
    fence: int = 0


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """Replace a row. Conflict unless it is there and its fence is that of `row`."""

    table: str
    row: Row


Step = Insert | Update | Delete | Relate | PutRow | DropRow | ChangeRow


@dataclass(slots=True)
class Written:
    """What a step did to an object: `before` is None for an insert, `after` None for a delete. Both None for other steps."""

    before: Document | None = None
    after: Document | None = None


@dataclass(frozen=True, slots=True)
class Find:
    """A search in one class.

    `readers`: only objects whose ACL lets one of them read (None: not asked). `order`: paths with True for descending; the
    empty order is insertion order, or by distance or text rank where the query has one; the pseudo path `("$score",)` is the
    text rank. `limit` None is no limit. `hint` names an index. `timeout_ms` bounds the whole search: ParseError 124 afterwards.
    """

    schema: ClassSchema
    where: Node = EVERYTHING
    readers: frozenset[str] | None = None
    order: tuple[tuple[Path, bool], ...] = ()
    limit: int | None = None
    skip: int = 0
    hint: str | None = None
    timeout_ms: int = 30_000
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Where a store keeps what it compiled, for searches that are made again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One committed write of an object. `seq` is opaque and sorts in the order of the feed by `Feed.after` alone."""

    seq: str
    op: Literal["create", "update", "delete"]
    class_name: str
    object_id: str
    before: Document | None
    after: Document | None
    at: int


PAGE_BYTES = 4 * 1024 * 1024
"""About how much of the feed is read at once: objects may have megabytes, and each entry two states of one."""


class Entries(list[Entry]):
    """A page of the feed. `more` is true if there may be others behind it: it has as many as were asked for, or is large."""

    def __init__(self, entries: Iterable[Entry] = (), *, more: bool = False) -> None:
        super().__init__(entries)
        self.more = more


class Feed(Protocol):
    """Every committed write of an object, once, in commit order. Hidden fields are left out, and so are writes of nothing else."""

    async def latest(self) -> str:
        """The position after the last entry."""
        ...

    async def after(self, seq: str, limit: int = 1000, classes: frozenset[str] | None = None) -> Entries | None:
        """Up to `limit` entries after the position, oldest first, of these classes or of all; None if it is older than what is kept.

        Where they are large there are fewer, but at least one if there is any.
        """
        ...

    async def trim(self, now: int) -> int:
        """Forget entries that are older, or take more room, than is kept; how many."""
        ...

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called on the event loop after commits; returns what ends that."""
        ...


class Documents(Protocol):
    """Parse objects."""

    async def commit(self, steps: Sequence[Step]) -> list[Written]:
        """Do the steps, all or none, durably; one result each. Raises the error of the first step that failed."""
        ...

    async def get(self, schema: ClassSchema, object_id: str) -> Document | None:
        """One object, whoever asks."""
        ...

    async def get_raw(self, schema: ClassSchema, object_id: str, readers: frozenset[str] | None) -> bytes | None:
        """The wire form of one object as JSON bytes, if one of `readers` may read it."""
        ...

    async def find(self, find: Find) -> list[Document]:
        """The objects, decoded. With a text query each body carries `score`."""
        ...

    async def find_raw(self, find: Find) -> list[bytes]:
        """The objects' wire forms as JSON bytes."""
        ...

    async def alike(self, schema: ClassSchema, path: Path, value: str) -> list[Document]:
        """The objects that a folded index on this column takes for the same as one with the value, in no order."""
        ...

    async def count(self, find: Find) -> int:
        """How many match; limit, skip and order do not count."""
        ...

    async def distinct(self, find: Find, path: Path) -> list[Json]:
        """The different values at the path over the matches; elements of lists count one by one."""
        ...

    async def explain(self, find: Find) -> Object:
        """The database's own account of how it would search."""
        ...

    async def related(self, schema: ClassSchema, key: str, owner: str) -> list[str]:
        """The ids in a relation, in the order they were added."""
        ...

    async def owners(self, schema: ClassSchema, key: str, related: Sequence[str]) -> list[str]:
        """Ids of the objects of the class whose relation `key` holds one of `related`."""
        ...

    def scan(self, find: Find, page: int = 500) -> AsyncIterator[Document]:
        """All matches in id order by keyset, page by page: for exports, aggregates, purges."""
        ...


Change = Callable[[ClassSchema | None], tuple[ClassSchema, Sequence[str]]]
"""From a stored definition (None: there is none) to the one that it is to become, and the columns that every object loses."""


class Schemas(Protocol):
    """The classes' definitions, and what must change in the database with them."""

    async def load(self) -> dict[str, ClassSchema]:
        """All classes by name."""
        ...

    async def lookup(self, name: str) -> ClassSchema | None:
        """One class as it is defined now, whoever defined it: for one who misses it, or a column of it."""
        ...

    async def put(self, schema: ClassSchema, dropped: Sequence[str] = ()) -> None:
        """Store a definition, make or drop its indexes, and remove the `dropped` columns from every object."""
        ...

    async def alter(self, name: str, change: Change) -> ClassSchema:
        """Put what `change` makes of a class's definition in its place, with no other change in between; may call it again.

        One that gives back what it was given changes nothing. Returns the definition that is stored now.
        """
        ...

    async def drop(self, schema: ClassSchema) -> None:
        """Remove a class, its objects, relations and indexes. Its objects' removal is not fed."""
        ...

    async def purge(self, schema: ClassSchema) -> None:
        """Remove every object of a class, each with its entry in the feed; the definition stays."""
        ...


class Rows(Protocol):
    """Named internal tables: idempotency records, jobs, deliveries, counters. Not fed. A table exists when first used."""

    async def get(self, table: str, key: str) -> Row | None:
        """One row that has not expired."""
        ...

    async def put_many(self, table: str, rows: Sequence[Row]) -> None:
        """Insert or replace, all in one commit."""
        ...

    async def scan(self, table: str, after: str = "", limit: int = 1000, prefix: str = "") -> list[Row]:
        """Rows in key order, after a key: keyset paging."""
        ...

    async def claim(self, table: str, now: int, owner: str, lease_ms: int, limit: int = 1) -> list[Row]:
        """Take due rows (`due` ≤ now) that nobody holds, earliest first: sets the owner, raises the fence, moves `due` to now + lease."""
        ...

    async def change(self, table: str, row: Row, fence: int | None = None) -> bool:
        """Replace a row, if it is there and its fence is the given one; says whether."""
        ...

    async def drop(self, table: str, key: str, fence: int | None = None) -> bool:
        """Remove a row under the same condition; says whether."""
        ...

    async def count_up(self, table: str, key: str, by: int = 1, expires: int | None = None) -> int:
        """Add to a counter (0 if absent or expired; `expires` is set when it begins) and return it."""
        ...

    async def alter(self, table: str, key: str, change: Callable[[Row | None], Row]) -> Row:
        """Put what `change` makes of the row (None: there is none) in its place, with no other write in between; may call it again."""
        ...

    async def expire(self, now: int, limit: int = 1000) -> int:
        """Remove rows whose `expires` has passed; returns how many."""
        ...


Changed = Callable[[str | None, str | None], Awaitable[None]]
"""Told of (class, id of an object) that some process wrote. No id: any object of the class. No class: the definitions of classes."""


class Store(Protocol):
    """One app's database."""

    @property
    def several(self) -> bool:
        """True if other processes may use the database, too."""
        ...

    def follow(self, classes: Mapping[str, bool], changed: Changed) -> None:
        """Have `changed` called after writes to these classes and to definitions, through whichever process; after the creation
        of an object only where the class is given with True."""
        ...

    @property
    def behind(self) -> bool:
        """True if `catch_up` has something to tell. On the embedded store that is so from before such a write is acknowledged;
        on MongoDB, when entries of the feed have been read before whose write definitions were changed."""
        ...

    async def catch_up(self) -> None:
        """Call `changed` for what has not been told yet."""
        ...

    @property
    def documents(self) -> Documents: ...
    @property
    def schemas(self) -> Schemas: ...
    @property
    def rows(self) -> Rows: ...
    @property
    def feed(self) -> Feed: ...

    async def ping(self) -> None:
        """Raises if the database does not answer."""
        ...

    async def close(self) -> None:
        """Finish what is queued and let go."""
        ...
