"""How annotations are checked while the tests run: a whole number passes for a float, as everywhere in Python."""

import ast
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, config, jaxtyped
from jaxtyping import _import_hook as hook
from jaxtyping._storage import pop_shape_memo, push_shape_memo

CONF = BeartypeConf(is_pep484_tower=True, violation_type=TypeCheckError)

_visit = hook.JaxtypingTransformer.visit_FunctionDef


def _without_inner(self: hook.JaxtypingTransformer, node: ast.FunctionDef) -> ast.AST:
    """Leave functions inside of functions unchecked: they would be compiled anew in every call of the outer one."""
    body, node.body = node.body, []
    checked = _visit(self, node)
    node.body = body
    return checked


def _has_shape(hint: Any) -> bool:
    """Return whether one of jaxtyping's hints is anywhere in a hint."""
    return (inspect.isclass(hint) and issubclass(hint, AbstractArray)) or any(map(_has_shape, typing.get_args(hint)))


def _evaluated(hint: Any, names: dict[str, Any]) -> Any:
    """Return a hint without strings in it; Any where one is for type checkers alone."""

    def taking(value: hint) -> None:
        """Stand for whatever has this hint."""

    try:
        return typing.get_type_hints(taking, names, include_extras=True)["value"]
    except (NameError, TypeError):  # `pd.Series[bool]` is a type in stubs alone
        return Any


def checked(made: Any) -> Any:
    """Check a function's arguments and what it returns, or what a dataclass is made of.

    As `jaxtyped` does, for a small part of its time: it binds each call's arguments to show them in errors, and checks
    them twice. Sizes of axes are kept where hints name some.
    """
    if inspect.isclass(made):
        if dataclasses.is_dataclass(made) and not hasattr(made.__init__, "__wrapped__"):
            made.__init__ = checked(made.__init__)
        return made
    if inspect.isgeneratorfunction(made):
        return jaxtyped(made, typechecker=beartype(conf=CONF))
    own = types.FunctionType(made.__code__, made.__globals__, made.__name__, made.__defaults__, made.__closure__)
    own.__kwdefaults__, own.__module__, own.__qualname__ = made.__kwdefaults__, made.__module__, made.__qualname__
    hints = {name: _evaluated(hint, made.__globals__) for name, hint in made.__annotations__.items()}
    own.__annotations__ = hints
    shaped = any(map(_has_shape, hints.values()))

    @functools.cache
    def call() -> Callable[..., Any]:  # most of what is imported is not called
        return beartype(conf=CONF)(own)

    @functools.wraps(made)
    def within(*arguments: Any, **named: Any) -> Any:
        if config.jaxtyping_disable:
            return made(*arguments, **named)
        if not shaped:
            return call()(*arguments, **named)
        push_shape_memo({})
        try:
            return call()(*arguments, **named)
        finally:
            pop_shape_memo()

    return within


def _decorator(self: hook.Typechecker) -> ast.expr:
    """What stands above each function and class: `checked` itself."""
    return ast.parse(f"jaxtyping._import_hook.Typechecker.lookup['{self.hash}']", mode="eval").body


hook.JaxtypingTransformer.visit_FunctionDef = _without_inner
hook.Typechecker.get_ast = _decorator

__name__ = "jaxtyping.checked"  # for whoever looks through frames for the one that called
