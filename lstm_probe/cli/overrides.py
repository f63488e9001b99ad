"""Checks every `key=value` of a command line, and of the preset it names, before anything is composed."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from lstm_probe.cli.config import SCHEMAS, TRAINING, keys_of, set_key
from lstm_probe.cli.filters import FILTERED, filter_keys, is_filter
from lstm_probe.cli.own_tasks import offered_tasks
from lstm_probe.cli.preset_form import reason, wrong_parts
from lstm_probe.cli.validation import COMBINED, combined_problems, task_problems
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import ALL, REQUIRED, base_type, default_of, legal, problem, text
from lstm_probe.core.yaml_files import load_yaml_file
from lstm_probe.runs.plain import called_objects
from lstm_probe.sizing.settings import CHOSEN

#: Keys of a command whose value names a file of conf/<group>/.
GROUPS = {
    "train": {"task": "task", "experiment": "experiment"},
    "size": {"task": "task"},
    "import": {"task": "task"},
    "tasks": {"name": "task"},
}

#: What other frameworks and papers call our keys.
ALSO_CALLED = {
    "hidden_size": "units", "num_units": "units", "n_units": "units", "hidden": "units", "cells": "units",
    "num_layers": "layers", "proj_size": "projection", "num_proj": "projection", "input_size": "inputs",
    "learning_rate": "lr", "batch_size": "batch", "epochs": "steps", "iterations": "steps",
}  # fmt: skip

MOST = 10_000  # values of a sweep, and combinations of values, that are checked beforehand


@dataclass(frozen=True)
class Given:
    """One key and the value given to it, or the values of a sweep.

    Attributes:
        key: dotted.
        values: plain Python values.
        line: what was written.
        where: " (in FILE)" for what a preset says, empty for the command line.
        sweep: whether these are the values of a sweep.
        readable: whether Hydra can read the value; else it is the text after the "=".
    """

    key: str
    values: tuple[Any, ...]
    line: str
    where: str = ""
    sweep: bool = False
    readable: bool = True


def check(command: str, lines: Sequence[str], multirun: bool, folders: Sequence[Path], to_run: bool = True) -> None:
    """Raise an InputError with every problem of a command's overrides.

    Args:
        command: the name of the command.
        lines: the overrides, as written.
        multirun: whether sweeps are allowed.
        folders: the configuration folders; the first that has a file wins.
        to_run: whether the command is to run, and not only to show its configuration.
    """
    problems: list[str] = []
    given = read(lines, problems)
    problems += [f"{g.line}: not taken; a command runs no code that a configuration names." for g in given if _calls(g)]
    hydra = {g.key: g.values[0] for g in given if g.key.startswith("hydra.") and g.values}
    if "hydra/sweeper" not in {g.key for g in given}:  # others have keys of their own
        swept = [key for key in hydra if key.startswith("hydra.sweeper.params")]
        problems += [f"{key}: not taken here; write the values with their key, as in seed=0,1." for key in swept]
    given = [g for g in given if not g.key.startswith(("hydra.", "hydra/"))]
    problems += _repeated(given)
    presets = next((g.values for g in given if g.key == "experiment"), (None,))
    for preset in presets if command == "train" else (None,):
        own, mode = read_preset(preset, folders, problems) if isinstance(preset, str) else ([], None)
        many = multirun or str(hydra.get("hydra.mode", mode)).endswith("MULTIRUN")
        written = {g.key for g in given}
        together = [g for g in own if g.key not in written] + given
        if to_run:
            problems += _missing(command, together)
        for one in together:
            problems += check_one(command, one, many, folders)
        if command not in FILTERED:
            problems += _check_task(command, [g for g in together if g.key.split(".")[0] == "task"], folders)
        if not problems:
            problems += _check_together(command, together)
    if problems:
        raise InputError(*dict.fromkeys(problems))


def _calls(given: Given) -> bool:
    """Return whether a key makes Hydra, or Python's logging, call what its value names."""
    path = given.key.replace("/", ".").split(".")
    return path[:2] == ["hydra", "callbacks"] or not {"_target_", "()"}.isdisjoint(path)


def read(lines: Sequence[str], problems: list[str], where: str = "") -> list[Given]:
    """Return what overrides give; adds a line to `problems` for each that has no key or no value."""
    parser, given = OverridesParser.create(), []
    for line in lines:
        key, equals, value = line.partition("=")
        if key.startswith("~"):
            problems.append(f"{line}: a key cannot be removed; leave it out to have its default.{where}")
            continue
        if not equals or not key:
            problems.append(f"{line}: a {'value' if key else 'key'} is missing; write {key or 'key'}=<value>.{where}")
            continue
        try:
            override = parser.parse_override(line)
            many, values = override.is_sweep_override(), _values(override)
            found = _flatten(override.get_key_element().lstrip("+"), values)
            given += [Given(full, v, line if len(v) != 1 else f"{full}={text(v[0])}", where, many) for full, v in found]
        except (HydraException, ValueError):
            given.append(Given(key.lstrip("+"), (value,), line, where, readable=False))
    return given


