"""What is measured on a network: the analyses of the list, made by `train` and `import` once, by `probe`, `ablate` and
`dynamics` again."""

import inspect
import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from lstm_probe.causal.needs import needs_once
from lstm_probe.causal.shares import unit_shares
from lstm_probe.causal.sufficient import NotLearnedError
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_of, source_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.columns import SHARE_COLUMNS
from lstm_probe.core.console import only_errors
from lstm_probe.core.errors import InputError, NothingThereError
from lstm_probe.core.files import sha256
from lstm_probe.core.given import Signals
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.order import shown_variable
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.fixed_points import found_once
from lstm_probe.network.checkpoint import identity_of
from lstm_probe.network.snapshots import unpacked
from lstm_probe.probing import Split, probe_units
from lstm_probe.probing.analyses.curved import curved_units
from lstm_probe.probing.data.split import default_split
from lstm_probe.probing.inference.baselines import untrained_once
from lstm_probe.recorder import Recording, record
from lstm_probe.recorder.calling import arguments
from lstm_probe.runs.analyses import ANALYSES, chosen, of_command
from lstm_probe.runs.analysis import Analysis, resolve
from lstm_probe.runs.phases import Phases
from lstm_probe.runs.reached import Reached, Warned, listening
from lstm_probe.runs.run import CHECKPOINTS
from lstm_probe.runs.settings import of_cell
from lstm_probe.runs.store import provenance
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.own import task_digests

log = logging.getLogger(__name__)

#: What is shown while a command's analyses are made.
WORDS = {"probe": "probing every unit", "ablate": "clamping every unit", "dynamics": "following every unit"}
#: From what the seed of a command's sequences is made.
DATA = {"probe": "probe data", "ablate": "ablation data", "dynamics": "dynamics data"}


