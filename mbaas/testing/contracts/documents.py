"""The contract of `Documents.commit` and of reading by id."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from mbaas.kernel.errors import Code, Conflict, Duplicate, ParseError
from mbaas.kernel.ops import Add, AddUnique, Increment, Op, Remove, Set, Unset
from mbaas.kernel.values import Json, Object, pointer
from mbaas.query.ast import Compare, Equals
from mbaas.storage.ports import Delete, Document, DropRow, Find, PutRow, Relate, Step, Store, Update, Written
from mbaas.testing.contracts.samples import ACCOUNT, POST, body, filled, ids, insert, readable_by


async def test_what_was_put_is_read_back(store: Store) -> None:
    """Whole, with hidden fields apart from the body."""
    columns: Object = {
        "title": "Zoë 😀 \u0000",
        "score": 1.5,
        "tags": [1, None, {"a": [True]}],
        "extra": {},
        "author": pointer("Person", "x"),
    }
    await filled(store, [insert("a", hidden={"_secret": "s"}, **columns)])
    assert await store.documents.get(POST, "a") == Document(body("a", **columns), {"_secret": "s"}, 1)
    assert await store.documents.get(POST, "b") is None


async def test_raw_bytes_are_the_wire_form(store: Store) -> None:
    """Compact JSON without hidden fields, keys in the order they were put."""
    await filled(store, [insert("a", hidden={"_secret": "s"}, title="é", score=3)])
    expected = orjson.dumps(body("a", title="é", score=3))
    assert await store.documents.get_raw(POST, "a", None) == expected
    assert await store.documents.find_raw(Find(POST)) == [expected]


async def test_a_class_nobody_defined_is_empty(store: Store) -> None:
    assert await store.documents.get(POST, "a") is None
    assert await store.documents.get_raw(POST, "a", None) is None
    assert await store.documents.find(Find(POST)) == []
    assert await store.documents.count(Find(POST)) == 0
    with pytest.raises(ParseError) as raised:
        await store.documents.commit([Update(POST, "a")])
    assert raised.value.code == Code.OBJECT_NOT_FOUND


async def test_an_id_is_taken_once(store: Store) -> None:
    await filled(store, [insert("a", title="first")])
    with pytest.raises(Duplicate) as raised:
        await store.documents.commit([insert("a", title="second")])
    assert raised.value.index == "_id_"
    assert [d.body["title"] for d in await store.documents.find(Find(POST))] == ["first"]


async def test_a_unique_index_refuses_a_second_value(store: Store) -> None:
    """On insert and on update, with its own name; absent and null values do not count."""
    await filled(store, [insert("a", ACCOUNT, name="ann"), insert("b", ACCOUNT), insert("c", ACCOUNT, name=None)], ACCOUNT)
    with pytest.raises(Duplicate) as raised:
        await store.documents.commit([insert("d", ACCOUNT, name="ann")])
    assert raised.value.index == "name_1"
    with pytest.raises(Duplicate):
        await store.documents.commit([Update(ACCOUNT, "b", [Set(("name",), "ann")])])
    await store.documents.commit([insert("e", ACCOUNT, name="Ann")])
    await store.documents.commit([Update(ACCOUNT, "a", [Set(("name",), "anna")])])
    await store.documents.commit([Update(ACCOUNT, "b", [Set(("name",), "ann")])])


async def test_a_folded_index_ignores_case(store: Store) -> None:
    await filled(store, [insert("a", ACCOUNT, mail="Ann@Example.org")], ACCOUNT)
    with pytest.raises(Duplicate) as raised:
        await store.documents.commit([insert("b", ACCOUNT, mail="ann@example.ORG")])
    assert raised.value.index == "mail_folded"


async def test_what_a_folded_index_takes_for_the_same_is_found(store: Store) -> None:
    """Also before there is such a class."""
    assert await store.documents.alike(ACCOUNT, ("mail",), "ann@example.org") == []
    other = insert("b", ACCOUNT, mail="ann@example.com")
    await filled(store, [insert("a", ACCOUNT, {"_token": "t"}, mail="Ann@Example.org"), other], ACCOUNT)
    [found] = await store.documents.alike(ACCOUNT, ("mail",), "aNN@example.org")
    assert (found.body["objectId"], found.body["mail"], found.hidden["_token"]) == ("a", "Ann@Example.org", "t")
    assert await store.documents.alike(ACCOUNT, ("mail",), "ann@example.or") == []


async def test_a_hidden_field_may_be_unique_and_searched(store: Store) -> None:
    await filled(store, [insert("a", ACCOUNT, {"_token": "t1"}), insert("b", ACCOUNT, {"_token": "t2"})], ACCOUNT)
    assert await ids(store, Find(ACCOUNT, Equals(("_token",), "t2"))) == ["b"]
    with pytest.raises(Duplicate) as raised:
        await store.documents.commit([insert("c", ACCOUNT, {"_token": "t1"})])
    assert raised.value.index == "_token_1"


@pytest.mark.parametrize(
    ("op", "before", "after"),
    [
        (Set(("title",), "new"), {"title": "old"}, {"title": "new"}),
        (Set(("extra", "a", "b"), 1), {"extra": {"c": 2}}, {"extra": {"c": 2, "a": {"b": 1}}}),
        (Set(("title",), None), {"title": "old"}, {"title": None}),
        (Unset(("title",)), {"title": "old"}, {}),
        (Unset(("extra", "a")), {"extra": {"a": 1, "b": 2}}, {"extra": {"b": 2}}),
        (Unset(("extra", "a")), {}, {}),
        (Remove(("extra", "a", "b"), (1,)), {"extra": {}}, {"extra": {}}),
        (Increment(("score",), 2), {}, {"score": 2}),
        (Increment(("score",), -0.5), {"score": 1}, {"score": 0.5}),
        (Add(("tags",), ("a", "a")), {"tags": ["a"]}, {"tags": ["a", "a", "a"]}),
        (AddUnique(("tags",), ("a", "b", 1)), {"tags": ["a", 1.0]}, {"tags": ["a", 1.0, "b"]}),
        (Remove(("tags",), ("a",)), {"tags": ["a", "b", "a"]}, {"tags": ["b"]}),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_operators_change_the_stored_object(store: Store, op: Op, before: dict[str, Json], after: dict[str, Json]) -> None:
    await filled(store, [insert("a", **before)])
    [written] = await store.documents.commit([Update(POST, "a", [op])])
    assert written.before == Document(body("a", **before), version=1)
    assert written.after == Document(body("a", **after), version=2)
    assert await store.documents.get(POST, "a") == written.after


async def test_an_operator_on_the_wrong_type_is_refused(store: Store) -> None:
    await filled(store, [insert("a", title="text", score=1)])
    with pytest.raises(ParseError) as raised:
        await store.documents.commit([Update(POST, "a", [Increment(("score",), 1), Increment(("title",), 1)])])
    assert raised.value.code == Code.INCORRECT_TYPE
    assert await store.documents.get(POST, "a") == Document(body("a", title="text", score=1), version=1)


async def test_hidden_fields_are_set_and_removed_apart(store: Store) -> None:
    await filled(store, [insert("a", hidden={"_x": 1, "_y": 2}, title="t")])
    await store.documents.commit([Update(POST, "a", hidden={"_x": None, "_z": [3]})])
    assert await store.documents.get(POST, "a") == Document(body("a", title="t"), {"_y": 2, "_z": [3]}, 2)


async def test_only_writers_of_its_list_may_change_an_object(store: Store) -> None:
    """To others it is not there."""
    acl = {"u1": {"write": True}, "role:Staff": {"read": True, "write": True}, "*": {"read": True}}
    await filled(store, [insert("a", ACL=acl), insert("open")])
    for writers in (frozenset({"*"}), frozenset({"*", "u2"})):
        for step in (Update(POST, "a", [Set(("score",), 1)], writers=writers), Delete(POST, "a", writers=writers)):
            with pytest.raises(ParseError) as raised:
                await store.documents.commit([step])
            assert raised.value.code == Code.OBJECT_NOT_FOUND
    await store.documents.commit([Update(POST, "a", [Set(("score",), 1)], writers=frozenset({"*", "role:Staff"}))])
    await store.documents.commit([Update(POST, "open", writers=frozenset({"*"}))])
    await store.documents.commit([Update(POST, "a", [Set(("ACL",), {})])])
    with pytest.raises(ParseError):
        await store.documents.commit([Delete(POST, "a", writers=frozenset({"*", "u1"}))])
    await store.documents.commit([Delete(POST, "a")])


async def test_only_readers_of_its_list_see_an_object(store: Store) -> None:
    objects = [insert("none"), insert("all", ACL=readable_by("*")), insert("one", ACL=readable_by("u1")), insert("nobody", ACL={})]
    awkward = ['quote"d', "com,ma", "back\\slash", "role:Été"]
    await filled(store, [*objects, insert("odd", ACL=readable_by(*awkward))])
    public, u1 = frozenset({"*"}), frozenset({"*", "u1"})
    assert await ids(store, Find(POST, readers=public)) == ["none", "all"]
    assert await ids(store, Find(POST, readers=u1)) == ["none", "all", "one"]
    assert await store.documents.count(Find(POST, readers=u1)) == 3
    assert len(await store.documents.find_raw(Find(POST))) == 5
    for name in awkward:
        assert await ids(store, Find(POST, readers=frozenset({name}))) == ["none", "odd"]
    for name in ("quote", "d", ",", "", "ma", "*,", "role:Ete"):
        assert await ids(store, Find(POST, readers=frozenset({name}))) == ["none"]
    many = frozenset({"*", "u1", *(f"role:{n}" for n in range(40))})
    assert await ids(store, Find(POST, readers=many)) == ["none", "all", "one"]
    assert await store.documents.get_raw(POST, "one", public) is None
    assert await store.documents.get_raw(POST, "one", u1) is not None
    assert await store.documents.get_raw(POST, "nobody", None) is not None


async def test_a_guard_must_match_the_object_as_it_was(store: Store) -> None:
    await filled(store, [insert("a", hidden={"_state": "new"}, score=1)])
    step = Update(POST, "a", [Increment(("score",), 1)], {"_state": "done"}, guard=Equals(("_state",), "new"))
    await store.documents.commit([step])
    with pytest.raises(ParseError) as raised:
        await store.documents.commit([step])
    assert raised.value.code == Code.OBJECT_NOT_FOUND
    with pytest.raises(ParseError):
        await store.documents.commit([Delete(POST, "a", guard=Compare(("score",), ">", 2))])
    await store.documents.commit([Delete(POST, "a", guard=Compare(("score",), ">", 1))])


async def test_an_expected_version_must_be_the_stored_one(store: Store) -> None:
    await filled(store, [insert("a")])
    await store.documents.commit([Update(POST, "a", [Set(("score",), 1)], expect=1)])
    with pytest.raises(Conflict):
        await store.documents.commit([Update(POST, "a", [Set(("score",), 2)], expect=1)])
    with pytest.raises(Conflict):
        await store.documents.commit([Delete(POST, "a", expect=3)])
    await store.documents.commit([Delete(POST, "a", expect=2)])


async def test_a_unit_commits_whole_or_not_at_all(store: Store) -> None:
    """Objects, relations and rows alike; its first failing step is the error."""
    await filled(store, [insert("a", score=1)])
    before = await store.feed.latest()
    steps: list[Step] = [
        insert("b"),
        Update(POST, "a", [Increment(("score",), 1)]),
        Relate(POST, "likes", "a", add=("p1",)),
        PutRow("jobs", "j", {"n": 1}),
        Delete(POST, "absent"),
        insert("a"),
    ]
    with pytest.raises(ParseError) as raised:
        await store.documents.commit(steps)
    assert raised.value.code == Code.OBJECT_NOT_FOUND
    assert await ids(store, Find(POST)) == ["a"]
    assert await store.documents.get(POST, "a") == Document(body("a", score=1), version=1)
    assert await store.documents.related(POST, "likes", "a") == []
    assert await store.rows.get("jobs", "j") is None
    assert await store.feed.after(before) == []


async def test_what_may_be_gone_already_stops_no_unit(store: Store) -> None:
    """Yet its conditions hold where it is there."""
    await filled(store, [insert("a", score=1)])
    gone = Delete(POST, "absent", if_there=True)
    assert (await store.documents.commit([gone, insert("b")]))[0] == Written()
    with pytest.raises(ParseError):
        await store.documents.commit([gone, Delete(POST, "a", guard=Equals(("score",), 2), if_there=True)])
    await store.documents.commit([gone, Delete(POST, "a", if_there=True)])
    assert await ids(store, Find(POST)) == ["b"]


async def test_later_steps_see_earlier_ones(store: Store) -> None:
    await store.schemas.put(POST)
    results = await store.documents.commit([insert("a", score=1), Update(POST, "a", [Increment(("score",), 1)]), Delete(POST, "a")])
    assert [r.after and r.after.body.get("score") for r in results] == [1, 2, None]
    assert await ids(store, Find(POST)) == []


async def test_rows_and_objects_share_a_commit(store: Store) -> None:
    await store.schemas.put(POST)
    await store.documents.commit([PutRow("once", "k", {"reply": 1}, if_absent=True), insert("a")])
    with pytest.raises(Duplicate) as raised:
        await store.documents.commit([insert("b"), PutRow("once", "k", {"reply": 2}, if_absent=True)])
    assert raised.value.index == "once"
    assert await ids(store, Find(POST)) == ["a"]
    await store.documents.commit([DropRow("once", "k"), insert("b"), DropRow("once", "absent")])
    assert await store.rows.get("once", "k") is None


async def test_no_increment_is_lost(store: Store) -> None:
    await filled(store, [insert("a", score=0)])
    await asyncio.gather(*(store.documents.commit([Update(POST, "a", [Increment(("score",), 1)])]) for _ in range(100)))
    assert await store.documents.get(POST, "a") == Document(body("a", score=100), version=101)


async def test_of_many_who_expect_one_version_one_wins(store: Store) -> None:
    await filled(store, [insert("a")])
    steps = [Update(POST, "a", [Set(("score",), n)], expect=1) for n in range(20)]
    results = await asyncio.gather(*(store.documents.commit([step]) for step in steps), return_exceptions=True)
    assert sum(not isinstance(r, BaseException) for r in results) == 1
    assert sum(isinstance(r, Conflict) for r in results) == 19


async def test_relations_keep_the_order_of_adding(store: Store) -> None:
    await filled(store, [insert("a"), insert("b")])
    await store.documents.commit([Relate(POST, "likes", "a", add=("p3", "p1", "p2")), Relate(POST, "likes", "b", add=("p1",))])
    await store.documents.commit([Relate(POST, "likes", "a", add=("p1", "p4"), remove=("p3",))])
    assert await store.documents.related(POST, "likes", "a") == ["p1", "p2", "p4"]
    assert sorted(await store.documents.owners(POST, "likes", ["p1"])) == ["a", "b"]
    assert sorted(await store.documents.owners(POST, "likes", ["p1", "p2", "p9"])) == ["a", "b"]
    assert await store.documents.owners(POST, "likes", ["p3"]) == []
    assert await store.documents.related(POST, "other", "a") == []


async def test_an_objects_relations_go_with_it(store: Store) -> None:
    await filled(store, [insert("a")])
    await store.documents.commit([Relate(POST, "likes", "a", add=("p1",))])
    await store.documents.commit([Delete(POST, "a")])
    assert await store.documents.owners(POST, "likes", ["p1"]) == []
    await store.documents.commit([insert("a")])
    assert await store.documents.related(POST, "likes", "a") == []


async def test_a_scan_gives_everything_in_id_order(store: Store) -> None:
    names = [f"{n:02d}" for n in range(25)]
    await filled(store, [insert(name, score=int(name)) for name in reversed(names)])
    assert [d.body["objectId"] async for d in store.documents.scan(Find(POST), page=7)] == names
    few = Find(POST, Compare(("score",), ">=", 20))
    assert [d.body["objectId"] async for d in store.documents.scan(few, page=2)] == names[20:]


async def test_the_database_answers(store: Store) -> None:
    await store.ping()
