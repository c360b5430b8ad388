"""What the auth room keeps per app, and how it joins an app."""

from __future__ import annotations

from mbaas.data.app import App
from mbaas_auth.passwords import Passwords
from mbaas_auth.roles import RolePolicy
from mbaas_auth.sessions import SessionPolicy, Sessions
from mbaas_auth.users import UserPolicy


def join(app: App) -> None:
    """Register the classes of this room with the app; before it starts."""
    sessions = Sessions(app)
    app.rooms["sessions"] = sessions
    app.register("_User", UserPolicy(app, sessions, Passwords(app.sharing)))
    app.register("_Session", SessionPolicy(app, sessions))
    app.register("_Role", RolePolicy(sessions.forget_all))
