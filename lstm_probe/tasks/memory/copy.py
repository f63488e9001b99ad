"""Copy memory: see some symbols, wait, repeat them."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, one_hot, padded, positions, step_signal

STORE, WAIT, RECALL = range(3)


@dataclass(frozen=True)
class Copy(Task):
    """See `items` symbols, wait, and after a go marker repeat them in order (Arjovsky, Shah & Bengio 2016).

    A sequence is `items` symbols, `delay` − 1 blanks, the go marker and `items` blanks, during which the
    answer is due. All symbols are equally likely. The answer counts at these last steps only; with
    `every_step` all steps count and "blank" is one more answer, as published, where the best guess without
    memory costs items · ln(symbols) / (delay + 2 · items) nats a step.

    >>> batch = Copy(symbols=4, items=2, delay=3).batch(torch.tensor([[3, 1]]), torch.tensor([3]))
    >>> batch.inputs[0, :, 3].int().tolist(), batch.inputs[0, :, 4].int().tolist()
    ([1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0])
    >>> batch.targets["recall"][batch.scored["recall"]].tolist()
    [3, 1]
    """

    name = "copy"
    summary = "a list of symbols, to be repeated in order after a wait"
    source = "Arjovsky, Shah & Bengio 2016"
    smallest = Smallest(7, 3.4, 6, 8)

    symbols: int = parameter(4, "number of different symbols", 2, 64)
    items: int = parameter(3, "symbols to remember in a sequence", 1, 64)
    delay: int = parameter(8, "longest wait from the last symbol to the go marker, in steps", 1, 100_000)
    min_delay: int = parameter(0, "shortest wait; 0: all are as long as the longest", 0, 100_000)
    every_step: bool = parameter(False, "whether silence before the go marker counts as an answer too")

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return (*(f"symbol{k}" for k in range(self.symbols)), "go")

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("recall", "class", size=self.symbols + self.every_step),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        listed = torch.randint(self.symbols, (n, self.items), generator=rng)
        return self.batch(listed, draw_lengths(self.min_delay, self.delay, n, rng))

    def batch(self, listed: Int[Tensor, "sequence item"], delay: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these lists of symbols (from 0) and these waits."""
        n, items = listed.shape
        lengths = delay + 2 * items
        step = positions(n, int(lengths.max()))
        go = (delay + items - 1).unsqueeze(1)
        shown = torch.full_like(step, -1)
        shown[:, :items] = listed
        said = (step - go - 1).clamp(0, items)  # how many have been said before this step
        recalling = (step > go) & (said < items)
        due = torch.where(recalling, listed.gather(1, said.clamp(max=items - 1)), -1)
        phase = torch.where(step < items, STORE, torch.where(recalling, RECALL, WAIT))
        inputs = torch.cat([one_hot(shown, self.symbols), (step == go).unsqueeze(-1).float()], dim=-1)
        slots = [
            Signal(
                f"slot{k}",
                torch.where(step >= k, listed[:, k : k + 1] + 1, 0),
                "categorical",
                "latent",
                f"symbol {k + 1} of the list, from 1; 0 before it was shown",
            )
            for k in range(items)
        ]
        signals = by_name(
            [
                Signal("due", due + 1, "categorical", "target", "the symbol due now, from 1; 0 for none"),
                *slots,
                Signal(
                    "phase",
                    phase,
                    "categorical",
                    "latent",
                    "0 while the list is shown, 1 waiting, 2 answering",
                ),
                Signal("said", said.float(), "continuous", "latent", "symbols already repeated"),
                Signal(
                    "waited",
                    (step - items + 1).clamp(min=0).float(),
                    "continuous",
                    "distractor",
                    "steps since the list's last symbol",
                ),
                step_signal(*step.shape),
            ]
        )
        if self.every_step:
            return Batch(inputs, {"recall": torch.where(due < 0, self.symbols, due)}, self.targets, lengths, signals)
        scored = {"recall": padded(recalling, lengths, False)}
        return Batch(inputs, {"recall": due.clamp(min=0)}, self.targets, lengths, signals, scored)
