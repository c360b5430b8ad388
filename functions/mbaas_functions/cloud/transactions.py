"""Saves and deletes that are done together or not at all: collected here while the block runs, and sent when it ends."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mbaas.kernel.values import Object as Body
from mbaas_functions.cloud.calls import ask, current
from mbaas_functions.cloud.errors import Error
from mbaas_functions.cloud.pending import Op

if TYPE_CHECKING:
    from mbaas_functions.cloud.objects import Object


@dataclass(slots=True)
class Write:
    """What is to become of one stored object. `ops` None deletes it."""

    class_name: str
    object_id: str
    new: bool
    master: bool
    context: Body
    ops: dict[str, Op] | None
    objects: list[Object] = field(default_factory=list)
    """Those that stand for it, to be told what the server says."""

    def to_json(self) -> Body:
        body = None if self.ops is None else {name: op.to_json() for name, op in self.ops.items()}
        told: Body = {"className": self.class_name, "objectId": self.object_id, "body": body}
        return {**told, "new": self.new, "master": self.master, "context": self.context}


class Transaction:
    """`async with` it: what is saved and deleted within, in any order, is committed at once at the end.

    Searches and fetches within find what was there before. An error, in the block or at its end, leaves nothing done, and the
    objects as they were.
    """

    def __init__(self) -> None:
        self._writes: dict[tuple[str, str], Write] = {}
        self._before: dict[int, tuple[Object, Any]] = {}
        self._token: Token[Transaction | None] | None = None

    async def __aenter__(self) -> Self:
        if CURRENT.get() is not None:
            raise Error("A transaction cannot be begun within another one.", code=1)
        self._token = CURRENT.set(self)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._token is not None
        CURRENT.reset(self._token)
        if error is not None:
            self._undo()
            return
        try:
            await self._commit()
        except BaseException:
            self._undo()
            raise

    async def save(self, one: Object, changes: dict[str, Op], *, master: bool, context: Body | None) -> Body:
        """Have the changes of an object written at the end; what is known of it until then."""
        self._keep(one)
        new = one.id is None
        object_id = one.id if one.id is not None else str(await ask("newId"))
        write = self._write(one, object_id, new=new, master=master, context=context)
        if write.ops is None:
            raise Error("Object not found.", code=101)
        write.ops.update({name: op.after(write.ops.get(name)) for name, op in changes.items()})
        return {"objectId": object_id}

    async def destroy(self, one: Object, object_id: str, *, master: bool, context: Body | None) -> None:
        """Have an object deleted at the end."""
        self._keep(one)
        write = self._write(one, object_id, new=False, master=master, context=context)
        if write.new:
            del self._writes[one.class_name, object_id]
        write.ops = None

    def _write(self, one: Object, object_id: str, *, new: bool, master: bool, context: Body | None) -> Write:
        place = one.class_name, object_id
        write = self._writes.get(place)
        if write is None:
            about = current().context if context is None else context
            write = self._writes[place] = Write(*place, new, master, about, {})
        elif write.master != master:
            raise Error("In one transaction an object is written either with the master key or without.", code=119)
        if not any(one is other for other in write.objects):
            write.objects.append(one)
        return write

    def _keep(self, one: Object) -> None:
        self._before.setdefault(id(one), (one, one.state()))

    def _undo(self) -> None:
        for one, state in self._before.values():
            one.restore(state)

    async def _commit(self) -> None:
        writes = list(self._writes.values())
        if not writes:
            return
        answers = await ask("commit", writes=[write.to_json() for write in writes])
        for write, told in zip(writes, answers, strict=True):
            for one in write.objects:
                one.take(told)


CURRENT: ContextVar[Transaction | None] = ContextVar("transaction", default=None)
