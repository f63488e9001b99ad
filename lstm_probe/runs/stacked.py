"""The runs of a stack: those that are missing are trained as one, and each is a run like any other."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from lstm_probe.core.files import check_writable
from lstm_probe.core.holding import TakenOverError
from lstm_probe.network.checkpoint import UntrustedError
from lstm_probe.network.snapshots import updates_to_keep
from lstm_probe.network.stacked import StackedTrainer, members_at_once
from lstm_probe.network.training import Trainer, TrainingError, trainer_of
from lstm_probe.runs.making import Measuring, find_or_make, making
from lstm_probe.runs.phases import enough_memory
from lstm_probe.runs.plain import to_yaml
from lstm_probe.runs.progress import TrainingProgress
from lstm_probe.runs.reached import CHECKPOINT
from lstm_probe.runs.run import Run, load_run
from lstm_probe.runs.settings import RunSettings, members_of
from lstm_probe.runs.store import claim, config_hash, result_config, run_folder
from lstm_probe.runs.training import check_sequences, check_told, make
from lstm_probe.tasks import Task, get_task

log = logging.getLogger(__name__)


@dataclass
class StackRuns:
    """What became of a stack: the runs of its members, and of those that failed the reason, by the run's name."""

    runs: list[Run] = field(default_factory=list)
    failed: dict[str, TrainingError] = field(default_factory=dict)

    def check(self) -> None:
        """Raise a TrainingError that names every member that failed, if any did."""
        if self.failed:
            told = "; ".join(f"{name}: {error}" for name, error in self.failed.items())
            error = TrainingError(f"{len(self.failed)} of {len(self.runs) + len(self.failed)} networks failed: {told}")
            error.log_file = next(iter(self.failed.values())).log_file  # type: ignore[attr-defined]
            raise error


@dataclass(frozen=True)
class _Member:
    settings: RunSettings
    resolved: dict[str, Any]
    folder: Path


def train_stack(settings: RunSettings, measuring: Measuring) -> StackRuns:
    """Return the runs of a stack's members, those made that are not there already.

    They are trained as stacks of as many networks as are best trained at once; when such a stack is trained, its
    members are tested and measured one after another.

    Args:
        settings: of the stack.
        measuring: what is measured on each member.

    Raises:
        InputError: the task cannot give as many sequences as are needed.
    """
    outputs = Path(settings.outputs)
    members = [_Member(one, own := result_config(one), run_folder(outputs, own)) for one in members_of(settings)]
    members.sort(key=lambda one: one.folder)  # whoever waits for several waits in one order
    missing = [one for one in members if settings.force or not one.folder.exists()]
    if len(missing) < len(members):
        log.info("%d of %d runs are there already; force=true makes them again",
                 len(members) - len(missing), len(members))  # fmt: skip
    result, made = StackRuns(), {}
    if missing:
        check_writable(outputs, "outputs")
    at_once = members_at_once(settings.units, settings.batch, settings.device)
    for start in range(0, len(missing), at_once):
        group = missing[start : start + at_once]
        try:
            failed = _train(group, measuring)
        except TakenOverError as error:
            log.warning("%s", error)
            return train_stack(replace(settings, force=False), measuring)
        result.failed |= failed
        for one in group:
            if one.folder.name not in failed:
                made[one.folder] = _finished(one, measuring, settings.force)
    for member in sorted(members, key=lambda one: (one.settings.seed, one.settings.lr)):
        if member.folder in made:
            result.runs.append(made[member.folder])
        elif member.folder.name not in result.failed:
            result.runs.append(_there(member, measuring))
    return result


def _finished(member: _Member, measuring: Measuring, force: bool) -> Run:
    making_it = partial(make, member.settings, member.resolved, measuring)
    return find_or_make(
        member.resolved, making_it, measuring, outputs=member.settings.outputs, force=force, fresh=False
    )


def _there(member: _Member, measuring: Measuring) -> Run:
    run = load_run(member.folder)
    missing = [name for name in measuring.names if name not in run.measured]
    return _finished(member, measuring, force=False) if missing else run


def _train(group: Sequence[_Member], measuring: Measuring) -> dict[str, TrainingError]:
    """Train the members of a group that are neither there nor trained; return why some of them failed.

    What a member was trained to stands in its own hidden folder then, as the checkpoint of a training that is done.
    The checkpoint of them all stands in that of the first.
    """
    settings, task = group[0].settings, get_task(**group[0].settings.task)
    check_sequences(task, settings, measuring.names)
    with ExitStack() as claims:
        partials: dict[Path, Path] = {}
        for one in group:
            waiting = partial(log.info, "another process is making %s: waiting for it", one.folder)
            partials[one.folder] = claims.enter_context(claim(one.folder, waiting))
            if settings.force:
                shutil.rmtree(partials[one.folder], ignore_errors=True)
        wanted = [one for one in group if settings.force or not one.folder.exists()]
        trainers = [_untrained(one, task, partials[one.folder] / CHECKPOINT) for one in wanted]
        left = [one for one, trainer in zip(wanted, trainers) if trainer is not None]
        if not left:
            return {}
        stacked = StackedTrainer([trainer for trainer in trainers if trainer is not None])
        first = partials[left[0].folder]
        check_told(stacked.members[0], settings, measuring, left[0].folder.name)
        with making(first, fresh=False):
            title = f"stack of {len(left)}"
            with enough_memory("train"), TrainingProgress(title, task.name, settings.steps) as bar:
                keep = updates_to_keep(settings.checkpoints, settings.steps)
                stacked.fit(first / CHECKPOINT, bar.report, keep)
        # The first comes last: its own checkpoint takes the place of that of them all.
        for k, one in reversed(list(enumerate(left))):
            partials[one.folder].mkdir(exist_ok=True)
            if k not in stacked.failed:
                StackedTrainer([stacked.members[k]]).save(partials[one.folder] / CHECKPOINT)
        return dict(_failures(stacked, left, partials))


def _untrained(member: _Member, task: Task, checkpoint: Path) -> Trainer | None:
    """Return a member's trainer; None where it was trained before, by a stack that had no time to measure it."""
    trainer, again = (trainer_of(member.settings, task, config=config_hash(member.resolved)) for _ in range(2))
    try:
        StackedTrainer([again]).resume(checkpoint)
    except UntrustedError:  # that of a stack, or none
        return trainer
    return None if again.done else trainer


def _failures(
    stacked: StackedTrainer, members: Sequence[_Member], partials: dict[Path, Path]
) -> Iterator[tuple[str, TrainingError]]:
    """Write down of each member that failed why; yield its name and the error."""
    for k, error in stacked.failed.items():
        own = partials[members[k].folder]
        (own / CHECKPOINT).unlink(missing_ok=True)
        try:
            with making(own, fresh=False):
                (own / "config.yaml").write_text(to_yaml(members[k].resolved))
                raise error
        except TrainingError:
            yield members[k].folder.name, error
