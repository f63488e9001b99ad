"""A finished run, and the runs that there are."""

import io
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_probe.core.digests import DamagedError, Files, inside, read_told
from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.shown import Shown, Told
from lstm_probe.runs.analyses import ANALYSES, of_command
from lstm_probe.runs.info import AGAIN, read_info
from lstm_probe.runs.schema import SCHEMA, read_config, read_table, schema_of
from lstm_probe.runs.settings import complete, of_cell
from lstm_probe.runs.store import config_hash
from lstm_probe.runs.told import run_told

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from lstm_probe.cells.declared import Cell
    from lstm_probe.formats import ImportedModel
    from lstm_probe.network.model import SequenceModel
    from lstm_probe.tasks.base import Task

log = logging.getLogger(__name__)

#: What every run has, whatever was measured on it.
RUN_FILES = (
    "run.json", "config.yaml", "model.safetensors", "history.parquet", "examples.safetensors", "train.log",
)  # fmt: skip


#: The network's weights along its training, where some were kept.
CHECKPOINTS = "checkpoints.safetensors"

#: Said of runs that were made before there were digests.
UNCOVERED = "; its files have no digests, so not all damage would show"


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """A finished run. Its files are read when they are first asked for; a damaged one raises an InputError.

    Each analysis of the list in `runs.analyses` is an attribute: `run.probes`, `run.memory` and so on. Of one that
    was not measured the table is empty; `run.measured` says which were.
    """

    path: Path
    info: Mapping[str, Any]

    def _told(self) -> Told:
        return run_told(self.path, self.info)

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

    @property
    def trained(self) -> bool:
        """Whether its network was trained here, from the start, with as many units as it has."""
        return not {"imported", "shrunk"} & self.config.keys()

    @cached_property
    def cell(self) -> "Cell":
        """What its units are; an InputError where that is a cell of somebody's own that is not at hand."""
        from lstm_probe.cells.known import UnknownCellError, get_cell, source_of

        name = self.info.get("cell", "lstm")
        try:
            cell = get_cell(name, trusted=False)  # whoever made the run does not say what is imported here
        except UnknownCellError:
            raise InputError(
                f"run={self.path}: its cell is somebody's own ({name}): import {name.partition(':')[0]} first; a "
                f"command does where it is told own_cell={name}"
            ) from None
        if ":" in name and source_of(cell) != self.config.get("cell_source"):
            log.warning("%s: the source of its cell has changed since it was made", self.path)
        return cell

    @property
    def tracked(self) -> list[str] | None:
        """The signals that its units track, in any variable that was probed; None where it was not probed."""
        from lstm_probe.runs.columns_of import TableReader

        if "probes" not in self.measured:
            return None
        if "summary" in self.info:
            return list(self.info["summary"]["tracked"] or ())
        own = TableReader("probes", ["signal", "tracks"]).read(self).to_pandas()
        return [str(name) for name in own.loc[own["tracks"].astype(bool), "signal"].unique()]

    @property
    def files(self) -> Files | None:
        """Size and SHA-256 of each of its files, as they were written; None where it was made without them."""
        files: Files | None = self.info.get("files")
        return files

    def read(self, file: str, reader: Callable[[bytes], Any]) -> Any:
        """Return what a reader makes of the bytes of one of the run's files; an InputError where it is damaged."""
        try:
            return reader(read_told(self.path, file, self.files))
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{self.path / file}: damaged ({reason[:120]}); {AGAIN}") from error

    def check(self) -> None:
        """Read every file and compare it with what was written.

        Raises:
            InputError: with a line for each file that is damaged.
        """
        problems: list[str] = []
        parts: list[Callable[[], Any]] = [partial(self.read, name, len) for name in self.files or ()]
        parts += [partial(getattr, self, name) for name in ("config", "history", "examples", *self.measured)]
        for part in parts:
            try:
                part()
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(*dict.fromkeys(problems))

    @property
    def page_left_out(self) -> bool:
        """Whether it was measured without drawing a page."""
        return self.info.get("page") is False

    @property
    def uncovered(self) -> list[str]:
        """The files in its folder that came later, which nothing is known of and nothing reads."""
        ours = {"run.json", *(self.files or ())}
        return [name for name in inside(self.path) if name not in ours and not name.startswith("analyses/")]

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
            analysis.file, lambda content: read_table(name, pd.read_parquet(io.BytesIO(content)), self.schema)
        )
        return result

    def tables(self, command: str | None = None) -> dict[str, "pd.DataFrame"]:
        """Return the tables of a command's analyses, such as "ablate", by name; of all where it is None."""
        named = ANALYSES.values() if command is None else of_command(command)
        return {analysis.name: getattr(self, analysis.name) for analysis in named}

    def settings(self, command: str) -> dict[str, Any]:
        """Return with what settings a command's analyses were made."""
        return of_cell(command, complete(command, self.config.get(command, {})), self.cell)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        from lstm_probe.runs.plain import from_yaml

        def read(content: bytes) -> dict[str, Any]:
            config = from_yaml(content)
            if config["task"].get("name") != self.info["task"]:
                raise DamagedError(f"its task is {config['task'].get('name')}, not {self.info['task']}")
            if config_hash(config) != self.info["hash"]:
                raise DamagedError("not the configuration that the folder is named after")
            return read_config(config, self.schema)

        result: dict[str, Any] = self.read("config.yaml", read)
        return result

    @cached_property
    def flat(self) -> dict[str, Any]:
        """The same with dotted keys, such as task.bits."""
        from lstm_probe.runs.plain import flat

        return flat(self.config)

    @cached_property
    def task(self) -> "Task":
        """The task, with the run's own parameters."""
        from lstm_probe.tasks import TASKS, get_task
        from lstm_probe.tasks.own import task_digests

        own = self.config.get("task_sources", {})
        self._check_source()
        try:
            task = get_task(**self.config["task"])
        except InputError as error:
            if not own:
                raise
            if set(own) <= set(TASKS):
                lines = (f"run={self.path}: its task is no longer what it was: {line}" for line in error.problems)
                raise InputError(*lines) from None
            files = self.info.get("task_files", {})
            places = [f"{name} in {files[name]}" if files.get(name) else name for name in own]
            raise InputError(
                f"run={self.path}: its task is of your own ({', '.join(places)}); name the folder of its tasks.py by "
                "--config-dir, or in Python register it by lstm_probe.register_task"
            ) from None
        if own and task_digests(task) != own:
            log.warning("%s: the source of its task has changed since it was made", self.path)
        return task

    def _check_source(self) -> None:
        """Raise an InputError where the task would read a file that the run does not have the digest of."""
        from lstm_probe.tasks.registry import is_built_in, task_class

        task = self.config["task"]
        if task.get("path") is not None and not task.get("content") and is_built_in(task_class(task["name"])):
            raise InputError(f"{self.path / 'config.yaml'}: task.path={task['path']}: not read, because the digest of "
                             f"its content (task.content) is missing; {AGAIN}")  # fmt: skip

    @cached_property
    def model(self) -> "SequenceModel | ImportedModel":
        """The trained network, in evaluation mode: a SequenceModel, or an ImportedModel where it was made elsewhere."""
        from safetensors.torch import load

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
                forget_bias=config.get("forget_bias"),  # runs of earlier versions have none of these
                init=config.get("init", "torch"),
                cell=self.cell,
            )
        )
        self.read("model.safetensors", lambda content: model.load_state_dict(load(content)))
        return model.eval()

    @cached_property
    def checkpoints(self) -> "dict[int, nn.Module]":
        """The network as it was along its training, by the number of updates; an InputError where none is kept.

        The last is the network as it is.
        """
        from lstm_probe.network.snapshots import unpacked

        if CHECKPOINTS not in (self.files or ()):
            raise InputError(f"run={self.path}: has no checkpoints of its training; `train` keeps some where it is "
                             "told how many, as in checkpoints=20")  # fmt: skip
        made: dict[int, nn.Module] = self.read(CHECKPOINTS, lambda content: unpacked(content, self.model))
        return made

    @cached_property
    def history(self) -> "pd.DataFrame":
        """Columns `HISTORY_COLUMNS`."""
        import pandas as pd

        result: pd.DataFrame = self.read("history.parquet", lambda content: pd.read_parquet(io.BytesIO(content)))
        return result

    @cached_property
    def examples(self) -> dict[str, "Tensor"]:
        """A few recorded sequences: inputs, lengths, outputs, target.NAME, signal.NAME, layer0.forward.c and so on."""
        from safetensors.torch import load

        def read(content: bytes) -> "dict[str, Tensor]":
            named = [(*key.partition("."), values) for key, values in load(content).items()]
            return {f"{kind}{dot}{clean(name)}": values for kind, dot, name, values in named}

        result: dict[str, Tensor] = self.read("examples.safetensors", read)
        return result


