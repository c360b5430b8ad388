"""What the auth room keeps per app, and how it joins an app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mbaas.data.app import App
from mbaas.data.belongings import Objects
from mbaas.jobs.owner import Owner
from mbaas.outbound.calls import Outbound
from mbaas_auth import breaches, captcha, providers
from mbaas_auth.leaving import Memberships
from mbaas_auth.mail.console import ConsoleMailer
from mbaas_auth.mail.http import HttpMailer
from mbaas_auth.mail.links import Links
from mbaas_auth.mail.outbox import ROOM, Outbox
from mbaas_auth.mail.ports import Mailer
from mbaas_auth.mfa import TEXTER
from mbaas_auth.passkeys import Kept
from mbaas_auth.passwords import Passwords
from mbaas_auth.roles import RolePolicy
from mbaas_auth.sessions import SessionPolicy, Sessions
from mbaas_auth.sms.console import ConsoleTexter
from mbaas_auth.sms.http import HttpTexter
from mbaas_auth.sms.ports import Texter
from mbaas_auth.users import UserPolicy


def join(app: App) -> None:
    """Register the classes of this room with the app; before it starts."""
    sessions = Sessions(app)
    app.rooms["sessions"] = sessions
    app.belongings += [Objects(app), Memberships(app, sessions), Kept(app)]
    app.register("_User", UserPolicy(app, sessions, Passwords(app.sharing)))
    app.register("_Session", SessionPolicy(app, sessions))
    app.register("_Role", RolePolicy(sessions.forget_all))
    providers.join(app)


@asynccontextmanager
async def opened(app: App, outbound: Outbound) -> AsyncIterator[None]:
    """The app with its identity providers, what checks sign-ins, and its outbox, if it has all that mails need: a way to send them, a
    name, and an address for their links."""
    providers.opened(app, outbound)
    if app.options.breach_url is not None:
        app.rooms[breaches.ROOM] = breaches.Breaches(outbound, app.options.breach_url)
    if app.options.captcha is not None:
        ours = app.options.captcha == "altcha"
        site = captcha.SiteVerify(outbound, app.options.captcha, app.options.captcha_secret or "")
        app.rooms[captcha.ROOM] = captcha.Altcha(app) if ours else site
    texter = _texter(app, outbound)
    if texter is not None:
        app.rooms[TEXTER] = texter
    mailer = _mailer(app, outbound)
    if mailer is None or not app.options.app_name or app.options.link_url is None:
        yield
        return
    owner = Owner(app.options.data_dir, app.ids.uuid())
    outbox = Outbox(app, mailer, owner)
    outbox.start()
    app.rooms[ROOM] = outbox
    try:
        yield
    finally:
        app.rooms.pop(ROOM, None)
        await outbox.close()
        owner.close()


def _mailer(app: App, outbound: Outbound) -> Mailer | None:
    options = app.options
    if options.email_adapter is not None and options.email_adapter.get("module") == "http":
        return HttpMailer(outbound, str(options.email_adapter["options"]["url"]))
    if options.smtp is not None:
        from mbaas_auth.mail.smtp import SmtpMailer

        return SmtpMailer(options.smtp, Links(app).host())
    return ConsoleMailer() if options.preset == "development" else None


def _texter(app: App, outbound: Outbound) -> Texter | None:
    if app.options.sms_url is not None:
        return HttpTexter(outbound, app.options.sms_url)
    return ConsoleTexter() if app.options.preset == "development" else None
