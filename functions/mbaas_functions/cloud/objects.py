"""Parse objects in a function: read, changed, saved and deleted through the server, as the caller or with the master key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Self

from mbaas.kernel.values import Json
from mbaas.kernel.values import Object as Body
from mbaas_functions.cloud import pending
from mbaas_functions.cloud.calls import ask
from mbaas_functions.cloud.errors import Error
from mbaas_functions.cloud.pending import Op
from mbaas_functions.cloud.transactions import CURRENT
from mbaas_functions.cloud.values import Within, decode, encode, from_date, to_date

_MANAGED = ("objectId", "className", "createdAt", "updatedAt", "__type", "sessionToken")
_CLASSES: dict[str, type[Object]] = {}


class Object:
    """An object of a class. Given an `id` it stands for that stored object, whose fields `fetch` reads.

    Changes are kept until `save`, and sent as operators, so that nobody else's changes are undone.
    """

    fixed_class: str | None = None

    def __init__(self, class_name: str | None = None, id: str | None = None, **fields: Any) -> None:  # noqa: A002 -- the API's word
        name = self.fixed_class or class_name
        if not name:
            raise Error("an object needs the name of its class", code=103)
        self.class_name: str = name
        self.id = id
        self.created_at: datetime | None = None
        self.updated_at: datetime | None = None
        self._stored: dict[str, Any] = {}
        self._wire: Body = {}
        self._pending: dict[str, Op] = {}
        for field, value in fields.items():
            self.set(field, value)

    def __init_subclass__(cls) -> None:
        if cls.fixed_class:
            _CLASSES[cls.fixed_class] = cls

    # Reading

    def get(self, field: str, default: Any = None) -> Any:
        """A field's value with what has been done to it since."""
        stored = self._stored.get(field)
        op = self._pending.get(field)
        value = stored if op is None else op.apply(stored)
        return default if value is None else value

    def has(self, field: str) -> bool:
        return self.get(field) is not None

    def __getitem__(self, field: str) -> Any:
        return self.get(field)

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields())

    def fields(self) -> dict[str, Any]:
        """All fields as they are now."""
        names = dict.fromkeys([*self._stored, *self._pending])
        return {name: value for name in names if (value := self.get(name)) is not None or self._is_null(name)}

    def _is_null(self, field: str) -> bool:
        op = self._pending.get(field)
        return isinstance(op, pending.Set) or (op is None and field in self._stored)

    @property
    def is_new(self) -> bool:
        """True until the first save."""
        return self.id is None

    def existed(self) -> bool:
        """True if the object was there before this save."""
        return self.created_at is not None and self.created_at != self.updated_at

    @property
    def acl(self) -> dict[str, dict[str, bool]] | None:
        """Who may read and write: `{"*": {"read": True}, "<user id>": {"write": True}, "role:<name>": …}`."""
        found: dict[str, dict[str, bool]] | None = self.get("ACL")
        return found

    @acl.setter
    def acl(self, value: dict[str, dict[str, bool]]) -> None:
        self.set("ACL", value)

    # Changing

    def set(self, field: str | dict[str, Any], value: Any = None) -> Self:
        """Set a field, or several given as a dict."""
        for name, inner in field.items() if isinstance(field, dict) else [(field, value)]:
            self._do(name, pending.Set(inner))
        return self

    def __setitem__(self, field: str, value: Any) -> None:
        self.set(field, value)

    def unset(self, field: str) -> Self:
        """Take a field away."""
        return self._do(field, pending.Unset())

    def increment(self, field: str, amount: float = 1) -> Self:
        """Add to a number, whatever it is by the time of the save."""
        return self._do(field, pending.Increment(amount))

    def decrement(self, field: str, amount: float = 1) -> Self:
        return self.increment(field, -amount)

    def add(self, field: str, *values: Any) -> Self:
        """Append to a list."""
        return self._do(field, pending.Lists("Add", list(values)))

    def add_unique(self, field: str, *values: Any) -> Self:
        """Append to a list what it does not hold yet."""
        return self._do(field, pending.Lists("AddUnique", list(values)))

    def remove(self, field: str, *values: Any) -> Self:
        """Take values out of a list."""
        return self._do(field, pending.Lists("Remove", list(values)))

    def relation(self, field: str) -> Relation:
        """The relation column of that name."""
        return Relation(self, field)

    def revert(self, *fields: str) -> Self:
        """Forget what was done to these fields, or to all."""
        for name in fields or list(self._pending):
            self._pending.pop(name, None)
        return self

    def _do(self, field: str, op: Op) -> Self:
        if field in ("objectId", "createdAt", "updatedAt", "className"):
            raise Error(f"{field} is the server's to set", code=105)
        before = self._pending.get(field)
        self._pending[field] = op.after(before)
        return self

    def dirty_keys(self) -> list[str]:
        """The fields with changes that are not saved, lists and dicts that were changed in place included."""
        return list(self._changes())

    def dirty(self, field: str | None = None) -> bool:
        return bool(self._changes()) if field is None else field in self._changes()

    def _changes(self) -> dict[str, Op]:
        inside = {
            name: pending.Set(value)
            for name, value in self._stored.items()
            if name not in self._pending and isinstance(value, (dict, list)) and encode(value) != self._wire.get(name)
        }
        return {**self._pending, **inside} if inside else self._pending

    # The wire

    def to_pointer(self) -> Body:
        """What stands for the object in a field of another one."""
        if self.id is None:
            raise Error("Cannot create a pointer to an unsaved object", code=104)
        return {"__type": "Pointer", "className": self.class_name, "objectId": self.id}

    def to_json(self, within: Within | None = None) -> Body:
        """Its fields on the wire."""
        made = {name: encode(value, within) for name, value in self.fields().items()}
        for name, at in (("createdAt", self.created_at), ("updatedAt", self.updated_at)):
            if at is not None:
                made[name] = from_date(at)
        return {**made, "objectId": self.id} if self.id else made

    def to_full_json(self, within: Within = frozenset()) -> Body:
        """The same as a value inside another one, with the objects that it holds; a pointer if nothing but its id is known."""
        known = self.created_at is not None or bool(self.fields())
        if self.id is not None and (not known or (self.class_name, self.id) in within):
            return self.to_pointer()
        inside = within | {(self.class_name, self.id)} if self.id is not None else within
        return {**self.to_json(inside), "__type": "Object", "className": self.class_name}

    def changes(self) -> Body:
        """What a save sends: for each changed field its value or operator."""
        return {name: op.to_json() for name, op in self._changes().items()}

    def take(self, body: Body) -> Self:
        """Be what the server says of the object; changes that are not saved stay."""
        self.id = body.get("objectId", self.id)
        if isinstance(body.get("createdAt"), str):
            self.created_at = to_date(body["createdAt"])
            self.updated_at = self.updated_at or self.created_at
        if isinstance(body.get("updatedAt"), str):
            self.updated_at = to_date(body["updatedAt"])
        for name, value in body.items():
            if name in _MANAGED:
                continue
            if isinstance(value, dict) and value.get("__op") == "Delete":
                self._stored.pop(name, None)
                self._wire.pop(name, None)
                continue
            self._stored[name], self._wire[name] = decode(value), value
        return self

    def meant(self, body: Body) -> Self:
        """Have what a client sent for this object as changes."""
        for name, value in body.items():
            if name in _MANAGED:
                continue
            op = pending.from_wire(value)
            root, _, below = name.partition(".")
            if below and isinstance(op, pending.Set):
                name, op = root, pending.Set(_placed(self.get(root), below.split("."), op.value))
            self._pending[name] = op.after(self._pending.get(name))
        return self

    def state(self) -> tuple[Any, ...]:
        """All that is known of it, for `restore`."""
        return self.id, self.created_at, self.updated_at, dict(self._stored), dict(self._wire), dict(self._pending)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Be as it was."""
        self.id, self.created_at, self.updated_at, self._stored, self._wire, self._pending = state

    # The server

    async def save(self, fields: dict[str, Any] | None = None, *, use_master_key: bool = False, context: Body | None = None) -> Self:
        """Create or update it, unsaved objects in its fields first."""
        self.set(fields or {})
        for child in _unsaved(self._pending):
            await child.save(use_master_key=use_master_key, context=context)
        together = CURRENT.get()
        if together is not None:
            told = await together.save(self, self._changes(), master=use_master_key, context=context)
        else:
            asked = {"className": self.class_name, "objectId": self.id, "body": self.changes()}
            told = await ask("save", **asked, use_master_key=use_master_key, context=context)
        for name, op in self._changes().items():
            self._stored[name] = op.apply(self._stored.get(name))
            self._wire[name] = encode(self._stored[name])
            if isinstance(op, pending.Unset):
                del self._stored[name], self._wire[name]
        self._pending = {}
        return self.take(told)

    async def destroy(self, *, use_master_key: bool = False, context: Body | None = None) -> Self:
        """Delete it."""
        together = CURRENT.get()
        if together is not None:
            await together.destroy(self, self._known(), master=use_master_key, context=context)
        else:
            await ask("destroy", className=self.class_name, objectId=self._known(), use_master_key=use_master_key, context=context)
        return self

    async def fetch(self, *include: str, use_master_key: bool = False) -> Self:
        """Read it, with the objects that `include` names."""
        found = await ask("get", className=self.class_name, objectId=self._known(), include=list(include), use_master_key=use_master_key)
        self._stored, self._wire, self._pending = {}, {}, {}
        return self.take(found)

    def _known(self) -> str:
        if self.id is None:
            raise Error("the object has not been saved", code=104)
        return self.id

    @staticmethod
    async def save_all(objects: Iterable[Object], *, use_master_key: bool = False) -> None:
        """Save several."""
        for one in objects:
            await one.save(use_master_key=use_master_key)

    @staticmethod
    async def destroy_all(objects: Iterable[Object], *, use_master_key: bool = False) -> None:
        """Delete several."""
        for one in objects:
            await one.destroy(use_master_key=use_master_key)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Object) and self.id is not None and (self.class_name, self.id) == (other.class_name, other.id)

    def __hash__(self) -> int:
        return hash((self.class_name, self.id)) if self.id else id(self)

    def __repr__(self) -> str:
        return f"<{self.class_name} {self.id or 'new'} {self.fields()}>"


class User(Object):
    """A person."""

    fixed_class = "_User"

    @property
    def username(self) -> str | None:
        found: str | None = self.get("username")
        return found

    @property
    def email(self) -> str | None:
        found: str | None = self.get("email")
        return found


class Role(Object):
    """A role; `relation("users")` and `relation("roles")` hold its members."""

    fixed_class = "_Role"


class Session(Object):
    """A session. Its token is never shown to a function."""

    fixed_class = "_Session"


class Installation(Object):
    """An app on a device."""

    fixed_class = "_Installation"


class Relation:
    """Many objects of one class that belong to an object."""

    def __init__(self, owner: Object, field: str) -> None:
        self._owner, self._field = owner, field

    def add(self, *objects: Object) -> None:
        """Let them belong to it, from the next save on."""
        self._owner._do(self._field, pending.Relate(_one_class(objects), {one._known(): None for one in objects}, {}))

    def remove(self, *objects: Object) -> None:
        """Let them no longer belong to it, from the next save on."""
        self._owner._do(self._field, pending.Relate(_one_class(objects), {}, {one._known(): None for one in objects}))


def _placed(at: Any, path: list[str], value: Any) -> dict[str, Any]:
    """A dict with a value put at a path below it."""
    holder = dict(at) if isinstance(at, dict) else {}
    holder[path[0]] = value if len(path) == 1 else _placed(holder.get(path[0]), path[1:], value)
    return holder


def _one_class(objects: Iterable[Object]) -> str:
    names = {one.class_name for one in objects}
    if len(names) != 1:
        raise Error("a relation takes objects of one class", code=111)
    return names.pop()


def _unsaved(changes: dict[str, Op]) -> list[Object]:
    found: list[Object] = []

    def look(value: Any) -> None:
        if isinstance(value, Object) and value.id is None:
            found.append(value)
        elif isinstance(value, dict):
            for inner in value.values():
                look(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                look(inner)

    for op in changes.values():
        look(op.value if isinstance(op, pending.Set) else op.values if isinstance(op, pending.Lists) else None)
    return found


def from_json(body: Json, class_name: str | None = None) -> Object:
    """The object that a wire form tells of; of its class's own kind, as User, where there is one."""
    name = class_name or body["className"]
    kind = _CLASSES.get(name, Object)
    made = kind(name) if kind is Object else kind()
    return made.take({field: value for field, value in body.items() if field not in ("__type", "className")})
