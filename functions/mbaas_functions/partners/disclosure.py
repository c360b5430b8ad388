"""What a partner may be told of an object at this moment: what its principal could find, and of that what the grant names."""

from __future__ import annotations

import orjson

from mbaas.data.app import App
from mbaas.data.sight import Sight
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.values import Object
from mbaas_functions.partners.principals import reader
from mbaas_functions.partners.registry import Partner
from mbaas_functions.partners.subjects import Subjects, enabled


async def message(app: App, subjects: Subjects, partner: Partner, value: Object) -> bytes | None:
    """The body of an event, `{type, timestamp, data}`; None: the partner may be told nothing of it.

    Of somebody, `about`, it is told only with her consent, and by its own id of her, `data.subject`.
    """
    class_name, state = value["className"], value["state"]
    data: Object = {"className": class_name, "objectId": value["objectId"]}
    try:
        sight = Sight(app, reader(partner), class_name)
    except MbaasError:
        return None
    if value["op"] != "delete":
        if state is None or not sight.sees(state):
            return None
        data["object"] = sight.show(state)
    if "about" in value:
        data["subject"] = await subjects.external(partner.name, enabled(partner), value["about"])
        if data["subject"] is None:
            return None
    return orjson.dumps({"type": f"{class_name}.{value['op']}d", "timestamp": iso(value["at"]), "data": data})