def too_many(key: str, sequences: int, most: int | None) -> list[str]:
    """Return a line where a key asks for more sequences than a task has."""
    told = f"{key}={sequences}: there are only {most} different sequences that are not trained on."
    return [told] if most is not None and sequences > most else []


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and its task, with the settings of one command: what an analysis is made of.

    Attributes:
        model: on the CPU, in evaluation mode.
        task: it is measured on.
        command: "probe", "ablate" or "dynamics".
        settings: of that command.
        seed: everything random follows from it.
        run: what the run is called.
        checkpoints: gives the network as it was along its training, by the number of updates.
    """

    model: nn.Module
    task: Task
    command: str
    settings: Mapping[str, Any]
    seed: int
    run: str
    checkpoints: Callable[[], Mapping[int, nn.Module]] = dict

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", of_cell(self.command, self.settings, cell_in(self.model)))

    @cached_property
    def batch(self) -> Batch:
        """The sequences that are measured on."""
        return self._sampled(self.settings["sequences"])

    def _sampled(self, sequences: int) -> Batch:
        if problems := too_many(f"{self.command}.sequences", sequences, self.task.most):
            raise InputError(*problems)
        return self.task.sample(sequences, derive_seed(self.seed, DATA[self.command]))

    def batch_for(self, analysis: Analysis) -> Batch:
        """The sequences that an analysis is measured on: more of them where it needs more, and the task has them."""
        least, own, most = analysis.sequences or 0, self.settings["sequences"], self.task.most
        more = least if most is None else min(least, most)
        return self.batch if more <= own else self._sampled(more)

    @cached_property
    def recording(self) -> Recording:
        """All variables that are probed."""
        given = arguments(self.model, self.batch)
        return record(self.model, given, lengths=self.batch.lengths, variables=self.settings["variables"])

    @cached_property
    def memory(self) -> Recording:
        """The memory alone, or the first variable that is probed where it is not."""
        return self.recording.select(self._shown)

    @property
    def _shown(self) -> list[str]:
        probed, cell = self.settings["variables"], cell_in(self.model)
        return [cell.memory if cell.memory in probed else next(v for v in cell.names if v in probed)]

    @cached_property
    def split(self) -> Split:
        """Which sequences are held out together, in every analysis: whole groups, if there are several."""
        groups = drawn_as_one(group_codes(self.batch.groups, len(self.batch)))
        series = self.settings["null"] == "shift"
        return default_split(len(self.batch), self.settings["folds"], self.seed, groups, series)

    def table(self, analysis: Analysis) -> pd.DataFrame:
        """Return the table of an analysis."""
        function: Callable[..., pd.DataFrame] = resolve(analysis.function)
        keywords: dict[str, Any] = {name: self.settings[name] for name in analysis.takes}
        keywords |= {"seed": self.seed, "run": self.run, "task": self.task.name, **analysis.also(self.settings)}
        known = inspect.signature(function).parameters
        batch = self.batch_for(analysis)
        keywords |= {"groups": batch.groups} if "groups" in known else {}
        keywords |= {"rule": self.task.relabel} if "rule" in known else {}
        keywords |= {"input_names": self.task.input_names} if "input_names" in known else {}
        if "check" in known and self.task.most is None:  # where there are always others
            keywords["check"] = self.task.sample(len(batch), derive_seed(self.seed, "check data"))
        if self.command != "probe":
            return function(self.model, batch, *([batch.signals] if "signals" in known else []), **keywords)
        if analysis.lags is not None:
            lags = self.settings["lags"]
            keywords["lags"] = lags if analysis.lags == "all" else lags[:1]
        keywords |= {"split": self.split} if "split" in known else {}
        if analysis.along_training:
            return function(self.checkpoints(), self.batch, variables=self._shown, **keywords)
        keywords |= {"variables": None} if "variables" in known else {}
        rec = self.recording if analysis.all_variables else self.memory
        return function(rec, *([self.batch.signals] if "signals" in known else []), **keywords)


@untrained_once()
@needs_once()
@found_once()
def measure(
    subject: Subject, names: Sequence[str], made: Callable[[str, pd.DataFrame, float], None] | None = None,
    said: bool = False,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Return the tables of these analyses, by name.

    Args:
        subject: what they are made of.
        names: of the analyses.
        made: told of each as soon as it is made: its name, its table, and the seconds that it took.
        said: whether it was said before which signals are constant.
    """
    tables: dict[str, pd.DataFrame] = {}
    for analysis in chosen(names):
        started = time.perf_counter()
        # Which signals are constant is said by the first analysis.
        with only_errors("lstm_probe.probing.data.study") if tables or said else nullcontext():
            tables[analysis.name] = _table(subject, analysis)
        seconds = time.perf_counter() - started
        log.debug("%s: %.1f s", analysis.name, seconds)
        if made is not None:
            made(analysis.name, tables[analysis.name], seconds)
    return tables


def _table(subject: Subject, analysis: Analysis) -> pd.DataFrame:
    """Return the table of an analysis; an empty one, and a warning, of one for which there is nothing here.

    That is of one that another cell than an LSTM has not, or of one that looks at what these data or this network do
    not have.
    """
    try:
        return subject.table(analysis)
    except InputError as error:
        if cell_in(subject.model) == LSTM and not isinstance(error, NothingThereError):
            raise
        log.warning("%s: not measured: %s", analysis.name, "; ".join(error.problems))
        table = pd.DataFrame(columns=list(analysis.columns))
        table.attrs["not_measured"] = "; ".join(error.problems)
        return table


def cell_in(model: nn.Module) -> Cell:
    """Return the cell of a network's recurrent layers, its `lstm`."""
    layers = getattr(model, "lstm", None)
    return LSTM if layers is None else cell_of(layers)


