"""Training: Adam with a one-cycle schedule, early stop when solved, and checkpoints that change nothing.

Everything follows from one seed: the weights, and the data of every step. So a training that was interrupted and goes
on from its checkpoint ends with the same weights as one that was not.
"""

import io
import logging
import math
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lstm_probe.core.columns import HISTORY_COLUMNS
from lstm_probe.core.files import write_whole
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
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
    step: int = field(default=0, init=False)
    rows: list[list[Any]] = field(default_factory=list, init=False)
    _solved: int = field(default=0, init=False)
    _seconds: float = field(default=0.0, init=False)
    _state: tuple[Tensor, Tensor] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.model.to(self.device)
        self._optimizer = torch.optim.Adam(self.model.parameters(), lr=self.lr, fused=True)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, max_lr=self.lr, total_steps=self.steps + 1, cycle_momentum=False
        )
        self._validation = self.task.sample(VALIDATION_SEQUENCES, derive_seed(self.seed, "validation"))

    def fit(self, checkpoint: Path | None = None, report: Callable[[Progress], None] | None = None) -> pd.DataFrame:
        """Train to the end and return the history (columns: `HISTORY_COLUMNS`).

        Args:
            checkpoint: a file to continue from if it is there, and to write to now and then.
            report: called after every evaluation.

        Raises:
            TrainingError: the loss is no finite number.
        """
        if checkpoint is not None and checkpoint.exists():
            self.resume(checkpoint)
            log.info("goes on from step %d", self.step)
        started = saved = time.perf_counter()
        before = self._seconds
        losses: list[Tensor] = []
        data: Batch | None = None
        at_once = self.tbptt if self.tbptt > 1 else self.task.batches_at_once
        try:
            while self.step < self.steps and not (self.stop_when_solved and self._solved >= SOLVED_IN_A_ROW):
                chunk, k = divmod(self.step, at_once)
                if data is None or k == 0:
                    data = self._data(derive_seed(self.seed, "train", chunk), at_once).to(self.device)
                if k == 0:
                    self._state = None
                losses.append(self._update(data[k * self.batch : (k + 1) * self.batch]))
                self.step += 1
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
        if checkpoint is not None:
            self.save(checkpoint)
        return self.history()

    def history(self) -> pd.DataFrame:
        """Return what was measured so far, columns `HISTORY_COLUMNS`: split is train, validation or test."""
        return pd.DataFrame(self.rows, columns=list(HISTORY_COLUMNS))

    @property
    def seconds(self) -> float:
        """Return how long the training took, interruptions left out."""
        return self._seconds

    def add_scores(self, split: str, scores: dict[str, float]) -> None:
        """Put scores of the network as it is now into the history."""
        rate = self._optimizer.param_groups[0]["lr"]
        self.rows += [
            [self.step, split, target.name, target.metric, scores[target.name], rate, self._seconds]
            for target in self.task.targets
        ]

    def _data(self, seed: int, batches: int) -> Batch:
        if self.tbptt > 1:
            return self.task.sample_passages(self.batch, batches, seed)
        return self.task.sample_training(self.batch * batches, seed)

    def _update(self, batch: Batch) -> Tensor:
        if self.tbptt > 1:
            outputs, (h, c) = self.model.advance(batch.inputs, self._state)
            self._state = (h.detach(), c.detach())
        else:
            outputs = self.model(batch.inputs)
        loss = batch.loss(outputs)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self._optimizer.step()
        self._schedule.step()
        return loss.detach()

    def _evaluate(self, loss: float) -> Progress:
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} by step {self.step}: lower lr={self.lr:g} or clip={self.clip:g}")
        scores = evaluate(self.model, self._validation)
        self._solved = self._solved + 1 if self.task.solved(scores) else 0
        rate = self._optimizer.param_groups[0]["lr"]
        self.rows.append([self.step, "train", "all", "loss", loss, rate, self._seconds])
        self.add_scores("validation", scores)
        return Progress(self.step, self.steps, loss, scores)

    def save(self, path: Path) -> None:
        """Write all that a continued training needs; whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "state": self._state,
            "own": {"step": self.step, "rows": self.rows, "solved": self._solved, "seconds": self._seconds},
        }
        buffer = io.BytesIO()  # PyTorch's own writer does not say that a disk is full; Python's does
        torch.save(state, buffer)
        write_whole(path, buffer.getbuffer())

    def resume(self, path: Path) -> None:
        """Go back to where `save` was called."""
        state = torch.load(path, weights_only=True, map_location=self.device)
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._state, own = state["state"], state["own"]
        self.step, self.rows, self._solved, self._seconds = own["step"], own["rows"], own["solved"], own["seconds"]


def trainer_of(settings: TrainingSettings, task: Task, model_class: type[SequenceModel] = SequenceModel) -> Trainer:
    """Return the trainer of a network of these settings on a task."""
    model = model_class(task.n_inputs, task.n_outputs, settings.units, settings.layers, settings.projection,
                        seed=derive_seed(settings.seed, "weights"), forget_bias=settings.forget_bias)  # fmt: skip
    own = {f.name: getattr(settings, f.name) for f in fields(Trainer) if f.init and f.name not in ("model", "task")}
    return Trainer(model, task, **own)


@torch.no_grad()
def evaluate(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Return each target's score, between 0 (chance or worse) and 1, on a batch that lies on the CPU."""
    device = next(model.parameters()).device
    return batch.scores(outputs_of(model, batch.to(device)).cpu())
