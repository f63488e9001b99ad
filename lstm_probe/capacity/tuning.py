"""Smaller by training: a few units less, merged; short trainings, the best of which is taken, or none; and again.

The guard is a must: a training that loses what the network knew (a high learning rate can cost it one target at once)
is thrown away, and so is a size that none of the trainings brings back to what is to be kept.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lstm_probe.capacity.fold import Fold, Part
from lstm_probe.capacity.goal import Goal
from lstm_probe.capacity.sizes import Merging, Smaller
from lstm_probe.causal.running import by_step
from lstm_probe.core.adam import Adam
from lstm_probe.core.seeding import derive_seed, generator
from lstm_probe.core.signal import Batch
from lstm_probe.recorder.calling import outputs_of
from lstm_probe.tasks.base import Task

#: Sequences for each update.
MINIBATCH = 64
#: The gradient's norm is clipped to this.
CLIP = 1.0
#: Updates and learning rate of the trainings at a size, in the order in which they are tried.
SHORT = ((200, 0.01), (200, 0.002))
#: Those that follow where none of these was enough.
LONG = ((600, 0.005), (600, 0.02))
#: How much smaller the next size is at first, as a share.
STEP = 0.25


@dataclass
class Tuner:
    """Trains copies of a network, and counts the updates.

    Args:
        train: a task, or sequences.
        intact: the network as it was, whose outputs are the goal where there are no targets.
        budget: updates that may be done, of all trainings together, those that came to nothing too.
        seed: of the sequences' order.
    """

    train: Task | Batch
    intact: nn.Module
    budget: int
    seed: int
    done: int = field(default=0, init=False)

    def tune(self, model: nn.Module, updates: int, rate: float) -> nn.Module | None:
        """Return a copy that was trained for so many updates, or as many as are left; None where none are."""
        updates = min(updates, self.budget - self.done)
        if updates <= 0:
            return None
        tuned, device = copy.deepcopy(model), next(model.parameters()).device
        weights = [p for p in tuned.parameters() if p.requires_grad]
        if not weights:  # nothing is meant to be trained: then all may be
            weights = [p for p in tuned.parameters() if p.is_floating_point()]
            tuned.requires_grad_()
        optimizer = Adam(weights, lr=rate)
        tuned.train()
        with torch.enable_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(derive_seed(self.seed, "dropout of shrink", self.done))
            for k, batch in enumerate(self._batches(updates)):
                for group in optimizer.param_groups:
                    group["lr"] = rate * (1 - k / updates)
                loss = self._loss(tuned, batch.to(device))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, CLIP)
                optimizer.step()
        self.done += updates
        return tuned.eval()

    def _batches(self, updates: int) -> Iterator[Batch]:
        """Go through sequences to train on; others each time."""
        if isinstance(self.train, Batch):
            order, rng = torch.zeros(0, dtype=torch.long), generator(self.seed, "shrink", self.done)
            size = min(MINIBATCH, len(self.train))
            for _ in range(updates):
                if len(order) < size:
                    order = torch.randperm(len(self.train), generator=rng)
                yield self.train[order[:size].to(self.train.lengths.device)]
                order = order[size:]
            return
        at_once = self.train.batches_at_once
        for k in range(updates):
            if k % at_once == 0:
                own = derive_seed(self.seed, "shrink", self.done + k)
                data = self.train.sample_training(MINIBATCH * at_once, own)
            yield data[(k % at_once) * MINIBATCH : (k % at_once + 1) * MINIBATCH]

    def _loss(self, model: nn.Module, batch: Batch) -> Tensor:
        outputs = outputs_of(model, batch)
        if batch.target_specs:
            return batch.loss(by_step(batch, outputs))
        with torch.no_grad():
            goal = outputs_of(self.intact, batch)
        changed = (outputs - goal).square().flatten(0, -2).mean(0)
        return (changed / goal.flatten(0, -2).var(0).clamp(min=1e-12)).mean()


@dataclass(frozen=True)
class Stage:
    """A size that was tried.

    Attributes:
        units: how many.
        share: what the best of its trainings keeps, on the sequences that decide.
        updates: done until then.
    """

    units: int
    share: float
    updates: int


@torch.no_grad()
def gradual(
    start: Smaller, units: int, tuner: Tuner, fit: Batch, goal: Goal, bar: float, *, layer: str | None, least: int = 1,
    wanted: int | None = None,
) -> tuple[Smaller, list[Stage]]:  # fmt: skip
    """Return the smallest network that keeps a share, and the sizes that were tried.

    Args:
        start: where to begin.
        units: how many it has.
        tuner: trains.
        fit: sequences for merging.
        goal: on the sequences that decide.
        bar: the share to keep.
        layer: which LSTM.
        least: no network smaller than this is tried.
        wanted: the size that is returned, whatever it keeps; None for the smallest that keeps the share.
    """
    best, stages, step = start, list[Stage](), STEP
    least = max(least, wanted or 1)
    while units > least and tuner.done < tuner.budget:
        size = max(least, min(units - 1, round(units * (1 - step))))
        tried = _at(best, size, tuner, fit, goal, bar, layer)
        stages.append(Stage(size, tried.share, tuner.done))
        if tried.share >= bar:
            best, units = tried, size
        elif size < units - 1:
            step /= 2
        else:
            break
    if wanted is not None and units > wanted:
        best = _at(best, wanted, tuner, fit, goal, bar, layer)
        stages.append(Stage(wanted, best.share, tuner.done))
    return best, stages


def _at(before: Smaller, size: int, tuner: Tuner, fit: Batch, goal: Goal, bar: float, layer: str | None) -> Smaller:
    """Return the best network of a size: merged from one that is larger, or that and trained."""
    best = merged = Merging(before.model, fit, goal, layer=layer, least=size).at(size)
    folds: dict[Part, Fold] = {part: fold.after(before.folds[part]) for part, fold in merged.folds.items()}
    for updates, rate in (*SHORT, *LONG):
        if best.share >= bar:
            break
        tuned = tuner.tune(merged.model, updates, rate)
        if tuned is None:
            break
        share = goal.kept(tuned)
        if share > best.share:
            best = Smaller(tuned, folds, share)
    return Smaller(best.model, folds, best.share)
