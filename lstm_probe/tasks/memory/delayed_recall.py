"""Delayed recall: hold one marked symbol while others go by."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, last_seen, one_hot, padded, positions, step_signal


@dataclass(frozen=True)
class DelayedRecall(Task):
    """Store the symbol that comes with the store marker and say it when the recall marker comes.

    Symbols go by at every step, all equally likely (silence instead with probability 1 − `distractors`); only
    the marked one matters. It comes after a lead of 0 to `lead` steps, the recall marker `min_delay` to
    `delay` steps later, and ends the sequence. The answer counts at that step only.

    >>> shown, store, recall = torch.tensor([[2, 1, 0, -1, 2]]), torch.tensor([1]), torch.tensor([4])
    >>> batch = DelayedRecall(symbols=3).batch(shown, store, recall)
    >>> batch.signals["stored"].values.tolist(), batch.signals["held_for"].values.int().tolist()
    ([[0, 2, 2, 2, 2]], [[0, 0, 1, 2, 3]])
    >>> batch.targets["recall"][batch.scored["recall"]].tolist()
    [1]
    """

    name = "delayed_recall"
    summary = "one marked symbol, to be held while others go by"
    source = "this project"
    smallest = Smallest(2, 1.4, 2, 2)

    symbols: int = parameter(4, "number of different symbols", 2, 64)
    delay: int = parameter(20, "longest time from store to recall, in steps", 1, 100_000)
    min_delay: int = parameter(5, "shortest time; 0: all are as long as the longest", 0, 100_000)
    lead: int = parameter(5, "most steps before the store marker", 0, 100_000)
    distractors: float = parameter(1.0, "probability that a step with nothing to store shows a symbol", 0.0, 1.0)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return (*(f"symbol{k}" for k in range(self.symbols)), "store", "recall")

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("recall", "class", size=self.symbols),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        store = torch.randint(self.lead + 1, (n,), generator=rng)
        recall = store + draw_lengths(self.min_delay, self.delay, n, rng)
        time = int(recall.max()) + 1
        shown = torch.randint(self.symbols, (n, time), generator=rng)
        silent = torch.rand(n, time, generator=rng) >= self.distractors
        silent[torch.arange(n), store] = False
        return self.batch(torch.where(silent, -1, shown), store, recall)

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        symbols = inputs[..., : self.symbols]
        shown = torch.where(symbols.sum(-1) > 0, symbols.argmax(-1), -1)
        return {"recall": last_seen(shown, inputs[..., self.symbols] > 0, before=-1)}

    def batch(
        self,
        shown: Int[Tensor, "sequence time"],
        store: Int[Tensor, " sequence"],
        recall: Int[Tensor, " sequence"],
    ) -> Batch:
        """Return the batch of these symbols (−1: none) with the markers at these steps."""
        step = positions(*shown.shape)
        lengths = recall + 1
        storing, recalling = step == store.unsqueeze(1), step == recall.unsqueeze(1)
        shown = padded(shown, lengths)
        stored = last_seen(shown, storing, before=-1)
        since = step - store.unsqueeze(1)
        markers = torch.stack([storing, recalling], dim=-1).float()
        signals = by_name(
            [
                Signal(
                    "stored",
                    stored + 1,
                    "categorical",
                    "target",
                    "the marked symbol, from 1; 0 before it comes",
                ),
                Signal("holding", (stored >= 0).float(), "binary", "latent", "1 from the store marker on"),
                Signal(
                    "held_for",
                    since.clamp(min=0).float(),
                    "continuous",
                    "distractor",
                    "steps since the store marker",
                ),
                Signal(
                    "shown",
                    shown + 1,
                    "categorical",
                    "distractor",
                    "the symbol now going by, from 1; 0 for none",
                ),
                step_signal(*step.shape),
            ]
        )
        return Batch(
            torch.cat([one_hot(shown, self.symbols), markers], dim=-1),
            {"recall": stored.clamp(min=0)},
            self.targets,
            lengths,
            signals,
            {"recall": recalling},
        )
