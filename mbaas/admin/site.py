"""The console put together: starlette-admin's frame, sign-in, CSRF and messages, and our pages in it.

A page that is to come (the calendar, the developer's part) is a `Page` in `PAGES`, and thereby in the menu.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import BaseLoader, Environment, PackageLoader
from starlette.applications import Starlette
from starlette_admin.base import BaseAdmin
from starlette_admin.i18n import TimezoneConfig

from mbaas.admin import sentences
from mbaas.admin.account_page import AccountPage
from mbaas.admin.audience_pages import AudiencePages
from mbaas.admin.campaign_pages import CampaignList, CampaignPages
from mbaas.admin.composer import Composer
from mbaas.admin.door import Asgi, Limiter
from mbaas.admin.entrance import Entrance
from mbaas.admin.people_page import PeoplePage
from mbaas.admin.play_composer import PlayComposer
from mbaas.admin.play_pages import PlayPages
from mbaas.admin.play_sentences import age
from mbaas.admin.providers_page import ProvidersPage
from mbaas.admin.visit import Page
from mbaas.data.app import App
from mbaas_auth.staff.people import PATH

_HERE = Path(__file__).parent
PAGES: tuple[type[Page], ...] = (CampaignPages, Composer, PlayPages, PlayComposer, AudiencePages, ProvidersPage, PeoplePage, AccountPage)
"""Besides the list of campaigns, which is the first page."""


def build(apps: Mapping[str, App], limiters: Mapping[str, Limiter]) -> Asgi:
    """The console of these apps."""
    admin = BaseAdmin(
        title="Console",
        base_url=PATH,
        route_name="console",
        # Ours come first, from here alone: a folder `templates` where the server was started is the app team's own.
        templates_dir=str(_HERE / "templates"),
        additional_loaders=[_Nonced()],
        static_dir=str(_HERE / "static"),
        index_view=CampaignList(),
        auth_provider=Entrance(apps, limiters),
        secret_key=_secret(apps),
        timezone_config=TimezoneConfig(timezone_cookie_name=None, use_user_locale_timezone=False),
    )
    known = {"number": sentences.number, "several": sentences.several, "day": sentences.day}
    admin.templates.env.globals.update(known, states=sentences.STATES, age=age)
    for page in PAGES:
        admin.add_view(page)
    site = Starlette()
    admin.mount_to(site)
    return site


class _Nonced(BaseLoader):
    """starlette-admin's own templates, their inline scripts with the request's nonce: its content policy lets no others run.

    It is the templates' text that is changed, not what they make: nothing that somebody has typed gets a nonce.
    """

    def __init__(self) -> None:
        self._theirs = PackageLoader("starlette_admin", "templates")

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        """See jinja2."""
        text, name, fresh = self._theirs.get_source(environment, template)
        return text.replace("<script>", '<script nonce="{{ request.state.csp_nonce }}">'), name, fresh


def _secret(apps: Mapping[str, App]) -> str:
    """What cookies are signed with: the same in every process of the server, and after its next start."""
    keys = "\n".join(sorted(app.options.master_key for app in apps.values()))
    return hmac.new(keys.encode(), b"console cookies", "sha256").hexdigest()
