"""What a partner may be told of an object at this moment: what its principal could find, and of that what the grant names."""

from __future__ import annotations

import orjson

from mbaas.data.app import App
from mbaas.data.sight import Sight
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.values import Object
from mbaas_functions.partners.registry import Partner
from mbaas_functions.partners.subscriptions import principal

_ALWAYS = frozenset({"objectId", "createdAt", "updatedAt"})


def message(app: App, partner: Partner, value: Object) -> bytes | None:
    """The body of an event, `{type, timestamp, data}`; None: the partner may be told nothing of it."""
    grant, class_name, state = partner.grant, value["className"], value["state"]
    if grant is None or not partner.serves(grant["environment"]) or class_name not in grant["classes"]:
        return None
    data: Object = {"className": class_name, "objectId": value["objectId"]}
    try:
        sight = Sight(app, principal(partner.name), class_name)
    except MbaasError:
        return None
    if value["op"] != "delete":
        if state is None or not sight.sees(state):
            return None
        fields = grant["classes"][class_name]
        shown = sight.show(state)
        data["object"] = {key: one for key, one in shown.items() if key in _ALWAYS or "*" in fields or key in fields}
        if "ACL" not in fields:
            # Who else may see an object is nobody's business.
            data["object"].pop("ACL", None)
    return orjson.dumps({"type": f"{class_name}.{value['op']}d", "timestamp": iso(value["at"]), "data": data})
