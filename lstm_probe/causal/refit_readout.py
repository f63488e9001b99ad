"""A readout fitted again: what all units together still tell of the targets, in a straight line.

Least squares from the units to each target, on the steps that are scored. For classes and for a yes or no the targets
are indicators, which makes the fit a linear discriminant; what it gives is then refitted as logits are.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.causal.line_sums import by_steps
from lstm_probe.causal.refit import refit_score, refit_statistics
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target

#: Weight of the squared coefficients, as a share of the units' mean variance: for units that are constant or doubled.
RIDGE = {torch.float64: 1e-10, torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 1e-2}


class ReadoutFit:
    """Readouts of a batch's targets, fitted anew to whatever the units show; the targets are made ready once."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._groups = []
        for mask, specs in by_steps(batch):
            columns = [_columns(spec, batch.targets[spec.name])[mask] for spec in specs]
            y = torch.cat(columns, dim=1)
            if not bool(torch.isfinite(y.sum())):
                names = [spec.name for spec, own in zip(specs, columns) if not bool(torch.isfinite(own.sum()))]
                raise InputError(f"The target {' '.join(names)} is not a finite number at a scored step.")
            centred = y - y.sum(0) / max(len(y), 1)
            self._groups.append((mask, specs, centred, centred.square().sum(0), y.square().sum(0)))

    def scores(self, shown: Float[Tensor, "sequence time unit"]) -> dict[str, float]:
        """Return each target's score of the readout fitted to `shown`, between 0 (chance) and 1.

        Raises:
            InputError: a unit is not finite at a scored step.
        """
        found = dict[str, float]()
        for mask, specs, y, spread, squares in self._groups:
            flat = shown.flatten(0, 1) if len(y) == mask.numel() else shown[mask]
            # Sums of what is centred do not cancel, so products of 32 bits are enough; what they are solved with is 64.
            middle = flat.mean(0, dtype=torch.float64) if len(flat) else flat.double().sum(0)
            x = flat - middle.to(flat.dtype)
            # Of the narrow product, the few columns go first: so it takes a fifth of the time.
            products, shared = (x.T @ x).double(), (y.to(x.dtype).T @ x).T.double()
            if not bool(torch.isfinite(products.sum())):
                raise InputError("A unit is not a finite number at a scored step.")
            ridge = (RIDGE[x.dtype] * products.diagonal().mean()).clamp(min=1e-30)
            weights = torch.linalg.solve(products + ridge * torch.eye(len(products)).to(products), shared)
            explained = (2 * (weights * shared).sum(0) - (weights * (products @ weights)).sum(0)).clamp(min=0)
            r2 = torch.where(spread > 1e-12 * squares, explained / spread, 0.0).clamp(max=1)
            first = 0
            for spec in specs:
                own = slice(first, first + spec.size)
                first += spec.size
                if spec.loss == "regression":
                    found[spec.name] = float(r2[own].mean())
                    continue
                guess = (shown.double() - middle) @ weights[:, own]
                sums = refit_statistics(spec, guess, self.batch.targets[spec.name], mask)
                found[spec.name] = float(refit_score(spec, sums.sum(0)))
        return {spec.name: found[spec.name] for spec in self.batch.target_specs}


def readout_scores(batch: Batch, shown: Float[Tensor, "sequence time unit"]) -> dict[str, float]:
    """Return each target's score of a readout fitted anew to what the units show (see `ReadoutFit`).

    Regression: R² of least squares, averaged over the target's outputs, 0 for one whose target does not vary.
    Otherwise: the score of a linear discriminant, least squares to indicators, refitted as logits are.
    """
    return ReadoutFit(batch).scores(shown)


def _columns(spec: Target, values: Tensor) -> Tensor:
    """Return what a readout of a target is fitted to, (sequence, time, size)."""
    if spec.loss in ("class", "next_symbol"):
        return torch.nn.functional.one_hot(values, spec.size).double()
    return values.double().reshape(*values.shape[:2], spec.size)
