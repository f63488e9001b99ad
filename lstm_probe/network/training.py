"""Training: Adam with a one-cycle schedule, early stop when solved, and checkpoints that change nothing.

Everything follows from one seed: the weights, and the data of every step. So a training that was interrupted and goes
on from its checkpoint ends with the same weights as one that was not.
"""

import copy
import logging
import math
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lstm_probe.cells.known import cell_of
from lstm_probe.core.adam import Adam
from lstm_probe.core.run_columns import HISTORY_COLUMNS
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.network.checkpoint import (
    UntrustedError,
    identity_of,
    read_checkpoint,
    set_aside,
    write_checkpoint,
)
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.settings import TrainingSettings
from lstm_probe.recorder.calling import outputs_of
from lstm_probe.tasks.base import Task

log = logging.getLogger(__name__)
VALIDATION_SEQUENCES = 256
SOLVED_IN_A_ROW = 2
CHECKPOINT_SECONDS = 1.0


class TrainingError(RuntimeError):
    """The training cannot continue."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands: steps done of `steps`, the mean loss since the last report, each target's score."""

    step: int
    steps: int
    loss: float
    scores: dict[str, float]


@dataclass
class Trainer:
    """Trains one network on one task.

    Args:
        model: trained in place.
        task: makes the data.
        steps: at most this many updates.
        batch: sequences per update.
        lr: the highest learning rate of the one-cycle schedule.
        clip: the gradient's norm is clipped to this.
        evaluate_every: steps between evaluations on held-out sequences.
        stop_when_solved: stop after two evaluations in a row in which every target counts as solved.
        tbptt: this many batches in a row are passages of running text that continue where the one before ended, and so
            does the network's state (truncated backpropagation through time); 1 begins every sequence anew. More
            than 1 is for tasks whose sequences follow one another (`Task.draw_passages`).
        seed: the data follow from it.
        device: where the network is trained.
        config: the hash of the configuration that all this is part of; a checkpoint of another one is not continued.
    """

    model: SequenceModel
    task: Task
    _: KW_ONLY
    steps: int = 3000
    batch: int = 64
    lr: float = 0.03
    clip: float = 1.0
    evaluate_every: int = 100
    stop_when_solved: bool = True
    tbptt: int = 1
    seed: int = 0
    device: str = "cpu"
    config: str = ""
    step: int = field(default=0, init=False)
    rows: list[list[Any]] = field(default_factory=list, init=False)
    kept: dict[int, dict[str, Tensor]] = field(default_factory=dict, init=False)
    _solved: int = field(default=0, init=False)
    _seconds: float = field(default=0.0, init=False)
    _state: Tensor | tuple[Tensor, ...] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.model.to(self.device)
        self._optimizer = Adam(self.model.parameters(), lr=self.lr, fused=True)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, max_lr=self.lr, total_steps=self.steps + 1, cycle_momentum=False
        )
        self.validation = self.task.sample_up_to(VALIDATION_SEQUENCES, derive_seed(self.seed, "validation"))

    def fit(
        self, checkpoint: Path | None = None, report: Callable[[Progress], None] | None = None,
        keep: Collection[int] = (),
    ) -> pd.DataFrame:  # fmt: skip
        """Train to the end and return the history (columns: `HISTORY_COLUMNS`).

        Args:
            checkpoint: a file to continue from if it is there, and to write to now and then. One that cannot be
                trusted is set aside with a warning, and the training begins anew.
            report: called after every evaluation.
            keep: after how many updates a copy of the weights goes into `kept`; those at the end do in any case, where
                there are any.

        Raises:
            TrainingError: the loss, or a weight, is no finite number.
        """
        if checkpoint is not None and os.path.lexists(checkpoint):
            try:
                self.resume(checkpoint)
                log.info("goes on from step %d", self.step)
            except UntrustedError as error:
                log.warning("%s: not continued from (%s): it is now %s, and the training begins anew",
                            checkpoint, error, set_aside(checkpoint).name)  # fmt: skip
        started = saved = time.perf_counter()
        before = self._seconds
        losses: list[Tensor] = []
        data: Batch | None = None
        at_once = self.at_once
        if self.step in keep:
            self.keep()
        try:
            while not self.done:
                chunk, k = divmod(self.step, at_once)
                if data is None or k == 0:
                    data = self.data(chunk)
                if k == 0:
                    self._state = None
                losses.append(self._update(data[k * self.batch : (k + 1) * self.batch]))
                self.step += 1
                if self.step in keep:
                    self.keep()
                if self.step % self.evaluate_every == 0 or self.step == self.steps:
                    self._seconds = before + time.perf_counter() - started
                    progress = self._evaluate(float(torch.stack(losses).mean()))
                    losses.clear()
                    if report is not None:
                        report(progress)
                    if checkpoint is not None and time.perf_counter() - saved > CHECKPOINT_SECONDS:
                        self.save(checkpoint)
                        saved = time.perf_counter()
        finally:
            self._seconds = before + time.perf_counter() - started
        if keep:
            self.keep()
        if checkpoint is not None:
            self.save(checkpoint)
        return self.history()

    def keep(self) -> None:
        """Put a copy of the weights as they are now into `kept`."""
        self.kept[self.step] = {name: v.detach().to("cpu", copy=True) for name, v in self.model.state_dict().items()}

    def history(self) -> pd.DataFrame:
        """Return what was measured so far, columns `HISTORY_COLUMNS`: split is train, validation or test."""
        return pd.DataFrame(self.rows, columns=list(HISTORY_COLUMNS))

    @property
    def seconds(self) -> float:
        """Return how long the training took, interruptions left out."""
        return self._seconds

    def took(self, seconds: float, rate: float) -> None:
        """Count seconds of a training that another makes for this one, whose learning rate is now `rate`."""
        self._seconds += seconds
        self._optimizer.param_groups[0]["lr"] = rate

    def add_scores(self, split: str, scores: dict[str, float]) -> None:
        """Put scores of the network as it is now into the history."""
        rate = self._optimizer.param_groups[0]["lr"]
        self.rows += [
            [self.step, split, target.name, target.metric, scores[target.name], rate, self._seconds]
            for target in self.task.targets
        ]

    @property
    def done(self) -> bool:
        """Return whether all updates are made, or early, as the task is solved."""
        return self.step >= self.steps or (self.stop_when_solved and self._solved >= SOLVED_IN_A_ROW)

    @property
    def at_once(self) -> int:
        """Return how many updates' data are made at once."""
        return self.tbptt if self.tbptt > 1 else self.task.batches_at_once

    def data(self, chunk: int) -> Batch:
        """Return the data of `at_once` updates, from number chunk · at_once on."""
        seed = derive_seed(self.seed, "train", chunk)
        if self.tbptt > 1:
            return self.task.sample_passages(self.batch, self.at_once, seed).to(self.device)
        return self.task.sample_training(self.batch * self.at_once, seed).to(self.device)

    def _update(self, batch: Batch) -> Tensor:
        loss = self._loss(batch)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self._optimizer.step()
        self._schedule.step()
        return loss.detach()

    def _loss(self, batch: Batch) -> Tensor:
        """Return what an update makes smaller."""
        if self.tbptt > 1:
            outputs, state = self.model.advance(batch.inputs, self._state)
            self._state = state.detach() if isinstance(state, Tensor) else tuple(one.detach() for one in state)
        else:
            outputs = self.model(batch.inputs)
        return batch.loss(outputs)

    def _evaluate(self, loss: float) -> Progress:
        self.check(loss, self.model.parameters())
        scores = evaluate(self.model, self.validation)
        self.note(loss, scores)
        return Progress(self.step, self.steps, loss, scores)

    def check(self, loss: float, weights: Iterable[Tensor]) -> None:
        """Raise a TrainingError unless the mean loss since the last evaluation and all weights are finite numbers."""
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} by step {self.step}: lower lr={self.lr:g} or clip={self.clip:g}")
        # What the last update has spoiled, no loss has shown so far.
        if not all(bool(torch.isfinite(values).all()) for values in weights):
            raise TrainingError(f"a weight is no number by step {self.step}: lower lr={self.lr:g} or "
                                f"clip={self.clip:g}")  # fmt: skip

    def note(self, loss: float, scores: dict[str, float]) -> None:
        """Put an evaluation into the history: the mean loss since the last, and each target's score."""
        self._solved = self._solved + 1 if self.task.solved(scores) else 0
        rate = self._optimizer.param_groups[0]["lr"]
        self.rows.append([self.step, "train", "all", "loss", loss, rate, self._seconds])
        self.add_scores("validation", scores)

    def save(self, path: Path) -> None:
        """Write all that a continued training needs; whole or not at all."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        saved = {**parts, "state": self._state, "kept": self.kept, "own": self.record()}
        write_checkpoint(path, saved, self.identity(), (self.step, self.steps))

    def resume(self, path: Path) -> None:
        """Go back to where `save` was called.

        Raises:
            UntrustedError: the file is not what `save` wrote of this very training; nothing has changed then.
        """
        saved = read_checkpoint(path, self.identity(), self.steps, self.device)
        before = {name: copy.deepcopy(part.state_dict()) for name, part in self._parts().items()}
        try:
            for name, part in self._parts().items():
                if saved[name].keys() != before[name].keys():
                    raise UntrustedError(f"not the {name} of this training")
                part.load_state_dict(saved[name])
            self._check_state(saved)
            kept = {step: {name: v.cpu() for name, v in one.items()} for step, one in saved.get("kept", {}).items()}
        except Exception as error:
            for name, part in self._parts().items():
                part.load_state_dict(before[name])
            reason = str(error) if isinstance(error, UntrustedError) else f"{type(error).__name__}"
            raise UntrustedError(reason) from error
        self._state = saved["state"]
        self.restore(saved["own"], kept)

    def record(self) -> dict[str, Any]:
        """Return where the training stands and what was measured, as plain data."""
        return {"step": self.step, "rows": self.rows, "solved": self._solved, "seconds": self._seconds}

    def restore(self, record: Mapping[str, Any], kept: dict[int, dict[str, Tensor]]) -> None:
        """Go back to where `record` was called; `kept` are the copies of the weights that there were."""
        self.step, self.rows = record["step"], record["rows"]
        self._solved, self._seconds = record["solved"], record["seconds"]
        self.kept = kept

    def _check_state(self, saved: Mapping[str, Any]) -> None:
        """Raise an UntrustedError unless what was loaded fits the network, and each other."""
        averages = [
            (p.shape, s[key].shape) for p, s in self._optimizer.state.items() for key in ("exp_avg", "exp_avg_sq")
        ]
        if any(own != other for own, other in averages):
            raise UntrustedError("the optimizer's averages have other shapes than the weights")
        if self._schedule.last_epoch != saved["own"]["step"] or self._schedule.total_steps != self.steps + 1:
            raise UntrustedError("its learning rate is of another step")
        lstm, state = self.model.lstm, saved["state"]
        widths = [lstm.proj_size or lstm.hidden_size, *[lstm.hidden_size] * (len(cell_of(lstm).state) - 1)]
        shapes = [(lstm.num_layers, self.batch, width) for width in widths]
        carried = [state] if isinstance(state, Tensor) else state
        if carried is not None and [tuple(values.shape) for values in carried] != shapes:
            raise UntrustedError("the state that it carries has another shape")

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self._optimizer, "schedule": self._schedule}

    def identity(self) -> str:
        """Return the hash of all that a checkpoint has to share with the training that continues from it."""
        own = {
            f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name not in ("model", "task", "device")
        }
        shapes = {name: list(values.shape) for name, values in self.model.state_dict().items()}
        cell = cell_of(self.model.lstm).name
        own |= {} if cell == "lstm" else {"cell": cell}
        return identity_of({**own, "task": [type(self.task).__qualname__, repr(self.task)], "shapes": shapes})


def trainer_of(settings: TrainingSettings, task: Task, *, config: str = "") -> Trainer:
    """Return the trainer of a network of these settings on a task; `config` is the hash of what they are part of."""
    steps = int(task.sample_training(64, 0).lengths.max()) if settings.init == "chrono" else 1
    model = SequenceModel(task.n_inputs, task.n_outputs, settings.units, settings.layers, settings.projection,
                        seed=derive_seed(settings.seed, "weights"), forget_bias=settings.forget_bias,
                        init=settings.init, steps=steps, cell=settings.cell)  # fmt: skip
    own = {
        f.name: getattr(settings, f.name)
        for f in fields(Trainer)
        if f.init and f.name not in ("model", "task", "config")
    }
    return Trainer(model, task, **own, config=config)


@torch.no_grad()
def evaluate(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Return each target's score, between 0 (chance or worse) and 1, on a batch that lies on the CPU."""
    device = next(model.parameters()).device
    return batch.scores(outputs_of(model, batch.to(device)).cpu())
