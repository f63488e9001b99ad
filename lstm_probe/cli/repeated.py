"""Values that a sweep gives to a key more than once: each makes one job."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString


def each_once(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a sweep's overrides with each value of a key once, the first spelling of it, and a line for each key.

    >>> each_once(["task=parity", "seed=0,1,0", "lr=0.1,1e-1"])[0]
    ['task=parity', 'seed=0,1', 'lr=0.1']
    >>> each_once(["seed=0,1,0"])[1]
    ['seed=0,1,0: equal jobs are run once, as by seed=0,1.']
    """
    parser, kept, told = OverridesParser.create(), [], []
    for line in lines:
        override = parser.parse_override(line)
        value = override._value
        if isinstance(value, ChoiceSweep) and not value.shuffle and not value.tags:
            own: dict[Any, str] = {}
            for one in value.list:
                own.setdefault(_same(one), Override._get_value_element_as_str(one))
            if len(own) < len(value.list):
                bare, key = line.lstrip("+"), line.partition("=")[0]
                line = f"{key}={','.join(own.values())}"
                told.append(f"{bare}: equal jobs are run once, as by {line.lstrip('+')}.")
        kept.append(line)
    return kept, told


def _same(value: Any) -> Any:
    """Return what two spellings of one value have in common: 1 and 1.0, but not true, nor the text "1"."""
    if isinstance(value, QuotedString | str):
        return "text", value.text if isinstance(value, QuotedString) else value
    if isinstance(value, dict):
        return "keys", frozenset((key, _same(own)) for key, own in value.items())
    if isinstance(value, list):
        return "list", tuple(map(_same, value))
    return isinstance(value, bool), value
