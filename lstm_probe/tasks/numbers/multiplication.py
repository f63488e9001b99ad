"""The multiplication problem: the product of two marked numbers among many."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.tasks.base import Smallest
from lstm_probe.tasks.numbers.adding import Adding


@dataclass(frozen=True)
class Multiplication(Adding):
    """Output, at the last step, the product of the two marked values (Hochreiter & Schmidhuber 1997).

    As in the adding problem, values are uniform in [0, 1] and one step of each half is marked. The best
    constant guess, 1/4, has a mean squared error of 7/144.

    >>> values = torch.tensor([[0.5, 0.25, 0.75, 1.0]])
    >>> Multiplication.combined(values, torch.tensor([[0.0, 1.0, 1.0, 0.0]])).tolist()
    [[1.0, 0.25, 0.1875, 0.1875]]
    """

    name = "multiplication"
    summary = "the product of two marked numbers among many"
    smallest = Smallest(2, 2.0, 1, 2)
    result = ("product", "product of the marked values so far; 1 before the first")

    @staticmethod
    def combined(
        values: Float[Tensor, "sequence time"], marks: Float[Tensor, "sequence time"]
    ) -> Float[Tensor, "sequence time"]:
        """Return what the values marked so far (marks are 0 or 1) come to."""
        return torch.where(marks > 0, values, 1.0).cumprod(1)
