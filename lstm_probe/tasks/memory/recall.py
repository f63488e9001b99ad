"""Recall: hold n numbers, which takes exactly n units."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, positions, step_signal


@dataclass(frozen=True)
class Recall(Task):
    """Say n numbers that were shown together, once, when the go signal comes (Collins and others 2017).

    The numbers are independent and uniform in [-1, 1]. They come after a lead of 0 to `lead` steps, the go signal
    `min_delay` to `delay` steps later, and ends the sequence; all other inputs are 0. The answer counts at that step
    only.

    The answer is a linear function of h, so that of a network of fewer than n units lies in a subspace of as many
    dimensions. No such network has an R² above units / n, and n units can come as near to 1 as one likes: this is the
    task whose smallest network is known. It counts as solved halfway between what n − 1 units can reach and 1, or at
    0.99 if that is more.

    >>> batch = Recall(values=2).batch(torch.tensor([[0.5, -1.0]]), torch.tensor([1]), torch.tensor([3]))
    >>> batch.signals["value0"].values.tolist(), batch.signals["held_for"].values.int().tolist()
    ([[0.0, 0.5, 0.5, 0.5]], [[0, 0, 1, 2]])
    >>> batch.targets["recall"][batch.scored["recall"]].tolist()
    [[0.5, -1.0]]
    """

    name = "recall"
    summary = "n numbers shown once, to be said later: exactly n units"
    source = "Collins, Sohl-Dickstein & Sussillo 2017"
    smallest = Smallest(4, 1.1, 4, 4)

    values: int = parameter(4, "how many numbers, each a unit's worth of memory", 1, 64)
    delay: int = parameter(5, "longest time from the numbers to the go signal, in steps", 1, 100_000)
    min_delay: int = parameter(0, "shortest time; 0: all are as long as the longest", 0, 100_000)
    lead: int = parameter(2, "most steps before the numbers", 0, 100_000)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return (*(f"value{k}" for k in range(self.values)), "go")

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("recall", size=self.values, solved=max(0.99, 1 - 0.5 / self.values)),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        shown = torch.randint(self.lead + 1, (n,), generator=rng)
        go = shown + draw_lengths(self.min_delay, self.delay, n, rng)
        return self.batch(torch.rand(n, self.values, generator=rng) * 2 - 1, shown, go)

    def batch(
        self,
        values: Float[Tensor, "sequence value"],
        shown: Int[Tensor, " sequence"],
        go: Int[Tensor, " sequence"],
    ) -> Batch:
        """Return the batch of these numbers, shown and asked for at these steps."""
        step = positions(len(values), int(go.max()) + 1)
        since = step - shown.unsqueeze(1)
        here, going = since == 0, step == go.unsqueeze(1)
        held = values.unsqueeze(1) * (since >= 0).unsqueeze(-1)
        signals = by_name(
            [
                *(
                    Signal(f"value{k}", held[..., k], "continuous", "target", f"number {k}; 0 before it comes")
                    for k in range(self.values)
                ),
                Signal("holding", (since >= 0).float(), "binary", "latent", "1 from the numbers on"),
                Signal("held_for", since.clamp(min=0).float(), "continuous", "distractor", "steps since the numbers"),
                step_signal(*step.shape),
            ]
        )
        inputs = torch.cat([held * here.unsqueeze(-1), going.unsqueeze(-1)], dim=-1)
        return Batch(inputs, {"recall": held}, self.targets, go + 1, signals, {"recall": going})
