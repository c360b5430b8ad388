"""How an object is shown: the columns asked for, relation columns, protected fields taken out, file addresses put in."""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.data.files_in import with_urls
from mbaas.data.options import FindOptions
from mbaas.data.permissions import Rules
from mbaas.data.policies import Policy
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Object
from mbaas.query.ast import Path

_ALWAYS = frozenset({"objectId", "createdAt", "updatedAt", "ACL", "score"})


class Shape:
    """The view of one class for one caller and one set of options; worked out once, used for every row."""

    def __init__(self, app: App, caller: Caller, policy: Policy, rules: Rules, schema: ClassSchema, options: FindOptions) -> None:
        self._app, self._caller, self._policy, self._rules = app, caller, policy, rules
        self._class_name = schema.name if options.redirect_key else None
        followed = [f for f, column in schema.fields.items() if column.type in ("Pointer", "Array")] if options.include_all else []
        self.include: tuple[Path, ...] = tuple(dict.fromkeys((*((f,) for f in followed), *options.include)))
        if not caller.omnipotent and any(len(path) > app.options.max_include_depth for path in self.include):
            depth = max(map(len, self.include))
            text = f"Include depth of {depth} exceeds maximum allowed depth of {app.options.max_include_depth}"
            raise ParseError(Code.INVALID_QUERY, text)
        if not caller.omnipotent and len(options.include) > app.options.max_includes:
            text = f"Number of include fields ({len(options.include)}) exceeds maximum allowed ({app.options.max_includes})"
            raise ParseError(Code.INVALID_QUERY, text)
        self._keep = self._kept(options, followed)
        self._drop = frozenset(options.exclude_keys) if options.keys is None else frozenset()
        self._relations = {
            name: {"__type": "Relation", "className": column.target} for name, column in schema.fields.items() if column.type == "Relation"
        }
        self.files = any(column.type == "File" for column in schema.fields.values())
        self._hidden = rules.protected(caller)

    @staticmethod
    def _kept(options: FindOptions, followed: list[str]) -> frozenset[str] | None:
        if options.keys is None:
            return None
        wanted = (key for key in (*options.keys, *followed) if key not in options.exclude_keys)
        return frozenset(key.partition(".")[0] for key in wanted) | _ALWAYS

    def show(self, body: Object) -> Object:
        """The object as the caller is to see it; a new dict."""
        keep = self._keep
        if not self._policy.plain_reads:
            body = self._policy.reveal(self._caller, dict(body))
        if keep is not None:
            shown = {k: v for k, v in body.items() if k in keep}
        elif self._drop:
            shown = {k: v for k, v in body.items() if k not in self._drop}
        else:
            shown = dict(body)
        if self._relations:
            shown.update(self._relations)
        if self._rules.protects:
            for name in self._rules.protected_in(self._caller, body, self._hidden):
                shown.pop(name, None)
        if self.files:
            with_urls(self._app, shown)
        if self._class_name:
            shown["className"] = self._class_name
        return shown
