"""What a network is trained to output, how wrong it is, and its scale-free score.

Every score is a function of sums over sequences of a few statistics. So the score of any subset, of a bootstrap
sample, or of data that come in pieces costs a weighted sum and nothing else.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Loss = Literal["regression", "multilabel", "binary", "next_symbol", "class"]

METRICS = {
    "regression": "r2",
    "multilabel": "exact_sequences",
    "binary": "accuracy",
    "next_symbol": "explained_entropy",
    "class": "accuracy",
}
#: A variance below this share of the sum of squares that it is a difference of is rounding.
ROUNDING = 1e-13


@dataclass(frozen=True)
class Target:
    """One slice of a network's outputs: its name, its loss and when it counts as solved.

    Args:
        name: what the outputs and the score are called.
        loss: "regression" (mean squared error), "multilabel" (each output is a yes or no of its own, cross-entropy
            on logits; scored by whole sequences), "binary" (one such output, scored by steps), "next_symbol" (one
            class out of `size`, cross-entropy on logits) or "class" (the same, for classes that can be known: scored
            by how often the likeliest is right).
        size: how many outputs it takes.
        solved: the lowest score at which the target counts as solved.
        floor: "next_symbol" only: the cross-entropy in nats per step of the best possible predictor, 0 if unknown.
        classes: what its classes are called; empty where they are numbers.
    """

    name: str
    loss: Loss = "regression"
    size: int = 1
    solved: float = 0.99
    floor: float = 0.0
    classes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """Return the name of the score: r2, exact_sequences, explained_entropy or accuracy."""
        return METRICS[self.loss]

    def losses(self, outputs: Float[Tensor, "sequence time size"], values: Tensor) -> Float[Tensor, "sequence time"]:
        """Return the loss of every step. `values` is (sequence, time, size), or (sequence, time) of class numbers."""
        if self.loss == "binary":
            return F.binary_cross_entropy_with_logits(outputs[..., 0], values.to(outputs.dtype), reduction="none")
        if self.loss == "regression":
            return (outputs - values).square().mean(-1)
        if self.loss == "multilabel":
            return F.binary_cross_entropy_with_logits(outputs, values, reduction="none").mean(-1)
        return F.cross_entropy(outputs.flatten(0, 1), values.flatten(), reduction="none").view(values.shape)

    def statistics(
        self, outputs: Float[Tensor, "sequence time size"], values: Tensor, mask: Bool[Tensor, "sequence time"]
    ) -> Float[Tensor, "sequence statistic"]:
        """Return each sequence's sums, float64, from which `score` makes the score of any set of sequences.

        Those of numbers are of what they differ from the first one, so that large ones leave their variance its digits.
        """
        if self.loss == "regression":
            keep = mask.unsqueeze(-1).double()
            y, error = less_the_first(values.double(), mask), (outputs.double() - values.double())
            sums = [keep.sum(1), (keep * y).sum(1), (keep * y.square()).sum(1), (keep * error.square()).sum(1)]
            return torch.cat([s.expand(len(y), self.size) for s in sums], dim=1)
        if self.loss == "multilabel":
            right = ((outputs > 0) == (values > 0.5)).all(-1) | ~mask
            return torch.stack([torch.ones_like(right[:, 0]), right.all(1)], dim=1).double()
        if self.loss == "next_symbol":
            own = torch.where(mask, self.losses(outputs.double(), values), 0.0).sum(1)
        else:
            guess = outputs.argmax(-1) if self.loss == "class" else (outputs[..., 0] > 0).long()
            own = ((guess == values) & mask).sum(1)
        counts = (F.one_hot(values, max(self.size, 2)) * mask.unsqueeze(-1)).sum(1)
        return torch.cat([own.unsqueeze(1), counts], dim=1).double()

    def score(self, sums: Float[Tensor, "*sample statistic"]) -> Float[Tensor, "*sample"]:
        """Return the score, 1 at best and 0 for the best constant guess (below 0 for worse), from summed statistics.

        r2: 1 − squared error / variance, averaged over outputs. exact_sequences: the share of sequences of which
        every step and every output is right at threshold 0.5. explained_entropy: (H − cross-entropy) / (H − floor),
        with H the entropy of the symbols' frequencies. accuracy: (share right − chance) / (1 − chance), with chance
        the share of the most frequent class. Of targets that are the same wherever they count, 0: nothing is left to
        tell, and sums of them differ by rounding alone.
        """
        if self.loss == "regression":
            n, total, squares, errors = sums.unflatten(-1, (4, self.size)).unbind(-2)
            spread = squares - total.square() / n
            return _share(spread - errors, spread, least=ROUNDING * squares).mean(-1)
        if self.loss == "multilabel":
            return sums[..., 1] / sums[..., 0]
        counts = sums[..., 1:]
        n = counts.sum(-1)
        if self.loss != "next_symbol":
            chance = counts.amax(-1) / n
            return _share(sums[..., 0] / n - chance, 1 - chance)
        entropy: Tensor = (0 - torch.special.xlogy(counts, counts / n.unsqueeze(-1)).sum(-1)) / n  # never -0
        return _share(entropy - sums[..., 0] / n, entropy - self.floor)


def less_the_first(values: Float[Tensor, "sequence time size"], mask: Bool[Tensor, "sequence time"]) -> Tensor:
    """Return values less the first that counts: exactly 0 where they are all the same."""
    return values - values[mask][:1].sum(0)


def _share(told: Tensor, whole: Tensor, least: Tensor | float = 0.0) -> Tensor:
    """Return what is told as a share of what there is to tell; 0 where that is nothing."""
    there = whole > least
    shares: Tensor = torch.where(there, told / torch.where(there, whole, 1.0), 0.0)
    return shares
