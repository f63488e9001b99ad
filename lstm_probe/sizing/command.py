"""The `size` command that goes on from a sweep: its task, and the settings in which its trainings are not the usual."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.fields import default_of, in_quotes, text
from lstm_probe.core.files import configuration_folder
from lstm_probe.core.yaml_files import load_yaml_file
from lstm_probe.network.settings import Recipe
from lstm_probe.runs.flags import own_flags
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import COMMANDS, complete
from lstm_probe.sizing.settings import SizeSettings
from lstm_probe.sizing.sweeps import experiments
from lstm_probe.tasks.registry import task_class

#: What the search takes over from a run beside its task.
_TAKEN = {f.name: f for f in fields(SizeSettings) if hasattr(Recipe, f.name) or f.name == "test_sequences"}
_LARGEST = next(f for f in fields(SizeSettings) if f.name == "largest")
#: Words that the command line reads as something else than a text.
_NO_TEXTS = ("null", "true", "false", "nan", "inf")


def size_commands(runs: Sequence[Run]) -> dict[str, str]:
    """Return, for each experiment of `size_outcomes`, the command that looks for its smallest size, fit for a shell.

    It has the task with its parameters, and the settings of the training that are not the usual ones, so that the runs
    that are there count. An experiment whose task the command line cannot name has none.
    """
    found = {name: _command(members) for name, members in experiments(runs, measured=False).items()}
    return {name: command for name, command in found.items() if command is not None}


def train_command(run: Run, **changes: Any) -> str | None:
    """Return the command that trains a run's network, with these settings changed; None as in `size_commands`."""
    own: dict[str, Any] = {key: run.config[key] for key in ("units", "seed", "stack") if key in run.config}
    return _written_command("train", [run], **_measured_on(run), **(own | changes))


def _measured_on(run: Run) -> dict[str, int]:
    """Return on how many sequences a network is measured where it is not the usual number, or the task has fewer."""
    most = run.task.most
    own: dict[str, int] = {command: run.settings(command)["sequences"] for command in COMMANDS}
    taken = {command: n if most is None else min(n, most) for command, n in own.items()}
    return {f"{key}.sequences": n for key, n in taken.items() if n != complete(key, {})["sequences"]}


def _command(members: Sequence[Run]) -> str | None:
    largest = _largest(members)
    more = {"largest": min(largest, _LARGEST.metadata["high"])} if largest > default_of(_LARGEST) else {}
    return _written_command("size", members, **more)


def _written_command(command: str, members: Sequence[Run], **more: Any) -> str | None:
    run = members[0]
    flags = own_flags(run)
    if flags is None:
        return None
    given = {"task": run.config["task"]["name"], **_task_settings(run), **_training_settings(run), **more}
    stores = {str(one.path.parents[2]) for one in members if len(one.path.parents) > 2}
    if len(stores) == 1 and (store := stores.pop()) != "outputs":
        given["outputs"] = store
    return shlex.join(["lstm-probe", command, *flags, *(f"{key}={_written(value)}" for key, value in given.items())])


def _largest(members: Sequence[Run]) -> int:
    """Return up to which size to look: the smallest from which on every seed solved the task, else above all tried."""
    last = members[-1].info["units"]
    if "content" in members[0].config["task"]:  # what is best is then known from large networks alone
        return int(last)
    failed = max((run.info["units"] for run in members if not run.info["solved"]), default=0)
    return int(min((run.info["units"] for run in members if run.info["units"] > failed), default=2 * last))


def _task_settings(run: Run) -> dict[str, Any]:
    """Return `task.<parameter>` for those that are not at their defaults; for all of a task of the user's own."""
    task = {key: value for key, value in run.config["task"].items() if key not in ("name", "content")}
    if not run.config.get("task_sources"):  # else a file of the user's may have other defaults
        try:
            own: Any = fields(task_class(run.config["task"]["name"]))  # type: ignore[arg-type]  # a dataclass
        except InputError:
            own = ()
        task = {f.name: task[f.name] for f in own if f.name in task and task[f.name] != default_of(f)}
    return {f"task.{key}": value for key, value in task.items()}


def _recipe(run: Run) -> Mapping[str, Any]:
    """Return the settings of a training that are the task's own."""
    path = configuration_folder() / "recipe" / f"{run.config['task']['name']}.yaml"
    return load_yaml_file(path) if path.is_file() else {}


def usual_of(run: Run, key: str) -> Any:
    """Return what a setting of the training is where nothing is said, by the task's recipe or for all tasks."""
    return _recipe(run).get(key, default_of(_TAKEN[key]))


def _training_settings(run: Run) -> dict[str, Any]:
    """Return the settings of a training that differ from the usual ones, or from the task's recipe."""
    config, recipe = run.config, _recipe(run)
    usual = {key: default_of(f) for key, f in _TAKEN.items()}
    return {
        key: config[key]
        for key, value in usual.items()
        if key in config and (config[key] != value or config[key] != recipe.get(key, value))
    }


def _written(value: Any) -> str:
    """Return a value as the command line reads it, a text in quotes where it could be taken for something else.

    >>> _written(["x", "my column"]), _written("null"), _written(None), _written(0.5)
    ('[x,"my column"]', '"null"', 'null', '0.5')
    """
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if not isinstance(value, str):
        return text(value)
    word = clean(value, None)
    if re.fullmatch(r"[A-Za-z_/][\w./-]*", word, re.ASCII) and word.lower() not in _NO_TEXTS:
        return word
    return in_quotes(word)
