"""What a clamp costs each target, with intervals: from sums over sequences, for all runs at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.causal.refit import Summing, Sums, refit_score
from lstm_probe.causal.refit_readout import ReadoutFit
from lstm_probe.causal.running import Outcome
from lstm_probe.causal.status import HARDLY_LEARNED
from lstm_probe.core.quantiles import widening
from lstm_probe.core.seeding import derive_seed, part_of
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target

READOUT_STEPS = 6_400  # on so many a readout is fitted again, if there are as many

#: Of each target, what is added to its scores in every sample: as they stand, and after the refit.
Added = Mapping[str, tuple[Float[np.ndarray, " sample"], Float[np.ndarray, " sample"]]]


@dataclass(frozen=True)
class Cost:
    """What a clamp costs one target; the fields are columns of the tables."""

    intact: float
    clamped: float
    score_drop: float
    ci_low: float
    ci_high: float
    refit_drop: float
    refit_ci_low: float
    refit_ci_high: float
    readout_drop: float

    def counts(self, least: float) -> bool:
        """Return whether something is lost after the refit: surely, and at least this share of the intact score.

        Of a score that is hardly better than chance nothing can be.
        """
        learned = self.intact >= HARDLY_LEARNED
        return bool(learned and self.refit_ci_low > 0 and self.refit_drop >= least * self.intact)

    @property
    def columns(self) -> dict[str, float]:
        """Return them by the columns' names."""
        return dict(vars(self))


@dataclass(frozen=True)
class Kept:
    """Sums over each sequence of one run: as it stands, and after the refit; and the scores of a new readout."""

    raw: Sums
    refit: Sums
    readout: Mapping[str, float]