def measure_into(
    folder: Path, model: nn.Module, task: Task, names: Sequence[str], settings: Mapping[str, Mapping[str, Any]],
    seed: int, run: str, phases: Phases, not_ablated: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """Make the tables of these analyses in a folder; return what the recording that is probed was compared with.

    Each is written as soon as it is made, and not made again where an earlier attempt has made it of the same network,
    with the same settings, by the same version.

    Args:
        folder: where the files go; `config.yaml` and the network are there.
        model: on the CPU, in evaluation mode.
        task: what it is measured on.
        names: of the analyses.
        settings: by command, complete.
        seed: everything random follows from it.
        run: what the run is called.
        phases: a command is a phase.
        not_ablated: its outputs mean nothing here: the tables of what becomes of them stay empty.
    """
    reached, bases = Reached(folder), _bases(folder, model, task, settings, not_ablated)
    reached.forget(ANALYSES.keys() - {*names})
    known = {one.name: reached.get(one.name, bases[one.command]) for one in chosen(names)}
    there = {name: about for name, about in known.items() if about is not None}
    if there:
        log.info("measured before it was interrupted: %s", ", ".join(there))
    checks: list[dict[str, Any]] = next((about["checks"] for about in there.values() if about["checks"]), [])
    for command, words in WORDS.items():
        own = [analysis for analysis in of_command(command) if analysis.name in names]
        left = [analysis for analysis in own if analysis.name not in there]
        if len(left) < len(own):
            phases.add(command, sum(there[analysis.name]["seconds"] for analysis in own if analysis not in left))
        if not left:
            continue
        with phases(command, words), listening() as warned:
            empty = [one for one in left if not_ablated and command != "probe" and not one.without_outputs]
            subject = Subject(
                model, task, command, settings[command], seed, run, partial(_along_training, folder, model)
            )

            def keep(
                name: str, table: pd.DataFrame, seconds: float, subject: Subject = subject, warned: Warned = warned
            ) -> None:
                if subject.command == "probe" and not checks and "recording" in vars(subject):
                    checks.extend(subject.recording.check().to_dict("records"))  # type: ignore[arg-type]
                content = io.BytesIO()
                table.to_parquet(content, index=False)
                about = {"seconds": seconds, "checks": checks}
                files = {ANALYSES[name].file: content.getvalue()}
                reached.add(name, bases[subject.command], files, about, warned.taken())

            for analysis in empty:
                keep(analysis.name, pd.DataFrame(columns=list(analysis.columns)), 0.0)
            measure(subject, [one.name for one in left if one not in empty], keep, said=own[0].name in there)
    return checks


def _bases(
    folder: Path, model: nn.Module, task: Task, settings: Mapping[str, Mapping[str, Any]], not_ablated: bool
) -> dict[str, str]:
    """Return by command on what its tables depend: the run's configuration, its network, settings, and versions."""
    made_of = [folder / name for name in ("config.yaml", "model.safetensors", CHECKPOINTS)]
    files = {path.name: sha256(path) for path in made_of if path.is_file()}
    sources = {"task": task_digests(task), "cell": source_of(cell_in(model))}
    common = {"files": files, "not_ablated": not_ablated, "by": provenance(), **sources}
    own = {name: {key: value for key, value in all_.items() if key != "analyses"} for name, all_ in settings.items()}
    return {command: identity_of({**common, "command": command, "settings": own[command]}) for command in settings}


def _along_training(folder: Path, model: nn.Module) -> dict[int, nn.Module]:
    path = folder / CHECKPOINTS
    return unpacked(path.read_bytes(), model) if path.is_file() else {}


def probes_and_curves(
    rec: Recording, signals: Signals, *, split: Split, groups: Any = None, **settings: Any
) -> pd.DataFrame:
    """Return `probe_units`' table with `curved_units`' columns, of the memory alone; arguments as theirs."""
    probes = probe_units(rec, signals, split=split, groups=groups, **settings)
    shared: Callable[[str], bool] = inspect.signature(curved_units).parameters.__contains__
    own = {name: value for name, value in settings.items() if shared(name) and name != "variables"}
    with only_errors("lstm_probe.probing.data.study"):
        shown = [shown_variable(probes, rec.config.cell.memory)]
        return curved_units(rec, signals, probes=probes, split=split, groups=groups, variables=shown, **own)


def learned_shares(model: nn.Module, batch: Batch, *, groups: Any = None, **settings: Any) -> pd.DataFrame:
    """Return `unit_shares`' table, an empty one where no target was learned; arguments as theirs."""
    try:
        return unit_shares(model, batch, groups=groups, **settings)
    except NotLearnedError as error:
        log.warning("%s", error)
        return pd.DataFrame(columns=list(SHARE_COLUMNS))
