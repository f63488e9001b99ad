"""Values as people write them, put so that Hydra reads the same: home folders, file names, texts like numbers.

Hydra reads `1.10` as a number, of which nobody can tell any more that it had a zero, as unit 10 of layer 1 has.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Quote, QuotedString
from hydra.errors import HydraException

from lstm_probe.cli.config import SCHEMAS, ImportConfig, TrainConfig, keys_of
from lstm_probe.cli.filters import FILTERED, TEXTS
from lstm_probe.cli.overrides import GROUPS, choices
from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import base_type

#: What stands between the values of a list or a sweep, and what stands in quotes.
_PIECE = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^,()\[\]'"]+""")


def as_meant(command: str, lines: Sequence[str]) -> list[str]:
    """Return a command's overrides with values that Hydra reads as what was written.

    >>> as_meant("probe", ["run=naïve", "card=1.10", "probe.lags=[1,2]"])
    ["run='naïve'", "card='1.10'", 'probe.lags=[1,2]']
    """
    at_home = [_at_home(line) for line in lines]
    chosen = [line.partition("=")[2] for line in at_home if line.lstrip("+").startswith("task=")]
    return [_quoted(_kept(command, line, chosen)) for line in at_home]


def spread(command: str, line: str, folders: Sequence[Path]) -> str:
    """Return an override with the names that a glob() stands for, where there are any; Hydra alone would not find them.

    >>> from lstm_probe.core.files import configuration_folder
    >>> spread("train", "task=glob(dyc*,exclude=dyck)", [configuration_folder()])
    'task=dyck1'
    """
    key, _, value = line.lstrip("+").partition("=")
    group = GROUPS.get(command, {}).get(key)
    if group is None or not value.startswith("glob("):
        return line
    meant = [one.value() for one in [_read(line)] if one is not None]
    names = meant[0].filter(choices(group, folders)) if meant and isinstance(meant[0], Glob) else []
    return f"{key}={','.join(names)}" if names else line


def _at_home(line: str) -> str:
    """Return an override with the home folder in place of a `~` that a value begins with, as few shells put it there.

    >>> _at_home("outputs=~/lstm") == f"outputs={Path.home()}/lstm", _at_home("units=4")
    (True, 'units=4')
    """
    return re.sub(r"""(?<=[=,["'])~(?=/)""", lambda _: str(Path.home()), line)


def _quoted(line: str) -> str:
    """Return an override whose value Hydra cannot read with that in quotes: a text, such as a file's name.

    Left as they are: what may be several values or a list, and what no quotes make a value of.

    >>> _quoted("path=naïve.pt"), _quoted("units=4"), _quoted("path=a,ü")
    ("path='naïve.pt'", 'units=4', 'path=a,ü')
    """
    key, _, value = line.partition("=")
    if not value or value[0] in "[{" or "," in value or _read(line) is not None:
        return line
    whole = f"{key}={QuotedString(value, Quote.single).with_quotes()}"
    return whole if _read(whole) is not None else line


def _kept(command: str, line: str, tasks: Sequence[str]) -> str:
    """Return an override of a key whose value is a text, or texts, with quotes around those that look otherwise.

    >>> _kept("train", "outputs=1e3", []), _kept("train", "lr=1e-3", []), _kept("figures", "columns=[1,'2',a]", [])
    ("outputs='1e3'", 'lr=1e-3', "columns=['1','2',a]")
    """
    key, _, value = line.partition("=")
    values = list(_values(line))
    if not any(_is_no_text(one) for one in values) or value.startswith("{"):
        return line
    kinds = _text_kinds(command, key.lstrip("+"), tuple(tasks))
    if kinds is None:
        return line
    in_lists = kinds and any(isinstance(one, list) for one in values)

    def kept(piece: re.Match[str]) -> str:
        word = piece[0].strip()
        [one] = _values(f"key={word}") or [word]
        looks = _is_no_text(one) and (one is not None or in_lists)
        return piece[0].replace(word, QuotedString(word, Quote.single).with_quotes()) if looks else piece[0]

    whole = f"{key}={_PIECE.sub(kept, value)}"
    return whole if _read(whole) is not None else line


def _is_no_text(value: Any) -> bool:
    """Return whether a value is none that a text would be read as, or a list of such among others."""
    return any(map(_is_no_text, value)) if isinstance(value, list) else value is None or isinstance(value, int | float)


def _read(line: str) -> Any:
    """Return an override as Hydra reads it; None where it cannot."""
    try:
        return OverridesParser.create().parse_override(line)
    except (HydraException, ValueError):
        return None


def _values(line: str) -> list[Any]:
    """Return the value of an override, or those of a choice of several; none where they cannot be read."""
    override = _read(line)
    if override is None or "=" not in line:
        return []
    several = getattr(override._value, "list", None) if override.is_choice_sweep() else [override._value]
    return list(several or ())


@cache
def _text_kinds(command: str, key: str, tasks: tuple[str, ...]) -> bool | None:
    """Return whether a key takes a list of texts, rather than one; None where it takes something else."""
    own = dict(keys_of(SCHEMAS[command]))
    if key in own:
        kinds = [base_type(own[key])[:2]]
    elif command in FILTERED:
        every = dict([*keys_of(ImportConfig), *keys_of(TrainConfig)])
        kinds = [base_type(every[key])[:2]] if key in every else [(str, False)] if key in TEXTS else []
    else:
        kinds = list(_of_tasks(key.removeprefix("task."), tasks)) if key.startswith("task.") else []
    return kinds[0][1] if kinds and all(kind is str for kind, _ in kinds) else None


def _of_tasks(parameter: str, names: Sequence[str]) -> Iterator[tuple[type, bool]]:
    """Go through the types that a parameter has in tasks, and whether it is a list: in those named, or else in all."""
    from lstm_probe.tasks.registry import TASKS, task_class

    for name in names or tuple(TASKS):
        try:
            own: Any = fields(task_class(name))  # type: ignore[arg-type]  # every task is a dataclass
        except InputError:  # said by the check
            continue
        yield from (base_type(f)[:2] for f in own if f.name == parameter)