class Scoring:
    """Scores of runs on all sequences of a batch and on bootstrap samples of them, the same samples for all.

    Args:
        batch: with the targets.
        intact: what the model does as it is.
        samples: how many bootstrap samples of whole sequences, or of groups of them.
        seed: of the samples.
        groups: of sequences that are drawn as one; None where each is its own. Of few groups intervals are wider than
            the percentiles of samples (see `widening`).
    """

    def __init__(
        self, batch: Batch, intact: Outcome, samples: int, seed: int, groups: Int[np.ndarray, " sequence"] | None
    ) -> None:
        rng = np.random.default_rng(derive_seed(seed, "ablation bootstrap"))
        blocks = np.arange(len(batch)) if groups is None else groups
        count = int(blocks.max()) + 1
        samples = samples if count > 1 else 0  # one sequence says nothing of others
        self._widening = widening(count) if groups is not None and count > 1 else 1.0
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=samples)
        each = drawn if groups is None else drawn[:, blocks]
        self.counts = torch.from_numpy(np.concatenate([np.ones((1, len(batch))), each]))
        self.batch, self.samples = batch, samples
        #: A part of the sequences is enough for a new readout.
        fewer = max(1, min(batch.inputs.shape[:2].numel() // READOUT_STEPS, len(batch) // 64))
        some = part_of(len(batch), -(-len(batch) // fewer), "sequences on which a readout is fitted")
        self.some = some if fewer > 1 else slice(None)
        self.summing, self.fit = Summing(batch), ReadoutFit(batch[self.some])
        own = self.of(intact)
        self.readout = own.readout
        #: Intact scores of all samples, as they stand and after the refit.
        self.before = {
            spec.name: (
                self._scores(spec.score, [own.raw], spec),
                self._scores(partial(refit_score, spec), [own.refit], spec),
            )
            for spec in batch.target_specs
        }  # fmt: skip

    def of(self, outcome: Outcome) -> Kept:
        """Return what is kept of a run."""
        readout = {} if outcome.shown is None else self.fit.scores(outcome.shown[self.some])
        return Kept(self.summing.raw(outcome.outputs), self.summing.refitted(outcome.outputs), readout)

    def costs(self, runs: Sequence[Kept], added: Sequence[Added] = ()) -> list[dict[str, Cost]]:
        """Return what each clamped run costs each target.

        Args:
            runs: what is kept of each.
            added: what is added to the scores of each; nothing where there is none.
        """
        found: list[dict[str, Cost]] = [{} for _ in runs]
        for spec in self.batch.target_specs if runs else ():
            name = spec.name
            before, refit_before = self.before[name]
            raw = self._scores(spec.score, [one.raw for one in runs], spec)
            refit = self._scores(partial(refit_score, spec), [one.refit for one in runs], spec)
            for k, own in enumerate(added):
                if name in own:
                    raw[:, k] += own[name][0]
                    refit[:, k] += own[name][1]
            whole = np.maximum(before, 0)
            drop, lost = whole - np.maximum(raw, 0), np.minimum(refit_before - refit, whole)
            ends, refit_ends = self._interval(drop), self._interval(lost)
            for k, run in enumerate(runs):
                gone = self.readout.get(name, np.nan) - run.readout.get(name, np.nan)
                (low, high), (refit_low, refit_high) = ends[:, k].tolist(), refit_ends[:, k].tolist()
                found[k][name] = Cost(
                    float(before[0, 0]), float(raw[0, k]), float(drop[0, k]), low, high, float(lost[0, k]), refit_low,
                    refit_high, float(np.minimum(gone, whole[0, 0])),
                )  # fmt: skip
        return found

    def shares(self, runs: Sequence[Sums]) -> dict[str, Float[np.ndarray, "sample run"]]:
        """Return of each target the share of its intact score that runs leave, after the refit, in every sample.

        The first is of all sequences. NaN where the intact score is 0.
        """
        found: dict[str, Float[np.ndarray, "sample run"]] = {}
        for spec in self.batch.target_specs:
            intact, left = self.before[spec.name][1], self._scores(partial(refit_score, spec), runs, spec)
            found[spec.name] = np.divide(left, intact, out=np.full_like(left, np.nan), where=intact > 0)
        return found

    def losses(
        self, outputs: Float[Tensor, "sequence time output"], least: float = 0.0
    ) -> dict[str, tuple[float, float, float]]:
        """Return of each target the intact score, what is lost after the refit, and the lower end of its interval.

        That end is NaN where no target loses at least this share of its intact score.
        """
        specs, sums = self.batch.target_specs, self.summing.refitted(outputs)
        each = [sums[spec.name].shape[1] for spec in specs]
        every = torch.cat([sums[spec.name] for spec in specs], dim=1)

        def lost(counts: Tensor) -> Float[np.ndarray, "sample target"]:
            parts = (counts @ every).split(each, dim=1)
            columns = []
            for spec, part in zip(specs, parts):
                before, refit_before = (one[: len(counts), 0] for one in self.before[spec.name])
                columns.append(np.minimum(refit_before - refit_score(spec, part).numpy(), np.maximum(before, 0)))
            return np.stack(columns, axis=1)

        intact = [float(self.before[spec.name][0][0, 0]) for spec in specs]
        now = lost(self.counts[:1])[0]
        low = np.full(len(specs), np.nan)
        if any(loss >= least * score for loss, score in zip(now, intact)):
            low = self._interval(lost(self.counts))[0]
        return {spec.name: (score, float(loss), float(end)) for spec, score, loss, end in zip(specs, intact, now, low)}

    def _scores(
        self, score: Callable[[Tensor], Tensor], sums: Sequence[Sums], spec: Target
    ) -> Float[np.ndarray, "sample run"]:
        """Return the scores of runs on all samples, the first of which is all sequences, by one product."""
        return scores_of(self.counts, score, [one[spec.name] for one in sums])

    def _interval(self, drops: Float[np.ndarray, "sample run"]) -> Float[np.ndarray, "2 run"]:
        if not self.samples:
            return np.full((2, drops.shape[1]), np.nan)
        ends: Float[np.ndarray, "2 run"] = np.quantile(drops[1:], [0.025, 0.975], axis=0)
        if self._widening > 1:
            ends = np.minimum(drops[0] + self._widening * (ends - drops[0]), np.maximum(ends, 1))  # no loss is above 1
        return ends


def scores_of(
    counts: Float[Tensor, "sample sequence"], score: Callable[[Tensor], Tensor], sums: Sequence[Tensor]
) -> Float[np.ndarray, "sample run"]:
    """Return the scores of runs on samples of sequences from sums over each sequence, by one product.

    Args:
        counts: how often each sequence is in each sample.
        score: of sums over a sample.
        sums: of each run, (sequence, statistic).
    """
    each = [
        own[:, :1] if bool((own == own[:, :1]).all()) else own  # what no run changes, such as sums over targets
        for own in torch.stack(list(sums), dim=-1).unbind(1)
    ]
    drawn = (counts @ torch.cat(each, dim=1)).split([own.shape[1] for own in each], dim=1)
    every = torch.stack([own.expand(-1, len(sums)) for own in drawn]).movedim(0, -1)
    samples: Float[np.ndarray, "sample run"] = score(every).numpy()
    return samples
