"""Who asks, as functions, triggers and webhooks are told: never a session token, never a key."""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.values import Object
from mbaas_auth.users import UserPolicy


async def who(app: App, caller: Caller) -> Object:
    """`{master, installationId, ip, context, roles}`, and `user` with all of her fields if one is signed in."""
    asking: Object = {
        "master": caller.master,
        "installationId": caller.installation_id,
        "ip": caller.ip,
        "context": caller.context,
        "roles": list(caller.roles),
    }
    if caller.user_id is not None:
        users = app.classes.known_or_blank("_User")
        person = await app.store.documents.get(users, caller.user_id)
        policy = app.policy("_User")
        if person is not None and isinstance(policy, UserPolicy):
            asking["user"] = policy.show_all(person.body)
    return asking
