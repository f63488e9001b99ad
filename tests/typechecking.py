"""How annotations are checked while the tests run: a whole number passes for a float, as everywhere in Python."""

import ast

from beartype import BeartypeConf, beartype
from jaxtyping import _import_hook as hook

check = beartype(conf=BeartypeConf(is_pep484_tower=True))

_visit = hook.JaxtypingTransformer.visit_FunctionDef


def _without_inner(self: hook.JaxtypingTransformer, node: ast.FunctionDef) -> ast.AST:
    """Leave functions inside of functions unchecked: they would be compiled anew in every call of the outer one."""
    body, node.body = node.body, []
    checked = _visit(self, node)
    node.body = body
    return checked


hook.JaxtypingTransformer.visit_FunctionDef = _without_inner
