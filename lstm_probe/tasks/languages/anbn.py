"""a^n b^n: count the a's, then count them down."""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, one_hot, padded, positions, step_signal

PREDICT = ("legal", "next")


@dataclass(frozen=True)
class AnBn(Task):
    """Read a start symbol and a^n b^n, and say after each symbol which may come next, the end among them.

    The recipe of Gers & Schmidhuber (2001), with n drawn uniformly: an a after the start symbol; a or b after
    an a; once there was a b, nothing but b's until there are n, then the end. `predict=next` asks for the
    next symbol itself, as a language model does; its score is measured against the best possible predictor.

    >>> batch = AnBn().batch(torch.tensor([2]))
    >>> [" ".join(s for s, on in zip(("a", "b", "end"), row) if on) for row in batch.targets["legal"][0]]
    ['a', 'a b', 'a b', 'b', 'end']
    """

    name = "anbn"
    summary = "as many b's as a's: count up, then down"
    source = "Gers & Schmidhuber 2001"
    smallest = Smallest(2, 0.6, 2, 2)
    letters: ClassVar[str] = "ab"

    min_n: int = parameter(1, "smallest n", 1, 100_000)
    max_n: int = parameter(12, "largest n", 1, 100_000)
    predict: str = parameter("legal", "what to output: the legal next symbols, or the next symbol", choices=PREDICT)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("start", *self.letters)

    @property
    def targets(self) -> tuple[Target, ...]:
        size = len(self.letters) + 1
        if self.predict == "legal":
            return (Target("legal", "multilabel", size=size),)
        return (Target("next", "next_symbol", size=size, floor=self.entropy),)

    @property
    def entropy(self) -> float:
        """The cross-entropy, in nats per step, of the best predictor of the next symbol.

        All that is not known of a string is its n, so a string holds ln(number of n's) nats, spread over its
        1 + letters · n steps.
        """
        steps = 1 + len(self.letters) * (self.min_n + self.max_n) / 2
        return math.log(self.max_n - self.min_n + 1) / steps

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        return self.batch(torch.randint(self.min_n, self.max_n + 1, (n,), generator=rng))

    def batch(self, n: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of the strings with these n."""
        letters = len(self.letters)
        lengths = 1 + letters * n
        step = positions(len(n), int(lengths.max()))
        each = n.unsqueeze(1)
        # 0 for the start symbol, 1 for a, and so on
        symbols = torch.where(step > 0, (step - 1) // each + 1, 0).clamp(max=letters)
        counts = torch.stack([torch.minimum((step - k * each).clamp(min=0), each) for k in range(letters)], dim=-1)
        own = counts.gather(2, (symbols - 1).clamp(min=0).unsqueeze(-1)).squeeze(-1)
        used_up = (symbols > 1) & (own == each)
        differences = [
            Signal(
                f"{self.letters[i]}_minus_{self.letters[j]}",
                (counts[..., i] - counts[..., j]).float(),
                "continuous",
                "latent",
                f"{self.letters[i]}'s minus {self.letters[j]}'s so far",
            )
            for i, j in combinations(range(letters), 2)
        ]
        signals = by_name(
            [
                *differences,
                Signal(
                    "used_up",
                    used_up.float(),
                    "binary",
                    "target",
                    "1 where there are as many of the current letter as a's",
                ),
                Signal("letter", symbols, "categorical", "latent", "0 start, 1 while in the a's, and so on"),
                Signal("run", own.float(), "continuous", "distractor", "how many of the current letter so far"),
                step_signal(step.shape[0], step.shape[1], of="string"),
            ]
        )
        inputs = one_hot(padded(symbols, lengths), letters + 1)
        if self.predict == "legal":
            targets = {"legal": self._legal(symbols, used_up)}
        else:
            moves_on = used_up | ((symbols == 1) & (own == each)) | (symbols == 0)
            targets = {"next": torch.where(moves_on, symbols, symbols - 1)}
        return Batch(inputs, targets, self.targets, lengths, signals)

    def _legal(self, symbols: Tensor, used_up: Tensor) -> Tensor:
        first = (symbols <= 1).float()
        in_first = (symbols == 1).float()
        # After an a another one or a b; later the same letter until it is used up, then the next.
        rows = [first]
        for k in range(1, len(self.letters) + 1):
            stays = (symbols == k + 1) & ~used_up
            comes = (symbols == k) & used_up if k > 1 else in_first > 0
            rows.append((stays | comes).float())
        return torch.stack(rows, dim=-1)
