"""Evidence: for which of several classes have there been most words?"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, one_hot, padded, positions, step_signal


@dataclass(frozen=True)
class Evidence(Task):
    """Say, at the last step, for which class there have been most words (Aitken, Ramasesh and others 2021).

    Each word is neutral with probability `neutral`; otherwise it speaks for one of the classes, all equally likely.
    A sequence that ends with two or more classes in the lead is drawn again, so that there is one answer. What has
    to be held is by how much each class is ahead of the others: N − 1 numbers for N classes.

    >>> batch = Evidence(classes=2).batch(torch.tensor([[1, 0, 2, 2, 2]]), torch.tensor([5]))
    >>> batch.signals["evidence0"].values.int().tolist(), batch.signals["leader"].values.tolist()
    ([[1, 1, 1, 1, 1]], [[1, 1, 0, 2, 2]])
    >>> batch.signals["ahead0"].values.tolist(), batch.targets["class"][batch.scored["class"]].tolist()
    ([[0.5, 0.5, 0.0, -0.5, -1.0]], [1])
    """

    name = "evidence"
    summary = "for which of several classes have there been most words?"
    source = "Aitken, Ramasesh and others 2021"
    smallest = Smallest(2, 2.9, 2, 2)

    classes: int = parameter(3, "N, how many classes a word may speak for", 2, 16)
    length: int = parameter(40, "longest sequence, in words", 1, 100_000)
    min_length: int = parameter(0, "shortest sequence; 0: all are as long as the longest", 0, 100_000)
    neutral: float = parameter(0.25, "probability that a word speaks for no class", 0.0, 0.9)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("neutral", *(f"word{k}" for k in range(self.classes)))

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("class", "class", size=self.classes),)

    def counts(self, words: Int[Tensor, "sequence time"]) -> Float[Tensor, "sequence time class"]:
        """Return how many words there have been for each class."""
        return one_hot(words, self.classes + 1)[..., 1:].cumsum(1)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        words = torch.empty(n, int(lengths.max()), dtype=torch.long)
        again = torch.ones(n, dtype=torch.bool)
        while again.any():
            words[again] = padded(self._words(int(again.sum()), words.shape[1], rng), lengths[again])
            again = self._tied(words)
        return self.batch(words, lengths)

    def _words(self, n: int, time: int, rng: torch.Generator) -> Int[Tensor, "sequence time"]:
        words = torch.randint(1, self.classes + 1, (n, time), generator=rng)
        return words * (torch.rand(n, time, generator=rng) >= self.neutral)

    def _tied(self, words: Int[Tensor, "sequence time"]) -> Bool[Tensor, " sequence"]:
        """Return where two or more classes are in the lead at the end."""
        most, second = self.counts(words)[:, -1].topk(2).values.T
        tied: Tensor = most == second
        return tied

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        words = torch.where(inputs.sum(-1) > 0, inputs.argmax(-1), -1)
        top = self.counts(words).topk(2)
        return {"class": torch.where(top.values[..., 0] > top.values[..., 1], top.indices[..., 0], -1)}

    def batch(self, words: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these words: k from 1 speaks for class k − 1, 0 for none."""
        words = padded(words, lengths)
        counts = self.counts(words)
        top = counts.topk(2).values
        lead, first = top[..., 0] - top[..., 1], counts.argmax(-1)
        ahead = counts - counts.mean(-1, keepdim=True)
        every = range(self.classes)
        signals = by_name(
            [
                Signal("leader", torch.where(lead > 0, first + 1, 0), "categorical", "target",
                       "the class in the lead, from 1; 0 while several are"),
                *(Signal(f"ahead{k}", ahead[..., k], "continuous", "latent",
                         f"words for class {k} minus the mean over classes") for k in every),
                *(Signal(f"evidence{k}", counts[..., k], "continuous", "latent", f"words for class {k} so far")
                  for k in every),
                Signal("lead", lead, "continuous", "latent", "words by which the first leads the second"),
                Signal("told", counts.sum(-1), "continuous", "distractor", "words so far that were not neutral"),
                Signal("word", words, "categorical", "distractor",
                       "the class that this word speaks for, from 1; 0: none"),
                step_signal(*words.shape),
            ]
        )  # fmt: skip
        last = positions(*words.shape) == (lengths - 1).unsqueeze(1)
        inputs = one_hot(words, self.classes + 1)
        return Batch(inputs, {"class": first}, self.targets, lengths, signals, {"class": last})
