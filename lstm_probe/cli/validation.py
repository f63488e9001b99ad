"""What is wrong with a composed configuration: key by key, and keys that do not fit each other.

Nothing here imports anything heavy before it is asked for.
"""

import math
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from lstm_probe.cli.config import ExportConfig, FiguresConfig, ImportConfig, SizeConfig, TruthConfig, get_key, keys_of
from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import problem, text
from lstm_probe.core.looks import look_of
from lstm_probe.core.vocabulary import EXPORTED, ending_problem
from lstm_probe.reproduce import NUM_UNITS
from lstm_probe.runs.settings import COMMANDS, not_given, of_cell, stack_problems
from lstm_probe.sizing.settings import combined_problems as size_problems


def validate(config: Any) -> list[str]:
    """Return every problem of a configuration, one line each, in the order of its keys."""
    problems: list[str] = []
    for key, f in keys_of(type(config)):
        if key == "task":
            problems += [] if config.task is None else task_problems(config.task)
        elif line := problem(key, f, get_key(config, key)):
            problems.append(line)
    return problems + ([] if problems else combined_problems(config))


def task_problems(task: dict[str, Any]) -> list[str]:
    """Return every problem of a task's name and parameters, one line each."""
    from lstm_probe.tasks import get_task

    parameters = {key: value for key, value in task.items() if key != "name"}
    try:
        get_task(str(task.get("name")), **parameters)
    except InputError as error:
        return list(error.problems)
    return []


#: The keys whose values must fit each other.
COMBINED = ("cell", "own_cell", "init", "forget_bias", "probe.variables", "ablate.variable", "units", "largest", "unit",
            "name", "projection", "all", "sizes", "probe.permutations", "probe.alpha",
            "method", "methods", "knobs", "device", "path", "format", "width", "checkpoints", "stack", "stack_lrs",
            "probe.analyses", "probe.event")  # fmt: skip


def combined_problems(config: Any) -> list[str]:
    """Return what is wrong with keys that are legal one by one."""
    problems = not_given(config) + stack_problems(config) + _cell_problems(config) + _own_cell_problems(config)
    if isinstance(config, SizeConfig):
        problems += size_problems(config)
    elif hasattr(config, "projection") and config.projection >= config.units:
        problems.append(f"projection={config.projection}: must be below units={config.units}; 0 means no projection.")
    if hasattr(config, "unit") and config.unit >= config.units:
        problems.append(f"unit={config.unit}: must be below units={config.units}; units count from 0.")
    if isinstance(config, TruthConfig):
        problems += _truth_problems(config)
    elif getattr(config, "all", False) and config.name is not None:
        problems.append(f"name={config.name}: all=true measures every result; leave one of the two out.")
    if getattr(config, "sizes", None) is not None and config.name != NUM_UNITS:
        problems.append(f"sizes={text(config.sizes)}: only name={NUM_UNITS} compares sizes.")
    settings = getattr(config, "probe", None)
    if settings is not None and (settings.permutations + 1) * settings.alpha < 1:
        needed = math.ceil(1 / settings.alpha) - 1
        problems.append(
            f"probe.permutations={settings.permutations}: with probe.alpha={settings.alpha:g} "
            f"nothing could be significant; at least {needed} are needed."
        )
    name = getattr(config, "name", None)
    if isinstance(config, ImportConfig) and name is not None and not re.fullmatch(r"\w[\w.-]*", name):
        problems.append(f"name={name}: must be letters, digits, and . _ - after the first.")
    if isinstance(config, ExportConfig) and config.path is not None and config.format in EXPORTED:
        problems += [f"{problem}." for problem in [ending_problem(config.path, config.format)] if problem]
    if isinstance(config, FiguresConfig):
        try:
            look_of(config.style, config.width)
        except InputError as error:
            problems += error.problems
    device = getattr(config, "device", "cpu")
    if device != "cpu":
        problems += _device_problems(device)
    return problems


def _cell_problems(config: Any) -> list[str]:
    """Return what of a training its cell cannot be; what an LSTM cannot be is said without torch, too."""
    name = getattr(config, "cell", None)
    if name is None:
        return []
    if name == "lstm":
        own = getattr(config, "probe", None)
        if config.forget_bias is None and config.init != "chrono" and (own is None or own.variables is None):
            return []
    from lstm_probe.cells.known import get_cell
    from lstm_probe.recorder.initial import check_beginning

    try:
        cell = get_cell(name)
    except InputError as error:
        return [line if line.endswith((".", "?")) else f"{line}." for line in error.problems]
    checks: list[Callable[[], object]] = [lambda: check_beginning(cell, config.init, config.forget_bias)]
    checks += [partial(of_cell, command, asdict(getattr(config, command)), cell)
               for command in COMMANDS if hasattr(config, command)]  # fmt: skip
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except InputError as error:
            problems += error.problems
    if config.projection and cell.name != "lstm":
        problems.append(f"projection={config.projection}: only an LSTM has one, not {cell.a_title}; leave it out.")
    if getattr(config, "stack", 0) and cell.name != "lstm":
        problems.append(f"stack={config.stack}: only LSTMs are trained as one stack; leave it out, and networks of "
                        f"cell={name} are trained one by one.")  # fmt: skip
    return problems


def _own_cell_problems(config: Any) -> list[str]:
    """Import the cell of the user's own that runs have, if one is named, and return what is wrong with it."""
    name = getattr(config, "own_cell", None)
    if name is None:
        return []
    from lstm_probe.cells.known import NAMES, get_cell

    if ":" not in name.split("+")[0]:
        return [f"own_cell={name}: must be package.module:NAME; {' '.join(NAMES)} are known without it."]
    try:
        get_cell(name)
    except InputError as error:
        return [f"own_{line}." for line in error.problems]
    return []


def _truth_problems(config: TruthConfig) -> list[str]:
    """Return what is wrong with names; a method of the user's own, with a colon, is read when the command runs."""
    from lstm_probe.truth import KNOBS, METHODS
    from lstm_probe.truth.named import chosen

    problems = []
    if config.method is not None and config.methods is not None:
        problems.append(
            f"method={config.method}: methods={text(config.methods)} has several; leave one of the two out."
        )
    given = {"method": (config.method, METHODS), "methods": (config.methods, METHODS), "knobs": (config.knobs, KNOBS)}
    for key, (value, names) in given.items():
        listed = value if isinstance(value, list) else [value] if value is not None else []
        try:
            chosen(key, [one for one in listed if key == "knobs" or ":" not in one], names)
        except InputError as error:
            problems += error.problems
    return problems


def _device_problems(device: str) -> list[str]:
    import torch

    match = re.fullmatch(r"(cuda|mps)(?::(\d+))?", device)
    if not match:
        return [f"device={device}: must be cpu, cuda, cuda:<number> or mps."]
    kind, index = match[1], int(match[2] or 0)
    devices = int(torch.backends.mps.is_available()) if kind == "mps" else torch.cuda.device_count()
    there = index < devices
    return [] if there else [f"device={device}: there is no such device here; device=cpu always works."]
