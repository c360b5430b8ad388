"""Sequences of requests about people, drawn by hypothesis: signing up and in, what is known of them, their sessions, roles and devices.

`@U` stands for the example's own part of names and ids. Who has signed in is known by her name in the requests that follow.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.compat.differential.peers import Request

Strategy = st.SearchStrategy[Any]

NAMES = ("@Ua", "@Ub", "@Uc")
ROLES = ("@Urone", "@Urtwo")
WHO = st.sampled_from(["anon", *NAMES, *NAMES, "master"])
names = st.sampled_from(NAMES)
passwords = st.sampled_from(["one", "one", "one", "two"])
emails = st.sampled_from(["@Ua@example.org", "@Ub@example.org", "@UA@EXAMPLE.ORG", "no address", "", 1])
usernames = st.one_of(names, names, names, st.sampled_from(["@UA", "", " ", None, 1, {"a": 1}]))
acls = st.sampled_from(
    [{"*": {"read": True}}, {"@Ua": {"read": True, "write": True}}, {}, {"role:@Urone": {"read": True, "write": True}}, None, 1, {"*": 1}]
)
anonymous = st.sampled_from(["@U1", "@U2"]).map(lambda known: {"anonymous": {"id": known}})
linked: Strategy = st.one_of(
    anonymous, anonymous, st.sampled_from([{}, None, 1, {"anonymous": None}, {"anonymous": {}}, {"nobody": {"id": "1"}}])
)
fields: dict[str, Strategy] = {
    "email": emails,
    "nick": st.sampled_from(["x", "y", 1]),
    "ACL": acls,
    "authData": linked,
    "emailVerified": st.booleans(),
    "sessionToken": st.just("r:made-up"),
}
_seldom = ("emailVerified", "sessionToken")


@st.composite
def some(draw: st.DrawFn, most: int = 2) -> dict[str, Any]:
    """Fields of a user, now and then those that are the server's."""
    chosen = draw(st.lists(st.sampled_from([*(set(fields) - set(_seldom)), *_seldom[:1]]), max_size=most, unique=True))
    if draw(st.integers(0, 11)) == 0:
        chosen.append(draw(st.sampled_from(_seldom)))
    return {name: draw(fields[name]) for name in sorted(set(chosen))}


@st.composite
def sign_ups(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(names)
    body = {"objectId": name, "username": name, "password": draw(passwords), **draw(some())}
    strange = draw(st.integers(0, 9))
    if strange == 0:
        body.pop(draw(st.sampled_from(["username", "password", "objectId"])), None)
    elif strange == 1:
        body["username"] = draw(usernames)
    elif strange == 2:
        body["password"] = draw(st.sampled_from(["", None, 1, {"a": 1}, []]))
    return body


@st.composite
def sign_ins(draw: st.DrawFn) -> dict[str, Any]:
    body: dict[str, Any] = {"username": draw(usernames), "password": draw(passwords)}
    how = draw(st.integers(0, 9))
    if how == 0:
        body["email"] = draw(emails)
    elif how == 1:
        body = {"email": draw(emails), "password": draw(passwords)}
    elif how == 2:
        body.pop(draw(st.sampled_from(["username", "password"])))
    elif how == 3:
        body["password"] = draw(st.sampled_from(["", None, 1, {"$ne": "x"}]))
    return body


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    body = draw(some())
    if draw(st.integers(0, 4)) == 0:
        body["username"] = draw(usernames)
    if draw(st.integers(0, 4)) == 0:
        body["password"] = draw(st.sampled_from(["one", "two", "", None, 1]))
    for name in draw(st.lists(st.sampled_from(["nick", "email", "username", "password", "authData", "ACL"]), max_size=1)):
        body[name] = {"__op": "Delete"}
    return body


def _relation(op: str, class_name: str, ids: list[str]) -> dict[str, Any]:
    return {"__op": op, "objects": [{"__type": "Pointer", "className": class_name, "objectId": each} for each in ids]}


relations: dict[str, Strategy] = {
    "users": st.builds(
        _relation, st.sampled_from(["AddRelation", "RemoveRelation"]), st.just("_User"), st.lists(names, min_size=1, max_size=2)
    ),
    "roles": st.builds(_relation, st.just("AddRelation"), st.just("_Role"), st.lists(st.sampled_from(ROLES), min_size=1, max_size=1)),
}
role_names = st.one_of(
    st.sampled_from(ROLES), st.sampled_from(ROLES), st.sampled_from(["", "a b", "x!", 1, None, "a" * 100, "@Ur-_three", {"__op": "Delete"}])
)
open_acl = st.sampled_from([{"*": {"read": True, "write": True}}, {"*": {"read": True}}, {"@Ua": {"read": True, "write": True}}])


@st.composite
def role_bodies(draw: st.DrawFn) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(["name", "ACL", "users", "roles", "note"]), max_size=3, unique=True)):
        own = {"name": role_names, "ACL": st.one_of(open_acl, acls), "note": st.just("x"), **relations}
        body[name] = draw(own[name])
    return body


@st.composite
def roles(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(ROLES))
    body = {"objectId": name, "name": name, "ACL": draw(open_acl), **draw(role_bodies())}
    if draw(st.integers(0, 7)) == 0:
        body.pop(draw(st.sampled_from(["name", "ACL", "objectId"])), None)
    return body


_DEVICES = {
    "deviceType": st.sampled_from(["ios", "android", "ios", 1, None]),
    "installationId": st.sampled_from(["@Ui1", "@Ui2", "@UI1", 1]),
    "deviceToken": st.sampled_from(["@Ut1", "@Ut2", "", 1]),
    "channels": st.sampled_from([["a"], ["a", "b"], "a", None]),
    "badge": st.sampled_from([0, 5, "x"]),
    "timeZone": st.just("Europe/Paris"),
    "pushType": st.just("x"),
}


