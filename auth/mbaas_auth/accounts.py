"""What people do with their accounts: log in, log out, ask who they are. Each function is one route's use-case.

Order of checks and texts are Parse Server 9.10's; the rules of the class itself are in `users.py`.
"""

from __future__ import annotations

from dataclasses import replace

from mbaas.data import objects, triggers
from mbaas.data.app import App
from mbaas.data.options import EVERYTHING
from mbaas.data.shape import Shape
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError, forbidden
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Update
from mbaas_auth import linking, providers
from mbaas_auth.sessions import PARENT, invalid_token, sign_in_first, with_token
from mbaas_auth.users import UserPolicy


def policy_of(app: App) -> UserPolicy:
    """The rules of the app's users."""
    policy = app.policy("_User")
    assert isinstance(policy, UserPolicy)
    return policy


async def log_in(app: App, caller: Caller, arguments: Object) -> Object:
    """`/login`: the user, with a new session's token."""
    policy = policy_of(app)
    user = await policy.credentials.authenticate(arguments, caller)
    user_id, sent = user.body["objectId"], arguments.get("authData")
    await policy.mfa.demand(user, sent.get("mfa") if isinstance(sent, dict) else None)
    linked, further = await linking.at_login(app, caller, user, policy.show_all(user.body), policy.mfa.others(sent))
    caller = await triggers.fire(app, "beforeLogin", "_User", caller, user.body)
    created_with: Object = {"action": "login", "authProvider": "password"}
    steps, token = await policy.sessions.open(user_id, created_with, caller.installation_id)
    await policy.credentials.sign_in(user, [*steps, *further])
    await triggers.after(app, "afterLogin", "_User", caller, user.body)
    shown = await policy.show_self(user_id, {**user.body, **linked})
    return {**shown, "sessionToken": token, **({"authDataResponse": {}} if "authData" in linked else {})}


async def verify_password(app: App, caller: Caller, arguments: Object) -> Object:
    """`/verifyPassword`: the user, without a session."""
    policy = policy_of(app)
    user = await policy.credentials.authenticate(arguments, caller)
    return await policy.show_self(user.body["objectId"], user.body)


async def log_in_as(app: App, caller: Caller, user_id: Json) -> Object:
    """`/loginAs`: a session of any user, for the master key."""
    if not caller.master:
        raise forbidden("master key is required")
    if caller.read_only:
        raise forbidden("read-only masterKey isn't allowed to login as another user.")
    if not user_id:
        raise ParseError(Code.INVALID_VALUE, "userId must not be empty, null, or undefined")
    user = await app.store.documents.get(app.classes.known_or_blank("_User"), user_id) if isinstance(user_id, str) else None
    if user is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "user not found")
    user_id = user.body["objectId"]
    policy = policy_of(app)
    created_with: Object = {"action": "login", "authProvider": "masterkey"}
    steps, token = await policy.sessions.open(user_id, created_with, caller.installation_id)
    await app.store.documents.commit([Update(app.classes.known_or_blank("_User"), user_id), *steps])  # unless she is deleted meanwhile
    return {**policy.show_all(user.body), "sessionToken": token}


async def me(app: App, caller: Caller) -> Object:
    """`/users/me`: the signed-in user with her token."""
    if caller.user_id is None or caller.session_token is None:
        raise sign_in_first()
    user = await app.store.documents.get(app.classes.known_or_blank("_User"), caller.user_id)
    if user is None:
        raise invalid_token()
    return {**await policy_of(app).show_self(caller.user_id, user.body), "sessionToken": caller.session_token}


async def log_out(app: App, caller: Caller) -> Object:
    """`/logout`: ends the calling session; without one there is nothing to end."""
    if caller.session_id is None:
        return {}
    session = await app.store.documents.get(app.classes.known_or_blank("_Session"), caller.session_id)
    try:
        await objects.delete(app, caller.as_master(), "_Session", caller.session_id)
    except ParseError as error:
        if error.code != Code.OBJECT_NOT_FOUND:
            raise
        return {}  # it has ended meanwhile
    if session is not None:
        await triggers.after(app, "afterLogout", "_Session", caller, session.body)
    return {}


async def my_session(app: App, token: str | None) -> Object:
    """`/sessions/me`: the session of a token, also when it has expired; protected fields of `_Session` are left out."""
    if not token:
        raise invalid_token("Session token required.")
    policy = policy_of(app)
    session = await policy.sessions.find(token)
    if session is None:
        raise invalid_token("Session token not found.")
    user = session.body.get("user")
    owner = Caller(user_id=user["objectId"] if isinstance(user, dict) else None, session_id=session.body["objectId"], session_token=token)
    rules, schema = app.classes.rules("_Session"), app.classes.known_or_blank("_Session")
    rules.check(owner, "find")
    shown = Shape(app, owner, app.policy("_Session"), rules, schema, EVERYTHING).show(session.body)
    return with_token(owner, shown)


