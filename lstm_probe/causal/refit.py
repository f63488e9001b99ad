"""Scores after an affine refit: what outputs still tell of their targets, whatever their scale and offset became.

A unit that is set to a constant, or several, often leaves the outputs informative and only shifted or shrunk, which any
readout would undo. So outputs are brought to their targets by the least that does so, a scale and an offset of each,
fitted on the very steps that are scored: a straight line for numbers, a slope and an offset for the logits of a
yes or no, one temperature and an offset of each class for classes. The score after that is never below chance, since a
constant is also a refit.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.causal.line_sums import LineSums, by_steps
from lstm_probe.causal.refit_logits import refit_logits
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target

#: A variance below this share of the sum of squares that it is a difference of is rounding.
ROUNDING = 1e-12
#: Of each target, (sequence, statistic).
Sums = Mapping[str, Tensor]


def refit_statistics(
    spec: Target, outputs: Float[Tensor, "sequence time size"], values: Tensor, mask: Bool[Tensor, "sequence time"]
) -> Float[Tensor, "sequence statistic"]:
    """Return each sequence's sums, float64, from which `refit_score` makes the refitted score of any sample.

    Regression: of each output o and its target y, both less their overall means, the sums n, Σy, Σy², Σo, Σo² and Σoy
    over the scored steps; a sample's score from them is of a line fitted anew in that sample. Sums of two calls do not
    add up, since each has its own means. Otherwise: the sums of `Target.statistics`, of logits that were refitted once
    to all the scored steps (see `refit_logits`); samples keep that fit. Of yes-or-no outputs that are scored by whole
    sequences, of the logits as they are where more sequences are right with these.

    Raises:
        InputError: an output or a target is not finite at a scored step.
    """
    if spec.loss != "regression":
        fitted = spec.statistics(refit_logits(spec, outputs, values, mask), values, mask)
        if spec.loss != "multilabel":
            return fitted
        # The likeliest thresholds may be wrong somewhere in nearly every sequence: to leave them is a refit, too.
        own = spec.statistics(outputs, values, mask)
        return own if bool(spec.score(own.sum(0)) > spec.score(fitted.sum(0))) else fitted
    return LineSums([spec], [values], mask).refitted(outputs)[0]


def refit_score(spec: Target, sums: Float[Tensor, "*sample statistic"]) -> Float[Tensor, "*sample"]:
    """Return the score after the refit, 0 (chance) to 1, from the summed statistics of a sample's sequences.

    Regression: the squared correlation of each output with its target, averaged over outputs. An output that does not
    vary scores 0, and so does one whose target does not, or that has no scored step. Otherwise: the target's own score
    of the refitted logits, 0 where chance is already right or nothing is left to explain.
    """
    if spec.loss != "regression":
        return spec.score(sums).nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)
    n, y, yy, o, oo, oy = sums.unflatten(-1, (6, spec.size)).unbind(-2)
    n = n.clamp(min=1)
    spread_y, spread_o, shared = yy - y.square() / n, oo - o.square() / n, oy - o * y / n
    varies = (spread_y > ROUNDING * yy) & (spread_o > ROUNDING * oo)
    explained: Tensor = torch.where(varies, shared.square() / torch.where(varies, spread_y * spread_o, 1.0), 0.0)
    return explained.clamp(0, 1).mean(-1)


class Summing:
    """Sums over each sequence of a batch, of outputs and targets; the targets are made ready once.

    Args:
        batch: with the targets.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._lines: list[LineSums] = []
        self._others: list[tuple[Target, Bool[Tensor, "sequence time"]]] = []
        for mask, specs in by_steps(batch):
            lines = [spec for spec in specs if spec.loss == "regression"]
            if lines:
                self._lines.append(LineSums(lines, [batch.targets[spec.name] for spec in lines], mask))
            self._others += [(spec, mask) for spec in specs if spec.loss != "regression"]

    def raw(self, outputs: Float[Tensor, "sequence time output"]) -> Sums:
        """Return, for each target, each sequence's sums for its score as it stands, on the CPU."""
        return self._of(outputs, LineSums.raw, Target.statistics)

    def refitted(self, outputs: Float[Tensor, "sequence time output"]) -> Sums:
        """Return, for each target, each sequence's sums for its refitted score, on the CPU."""
        return self._of(outputs, LineSums.refitted, refit_statistics)

    def _of(
        self, outputs: Tensor, of_lines: Callable[[LineSums, Tensor], list[Tensor]], of_one: Callable[..., Tensor]
    ) -> Sums:
        parts, sums = self.batch.split_outputs(outputs), dict[str, Tensor]()
        for lines in self._lines:
            names = [spec.name for spec in lines.specs]
            own = outputs if len(names) == len(parts) else torch.cat([parts[name] for name in names], dim=-1)
            sums |= zip(names, of_lines(lines, own))
        for spec, mask in self._others:
            sums[spec.name] = of_one(spec, parts[spec.name], self.batch.targets[spec.name], mask)
        return {spec.name: sums[spec.name].cpu() for spec in self.batch.target_specs}


def batch_refit_statistics(batch: Batch, outputs: Float[Tensor, "sequence time output"]) -> Sums:
    """Return, for each target of a batch, each sequence's sums for its refitted score, on the CPU."""
    return Summing(batch).refitted(outputs)


def refit_scores(batch: Batch, outputs: Float[Tensor, "sequence time output"]) -> dict[str, float]:
    """Return each target's score after the refit, between 0 (chance) and 1."""
    return scores_from(batch, batch_refit_statistics(batch, outputs))


def scores_from(batch: Batch, sums: Sums) -> dict[str, float]:
    """Return each target's score after the refit, from sums over each sequence."""
    return {spec.name: float(refit_score(spec, sums[spec.name].sum(0))) for spec in batch.target_specs}
