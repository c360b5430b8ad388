"""What a find would show a caller of single objects: for those who watch a class, or follow its changes, instead of asking it."""

from __future__ import annotations

from mbaas.data.admission import admit, rules_for
from mbaas.data.app import App
from mbaas.data.options import FindOptions
from mbaas.data.search import refuse_protected, scope_of
from mbaas.data.shape import Shape
from mbaas.kernel import acl
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object
from mbaas.query import ast
from mbaas.query.match import matcher
from mbaas.query.parse import parse_where
from mbaas.query.regex import compiled


class Sight:
    """One caller's view of one class as its definition stands: worked out once, asked of many objects."""

    def __init__(self, app: App, caller: Caller, class_name: str) -> None:
        """Raises what a find would: 119, or 101 to the signed-out."""
        policy = self._policy = admit(app, caller, "find", class_name)
        self.rules = rules_for(app, caller, class_name)
        self.rules.check(caller, "find")
        where = ast.both(policy.scope(caller, "find"), self.rules.narrowed(caller, "find"))
        self._caller = caller
        self._holds = None if where == ast.EVERYTHING else matcher(where)
        self._shape = Shape(app, caller, policy, self.rules, app.classes.known_or_blank(class_name), FindOptions())

    def sees(self, body: Object) -> bool:
        """True if a find could return the object."""
        readers = self._caller.readers
        if readers is not None and not acl.permits(acl.allowed(body.get("ACL"), "read"), readers):
            return False
        return self._holds is None or self._holds(body)

    def show(self, body: Object) -> Object:
        """The object as a find would return it; a new dict."""
        return self._shape.show(body)

    @property
    def shows_files(self) -> bool:
        """True if objects of the class may have files, whose addresses depend on whom they are shown to."""
        return self._shape.files

    def announced(self, body: Object) -> Object:
        """The same, less what its class does not announce."""
        return self._policy.announce(self._caller, self.show(body))

    def refuse_hidden(self, where: ast.Node, watched: tuple[str, ...]) -> None:
        """119 if a condition, or a watched field, is on what the caller may not see."""
        if not self.rules.protects or self._caller.omnipotent:
            return
        try:
            refuse_protected(self.rules, self._caller, where)
            for name in watched:
                self.rules.refuse_protected(self._caller, tuple(name.split(".")), "watch")
        except ParseError as error:
            raise ParseError(error.code, "Permission denied") from error


def watchable(app: App, caller: Caller, class_name: str, where: Object) -> ast.Node:
    """A `where` that can be asked of one object at a time. Raises 102 for one that cannot, with the reason."""
    schema = app.classes.known_or_blank(class_name)
    node = app.policy(class_name).rewrite(caller, parse_where(where, scope_of(app, caller, schema)))
    matcher(node)
    _refuse_slow(node)
    return node


def _refuse_slow(node: ast.Node) -> None:
    """Such a query is evaluated on every write, so its patterns must be such that no value can make them slow."""
    if isinstance(node, (ast.And, ast.Or, ast.Nor)):
        for part in node.parts:
            _refuse_slow(part)
    patterns = [node.pattern] if isinstance(node, ast.Regex) else node.patterns if isinstance(node, ast.AllPrefixes) else []
    flags = node.flags if isinstance(node, ast.Regex) else ""
    for pattern in patterns:
        if not compiled(pattern, flags).linear:
            text = "Live queries and changes take regular expressions without lookaround, backreferences and the flag x only."
            raise ParseError(Code.INVALID_QUERY, text)
