"""The shapes of pushes, campaigns, events and receipts in the OpenAPI document, and which handler takes and gives which."""

from __future__ import annotations

from mbaas.kernel.values import Json, Object

_TEXT: Object = {"type": "string"}
_NUMBER: Object = {"type": "number"}
_WHOLE: Object = {"type": "integer"}
_BOOLEAN: Object = {"type": "boolean"}
_ANY: Object = {"type": "object"}


def _shape(*required: str, **properties: Json) -> Object:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _list(of: Json) -> Object:
    return {"type": "array", "items": of}


def _named(of: Json) -> Object:
    return {"type": "object", "additionalProperties": of}


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


_SPOKEN: Object = {
    **dict.fromkeys(("title", "body", "image", "link", "sound"), _TEXT),
    "buttons": _list(_shape("id", "title", id=_TEXT, title=_TEXT, link=_TEXT)),
}
_DEFINITION: Object = {
    "name": _TEXT,
    "category": _TEXT,
    "audience": _ref("Audience"),
    "variants": _list(_shape("name", "content", name=_TEXT, weight=_NUMBER, content=_ref("CampaignContent"))),
    "control": _NUMBER,
    "schedule": _ref("CampaignSchedule"),
    "quietHours": _shape("from", "to", **{"from": _TEXT, "to": _TEXT, "then": {"enum": ["hold", "skip"]}}),
    "caps": _list(_shape("count", "hours", count=_WHOLE, hours=_WHOLE)),
    "zone": _TEXT,
    "expires": _TEXT,
    "perSecond": _NUMBER,
    "onAmbiguous": {"enum": ["resend", "skip"]},
}
_PLAY: Object = {
    "name": _TEXT,
    "trigger": _shape(
        moment=_TEXT,
        geofence=_shape("on", on={"enum": ["enter", "exit"]}, center=_ref("Place"), radius=_NUMBER, polygon=_list(_ref("Place"))),
        change=_shape("className", className=_TEXT, on=_list({"enum": ["create", "update", "enter"]}), where=_ANY, subject=_TEXT),
    )
    | {"description": "One of moment, geofence and change"},
    "filter": _ANY,
    **{name: _DEFINITION[name] for name in ("audience", "category", "variants", "control", "quietHours", "caps", "zone", "perSecond")},
    "validFor": _TEXT,
    "value": _shape(
        "amount",
        amount=_NUMBER,
        curve={"enum": ["constant", "linear", "halfLife", "step"]},
        halfLife=_TEXT,
        steps=_list(_shape("after", "share", after=_TEXT, share=_NUMBER)),
    ),
    "minValue": _NUMBER,
    "cooldown": _TEXT,
    "cancelOn": _list(_shape(moment=_TEXT, geofence={"enum": ["exit"]})),
    "functions": _list(_shape("name", name=_TEXT, params=_ANY, budgetMs=_WHOLE, concurrency=_WHOLE, worth=_TEXT)),
    "onTimeout": {"enum": ["fallback", "skip"]},
    "fallback": _ref("CampaignContent"),
}
_STATES = ["draft", "approved", "scheduled", "materialising", "sending", "paused", "completed", "cancelled", "failed", "expired"]
_COUNTS: Object = dict.fromkeys(
    ("audience", "suppressed", "pending", "sent", "failed", "unknown", "delivered", "opened", "dismissed", "converted", "conversions"),
    _WHOLE,
)
_SUBSCRIBED: Object = {"subscribed": _WHOLE, "unsubscribed": _WHOLE, "failed": _named(_WHOLE), "next": {"type": ["string", "null"]}}
SCHEMAS: Object = {
    "Audience": _shape(
        where=_ANY,
        users=_ANY,
        events=_list(
            _shape(
                "name", "days", name=_TEXT, days=_WHOLE, atLeast=_WHOLE, atMost=_WHOLE, of={"enum": ["user", "installation"]}, where=_ANY
            ),
        ),
    )
    | {"description": "Queries of installations and of their users, and what people have done"},
    "CampaignContent": _shape(
        **_SPOKEN,
        badge={"type": ["number", "string", "object"]},
        silent=_BOOLEAN,
        strict=_BOOLEAN,
        data=_ANY,
        locales=_named(_shape(**_SPOKEN)),
    ),
    "CampaignSchedule": _shape(
        "at",
        **dict.fromkeys(("at", "zone", "late", "repeat", "until"), _TEXT),
        local=_BOOLEAN,
        past={"enum": ["skip", "send", "next_day"]},
        times=_WHOLE,
    ),
    "CampaignDefinition": _shape("name", **_DEFINITION, content=_ref("CampaignContent"))
    | {"description": "`content`, or `variants` of it"},
    "Campaign": _shape(
        "id",
        "state",
        "version",
        "updatedAt",
        id=_TEXT,
        **_DEFINITION,
        state={"enum": _STATES},
        version=_WHOLE,
        approvedVersion={"type": ["integer", "null"]},
        createdAt=_TEXT,
        updatedAt=_TEXT,
        next={"type": ["string", "null"]},
        active=_list(_TEXT),
    ),
    "Campaigns": _shape("results", results=_list(_ref("Campaign")), next={"type": ["string", "null"]}),
    "Tally": _shape(*_COUNTS, "value", **_COUNTS, value=_named(_NUMBER)),
    "Report": _shape(
        "total",
        runs=_list(_TEXT),
        total=_ref("Tally"),
        suppressed=_named(_WHOLE),
        failed=_named(_WHOLE),
        by=_named(_named(_ref("Tally"))),
    )
    | {"description": "`audience` is the sum of the five after it; `by` is by variant, locale, zone, …"},
    "Rehearsal": _shape(audience=_WHOLE, sends=_WHOLE, suppressed=_named(_WHOLE), rendered=_list(_ANY), suppressions=_list(_ANY)),
    "AudiencePreview": _shape("size", size=_WHOLE, sample=_list(_ANY)),
    "CampaignTest": _shape(installations=_list(_TEXT), users=_list(_TEXT), variant=_TEXT, locale=_TEXT),
    "PlayDefinition": _shape("name", "trigger", "validFor", **_PLAY, content=_ref("CampaignContent"))
    | {"description": "`content`, or `variants` of it; `fallback` is another content, for when no function answers in time"},
    "Play": _shape(
        "id",
        "state",
        "version",
        "updatedAt",
        id=_TEXT,
        **_PLAY,
        state={"enum": ["draft", "live", "paused", "retired"]},
        version=_WHOLE,
        createdAt=_TEXT,
        updatedAt=_TEXT,
    ),
    "Plays": _shape("results", results=_list(_ref("Play")), next={"type": ["string", "null"]}),
    "PlayReport": _shape(
        "fired",
        "eligible",
        "total",
        fired=_WHOLE,
        eligible=_WHOLE,
        total=_ref("Tally"),
        suppressed=_named(_WHOLE),
        failed=_named(_WHOLE),
        by=_named(_named(_ref("Tally"))),
        functions=_named(_shape(answered=_WHOLE, timeout=_WHOLE, failed=_WHOLE)),
        age=_shape(
            p50={"type": ["number", "null"]}, p99={"type": ["number", "null"]}, most={"type": ["number", "null"]}, upTo=_named(_WHOLE)
        ),
        worth=_shape(sent=_NUMBER, late=_NUMBER),
    )
    | {"description": "As of a campaign, by `partner`, too; `age` is how long after it happened a push was accepted, in ms"},
    "Fire": _shape(
        "eventId",
        "subject",
        eventId=_TEXT,
        subject=_shape(user=_TEXT, installation=_TEXT, partner=_TEXT, externalId=_TEXT, where=_ANY)
        | {"description": "One of user, installation, partner with externalId, and where"},
        occurredAt={},
        props=_ANY,
    ),
    "FireOfPartner": _shape("eventId", "externalId", eventId=_TEXT, externalId=_TEXT, occurredAt={}, props=_ANY),
    "Accepted": _shape("id", id=_TEXT),
    "Moment": _shape(
        "id",
        "state",
        id=_TEXT,
        moment=_TEXT,
        state={"enum": ["accepted", "sending", "done", "failed"]},
        at=_TEXT,
        occurredAt=_TEXT,
        plays=_list(_ANY),
    )
    | {"description": "`plays`: of each `sent`, `failed`, `pending`, `skipped.<reason>`"},
    "Crossing": _shape(
        "eventId", "transition", eventId=_TEXT, transition={"enum": ["enter", "exit"]}, fence=_TEXT, location=_ref("Place"), occurredAt={}
    ),
    "Place": _shape("latitude", "longitude", latitude=_NUMBER, longitude=_NUMBER),
    "Receipts": _shape(
        "receipts",
        receipts=_list(
            _shape(
                "receipt",
                "kind",
                receipt=_TEXT,
                kind={"enum": ["delivered", "opened", "dismissed", "converted"]},
                at={},
                value=_NUMBER,
                currency=_TEXT,
                id=_TEXT,
            )
        ),
    ),
    "ReceiptsKept": _shape("kept", "known", "unknown", kept=_WHOLE, known=_WHOLE, unknown=_WHOLE),
    "Events": _shape("events", events=_list(_shape("name", name=_TEXT, at={}, user=_TEXT, installation=_TEXT, id=_TEXT, dimensions=_ANY))),
    "Push": _shape(
        "data",
        where=_ANY,
        channels=_list(_TEXT),
        topic=_TEXT,
        condition=_TEXT,
        data=_ANY,
        push_time={"type": ["string", "number"]},
        expiration_time={"type": ["string", "number"]},
        expiration_interval=_NUMBER,
        audience_id=_TEXT,
        on_ambiguous={"enum": ["resend", "skip"]},
    )
    | {"description": "One of where, channels, and Firebase's topic and condition"},
    "Subscribe": _shape("where", where=_ANY, cursor=_TEXT) | {"description": "`cursor` is what `next` of the answer before it said"},
    "Subscribed": _shape("failed", "next", **_SUBSCRIBED),
    "Requeue": _shape(state={"enum": ["failed", "unknown"]}, reason=_TEXT, deliveries=_list(_TEXT), limit=_WHOLE)
    | {"description": "`deliveries`, or those of a `state` and perhaps a `reason`; up to 1,000"},
    "Requeued": _shape("requeued", "expired", "more", requeued=_WHOLE, expired=_WHOLE, more=_BOOLEAN),
    "PushProgress": _shape(
        "id", "status", id=_TEXT, status=_TEXT, pushTime=_TEXT, counts=_named(_WHOLE), failures=_named(_WHOLE), found=_WHOLE, error=_ANY
    ),
}
TAKES: dict[str, str] = {
    "POST /api/v1/push": "Push",
    "POST /api/v1/push/topics/:topic/subscribe": "Subscribe",
    "POST /api/v1/push/topics/:topic/unsubscribe": "Subscribe",
    "POST /api/v1/push/:pushId/dead-letters/requeue": "Requeue",
    "POST /api/v1/campaigns": "CampaignDefinition",
    "PUT /api/v1/campaigns/:campaignId": "CampaignDefinition",
    "POST /api/v1/campaigns/:campaignId/test": "CampaignTest",
    "POST /api/v1/plays": "PlayDefinition",
    "PUT /api/v1/plays/:playId": "PlayDefinition",
    "POST /api/v1/moments/:key/fire": "Fire",
    "POST /api/v1/partner/moments/:key/fire": "FireOfPartner",
    "POST /api/v1/geofences": "Crossing",
    "POST /api/v1/receipts": "Receipts",
    "POST /api/v1/events": "Events",
}
"""The body of a request, by the route's label."""
GIVES: dict[str, str] = {
    "GET /api/v1/push/:pushId": "PushProgress",
    "POST /api/v1/push/:pushId/:order": "PushProgress",
    "POST /api/v1/push/:pushId/dead-letters/requeue": "Requeued",
    "POST /api/v1/push/topics/:topic/subscribe": "Subscribed",
    "POST /api/v1/push/topics/:topic/unsubscribe": "Subscribed",
    "GET /api/v1/campaigns": "Campaigns",
    "POST /api/v1/campaigns": "Campaign",
    "GET /api/v1/campaigns/:campaignId": "Campaign",
    "PUT /api/v1/campaigns/:campaignId": "Campaign",
    "POST /api/v1/campaigns/:campaignId/duplicate": "Campaign",
    "POST /api/v1/campaigns/:campaignId/:order": "Campaign",
    "POST /api/v1/campaigns/:campaignId/dry-run": "Rehearsal",
    "POST /api/v1/campaigns/audience/preview": "AudiencePreview",
    "GET /api/v1/campaigns/:campaignId/report": "Report",
    "GET /api/v1/plays": "Plays",
    "POST /api/v1/plays": "Play",
    "GET /api/v1/plays/:playId": "Play",
    "PUT /api/v1/plays/:playId": "Play",
    "POST /api/v1/plays/:playId/duplicate": "Play",
    "POST /api/v1/plays/:playId/:order": "Play",
    "GET /api/v1/plays/:playId/report": "PlayReport",
    "POST /api/v1/moments/:key/fire": "Accepted",
    "POST /api/v1/partner/moments/:key/fire": "Accepted",
    "POST /api/v1/geofences": "Accepted",
    "GET /api/v1/moments/:momentId": "Moment",
    "POST /api/v1/receipts": "ReceiptsKept",
}
"""What is answered, in the same way."""
ONCE = frozenset(("POST /api/v1/push", "POST /api/v1/campaigns", "POST /api/v1/plays"))
"""Routes that are done once for each Idempotency-Key."""
EXPORTS: dict[str, tuple[str, ...]] = {
    "GET /api/v1/events": ("application/x-ndjson",),
    "POST /api/v1/campaigns/:campaignId/dry-run": ("application/x-ndjson",),
    "GET /api/v1/campaigns/:campaignId/report": ("text/csv", "application/x-ndjson"),
    "GET /api/v1/plays/:playId/report": ("text/csv", "application/x-ndjson"),
}
"""Types of answers that are no JSON, besides it or instead of it."""
