"""People who ask a server of either store, each with a session of her own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer

Object = dict[str, Any]
Reply = tuple[int, Any]
APP = {"X-Parse-Application-Id": APP_ID}
READ = {"read": True}


def fresh(stem: str = "Thing") -> str:
    """A name that no other test uses."""
    return f"{stem}{uuid4().hex[:10]}"


class Person:
    """Somebody with her headers: the public, the master key, or a user."""

    def __init__(self, server: TestServer, **headers: str) -> None:
        self.server, self.headers = server, {**APP, **headers}
        self.id = ""

    @classmethod
    def signed_up(cls, server: TestServer) -> Person:
        """A new user."""
        status, made = server.call("POST", "/parse/users", {"username": fresh("user"), "password": "secret"}, APP)
        assert status == 201, made
        person = cls(server, **{"X-Parse-Session-Token": made["sessionToken"]})
        person.id = made["objectId"]
        return person

    @classmethod
    def master(cls, server: TestServer) -> Person:
        """Whoever holds the master key."""
        return cls(server, **{"X-Parse-Master-Key": MASTER_KEY})

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Status and answer of a request below the mount."""
        return self.server.call(method, f"/parse{path}", body, {**self.headers, **(headers or {})})

    def save(self, class_name: str, fields: Object, **headers: str) -> Object:
        """A new object: its id, and its `updatedAt` as of its creation."""
        status, made = self.call("POST", f"/classes/{class_name}", fields, headers)
        assert status == 201, made
        return {"objectId": made["objectId"], "updatedAt": made["createdAt"]}

    def change(self, class_name: str, object_id: str, fields: Object) -> str:
        """Update an object; its new `updatedAt`."""
        status, answer = self.call("PUT", f"/classes/{class_name}/{object_id}", fields)
        assert status == 200, answer
        return str(answer["updatedAt"])

    def remove(self, class_name: str, object_id: str) -> None:
        """Delete an object."""
        assert self.call("DELETE", f"/classes/{class_name}/{object_id}") == (200, {})

    def find(self, class_name: str, where: str = "{}") -> list[Object]:
        """The objects that she may see."""
        status, answer = self.call("GET", f"/classes/{class_name}?limit=1000&where={quote(where)}")
        assert status == 200, answer
        found: list[Object] = answer["results"]
        return found

    def ask(self, class_name: str, since: str | None = None, **more: object) -> Reply:
        """Status and answer of a request for changes."""
        given = {"className": class_name, **({} if since is None else {"since": since}), **more}
        query = "&".join(f"{name}={quote(str(value))}" for name, value in given.items())
        return self.server.get(f"/api/v1/changes?{query}", self.headers)

    def position(self, class_name: str) -> str:
        """Where the feed is now."""
        status, answer = self.ask(class_name)
        assert (status, list(answer)) == (200, ["next"]), answer
        return str(answer["next"])

    def changes(self, class_name: str, since: str, **more: object) -> Object:
        """One page of changes."""
        status, answer = self.ask(class_name, since, **more)
        assert status == 200, answer
        assert set(answer) == {"results", "next", "more"}
        page: Object = answer
        return page

    def told(self, class_name: str, since: str, **more: object) -> list[tuple[str, str]]:
        """What happened to which object, in order."""
        return [(change["op"], change["objectId"]) for change in self.changes(class_name, since, **more)["results"]]
