"""The first question of every operation: may this caller use this class in this way at all?"""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.data.classes import MASTER_ONLY, SYSTEM_COLUMNS
from mbaas.data.permissions import READS, Rules
from mbaas.data.policies import Policy
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import forbidden
from mbaas.observe.logs import get_logger

_MOST_MISSED = 1000
"""Whoever makes up names does not fill the log."""
_NOT_MADE = "a client asked for a class that is not there, and clients may not make any: `mbaas schema push` makes classes"


def admit(app: App, caller: Caller, operation: str, class_name: str) -> Policy:
    """The class's policy, if the caller may try this operation on the class at all."""
    if not caller.omnipotent:
        if class_name in MASTER_ONLY or class_name.startswith("_Join:"):
            raise forbidden(f"Clients aren't allowed to perform the {operation} operation on the {class_name} collection.")
    if caller.shared is not None and (class_name not in caller.shared or operation not in READS):
        raise forbidden(f"The class {class_name} is not shared with this partner, or not for the {operation} operation.")
    policy = app.policy(class_name)
    policy.admit(caller, operation, class_name)
    if caller.read_only and operation in ("create", "update", "delete"):
        raise forbidden(f"read-only masterKey isn't allowed to perform the {operation} operation.")
    return policy


def rules_for(app: App, caller: Caller, class_name: str) -> Rules:
    """The class's permissions, narrowed to what is shared with a partner if it is one that asks."""
    rules = app.classes.rules(class_name)
    return rules if caller.shared is None else rules.sharing(caller.shared.get(class_name, frozenset()))


def refuse_unknown_class(app: App, caller: Caller, class_name: str) -> None:
    """119 for a class that does not exist, where clients may not make classes."""
    if app.options.allow_client_class_creation or caller.omnipotent or class_name in SYSTEM_COLUMNS:
        return
    if app.classes.get(class_name) is None:
        if class_name not in app.missed and len(app.missed) < _MOST_MISSED:
            app.missed.add(class_name)
            get_logger(__name__).warning(_NOT_MADE, app=app.options.app_id, class_name=class_name)
        raise forbidden(f"This user is not allowed to access non-existent class: {class_name}")
