"""A finished run, and the runs that there are."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import CONFOUND_COLUMNS, MEMORY_COLUMNS, SIGNAL_CODE_COLUMNS, TUNING_COLUMNS

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from lstm_probe.formats import ImportedModel
    from lstm_probe.network.model import SequenceModel
    from lstm_probe.tasks.base import Task

log = logging.getLogger(__name__)
RUN_FILES = (
    "run.json", "config.yaml", "model.safetensors", "history.parquet", "probes.parquet", "populations.parquet",
    "ablations.parquet", "examples.safetensors", "train.log",
)  # fmt: skip
#: Further tables, which runs of earlier versions do not have.
MORE_FILES = ("memory.parquet", "confounds.parquet", "codes.parquet", "tuning.parquet")
#: The tables of each analysis.
TABLES = {
    "probe": ("probes", "populations", "memory", "confounds", "codes", "tuning"),
    "ablate": ("ablations",),
}
RUN_KEYS = ("status", "run", "task", "units", "seed", "scores", "learned", "solved", "seconds")


@dataclass(frozen=True)
class Run:
    """A finished run. Its files are read when they are first asked for; a damaged one raises an InputError."""

    path: Path
    info: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Return the run's name, such as u32-s0-1a2b3c4d."""
        return self.info["run"]

    def _read(self, file: str, reader: Any) -> Any:
        try:
            return reader(self.path / file)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{self.path / file}: damaged ({reason[:120]}); make the run again with force=true"
            ) from error

    def _table(self, file: str) -> "pd.DataFrame":
        import pandas as pd

        return self._read(file, pd.read_parquet)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        import yaml

        def read(path: Path) -> dict[str, Any]:
            config = yaml.safe_load(path.read_text())
            if not isinstance(config, dict) or not isinstance(config.get("task"), dict):
                raise ValueError("not a configuration")
            return config

        return self._read("config.yaml", read)

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
                self.task.n_inputs, self.task.n_outputs, config["units"], config["layers"], config["projection"],
                forget_bias=config.get("forget_bias", 0.0),  # runs of earlier versions have none
            )
        )
        self._read("model.safetensors", lambda path: model.load_state_dict(load_file(path)))
        return model.eval()

    @cached_property
    def history(self) -> "pd.DataFrame":
        """Columns `HISTORY_COLUMNS`."""
        return self._table("history.parquet")

    @cached_property
    def probes(self) -> "pd.DataFrame":
        """Columns `CURVED_COLUMNS`; `PROBE_COLUMNS` alone in a run of an earlier version."""
        return self._table("probes.parquet")

    @cached_property
    def populations(self) -> "pd.DataFrame":
        """Columns `POPULATION_COLUMNS`."""
        return self._table("populations.parquet")

    @cached_property
    def ablations(self) -> "pd.DataFrame":
        """Columns `ABLATION_COLUMNS`."""
        return self._table("ablations.parquet")

    def tables(self, kind: str) -> dict[str, "pd.DataFrame"]:
        """Return the tables of an analysis, "probe" or "ablate", by name."""
        return {name: getattr(self, name) for name in TABLES[kind]}

    def _analysis(self, name: str, columns: tuple[str, ...]) -> "pd.DataFrame":
        import pandas as pd

        file = f"{name}.parquet"
        return self._table(file) if (self.path / file).exists() else pd.DataFrame(columns=list(columns))

    @cached_property
    def memory(self) -> "pd.DataFrame":
        """Columns `MEMORY_COLUMNS`: how well each unit tells signals of the past."""
        return self._analysis("memory", MEMORY_COLUMNS)

    @cached_property
    def confounds(self) -> "pd.DataFrame":
        """Columns `CONFOUND_COLUMNS`: what each unit tells beyond everything else that is known."""
        return self._analysis("confounds", CONFOUND_COLUMNS)

    @cached_property
    def codes(self) -> "pd.DataFrame":
        """Columns `SIGNAL_CODE_COLUMNS`: whether single units hold a signal, or all of them together."""
        return self._analysis("codes", SIGNAL_CODE_COLUMNS)

    @cached_property
    def tuning(self) -> "pd.DataFrame":
        """Columns `TUNING_COLUMNS`: each unit's mean and spread at each value of a signal."""
        return self._analysis("tuning", TUNING_COLUMNS)

    @cached_property
    def examples(self) -> dict[str, "Tensor"]:
        """A few recorded sequences: inputs, lengths, outputs, target.NAME, signal.NAME, layer0.forward.c and so on."""
        from safetensors.torch import load_file

        return self._read("examples.safetensors", load_file)


def load_run(path: str | Path) -> Run:
    """Open a finished run.

    Raises:
        InputError: the folder is no run, is not finished, or lacks a file.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"run={path}: no such folder; `lstm-probe runs` lists the runs")
    file = folder / "run.json"
    if not file.is_file():
        raise InputError(f"run={path}: no run (it has no run.json); `lstm-probe runs` lists the runs")
    try:
        info = json.loads(file.read_text())
        finished = {key: info[key] for key in RUN_KEYS}["status"] == "finished"
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file}: damaged (not a run's JSON); make the run again with force=true") from error
    if not finished:
        raise InputError(f"run={path}: not finished (status {info['status']}); its own `train` command continues it")
    missing = [name for name in RUN_FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"run={path}: damaged (no {', '.join(missing)}); make the run again with force=true")
    return Run(folder, info)


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
            runs.append(load_run(folder))
        except InputError as error:
            damaged += error.problems
    runs.sort(key=lambda run: (run.info["task"], run.info["units"], run.info["seed"], run.name))
    return runs, damaged


def unfinished_runs(outputs: str | Path) -> list[Path]:
    """Return the hidden folders of runs that are being made or were interrupted."""
    return sorted((Path(outputs) / "runs").glob("*/.*.partial"))