@st.composite
def devices(draw: st.DrawFn, new: bool) -> dict[str, Any]:
    body: dict[str, Any] = {} if not new else {"deviceType": "ios", "installationId": draw(st.sampled_from(["@Ui1", "@Ui2"]))}
    for name in draw(st.lists(st.sampled_from(sorted(_DEVICES)), max_size=3, unique=True)):
        body[name] = draw(_DEVICES[name])
    if new:
        body["objectId"] = draw(st.sampled_from(["@Ud1", "@Ud2"]))
        if draw(st.integers(0, 5)) == 0:
            body.pop(draw(st.sampled_from(["deviceType", "installationId"])), None)
    return body


searches = st.sampled_from(
    [
        {"where": {"username": "@Ua"}},
        {"where": {"email": "@Ua@example.org"}},
        {"where": {"objectId": {"$in": list(NAMES)}}, "order": "objectId"},
        {"where": {"nick": "x", "objectId": {"$in": list(NAMES)}}, "order": "-objectId"},
        {"where": {"password": "one"}},
        {"where": {"_hashed_password": "x"}},
        {"where": {"sessionToken": "x"}},
        {"where": {"authData.anonymous.id": "@U1"}},
        {"where": {"objectId": "@Ua"}, "keys": "nick"},
        {"where": {"objectId": "@Ua"}, "count": 1, "limit": 0},
        {"where": {"objectId": {"$in": list(NAMES)}}, "order": "password"},
        {"where": {"username": {"$regex": "^@U"}}, "order": "objectId"},
    ]
)


def _step() -> Strategy:
    user, role = names.map(lambda name: f"/users/{name}"), st.sampled_from(ROLES).map(lambda name: f"/roles/{name}")
    device = st.sampled_from(["@Ud1", "@Ud2"]).map(lambda each: f"/installations/{each}")
    empty: Strategy = st.just({})

    def ask(method: str, path: str | Strategy, body: Strategy = empty, who: Strategy = WHO) -> Strategy:
        return st.builds(Request, who, st.just(method), st.just(path) if isinstance(path, str) else path, body)

    anybody = st.sampled_from(["anon", "anon", "anon", "@Ua", "master"])
    usual = [
        ask("POST", "/users", sign_ups(), anybody),
        ask("POST", "/login", sign_ins(), anybody),
        ask("GET", "/login", sign_ins(), anybody),
        ask("PUT", user, changes()),
        ask("PUT", user, changes()),
        ask("GET", user),
        ask("GET", "/users/me"),
        ask("GET", "/users", searches),
        ask("POST", "/roles", roles()),
        ask("PUT", role, role_bodies()),
        ask("GET", role),
        ask("GET", "/roles", st.just({"where": {"objectId": {"$in": list(ROLES)}}, "order": "objectId"})),
        ask("POST", "/installations", devices(new=True)),
        ask("PUT", device, devices(new=False)),
        ask("GET", device),
    ]
    seldom = [
        ask("POST", "/logout"),
        ask("DELETE", user),
        ask("DELETE", role),
        ask("DELETE", device),
        ask("GET", "/sessions/me"),
        ask("POST", "/sessions", st.sampled_from([{}, {"note": "x"}, {"expiresAt": "x"}, {"ACL": {}}])),
        ask("PUT", "/sessions/me", st.sampled_from([{}, {"note": "x"}])),
        ask("DELETE", "/sessions/me"),
        ask("GET", "/sessions/nobody"),
        ask("POST", "/verifyPassword", sign_ins(), anybody),
        ask("GET", "/verifyPassword", sign_ins(), anybody),
        ask(
            "POST",
            "/loginAs",
            st.one_of(names, st.sampled_from([None, 1, "gone"])).map(lambda name: {"userId": name}),
            st.sampled_from(["master", "master", "@Ua"]),
        ),
        ask("POST", "/users", linked.map(lambda data: {"authData": data}), anybody),
        ask("POST", "/upgradeToRevocableSession"),
        ask("GET", "/installations", st.just({"where": {"installationId": "@Ui1"}})),
        ask("GET", "/classes/_User", searches),
        ask("PUT", names.map(lambda name: f"/classes/_User/{name}"), changes()),
        ask("POST", "/classes/_Role", roles()),
        ask("POST", "/classes/@C", acls.map(lambda acl: {"objectId": "x", "ACL": acl})),
        ask("GET", "/classes/@C/x"),
        ask("PUT", "/classes/@C/x", st.just({"n": 1})),
        ask(
            "GET",
            "/sessions",
            st.just({"where": {"createdWith.action": "login"}, "keys": "createdWith"}),
            st.sampled_from(["anon", *NAMES]),
        ),
    ]
    return st.one_of(*usual, *usual, *seldom)


@st.composite
def scenarios(draw: st.DrawFn) -> list[Request]:
    """Two people, a role, then whatever may happen between them."""
    steps = [
        Request("anon", "POST", "/users", {"objectId": name, "username": name, "password": "one"})
        for name in NAMES[: draw(st.integers(1, 2))]
    ]
    if draw(st.booleans()):
        steps.append(
            Request(
                "master",
                "POST",
                "/roles",
                {
                    "objectId": ROLES[0],
                    "name": ROLES[0],
                    "ACL": {"*": {"read": True}},
                    "users": _relation("AddRelation", "_User", [NAMES[0]]),
                },
            )
        )
    return [*steps, *draw(st.lists(_step(), min_size=6, max_size=14))]
