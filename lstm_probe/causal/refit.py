"""Scores after an affine refit: what outputs still tell of their targets, whatever their scale and offset became.

A unit that is set to a constant, or several, often leaves the outputs informative and only shifted or shrunk, which any
readout would undo. So outputs are brought to their targets by the least that does so, a scale and an offset of each,
fitted on the very steps that are scored: a straight line for numbers, a slope and an offset for the logits of a
yes or no, one temperature and an offset of each class for classes. The score after that is never below chance, since a
constant is also a refit.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.causal.refit_logits import refit_logits
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target

#: A variance below this share of the sum of squares that it is a difference of is rounding.
ROUNDING = 1e-12
#: Sums of squares are taken of values less their means, beforehand where the variance is below this share of them.
FAR = 1e-3


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
    return _line_sums([spec], outputs, [values], mask)[0]


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


def batch_refit_statistics(batch: Batch, outputs: Float[Tensor, "sequence time output"]) -> dict[str, Tensor]:
    """Return, for each target of a batch, each sequence's sums for its refitted score, on the CPU."""
    parts, sums = batch.split_outputs(outputs), dict[str, Tensor]()
    for mask, specs in by_steps(batch):
        lines = [spec for spec in specs if spec.loss == "regression"]
        if lines:
            o, y = [parts[spec.name] for spec in lines], [batch.targets[spec.name] for spec in lines]
            sums |= zip([spec.name for spec in lines], _line_sums(lines, torch.cat(o, dim=-1), y, mask))
        for spec in specs:
            if spec.loss != "regression":
                sums[spec.name] = refit_statistics(spec, parts[spec.name], batch.targets[spec.name], mask)
    return {spec.name: sums[spec.name].cpu() for spec in batch.target_specs}


def refit_scores(batch: Batch, outputs: Float[Tensor, "sequence time output"]) -> dict[str, float]:
    """Return each target's score after the refit, between 0 (chance) and 1."""
    statistics = batch_refit_statistics(batch, outputs)
    return {spec.name: float(refit_score(spec, statistics[spec.name].sum(0))) for spec in batch.target_specs}


def by_steps(batch: Batch) -> list[tuple[Tensor, list[Target]]]:
    """Return a batch's targets, those together that are scored at the same steps, with those steps."""
    alike: list[tuple[Tensor, list[Target]]] = []
    plain = [spec for spec in batch.target_specs if spec.name not in batch.scored]
    if plain:
        alike.append((batch.mask, plain))
    for spec in batch.target_specs:
        if spec.name in batch.scored:
            mask = batch.scored_steps(spec.name)
            same = next((specs for other, specs in alike if torch.equal(other, mask)), None)
            if same is None:
                alike.append((mask, [spec]))
            else:
                same.append(spec)
    return alike


def _line_sums(specs: Sequence[Target], outputs: Tensor, values: Sequence[Tensor], mask: Tensor) -> list[Tensor]:
    """Return n, Σy, Σy², Σo, Σo² and Σoy of each target in each sequence, of values less their overall means."""
    rounding = (8 * torch.finfo(outputs.dtype).eps) ** 2
    n = mask.sum(1, keepdim=True).double()
    y, o = torch.cat([part.double() for part in values], dim=-1), outputs.double()
    if not bool(mask.all()):
        y, o = (torch.where(mask.unsqueeze(-1), own, 0.0) for own in (y, o))
    rows = _sums_of(n, y, o)
    count, sy, syy, so, soo, _ = rows.sum(1)
    my, mo = sy / count.clamp(min=1), so / count.clamp(min=1)
    small = (soo - mo * so > (FAR * soo).maximum(rounding * syy)) & (syy - my * sy > FAR * syy)
    # Where the means are small enough they are taken off the sums, else off the values.
    _, ys, yys, os, oos, oys = rows
    shifted = [ys - my * n, yys - 2 * my * ys + my**2 * n, os - mo * n, oos - 2 * mo * os + mo**2 * n]
    rows = torch.stack([rows[0], *shifted, oys - my * os - mo * ys + my * mo * n])
    if not bool(small.all()):
        y, o = (torch.where(mask.unsqueeze(-1), (own - mean)[..., ~small], 0.0) for own, mean in ((y, my), (o, mo)))
        # What varies by less than the rounding of numbers as large as the output or its target is a constant.
        constant = o.square().sum((0, 1)) <= rounding * (soo + syy)[~small]
        rows[..., ~small] = _sums_of(n, y, torch.where(constant, 0.0, o))
    if not bool(torch.isfinite(rows.sum()).all()):
        names = ", ".join(repr(spec.name) for spec in specs)
        raise InputError(f"An output or a value of the targets {names} is not a finite number at a scored step.")
    return [part.transpose(0, 1).flatten(1) for part in rows.split([spec.size for spec in specs], dim=-1)]


def _sums_of(n: Tensor, y: Tensor, o: Tensor) -> Tensor:
    """Return the six sums of each output over each sequence, (statistic, sequence, output)."""
    yy, oo, oy = (torch.linalg.vecdot(one, other, dim=1) for one, other in ((y, y), (o, o), (o, y)))
    return torch.stack([n.expand_as(yy), y.sum(1), yy, o.sum(1), oo, oy])
