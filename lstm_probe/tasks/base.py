"""Task: a generator of sequences whose hidden variables are known at every step."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import generator
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target

LARGEST = 64  # size that a search looks at unless another is given


@dataclass(frozen=True)
class Smallest:
    """How many units a task needs with its default parameters, as `size task=<name>` measured it.

    Attributes:
        units: the smallest size that half of the trainings solve; where no size does, the one that came nearest.
        seconds: of one training at that size, on one core.
        low: lower end of the 95 % interval; None where it was not measured.
        high: upper end of the 95 % interval; None for more than the largest size looked at.
        score: where no size solves it, what was reached at that size, on the worst target.
        note: how the search was shortened, if it was.
    """

    units: int
    seconds: float
    low: int | None = None
    high: int | None = None
    score: float | None = None
    note: str = ""

    @property
    def _parts(self) -> tuple[str, str]:
        """Return the size and the time in words."""
        size = f"{self.units} unit{'s' * (self.units > 1)}"
        return size, f"{self.seconds:.1f} s" if self.seconds < 10 else f"{self.seconds:.0f} s"

    def _interval(self, before: str = "") -> str:
        """Return the interval in brackets; empty where there is none."""
        if self.low is None:
            return ""
        return f" ({before}{self.low} to {f'more than {LARGEST}' if self.high is None else self.high})"

    @property
    def in_short(self) -> str:
        """Return what fits into a table.

        >>> Smallest(6, 3.92, 5, 10).in_short, Smallest(64, 20.0, score=0.931).in_short
        ('6 units (5 to 10), 3.9 s', 'not solved: 0.93 with 64 units')
        """
        size, time = self._parts
        return (
            f"{size}{self._interval()}, {time}" if self.score is None else f"not solved: {self.score:.2f} with {size}"
        )

    def __str__(self) -> str:
        size, time = self._parts
        words = f"Needs {size}{self._interval('95 % interval ')}: half of the trainings of that size solve it, "
        words += f"in {time} each."
        if self.score is not None:
            words = f"No size of up to {LARGEST} units was solved by half of the trainings; "
            words += f"{size} came nearest with {self.score:.2f}, in {time}."
        return f"{words} {self.note}".rstrip()


class Task(ABC):
    """A generator of sequences with targets and signals.

    A task is a frozen dataclass: its fields are its difficulty parameters, with metadata `help`, `low` and `high`
    for those that have a legal range. A wrong value raises an InputError that names every wrong field.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    #: As measured; None where it depends on the user's file.
    smallest: ClassVar[Smallest | None] = None

    @property
    @abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """Return the names of the input features."""

    @property
    @abstractmethod
    def targets(self) -> tuple[Target, ...]:
        """Return what the network is trained to output, in the order of its outputs."""

    @abstractmethod
    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """Return `n` sequences drawn with `rng` alone."""

    @property
    def n_inputs(self) -> int:
        """Return how many features an input has."""
        return len(self.input_names)

    @property
    def n_outputs(self) -> int:
        """Return how many outputs the targets take together."""
        return sum(target.size for target in self.targets)

    def sample(self, n: int, seed: int = 0) -> Batch:
        """Return `n` sequences: a pure function of the task, `n` and `seed`."""
        return self.draw(n, generator(seed, self.name))

    def sample_up_to(self, n: int, seed: int = 0) -> Batch:
        """Return `n` sequences as `sample` does, or all there are where that is fewer."""
        return self.sample(n if self.most is None else min(n, self.most), seed)

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return `n` sequences to train on, drawn with `rng` alone.

        A task whose data are finite draws these, and these alone, from the part that it trains on. A training reads
        no signals; a task that makes them at the cost of much time leaves them out here.
        """
        return self.draw(n, rng)

    def sample_training(self, n: int, seed: int = 0) -> Batch:
        """Return `n` sequences to train on, without signals: a pure function of the task, `n` and `seed`."""
        return replace(self.draw_training(n, generator(seed, self.name)), signals={})

    def draw_passages(self, n: int, parts: int, rng: torch.Generator) -> Batch:
        """Return `n` passages to train on, each cut into `parts` sequences; drawn with `rng` alone.

        Sequence k·n + i continues where sequence (k − 1)·n + i ended.
        """
        raise InputError(f"tbptt={parts}: the sequences of {self.name} do not follow one another; it must be 1.")

    def sample_passages(self, n: int, parts: int, seed: int = 0) -> Batch:
        """Return passages to train on, without signals: a pure function of the task, `n`, `parts` and `seed`."""
        return self.draw_passages(n, parts, generator(seed, self.name))

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor] | None:
        """Return the targets by name that the task's rule has for any inputs, such as two sequences spliced.

        NaN, or −1 of classes, stands where the rule says nothing. None: the targets are no function of the inputs.
        """
        return None

    @property
    def most(self) -> int | None:
        """Return how many sequences `sample` can give at most; None: any number."""
        return None

    @property
    def in_order(self) -> bool:
        """Return whether the sequences of a sample stand in the order of the file that they come from.

        Neighbours there may be alike, which is only to be seen, and counted with, where they stay neighbours.
        """
        return False

    @property
    def coded(self) -> tuple[str, ...]:
        """How a network is given what somebody measured, and says it, in lines; none where numbers are as they are."""
        return ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what a user should know about the data before anything is made of them, a line each."""
        return ()

    @property
    def attainable(self) -> bool:
        """Return whether a score of 1 can be reached, so that a target's `solved` tells what is learned."""
        return True

    @property
    def batches_at_once(self) -> int:
        """Return how many updates' data are best made at once."""
        return 64

    def solved(self, scores: Mapping[str, float]) -> bool:
        """Return whether every target's score has reached what counts as solved."""
        return all(scores[target.name] >= target.solved for target in self.targets)
