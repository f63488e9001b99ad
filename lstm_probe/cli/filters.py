"""Which runs a command takes: any key of a run is a key of `runs` and `report`, as in `runs task=parity units=[8,16]`.

Hydra gets them as one dictionary, under the key `where`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep

from lstm_probe.cli.config import SCHEMAS, ImportConfig, TrainConfig, keys_of
from lstm_probe.core.errors import InputError
from lstm_probe.runs.run import Run
from lstm_probe.runs.store import INDIFFERENT
from lstm_probe.runs.where import chosen_runs, none_left

MOST = 10_000  # values of one filter
FILTERED, WHERE = ("runs", "report"), "where"
#: What a run.json says beside the settings.
_MADE = ("solved", "learned", "measured", "run", "hash", "git", "threads", "device", "steps_done")
#: Those of them that are texts, whatever they look like, such as the hash 12345678.
TEXTS = ("run", "hash", "git", "device", "measured")


@cache
def filter_keys(command: str) -> tuple[str, ...]:
    """Return the keys of runs that a command takes as filters, without those of the task; none for most commands."""
    if command not in FILTERED:
        return ()
    own = {key for key, _ in keys_of(SCHEMAS[command])}
    every = dict.fromkeys(["task", *_MADE, *(key for schema in (TrainConfig, ImportConfig) for key, _ in keys_of(schema)
                                             if key not in INDIFFERENT)])  # fmt: skip
    return tuple(key for key in every if key not in own)


def is_filter(command: str, key: str) -> bool:
    """Return whether a key says which runs are meant."""
    own = key.removeprefix(f"{WHERE}.")
    return command in FILTERED and (own in filter_keys(command) or own.startswith("task."))


def gathered(command: str, lines: Sequence[str]) -> list[str]:
    """Return overrides as Hydra takes them: all filters as one, several values of a filter as a list."""
    kept, where = [], []
    for line in lines:
        key, _, value = line.lstrip("+").partition("=")
        if is_filter(command, key):
            where.append(f"{key.removeprefix(f'{WHERE}.')}:{_listed(line, value)}")
        else:
            kept.append(line)
    return [*kept, f"{WHERE}={{{','.join(where)}}}"] if where else kept


def _listed(line: str, value: str) -> str:
    """Return a value as it stands, and several, `8,16` or `range(8,17,8)`, as a list.

    >>> _listed("units=8,16", "8,16"), _listed("units=range(2,5)", "range(2,5)"), _listed("units=8", "8")
    ('[8,16]', '[2,3,4]', '8')
    """
    override = OverridesParser.create().parse_override(line)
    if not override.is_sweep_override():
        return value
    several = override.value()
    if isinstance(several, Glob | IntervalSweep):
        raise InputError(f"{line}: must be the values that are meant, with commas between them.")
    return f"[{','.join(islice(override.sweep_string_iterator(), MOST))}]"


def chosen(runs: list[Run], where: Mapping[str, Any]) -> tuple[list[Run], list[str], str]:
    """Return the runs that are meant, a line for each that could not be looked at, and why there is none, if so."""
    if not where or not runs:
        return runs, [], ""
    left, unread = chosen_runs(runs, where)
    return left, unread, "" if left else none_left(runs, where)
