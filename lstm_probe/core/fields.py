"""Fields of dataclasses that people set: default, meaning, legal values; declared once, checked in one place.

Nothing here imports anything heavy, so that help and error messages can use it.
"""

import math
import re
import types
from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any, get_args, get_origin

from lstm_probe.core.errors import nearest

#: The value of a field that has no default and was not given (OmegaConf's own mark).
REQUIRED = "???"
#: Written in the place of a list that has a name for it, such as `ablate.analyses=all`.
ALL = "all"

NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def declare(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    example: str = "",
    beyond: str = "",
    whole: Sequence[str] = (),
    unordered: bool = False,
) -> Any:
    """Declare a dataclass field.

    Args:
        default: its default; a list is copied for every object; `REQUIRED` for none.
        help: its meaning, in a few words.
        low: the smallest legal number, itself included.
        high: the largest legal number, itself included.
        choices: the legal words, of the field or of its list's elements.
        example: what one might write for it, where the type does not say.
        beyond: a word with one of these marks may be legal though it is not among the choices; whoever reads it says.
        whole: of a list, what the word `all` stands for on the command line.
        unordered: of a list, whether neither its order nor how often a value is in it changes any result.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": tuple(choices), "example": example,
                "beyond": beyond, "whole": tuple(whole), "unordered": unordered}  # fmt: skip
    if isinstance(default, list | dict):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


def in_one_form(config: Any) -> Any:
    """Return a configuration, in which each value now is in the one form of all that give the same result; in place.

    See `one_form`. It must hold legal values.
    """
    for f in fields(config):
        value = getattr(config, f.name)
        setattr(config, f.name, in_one_form(value) if is_dataclass(value) else one_form(f, value))
    return config


def one_form(f: Field[Any], value: Any) -> Any:
    """Return a field's value in the one form of all that mean the same.

    A number is a float where the field is one, and no negative zero; an unordered list is sorted.
    """
    kind = base_type(f)[0]
    if isinstance(value, list):
        own = [_number(one, kind) for one in value]
        return sorted(set(own)) if f.metadata.get("unordered") else own
    return _number(value, kind)


def _number(value: Any, kind: type) -> Any:
    is_number = kind is float and isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) + 0.0 if is_number else value


def default_of(f: Field[Any]) -> Any:
    """Return a field's default."""
    return f.default_factory() if f.default_factory is not MISSING else f.default


def base_type(f: Field[Any]) -> tuple[type, bool, bool]:
    """Return the type of a field's value or of its list's elements; whether it is a list, and may be null."""
    kind: Any = f.type
    optional = isinstance(kind, types.UnionType)
    if optional:
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    if get_origin(kind) is list:
        return get_args(kind)[0], True, optional
    return get_origin(kind) or kind, False, optional


def text(value: Any) -> str:
    """Return a value as it would be written on the command line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(text(v) for v in value)}]"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def in_quotes(word: str) -> str:
    """Return a text in quotes, within which the command line takes it as it is.

    >>> in_quotes('a "b", c')
    '"a \\\\"b\\\\", c"'
    """
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + ('\\"' if found[2] else ""), word)
    return f'"{escaped}"'


def bounds(f: Field[Any]) -> str:
    """Return a field's legal range in words, such as " from 1 to 16"; empty if there is none."""
    low, high = f.metadata.get("low"), f.metadata.get("high")
    return (f" from {low:.15g}" if low is not None else "") + (f" to {high:.15g}" if high is not None else "")


def legal(f: Field[Any]) -> str:
    """Return what a field's value must be, in words."""
    kind, is_list, optional = base_type(f)
    choices = f.metadata.get("choices")
    words = f"one of {', '.join(choices)}" if choices else NAMES.get(kind, kind.__name__) + bounds(f)
    if is_list:
        some = choices or [text(v) for v in (default_of(f) or ())[:1]]
        what = f"some of {', '.join(choices)}" if choices else "texts" if kind is str else words
        words = f"a list of {what}" + (f", as in [{','.join(some[:2])}]" if some else "")
        words += f", or {ALL}" if f.metadata.get("whole") else ""
    example = f.metadata.get("example")
    return words + (" or null" if optional else "") + (f", as in {f.name}={example}" if example else "")


def legal_in_short(f: Field[Any]) -> str:
    """Return a field's legal values in a few characters, for a table."""
    kind, _, optional = base_type(f)
    words = " ".join(f.metadata.get("choices") or ()) or bounds(f).removeprefix(" from ")
    words += f", {ALL}" if f.metadata.get("whole") else ""
    return (words or ("true or false" if kind is bool else "text")) + (", null" if optional and kind is not str else "")


def _fits(f: Field[Any], kind: type, value: Any) -> bool:
    if kind in (int, float):
        if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
            return False
        low, high = f.metadata.get("low"), f.metadata.get("high")
        return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    choices = f.metadata.get("choices")
    if not isinstance(value, kind):
        return False
    return not choices or value in choices or any(mark in str(value) for mark in f.metadata.get("beyond", ""))


def problem(label: str, f: Field[Any], value: Any) -> str | None:
    """Return one line that says what is wrong with a field's value and what is legal; None if it is legal.

    Args:
        label: the key as the user writes it.
        f: the field.
        value: what was given.
    """
    kind, is_list, optional = base_type(f)
    if (value is None and optional) or (value == ALL and f.metadata.get("whole")):
        return None
    if value == REQUIRED or value == "":
        return f"{label}: a value is missing; it must be {legal(f)}."
    values = value if is_list and isinstance(value, list | tuple) else [value]
    shape_fits = isinstance(value, list | tuple) == is_list and len(values) > 0
    if shape_fits and all(_fits(f, kind, v) for v in values):
        repeated = next((v for n, v in enumerate(values) if v in values[:n]), None)
        return None if repeated is None else f"{label}={text(value)}: {text(repeated)} is given twice"
    close = [nearest(str(v), f.metadata.get("choices") or ()) for v in values if not _fits(f, kind, v)]
    shown = str(value) if kind is int and isinstance(value, float) else text(value)
    return f"{label}={shown}: must be {legal(f)}." + "".join(dict.fromkeys(close))
