"""Training of many networks as one stack: each member ends as if it had been trained alone.

A member has its own seed and highest learning rate; all else is shared. It has the data, the initial weights, the
clipping, the schedule, the early stop and the history of its own `Trainer`. Which others are in its stack changes no
digit (on a processor with one thread): every sum is over what is a member's own, in an order that its neighbours
don't decide, and sequences come in multiples of `stack_data.ROWS`, so that no operation treats the end of a member's
numbers in another way than their middle.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.network.checkpoint import UntrustedError, identity_of, read_checkpoint, set_aside, write_checkpoint
from lstm_probe.network.stack import StackedModel, stack
from lstm_probe.network.stack_data import Chunk, columns, rounded
from lstm_probe.network.training import CHECKPOINT_SECONDS, Trainer, TrainingError, log

#: Gates of all members at one step: as many as a processor's own cache holds, beyond which nothing is gained.
GATES_AT_ONCE = 131_072
#: More need much memory for their data.
MOST_MEMBERS = 64
BETAS, EPS = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class StackProgress:
    """Where a stack stands: steps done of `steps`, the members' mean loss, and how many there are of each fate."""

    step: int
    steps: int
    loss: float
    training: int
    done: int
    failed: int


def members_at_once(units: int, batch: int, device: str = "cpu") -> int:
    """Return how many networks are best trained as one stack; more are trained one such stack after another."""
    if not device.startswith("cpu"):
        return 256
    return min(MOST_MEMBERS, max(1, GATES_AT_ONCE // (4 * units * rounded(batch))))


def one_cycle(step: int, steps: int) -> float:
    """Return the learning rate of update `step` (from 0) as a share of the highest; as `OneCycleLR` has it.

    Up from 1/25 in the first 0.3 of the steps, then down to 1/250,000, along cosines (Smith & Topin 2018).
    """
    peak, last = 0.3 * (steps + 1) - 1, steps
    low, high, done = (1 / 25, 1.0, step / peak) if step <= peak else (1.0, 1 / 250_000, (step - peak) / (last - peak))
    return high + (low - high) / 2 * (1 + math.cos(math.pi * done))


class StackedTrainer:
    """Trains several networks on one task as one stack.

    Args:
        members: their trainers, alike but for `seed`, `lr`, `config` and the weights; they are trained in place.

    Attributes:
        failed: by member, why its training ended without a result.

    Raises:
        InputError: none, or trainers that differ otherwise.
    """

    def __init__(self, members: Sequence[Trainer]) -> None:
        self.members = list(members)
        self.failed: dict[int, TrainingError] = {}
        if not self.members:
            raise InputError("members: there is none to train.")
        first = self.members[0]
        own = [f.name for f in fields(Trainer) if f.init and f.name not in ("model", "seed", "lr", "config")]
        wrong = [
            f"members[{k}]: {key} is {getattr(one, key)}, that of members[0] is {getattr(first, key)}."
            for k, one in enumerate(self.members)
            for key in own
            if getattr(one, key) != getattr(first, key)
        ]
        if wrong:
            raise InputError(*wrong)
        stack([one.model for one in self.members])  # raises where they differ
        self._first, self.step = first, first.step
        self._live = list(range(len(self.members)))
        self._data: list[Batch] = []
        self._chunk: Chunk | None = None
        self._state: tuple[Tensor, Tensor] | None = None
        weights = torch.stack([torch.cat([p.detach().flatten() for p in one.model.parameters()]) for one in members])
        self._weights = torch.nn.functional.pad(weights, (0, rounded(weights.shape[1]) - weights.shape[1]))
        self._averages = [torch.zeros_like(self._weights) for _ in range(2)]
        self._build()
        self._leave([k for k in self._live if self.members[k].done], keep=())

    def fit(
        self, checkpoint: Path | None = None, report: Callable[[StackProgress], None] | None = None,
        keep: Collection[int] = (),
    ) -> None:  # fmt: skip
        """Train all members to their ends; those that failed are in `failed`, and the others go on.

        Args:
            checkpoint: of the whole stack; as `Trainer.fit` has it.
            report: called after every evaluation.
            keep: after how many updates copies of each member's weights go into its `kept`.
        """
        if checkpoint is not None and os.path.lexists(checkpoint):
            try:
                self.resume(checkpoint)
                log.log(logging.INFO if self._live else logging.DEBUG, "goes on from step %d", self.step)
            except UntrustedError as error:
                log.warning("%s: not continued from (%s): it is now %s, and the training begins anew",
                            checkpoint, error, set_aside(checkpoint).name)  # fmt: skip
        saved = self._clock = time.perf_counter()
        losses: list[Tensor] = []
        first = self._first
        if self.step in keep:
            self._keep(self._live)
        while self._live:
            chunk, k = divmod(self.step, first.at_once)
            if not self._data or k == 0:
                self._draw(chunk)
            if k == 0:
                self._state = None
            losses.append(self._update(k))
            self.step += 1
            for live in self._live:
                self.members[live].step = self.step
            if self.step in keep:
                self._keep(self._live)
            if self.step % first.evaluate_every == 0 or self.step == first.steps:
                progress = self._evaluate(torch.stack(losses, dim=1).mean(1), keep)
                losses.clear()
                if report is not None:
                    report(progress)
                if checkpoint is not None and time.perf_counter() - saved > CHECKPOINT_SECONDS:
                    self.save(checkpoint)
                    saved = time.perf_counter()
        if checkpoint is not None:
            self.save(checkpoint)

    def _build(self) -> None:
        """Make the stack of the members that are still trained; its parameters are slices of rows."""
        self._lr = torch.tensor([[self.members[k].lr] for k in self._live], dtype=torch.double)
        if not self._live:
            return
        self._stack: StackedModel = stack([self.members[k].model for k in self._live])  # type: ignore[assignment]
        start = 0
        for parameter in self._stack.parameters():
            end = start + parameter[0].numel()
            parameter.data = self._weights[:, start:end].view(parameter.shape)
            start = end

    def _draw(self, chunk: int) -> None:
        by_seed = {self.members[k].seed: self.members[k] for k in self._live}  # members of one seed read the same
        if torch.device(self._first.device).type == "cpu":
            made = [one.data(chunk) for one in by_seed.values()]
        else:  # the processors have nothing else to do
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                made = list(pool.map(lambda one: one.data(chunk), by_seed.values()))
        drawn = dict(zip(by_seed, made))
        self._data, self._chunk = [drawn[self.members[k].seed] for k in self._live], None

    def _update(self, k: int) -> Tensor:
        """Make an update, number k of the chunk; return the losses."""
        first = self._first
        self._chunk = self._chunk or Chunk(self._data, first.batch)
        outputs, state = self._stack.steps(self._chunk.inputs(k), self._state)
        if first.tbptt > 1:
            self._state = (state[0].detach(), state[1].detach())
        losses = self._chunk.losses(k, outputs)
        each = [own.flatten(1) for own in torch.autograd.grad(losses.sum(), list(self._stack.parameters()))]
        grads = torch.zeros_like(self._weights)
        torch.cat(each, dim=1, out=grads[:, : sum(own.shape[1] for own in each)])
        norms = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
        grads.mul_((first.clip / (norms + 1e-6)).clamp_(max=1.0))
        mean, square = self._averages
        mean.lerp_(grads, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(grads, grads, value=1 - BETAS[1])
        bias, spread = (1 - beta ** (self.step + 1) for beta in BETAS)
        rates = (self._lr * (one_cycle(self.step, first.steps) / bias)).to(mean.dtype).to(mean.device)
        self._weights.sub_((mean / square.sqrt().div_(math.sqrt(spread)).add_(EPS)).mul_(rates))
        return losses.detach()

    @torch.no_grad()
    def _evaluate(self, losses: Tensor, keep: Collection[int]) -> StackProgress:
        now = time.perf_counter()
        each, self._clock = (now - self._clock) / len(self._live), now
        held_out = [self.members[k].validation for k in self._live]
        shown = [batch.inputs.to(losses.device) for batch in held_out]
        outputs, _ = self._stack.steps(columns(shown, len(shown[0]))[0])
        outputs = outputs.permute(1, 3, 0, 2).cpu()
        gone, rate = [], one_cycle(self.step, self._first.steps)
        for row, (k, loss) in enumerate(zip(self._live, losses.tolist())):
            one, batch = self.members[k], held_out[row]
            one.took(each, rate * one.lr)
            try:
                one.check(loss, [self._weights[row]])
            except TrainingError as error:
                self.failed[k] = error
                gone.append(k)
                continue
            one.note(loss, batch.scores(outputs[row, : len(batch), : batch.inputs.shape[1]].contiguous()))
            if one.done:
                gone.append(k)
        own = losses[[k not in self.failed for k in self._live]]
        self._leave(gone, keep)
        left = len(self.members) - len(self._live) - len(self.failed)
        return StackProgress(self.step, self._first.steps, float(own.mean()), len(self._live), left, len(self.failed))

    def _leave(self, gone: Sequence[int], keep: Collection[int]) -> None:
        """Take members out of the stack, which is smaller then."""
        if not gone:
            return
        self._give_back(gone)
        if keep:
            self._keep([k for k in gone if k not in self.failed])
        rows = [row for row, k in enumerate(self._live) if k not in gone]
        self._live = [self._live[row] for row in rows]
        self._weights, self._averages = self._weights[rows], [values[rows] for values in self._averages]
        self._data, self._chunk = [self._data[row] for row in rows] if self._data else [], None
        if self._state is not None:
            self._state = (self._state[0][rows], self._state[1][rows])
        self._build()

    def _give_back(self, which: Collection[int]) -> None:
        """Write the weights of members into their own networks."""
        for row, k in enumerate(self._live):
            if k in which:
                start = 0
                for parameter in self.members[k].model.parameters():
                    end = start + parameter.numel()
                    parameter.data.copy_(self._weights[row, start:end].view(parameter.shape))
                    start = end

    def _keep(self, which: Collection[int]) -> None:
        self._give_back(which)
        for k in which:
            self.members[k].keep()

    def save(self, path: Path) -> None:
        """Write all that a continued training needs; whole or not at all."""
        self._give_back(self._live)
        own = {"step": self.step, "rows": [], "solved": 0, "seconds": 0.0, "live": self._live,
               "members": [one.record() for one in self.members],
               "failed": {k: str(error) for k, error in self.failed.items()}}  # fmt: skip
        saved = {"weights": self._weights, "averages": self._averages, "state": self._state, "own": own,
                 "kept": {k: {} if k in self.failed else one.kept for k, one in enumerate(self.members)},
                 "models": {k: one.model.state_dict() for k, one in enumerate(self.members)
                            if k not in self.failed}}  # fmt: skip
        write_checkpoint(path, saved, self._identity(), (self.step, self._first.steps))

    def resume(self, path: Path) -> None:
        """Go back to where `save` was called.

        Raises:
            UntrustedError: the file is not what `save` wrote of this very stack; nothing has changed then.
        """
        first = self._first
        saved = read_checkpoint(path, self._identity(), first.steps, first.device)
        own = saved["own"]
        try:
            live = [int(k) for k in own["live"]]
            kept = [{step: {n: v.cpu() for n, v in copy.items()} for step, copy in saved["kept"][k].items()}
                    for k in range(len(self.members))]  # fmt: skip
            failed = {int(k): TrainingError(text) for k, text in own["failed"].items()}
            models = {k: saved["models"][k] for k in range(len(self.members)) if k not in failed}
            self._check(saved, models, live)
        except UntrustedError:
            raise
        except Exception as error:
            raise UntrustedError(type(error).__name__) from error
        self.step, self.failed, self._live, self._state = own["step"], failed, live, saved["state"]
        self._weights, self._averages = saved["weights"], list(saved["averages"])
        for k, values in models.items():
            self.members[k].model.load_state_dict(values)
        for one, record, copies in zip(self.members, own["members"], kept):
            one.restore(record, copies)
        self._build()

    def _check(self, saved: Mapping[str, Any], models: Mapping[int, Mapping[str, Tensor]], live: list[int]) -> None:
        """Raise an UntrustedError unless what was loaded fits the networks, and each other."""
        shapes = [{n: v.shape for n, v in self.members[k].model.state_dict().items()} for k in models]
        if [{n: v.shape for n, v in values.items()} for values in models.values()] != shapes:
            raise UntrustedError("of other networks")
        wanted = (len(live), self._weights.shape[1])
        if any(values.shape != wanted for values in (saved["weights"], *saved["averages"])):
            raise UntrustedError("the optimizer's averages have other shapes than the weights")
        if len(saved["own"]["members"]) != len(self.members) or not set(live) <= set(models):
            raise UntrustedError("of other members")
        lstm, state, first = self._first.model.lstm, saved["state"], self._first
        widths = (lstm.proj_size or lstm.hidden_size, lstm.hidden_size)
        rows = [(len(live), lstm.num_layers, width, rounded(first.batch)) for width in widths]
        if state is not None and [tuple(values.shape) for values in state] != rows:
            raise UntrustedError("the state that it carries has another shape")

    def _identity(self) -> str:
        return identity_of({"stack": [one.identity() for one in self.members]})


def fit_alone(
    trainer: Trainer, checkpoint: Path, report: Callable[[StackProgress], None], keep: Collection[int]
) -> None:
    """Train one network as a stack of its own: as in any other stack; as `StackedTrainer.fit`.

    Raises:
        TrainingError: the loss is no finite number.
    """
    stacked = StackedTrainer([trainer])
    stacked.fit(checkpoint, report, keep)
    for error in stacked.failed.values():
        raise error
