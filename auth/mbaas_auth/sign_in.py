"""Signing in without a password: by the code or the link of a mail, or by a token that the app's own backend has asked for.

Whoever reads the mails of an address is its owner. The first time that this is proved of an account, what somebody else may have left
there before goes: its password, its other ways to sign in, its sessions (an account under a stranger's address waits for her to come).
"""

from __future__ import annotations

from mbaas.data import triggers
from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Conflict, Duplicate, ParseError, forbidden
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Document, Step, Update
from mbaas_auth import addresses, linking
from mbaas_auth.accounts import policy_of
from mbaas_auth.mail.outbox import evenly, outbox_of
from mbaas_auth.tickets import Ticket, Tickets, wrong

CODE_SECONDS = 600
_TOKEN_SECONDS, _LONGEST_TOKEN_SECONDS = 300, 3600


async def request_code(app: App, email: Json) -> Object:
    """Have a mail with a code, and a link if the app has a page for it, be sent: the id that the code belongs to, and when it ends.

    The same, and as fast, for an address that nobody has. 204, 125 for no address.
    """
    outbox = outbox_of(app)
    if not email:
        raise ParseError(Code.EMAIL_MISSING, "you must provide an email")
    if not isinstance(email, str):
        raise ParseError(Code.INVALID_EMAIL_ADDRESS, "you must provide a valid email string")
    async with evenly():
        user = await addresses.owner_of(app, email)
        # To her address as she has it: what was typed may be read by somebody else.
        user_id, to = (user.body["objectId"], user.body["email"]) if user is not None else (None, email)
        ticket_id, until, step = Tickets(app).issue("mail", user_id, to, CODE_SECONDS)
        letter = outbox.letter("sign-in", user_id, to, ticket_id) if user_id else outbox.nothing()
        await app.store.documents.commit([step, letter])
        outbox.wake()
    return {"id": ticket_id, "expiresAt": iso(until)}


async def make_token(app: App, caller: Caller, user_id: Json, seconds: Json) -> Object:
    """A token that signs a user in once: for the app's own backend, which has the master key. 101 for nobody, 162 for no such time."""
    if not caller.master or caller.read_only:
        raise forbidden("master key is required")
    if seconds is None:
        seconds = _TOKEN_SECONDS
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= _LONGEST_TOKEN_SECONDS:
        raise ParseError(Code.INVALID_VALUE, f"expiresIn must be a whole number of seconds, at most {_LONGEST_TOKEN_SECONDS}.")
    user = await _user(app, user_id) if isinstance(user_id, str) else None
    if user is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "user not found")
    tickets = Tickets(app)
    ticket_id, until, step = tickets.issue("token", user.body["objectId"], None, seconds)
    await app.store.documents.commit([step])
    return {"token": tickets.token(ticket_id), "expiresAt": iso(until)}


async def sign_in(app: App, caller: Caller, arguments: Object) -> Object:
    """The user, with a new session's token, by `{id, code}` or `{token}`; `authData.mfa` beside it where she has a second factor.

    101 for what is wrong, used, or too late. A token that the master key asked for needs no second factor.
    """
    tickets = Tickets(app)
    if "token" in arguments:
        ticket, provider = await tickets.by_token(arguments["token"]), "token"
    else:
        ticket, provider = await tickets.by_code(arguments.get("id"), arguments.get("code")), "code"
    policy, user = policy_of(app), await _owner(app, ticket)
    if ticket.kind == "mail":
        linked = arguments.get("authData")
        await policy.mfa.demand(user, linked.get("mfa") if isinstance(linked, dict) else None)
    caller = await triggers.fire(app, "beforeLogin", "_User", caller, user.body)
    steps, token = await policy.sessions.open(ticket.user_id, {"action": "login", "authProvider": provider}, caller.installation_id)
    user = await _let_in(app, ticket, steps)
    policy.sessions.forget_user(ticket.user_id)
    await triggers.after(app, "afterLogin", "_User", caller, user.body)
    return {**await policy.show_self(ticket.user_id, user.body), "sessionToken": token}


async def _owner(app: App, ticket: Ticket) -> Document:
    """Whose a ticket is. 101 where she is gone, locked out, or has another address by now."""
    user = await _user(app, ticket.user_id)
    if user is None or user.body.get("ACL") == {} or (ticket.to is not None and user.body.get("email") != ticket.to):
        raise wrong()
    return user


async def _let_in(app: App, ticket: Ticket, session: list[Step]) -> Document:
    """Use the ticket up, and open the session; the user with what becomes of her. 101 for all but the first who come with it."""
    for _ in range(linking.ATTEMPTS):
        user = await _owner(app, ticket)
        try:
            written = await app.store.documents.commit([*await _proved(app, ticket, user), *ticket.used, *session])
        except Duplicate:
            break
        except Conflict:
            continue
        except ParseError as error:
            if error.code != Code.OBJECT_NOT_FOUND:
                raise
            break  # she is deleted meanwhile
        return written[0].after or user
    raise wrong()


async def _proved(app: App, ticket: Ticket, user: Document) -> list[Step]:
    """Steps that note whose an address is, if she is there still; and the first time, that take away what was there before."""
    users = app.classes.known_or_blank("_User")
    if ticket.to is None or linking.is_proved(user):
        return [Update(users, ticket.user_id)]
    ops, hidden = linking.proof(app, user)
    # What a stranger leaves there at the same time goes, too: then the proof begins again.
    step = Update(users, ticket.user_id, ops, hidden, expect=user.version)
    return [step, *await policy_of(app).sessions.endings(ticket.user_id)]


async def _user(app: App, user_id: str) -> Document | None:
    return await app.store.documents.get(app.classes.known_or_blank("_User"), user_id)
