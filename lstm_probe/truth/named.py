"""Methods and knobs by name, as one types them; and methods of the user's own."""

import importlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.tasks.own import execute
from lstm_probe.truth.methods import METHODS, Function


def typed(name: str) -> str:
    """Return how a name is typed where spaces and commas have a meaning.

    >>> typed("clamp, mean"), typed("gradient × activation"), typed("look-alike")
    ('clamp_mean', 'gradient_activation', 'look_alike')
    """
    return re.sub(r"\W+", "_", name).strip("_")


def chosen(key: str, given: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the names that are meant.

    Args:
        key: the setting, for what is said of a wrong one.
        given: names, as they are or as they are typed.
        names: those that there are.

    Raises:
        InputError: all that are none.
    """
    known = {typed(name): name for name in names}
    problems = [f"{key}={one}: must be one of {', '.join(known)}.{nearest(typed(one), list(known))}"
                for one in given if typed(one) not in known]  # fmt: skip
    if problems:
        raise InputError(*problems)
    return list(dict.fromkeys(known[typed(one)] for one in given))


def find_methods(key: str, given: Iterable[str]) -> dict[str, Function]:
    """Return methods by name: those of `METHODS`, and functions of the user's own, as `my_module:my_function`.

    Raises:
        InputError: all that cannot be had.
    """
    found: dict[str, Function] = {}
    problems: list[str] = []
    for one in given:
        try:
            if ":" in one:
                found[one] = own_method(key, one)
            else:
                found |= {name: METHODS[name] for name in chosen(key, [one], METHODS)}
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return found


def own_method(key: str, place: str) -> Function:
    """Return a function of the user's own, from a file or an installed module; both are executed.

    Args:
        key: the setting, for what is said of a wrong one.
        place: `my_module:my_function` or `folder/my_file.py:my_function`.

    Raises:
        InputError: the module cannot be read or executed, or has no such function.
    """
    where, _, name = place.rpartition(":")
    file = Path(where) if where.endswith(".py") else Path(f"{where.replace('.', '/')}.py")
    try:
        if file.is_file():
            module: Any = execute(file.absolute(), f"own_method_{typed(where)}")
        else:
            module = importlib.import_module(where)
    except InputError as error:
        raise InputError(*(f"{key}={place}: {file}: {line}" for line in error.problems)) from None
    except (ImportError, ValueError) as error:
        raise InputError(f"{key}={place}: {where} is neither a file here nor an installed module ({error}).") from None
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        there = [one for one, thing in vars(module).items()
                 if callable(thing) and getattr(thing, "__module__", "") == module.__name__]  # fmt: skip
        has = f"It has {', '.join(there)}." if there else "It has none."
        raise InputError(f"{key}={place}: there is no function {name} in {where}. {has}")
    return function
