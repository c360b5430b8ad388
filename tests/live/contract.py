"""The protocol as `sdk-schema/asyncapi.yaml` publishes it: who says which of its messages, and which one a frame is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jsonschema_rs import Draft7Validator

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "sdk-schema/asyncapi.yaml").read_text(encoding="utf-8"))


def at(reference: str) -> Any:
    """What a reference in the document leads to."""
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return at(found["$ref"]) if "$ref" in found else found


def _validators(references: list[dict[str, str]]) -> dict[str, Draft7Validator]:
    """The messages behind references to those of the channel, by name. Their payloads refer to other parts of the document."""
    payloads = {link["$ref"].rpartition("/")[2]: at(link["$ref"])["payload"] for link in references}
    return {name: Draft7Validator({"allOf": [payload], "components": DOCUMENT["components"]}) for name, payload in payloads.items()}


_taken, _sent = ([one for one in DOCUMENT["operations"].values() if one["action"] == action] for action in ("receive", "send"))
FROM_CLIENT = _validators([link for operation in _taken for link in operation["messages"]])
FROM_SERVER = _validators([link for said in (*_sent, *(operation["reply"] for operation in _taken)) for link in said["messages"]])


def names(frame: Any, among: dict[str, Draft7Validator]) -> list[str]:
    """The messages that a frame could be."""
    return [name for name, validator in among.items() if validator.is_valid(frame)]


def described(frame: Any) -> bool:
    """True if a frame of the server is exactly one of the messages."""
    return len(names(frame, FROM_SERVER)) == 1
