"""A finished run, and the runs that there are."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_probe.core.errors import InputError
from lstm_probe.runs.analyses import ANALYSES, of_command
from lstm_probe.runs.schema import SCHEMA, read_config, read_table, schema_of
from lstm_probe.runs.settings import complete

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from lstm_probe.formats import ImportedModel
    from lstm_probe.network.model import SequenceModel
    from lstm_probe.tasks.base import Task

log = logging.getLogger(__name__)

#: What every run has, whatever was measured on it.
RUN_FILES = (
    "run.json", "config.yaml", "model.safetensors", "history.parquet", "examples.safetensors", "train.log",
)  # fmt: skip
RUN_KEYS = ("status", "run", "task", "units", "seed", "scores", "learned", "solved", "seconds")


@dataclass(frozen=True)
class Run:
    """A finished run. Its files are read when they are first asked for; a damaged one raises an InputError.

    Each analysis of the list in `runs.analyses` is an attribute: `run.probes`, `run.memory` and so on. Of one that
    was not measured the table is empty; `run.measured` says which were.
    """

    path: Path
    info: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Return the run's name, such as u32-s0-1a2b3c4d."""
        result: str = self.info["run"]
        return result

    @property
    def schema(self) -> int:
        """The number of its files' form."""
        return schema_of(self.info)

    @property
    def measured(self) -> tuple[str, ...]:
        """The analyses that were made of it, in the list's order."""
        if "measured" in self.info:
            return tuple(name for name in ANALYSES if name in self.info["measured"])
        return tuple(name for name, analysis in ANALYSES.items() if (self.path / analysis.file).is_file())

    def read(self, file: str, reader: Any) -> Any:
        """Return what a reader makes of one of the run's files; an InputError where it is damaged."""
        try:
            return reader(self.path / file)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{self.path / file}: damaged ({reason[:120]}); make the run again with force=true"
            ) from error

    def __getattr__(self, name: str) -> "pd.DataFrame":
        if name not in ANALYSES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        table = self._table(name)
        self.__dict__[name] = table  # from now on an attribute like any other
        return table

    def _table(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        analysis = ANALYSES[name]
        if name not in self.measured:
            return pd.DataFrame(columns=list(analysis.columns))
        result: pd.DataFrame = self.read(
            analysis.file, lambda path: read_table(name, pd.read_parquet(path), self.schema)
        )
        return result

    def tables(self, command: str | None = None) -> dict[str, "pd.DataFrame"]:
        """Return the tables of a command's analyses, "probe" or "ablate", by name; of both where it is None."""
        named = ANALYSES.values() if command is None else of_command(command)
        return {analysis.name: getattr(self, analysis.name) for analysis in named}

    def settings(self, command: str) -> dict[str, Any]:
        """Return with what settings a command's analyses were made."""
        return complete(command, self.config.get(command, {}))

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        from lstm_probe.core.yaml_files import load_yaml_file

        def read(path: Path) -> dict[str, Any]:
            config = load_yaml_file(path)
            if not isinstance(config, dict) or not isinstance(config.get("task"), dict):
                raise ValueError("not a configuration")
            return read_config(config, self.schema)

        result: dict[str, Any] = self.read("config.yaml", read)
        return result

    @cached_property
    def task(self) -> "Task":
        """The task, with the run's own parameters."""
        from lstm_probe.tasks import get_task
        from lstm_probe.tasks.own import task_digests

        own = self.config.get("task_sources", {})
        try:
            task = get_task(**self.config["task"])
        except InputError as error:
            if not own:
                raise
            files = self.info.get("task_files", {})
            places = [f"{name} in {files[name]}" if files.get(name) else name for name in own]
            raise InputError(
                f"run={self.path}: its task is of your own ({', '.join(places)}); name the folder of its tasks.py by "
                "--config-dir, or in Python register it by lstm_probe.register_task",
                *error.problems,
            ) from None
        if own and task_digests(task) != own:
            log.warning("%s: the source of its task has changed since it was made", self.path)
        return task

    @cached_property
    def model(self) -> "SequenceModel | ImportedModel":
        """The trained network, in evaluation mode: a SequenceModel, or an ImportedModel where it was made elsewhere."""
        from safetensors.torch import load_file

        from lstm_probe.formats import ImportedModel
        from lstm_probe.network.model import SequenceModel

        config = self.config
        model = (
            ImportedModel.of_shape(config["imported"])
            if "imported" in config
            else SequenceModel(
                self.task.n_inputs,
                self.task.n_outputs,
                config["units"],
                config["layers"],
                config["projection"],
                forget_bias=config.get("forget_bias", 0.0),  # runs of earlier versions have none
            )
        )
        self.read("model.safetensors", lambda path: model.load_state_dict(load_file(path)))
        return model.eval()

    @cached_property
    def history(self) -> "pd.DataFrame":
        """Columns `HISTORY_COLUMNS`."""
        import pandas as pd

        result: pd.DataFrame = self.read("history.parquet", pd.read_parquet)
        return result

    @cached_property
    def examples(self) -> dict[str, "Tensor"]:
        """A few recorded sequences: inputs, lengths, outputs, target.NAME, signal.NAME, layer0.forward.c and so on."""
        from safetensors.torch import load_file

        result: dict[str, Tensor] = self.read("examples.safetensors", load_file)
        return result


def load_run(path: str | Path) -> Run:
    """Open a finished run.

    Raises:
        InputError: the folder is no run, is not finished, lacks a file, or was made by a newer version.
    """
    run = open_run(path)
    if run.schema < SCHEMA:
        log.info("%s: made by an earlier version (schema %d); what it does not have was not measured", path, run.schema)
    return run


def open_run(path: str | Path) -> Run:
    """Open a finished run without a word on its age; errors as of `load_run`."""
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"run={path}: no such folder; `lstm-probe runs` lists the runs")
    file = folder / "run.json"
    if not file.is_file():
        raise InputError(f"run={path}: no run (it has no run.json); `lstm-probe runs` lists the runs")
    try:
        info = json.loads(file.read_text())
        schema = schema_of(info)
        finished = schema > SCHEMA or {key: info[key] for key in RUN_KEYS}["status"] == "finished"
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{file}: damaged (not a run's JSON); make the run again with force=true") from error
    if schema > SCHEMA:
        raise InputError(
            f"run={path}: made by a newer version (schema {schema}; this one reads up to {SCHEMA}); update lstm_probe"
        )
    if not finished:
        raise InputError(f"run={path}: not finished (status {info['status']}); its own `train` command continues it")
    run = Run(folder, info)
    tables = [ANALYSES[name].file for name in (run.measured if schema > 1 else ("probes", "populations", "ablations"))]
    missing = [name for name in (*RUN_FILES, *tables) if not (folder / name).is_file()]
    if missing:
        raise InputError(f"run={path}: damaged (no {', '.join(missing)}); make the run again with force=true")
    return run


def find_runs(outputs: str | Path, *, pattern: str | None = None) -> tuple[list[Run], list[str]]:
    """Return the finished runs, by task, units and seed, and one line for each folder that is damaged.

    Args:
        outputs: the folder that holds `runs/`.
        pattern: a glob of run folders, relative to the current folder, or of their names; all where this is None.
    """
    folders = [file.parent for file in (Path(outputs) / "runs").glob("*/*/run.json")]
    if pattern is not None:
        import glob

        named = {Path(match).resolve() for match in glob.glob(pattern, recursive=True)}  # noqa: PTH207  absolute patterns too
        matching = [f for f in folders if f.resolve() in named or f.match(pattern)]
        known = {f.resolve() for f in matching}
        folders = matching + [f for f in sorted(named - known) if (f / "run.json").is_file()]
    runs: list[Run] = []
    damaged: list[str] = []
    for folder in folders:
        if folder.name.startswith("."):
            continue
        try:
            runs.append(open_run(folder))
        except InputError as error:
            damaged += error.problems
    runs.sort(key=lambda run: (run.info["task"], run.info["units"], run.info["seed"], run.name))
    return runs, damaged


def unfinished_runs(outputs: str | Path) -> list[Path]:
    """Return the hidden folders of runs that are being made or were interrupted."""
    return sorted((Path(outputs) / "runs").glob("*/.*.partial"))