async def upgrade_session(app: App, caller: Caller, token: str | None) -> Object:
    """`/upgradeToRevocableSession`: one more session of the caller's user."""
    if not token:
        raise ParseError(Code.OBJECT_NOT_FOUND, "invalid session")
    if not token.startswith("r:"):
        raise invalid_token("invalid legacy session token")
    if caller.user_id is None or caller.session_id is None:
        raise invalid_token()
    policy = policy_of(app)
    insert, made = policy.sessions.new(caller.user_id, {"action": "upgrade"}, caller.installation_id, caller.session_expires)
    insert.document.hidden[PARENT] = caller.session_id  # it ends with the one that it was made with
    try:
        await app.store.documents.commit([*policy.sessions.makers(caller.user_id, caller.session_id), insert])
    except ParseError as error:
        if error.code != Code.OBJECT_NOT_FOUND:
            raise
        raise invalid_token() from error  # she has signed out meanwhile
    return with_token(replace(caller, session_id=insert.document.body["objectId"], session_token=made), dict(insert.document.body))


async def request_password_reset(app: App, caller: Caller, arguments: Object) -> Object:
    """`/requestPasswordReset`: a mail with a link by which a new password is chosen."""
    await policy_of(app).password_reset.request(caller, arguments.get("email"), arguments.get("token"))
    return {}


async def request_verification(app: App, arguments: Object) -> Object:
    """`/verificationEmailRequest`: once more the mail with the link that proves an address."""
    await policy_of(app).verification.request(arguments.get("email"))
    return {}


async def verify_address(app: App, token: Json) -> Object | None:
    """The link of such a mail: the user whose address is proved by it now, or None."""
    user = await policy_of(app).verification.verify(token)
    return None if user is None else user.body


async def resend_verification(app: App, username: Json, token: Json) -> bool:
    """The same mail for who has only the name, or a link that has expired; False where that is told to be impossible."""
    return await policy_of(app).verification.resend(username, token)


async def reset_link(app: App, token: Json) -> Object:
    """The link of a mail for a new password: the user whose it is. NoReset if it is not, or no longer, good for that."""
    return (await policy_of(app).password_reset.owner(token)).body


async def reset_password(app: App, token: Json, password: str) -> None:
    """Choose the password. NoReset says why that is not possible; a password that will not do leaves the link good."""
    await policy_of(app).password_reset.choose(token, password)


async def unlock(app: App, name: str) -> bool:
    """Open the account of a name or an address that wrong passwords have closed; False if nobody is called that."""
    return await policy_of(app).credentials.unlock(name)


async def challenge(app: App, caller: Caller, arguments: Object) -> Object:
    """`/challenge`: what providers ask before they sign somebody in, by their names; only passkeys ask anything."""
    named = bool(arguments.get("username") or arguments.get("email"))
    if named:
        if not arguments.get("password"):
            raise ParseError(Code.OTHER_CAUSE, "You provided username or email, you need to also provide password.")
        await policy_of(app).credentials.authenticate(arguments, caller)
    data = arguments.get("challengeData")
    if not data and data != {}:
        raise ParseError(Code.OTHER_CAUSE, "Nothing to challenge.")
    if not isinstance(data, dict):
        raise ParseError(Code.OTHER_CAUSE, "challengeData should be an object.")
    if auth_data := arguments.get("authData"):
        await _identify(app, auth_data, named)
    told = {name: await providers.challenge(app, caller, name, given) for name, given in data.items()}
    return {"challengeData": {name: asked for name, asked in told.items() if asked is not None}}


async def _identify(app: App, auth_data: Json, named: bool) -> None:
    """Refuse `authData` that does not name one known user, and her alone."""
    if not isinstance(auth_data, dict):
        raise ParseError(Code.OTHER_CAUSE, "authData should be an object.")
    if named:
        text = "You cannot provide username/email and authData, only use one identification method."
        raise ParseError(Code.OTHER_CAUSE, text)
    for name, data in auth_data.items():
        if data is not None and not isinstance(data, dict):
            raise ParseError(Code.OTHER_CAUSE, f"authData.{name} should be an object.")
    if sum(1 for data in auth_data.values() if data and data.get("id")) > 1:
        raise ParseError(Code.OTHER_CAUSE, "You cannot provide more than one authData provider with an id.")
    if await policy_of(app).linked(auth_data) is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "User not found.")
