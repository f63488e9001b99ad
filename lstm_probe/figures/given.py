"""What is handed to a figure: the table that it shows, with rows and columns, or a sentence that says what is wrong."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd

from lstm_probe.core.errors import InputError


def tables_given(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[pd.DataFrame]:
    """Return the tables that a figure cannot do without, from what it was called with.

    Raises:
        InputError: one is none, or there is no row in any.
    """
    found = {}
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        own = signature.parameters[name]
        if own.annotation is pd.DataFrame and own.default is own.empty:
            found[name] = value
    for name, value in found.items():
        if not isinstance(value, pd.DataFrame):
            raise InputError(f"{name}: a {type(value).__name__}; must be a table, such as a run has as an attribute")
    if found and not any(map(len, found.values())):
        raise InputError(
            f"{' and '.join(found)}: no rows, so there is nothing to draw; a run's table of what was not measured "
            "has none (run.measured says what was)"
        )
    return list(found.values())


@contextmanager
def columns_named(tables: list[pd.DataFrame]) -> Iterator[None]:
    """Within this context, a column that none of the tables has is an InputError that names it."""
    try:
        yield
    except KeyError as error:
        name = error.args[0] if error.args else None
        if not (tables and isinstance(name, str) and name.isidentifier()) or any(name in one for one in tables):
            raise
        there = ", ".join(map(str, tables[0].columns[:8])) or "none"
        raise InputError(f"{name}: this figure's table has such a column; the one given has {there}") from error