def _values(override: Override) -> tuple[Any, ...]:
    value = override.value()
    if isinstance(value, IntervalSweep):
        return value.start, value.end
    if isinstance(value, Glob):
        return (value,)
    if override.is_sweep_override():
        return tuple(_plain(v) for v in islice(override.sweep_iterator(), MOST))
    return (value,)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value.text if isinstance(value, QuotedString) else value


def _flatten(key: str, values: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Go through the dotted keys of a dictionary given to a key; the key itself where it is none."""
    if len(values) == 1 and isinstance(values[0], dict):
        for name, value in values[0].items():
            yield from _flatten(f"{key}.{name}" if key else str(name), (value,))
    else:
        yield key, values


def find(group: str, name: str, folders: Sequence[Path]) -> Path | None:
    """Return the file of a group's choice, or None."""
    return next((path for folder in folders if (path := folder / group / f"{name}.yaml").is_file()), None)


def choices(group: str, folders: Sequence[Path]) -> list[str]:
    """Return the legal values of a group."""
    files = {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}
    return sorted(files | (offered_tasks() if group == "task" else set()))


@lru_cache
def _load(path: Path) -> dict[str, Any]:
    try:
        load_yaml_file(path)  # so that what comes behind, Hydra's own reading too, has an end
        loaded = OmegaConf.to_container(OmegaConf.load(path))
    except Exception as error:  # a YAML or an OmegaConf error, of many kinds
        raise InputError(f"{path}: cannot be read: {reason(error)}") from None
    if not isinstance(loaded, dict):
        raise InputError(f"{path}: must hold keys and values.")
    if called := called_objects(loaded):
        raise InputError(*(f"{path}: {key}: not taken; no object is made from a configuration." for key in called))
    return {str(key): value for key, value in loaded.items()}


def read_preset(name: str, folders: Sequence[Path], problems: list[str]) -> tuple[list[Given], str | None]:
    """Return what a file of the group "experiment" gives, its sweep included, and its Hydra mode, if any."""
    path = find("experiment", str(name), folders)
    if path is None:  # said by `check_one`
        return [], None
    content, where = dict(_load(path)), f" (in {path})"
    if re.search(r"^# *@package +_global_ *$", path.read_text("utf-8"), re.MULTILINE) is None:
        problems.append(f"{path}: lacks the line # @package _global_, by which its keys are the command's own.")
        return [], None
    if wrong := wrong_parts(path, content):
        problems += wrong
        return [], None
    hydra, defaults = content.pop("hydra", None) or {}, content.pop("defaults", None) or []
    given = [Given(key, values, f"{key}={text(values[0])}", where) for key, values in _flatten("", (content,))]
    for entry in defaults:
        for key, value in entry.items() if isinstance(entry, dict) else ():
            if key.removeprefix("override ").strip("/") == "task":
                given.append(Given("task", (value,), f"task={value}", where))
    sweep = ((hydra.get("sweeper") or {}).get("params") or {}).items()
    return given + read([f"{key}={text(value)}" for key, value in sweep], problems, where), hydra.get("mode")


def _repeated(given: Sequence[Given]) -> list[str]:
    counts = Counter(g.key for g in given)
    return [f"{key}: given {n} times; once is enough." for key, n in counts.items() if n > 1]


def _missing(command: str, given: Sequence[Given]) -> list[str]:
    there = {g.key for g in given}
    return [
        f"{key}: a value is missing; write {key}=<{f.metadata['help']}>, as in {key}={f.metadata['example']}."
        for key, f in keys_of(SCHEMAS[command])
        if default_of(f) == REQUIRED and key not in there
    ]


def check_one(command: str, one: Given, multirun: bool, folders: Sequence[Path]) -> list[str]:
    """Return the problems of one key by itself: unknown, wrong type or range, a sweep where none can be."""
    keys = dict(keys_of(SCHEMAS[command]))
    groups = GROUPS.get(command, {})
    f = keys.get(one.key)
    problems: list[str | None] = []
    chooses = is_filter(command, one.key)
    if one.sweep and not one.values:
        problems = [f"{one.line}: there is no value in it."]
    elif chooses:
        problems = [f"{one.key}: a value is missing; write {one.key}=<value>, one that runs have."] * ("" in one.values)
    elif f is not None and base_type(f)[1] and one.sweep and not any(isinstance(v, list) for v in one.values):
        problems = [f"{one.line}: write the list as {one.key}={text(list(one.values))}."]
    elif one.key in groups:
        needed = command in TRAINING and one.key == "task"
        problems = [_group_problem(one.key, groups[one.key], value, folders, needed) for value in one.values]
    elif one.key.startswith("task.") and "task" in groups:
        if one.key == "task.name":
            problems = [f"{one.line}: choose the task by task={text(one.values[0])}."]
    elif f is not None and f.metadata.get("whole") and one.sweep and ALL in one.values:
        problems = [f"{one.line}: {ALL} stands alone; among several values, write out its list."]
    elif f is not None:
        problems = [_value_problem(one.key, f, value) for value in one.values]
    else:
        problems = [f"{one.line}: no such key.{_hint(command, one.key, [*keys, *groups, *filter_keys(command)])}"]
    found = [line for line in problems if line]
    if not found and not one.readable:
        found = [f"{one.line}: the value cannot be read; put it in quotes twice, as in {one.key}='\"...\"'."]
    if not found and one.sweep and not multirun and not chooses:
        found = [f"{one.line}: several values need --multirun; add it to try each of them."]
    return [line + one.where for line in found]


def _hint(command: str, key: str, names: list[str]) -> str:
    also = ALSO_CALLED.get(key)
    if command == "size" and (told := CHOSEN.get(also or key)):
        return f" {told[0].upper()}{told[1:]}"
    if also in names:
        return f" Did you mean '{also}'?"
    inner = [name for name in names if name.startswith(f"{key}.")]
    if inner:
        return f" Did you mean one of {', '.join(inner)}?"
    return nearest(key, names) or f" All keys: lstm-probe {command} --help all"


def _group_problem(key: str, group: str, value: Any, folders: Sequence[Path], needed: bool) -> str | None:
    names = choices(group, folders)
    if isinstance(value, Glob):
        return None if value.filter(names) else f"{key}: no {group} is called so. There are {', '.join(names)}."
    if value in names or (value is None and not needed):
        return None
    if value in ("", None):
        return f"{key}: a value is missing; it must be one of {', '.join(names)}."
    return f"{key}={text(value)}: no such {group}.{nearest(str(value), names)} There are {', '.join(names)}."


def _refers(value: Any) -> bool:
    """Return whether a value refers to that of another key, and is not known before all of them are."""
    return isinstance(value, str) and value.startswith("${")


def _value_problem(key: str, f: Any, value: Any) -> str | None:
    if _refers(value):
        return None  # checked when that is known
    kind, is_list, _ = base_type(f)
    if kind is str and not is_list and isinstance(value, int | float):
        value = text(value)
    if isinstance(value, Glob):
        return f"{key}: glob() works for task and experiment only; it must be {legal(f)}."
    return problem(key, f, value)


def _check_task(command: str, given: Sequence[Given], folders: Sequence[Path]) -> list[str]:
    """Return what is wrong with a task's parameters, for every task and every combination of values."""
    parameters = {g.key.removeprefix("task."): g for g in given if g.key not in ("task", "task.name")}
    names = next((g.values for g in reversed(given) if g.key == "task"), None)
    if names is None:
        if command not in TRAINING and "task" not in GROUPS.get(command, {}):
            return []  # said by `check_one`
        if command not in TRAINING and parameters:
            return [f"{g.line}: for which task? Choose by task=<name>, as in task=table." for g in parameters.values()]
        names = ("tracking",)
    if not all(isinstance(name, str) and name in choices("task", folders) for name in names):
        return []
    if not parameters and all(find("task", name, folders[:1]) for name in names):
        return []  # our own files are right, and to check them would take a second
    where = {f"task.{name}": g.where for name, g in parameters.items()}
    problems = []
    for name in names:
        file = find("task", name, folders)
        base = {"name": name, **(_load(file) if file else {})}
        where["task"] = f" (in {file})"
        for combination in islice(product(*(g.values for g in parameters.values())), MOST):
            if any(map(_refers, combination)):
                continue
            found = task_problems({**base, **dict(zip(parameters, combination))})
            problems += [line + where.get(line.partition("=")[0], "") for line in found]
    return problems


def _check_together(command: str, given: Sequence[Given]) -> list[str]:
    """Return the problems of legal values that do not fit each other."""
    relevant = {g.key: g for g in given if g.key in COMBINED and g.key in dict(keys_of(SCHEMAS[command]))}
    problems = []
    for combination in islice(product(*(g.values for g in relevant.values())), MOST):
        if any(map(_refers, combination)):
            continue  # to another key; checked when that is known
        config = SCHEMAS[command]()
        for key, value in zip(relevant, combination):
            set_key(config, key, value)
        problems += combined_problems(config)
    return problems