def load_run(path: str | Path) -> Run:
    """Open a finished run.

    Raises:
        InputError: the folder is no run, is not finished, lacks a file, or was made by a newer version.
    """
    run = open_run(path)
    if run.schema < SCHEMA:
        log.info(
            "%s: made by an earlier version (schema %d); what it does not have was not measured%s",
            path, run.schema, "" if run.files else UNCOVERED,
        )  # fmt: skip
    return run


def open_run(path: str | Path) -> Run:
    """Open a finished run without a word on its age; errors as of `load_run`."""
    folder = Path(path)
    try:
        if not folder.is_dir():
            raise InputError(f"run={path}: no such folder; `lstm-probe runs` lists the runs")
        there = set(os.listdir(folder))  # noqa: PTH208  a third of the time, where there are 10,000 folders
    except OSError as error:
        raise InputError(f"run={path}: cannot be read ({error.strerror})") from None
    if "run.json" not in there:
        raise InputError(f"run={path}: no run (it has no run.json); `lstm-probe runs` lists the runs")
    run = Run(folder, read_info(folder))
    if run.files is not None:
        there &= {"run.json", *run.files}
    old = ("probes", "populations", "ablations")
    tables = [ANALYSES[name].file for name in (run.measured if run.schema > 1 else old)]
    missing = [name for name in (*RUN_FILES, *tables) if name not in there]
    if missing:
        raise InputError(f"run={path}: damaged (no {', '.join(missing)}); {AGAIN}")
    return run
