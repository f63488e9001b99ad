"""How much of each target's score is owed to each unit? Shapley values of units, by sampled permutations."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.causal.draws import Draws
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.refit import refit_score, refit_scores, refit_statistics
from lstm_probe.causal.status import HARDLY_LEARNED
from lstm_probe.causal.sufficient import NotLearnedError
from lstm_probe.core.columns import SHARE_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import resampled_by
from lstm_probe.core.quantiles import student
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch

log = logging.getLogger(__name__)

#: Pairs before a standard error is believed: of fewer, a unit that counts in few orders has seen too few.
FEWEST = 30
#: More pairs are no use where the data alone keep the standard error too large, and it has come as close to that.
CLOSE = 1.25
ROUNDING = 1e-12  # of a score, whose sums are of values less the means of all runs at once
AT_ONCE = 2**21  # numbers that the runs give out whose scores are made together


@torch.no_grad()
def unit_shares(
    model: nn.Module,
    batch: Batch,
    *,
    layer: str | None = None,
    variable: str = "c",
    mode: str = "mean",
    error: float = 0.02,
    pairs: int = 200,
    sequences: int = 64,
    groups: Any = None,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Share out each target's score among the units, by their Shapley values.

    v(S) is the score after an affine refit of the network with all units clamped but those of S. A unit's share is what
    v gains when it joins, averaged over all orders in which the units can join. Orders are drawn at random, each with
    its reverse, as a pair; every pair is measured on sequences of its own. The units of all layers and directions join
    one after the other. Shares of a target add up to v(all) − v(none) of the same sequences. Copies share alike; a unit
    on which no output depends has exactly 0; a share below 0 says that the unit does harm more often than good.

    `se` is honest about the sequences, too. Each pair draws from those that were drawn least, so that all are used; as
    soon as they come back, the pairs know less than their spread tells, and the part of the sequences (from the two
    halves of each draw) is added accordingly. A batch of up to `sequences` is taken whole by every pair.

    Args:
        model: as for `ablate_units`.
        batch: sequences that the model was not trained on, with their targets; the more, the smaller `se` can get:
            some 2,000 for 0.02.
        layer: the name of the LSTM in the model, where there are several.
        variable: what is clamped: "c" (the memory, whatever the cell calls it), or any other of its variables.
        mode: "mean" (its mean over the batch's real steps) or "zero".
        error: pairs are drawn until every standard error is below this; above 0.
        pairs: of orders, at most; 2 or more.
        sequences: that each pair draws, whole groups where there are groups; 4 or more.
        groups: one entry for each sequence, equal ones for those that are drawn together, as they are not independent
            of each other; those of the batch where this is None.
        seed: of the orders and draws.
        run, task: put into the columns of the same name.

    Returns:
        One row for each unit and target, columns `SHARE_COLUMNS`, the interval by Student's t over pairs, of which
        there are 30 or more, unless `pairs` is less. NaN for a target whose intact refitted score is below 0.05, which
        is said. In `attrs`: `pairs` that were drawn, `passes` of the model, `largest_se`, `reached` (whether that is
        below `error`), and `whole`, v(all) − v(none) by target.

    Raises:
        InputError: what is wrong with the arguments; a model that cannot be clamped, or that has learned no target.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> shares = lp.unit_shares(net.model, batch)
    >>> shares.query("share > 0.5")[["unit", "target"]].values.tolist()
    [[0, 'count'], [1, 'latch']]
    """
    _check(batch, mode, error, pairs, sequences)
    codes = resampled_by(batch.groups if groups is None else groups, len(batch))
    runs = Intervening(model, batch, layer=layer, variable=variable, mode=mode)
    learned = _learned(batch, runs)
    draws = Draws(codes if codes is not None else np.arange(len(batch)), sequences, derive_seed(seed, "share draws"))
    rng = np.random.default_rng(derive_seed(seed, "share orders"))
    sample = _Sample(draws, error)
    while len(sample.found) < pairs and not (len(sample.found) >= FEWEST and sample.enough(learned)):
        order = rng.permutation(len(runs.keys))
        chosen, half = draws.next()
        sample.found.append(_pair(runs.on(batch[torch.from_numpy(chosen)]), order, torch.from_numpy(half)))
    sample.say(learned, len(batch))
    return _table(sample, runs, learned, (run, task, runs.lstm.hidden_size, seed))


def _check(batch: Batch, mode: str, error: float, pairs: int, sequences: int) -> None:
    problems = [f"{name}={value}: must be a whole number from {least}."
                for name, value, least in (("pairs", pairs, 2), ("sequences", sequences, 4))
                if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least]  # fmt: skip
    if not error > 0:
        problems.append(f"error={error}: must be a number above 0.")
    if not batch.target_specs:
        problems.append("batch: it has no targets, so there is no score to share out.")
    if len(batch) < 4:
        problems.append(f"batch: {len(batch)} sequences; there must be 4 or more.")
    if mode == "resample":
        problems.append("mode=resample: the values of other sequences belong to one batch, and every pair draws "
                        "sequences of its own; take mode=mean or mode=zero.")  # fmt: skip
    if problems:
        raise InputError(*problems)


def _learned(batch: Batch, runs: Intervening) -> list[bool]:
    """Return of each target whether the network has learned enough of it for shares to mean something."""
    scores = refit_scores(batch, runs.intact.outputs)
    learned = [scores[spec.name] >= HARDLY_LEARNED for spec in batch.target_specs]
    lost = [f"{name} ({scores[name]:.3f})" for name in scores if not scores[name] >= HARDLY_LEARNED]
    if not any(learned):
        raise NotLearnedError(
            f"shares: the refitted score is below {HARDLY_LEARNED} for every target: {', '.join(lost)}; there is "
            "nothing to share out"
        )
    if lost:
        log.warning("no shares of what the network has hardly learned (refitted score): %s", ", ".join(lost))
    return learned


@dataclass(frozen=True)
class _Pair:
    """What one order and its reverse say.

    Attributes:
        share: of each unit, on all sequences of the draw and on each half of them.
        whole: v(all) − v(none) on all of them.
        passes: how often the model ran.
    """

    share: Float[np.ndarray, "part unit target"]
    whole: Float[np.ndarray, " target"]
    passes: int


def _pair(runs: Intervening, order: Int[np.ndarray, " unit"], half: Int[Tensor, " drawn"]) -> _Pair:
    """Let the units join in this order, and in its reverse."""
    n, keys = len(order), runs.keys
    both = order, order[::-1]
    sets = [keys, *([keys[unit] for unit in joining[k:]] for joining in both for k in range(1, n))]
    at_once = max(1, AT_ONCE // runs.intact.outputs.numel())
    found: list[Float[np.ndarray, "part run target"]] = []
    for k in range(0, len(sets), at_once):
        made = torch.stack([runs.outputs(clamped).outputs for clamped in sets[k : k + at_once]])
        found.append(_scores(runs.batch, made, half))
    found.append(_scores(runs.batch, runs.intact.outputs.unsqueeze(0), half))
    scores = np.concatenate(found, axis=1)
    none, every = scores[:, :1], scores[:, -1:]
    share = np.zeros((len(scores), n, scores.shape[-1]))
    for k, joining in enumerate(both):
        path = np.concatenate([none, scores[:, 1 + k * (n - 1) : 1 + (k + 1) * (n - 1)], every], axis=1)
        gain = np.diff(path, axis=1)
        share[:, joining] += np.where(np.abs(gain) < ROUNDING, 0.0, gain) / 2
    return _Pair(share, (every - none)[0, 0], scores.shape[1])


def _scores(
    batch: Batch, outputs: Float[Tensor, "run sequence time output"], half: Int[Tensor, " sequence"]
) -> Float[np.ndarray, "part run target"]:
    """Return the refitted scores of several runs on all sequences and on each half of them."""
    runs = len(outputs)
    split, found = batch.split_outputs(outputs.flatten(0, 1)), []
    for spec in batch.target_specs:
        values, mask, own = batch.targets[spec.name], batch.scored_steps(spec.name), split[spec.name]
        if spec.loss == "regression":  # its sums are made of many runs as fast as of one
            sums = refit_statistics(spec, own, values.repeat(runs, 1, 1), mask.repeat(runs, 1))
            sums = sums.unflatten(0, (runs, -1))
        else:
            sums = torch.stack([refit_statistics(spec, one, values, mask) for one in own.chunk(runs)])
        halves = [sums[:, half == k].sum(1) for k in (0, 1)]
        found.append(refit_score(spec, torch.stack([halves[0] + halves[1], *halves])))
    return torch.stack(found, dim=-1).cpu().numpy()


@dataclass
class _Sample:
    """The pairs so far."""

    draws: Draws
    error: float
    found: list[_Pair] = field(default_factory=list)

    @property
    def share(self) -> Float[np.ndarray, "unit target"]:
        """Each unit's share."""
        mean: Float[np.ndarray, "unit target"] = np.mean([pair.share[0] for pair in self.found], axis=0)
        return mean

    def se(self) -> tuple[Float[np.ndarray, "unit target"], Float[np.ndarray, "unit target"]]:
        """Return the standard error of each share, and what of it more pairs would leave."""
        share = np.stack([pair.share for pair in self.found])
        count = len(share)
        # Two halves that differ by d have a mean of variance d² / 4, due to the sequences alone.
        data = np.square(share[:, 1] - share[:, 2]).mean(0) / 4
        own = share[:, 0].var(0, ddof=1) / count
        return np.sqrt(own + data * self.draws.beyond(count)), np.sqrt(data * self.draws.at_best())

    def worst(self, learned: Sequence[bool]) -> tuple[float, float]:
        """Return the largest standard error, and what of it more pairs would leave."""
        se, left = (one[:, list(learned)].ravel() for one in self.se())
        k = int(se.argmax())
        return float(se[k]), float(left[k])

    def enough(self, learned: Sequence[bool]) -> bool:
        """Return whether further pairs are not needed, or no use."""
        se, left = self.worst(learned)
        return se < self.error or (left >= self.error and se <= CLOSE * left)

    def say(self, learned: Sequence[bool], sequences: int) -> None:
        """Warn if the error that was asked for is not reached, and say what would reach it."""
        se, left = self.worst(learned)
        if se < self.error:
            return
        mend = "more pairs reach it"
        if left >= self.error:
            mend = (
                f"more pairs do not mend it: of {sequences} sequences alone it is {left:.2g}, and about "
                f"{round(sequences * (left / self.error) ** 2, -1):.0f} are needed at least"
            )
        log.warning(
            "shares: after %d pairs the largest standard error is %.2g, not below error=%g; %s", len(self.found), se,
            self.error, mend,
        )  # fmt: skip


def _table(sample: _Sample, runs: Intervening, learned: Sequence[bool], about: tuple[Any, ...]) -> pd.DataFrame:
    specs, count = runs.batch.target_specs, len(sample.found)
    share, (se, _) = sample.share, sample.se()
    largest = sample.worst(learned)[0]
    share[:, ~np.array(learned)], se[:, ~np.array(learned)] = np.nan, np.nan
    reach = float(student(0.975, count - 1)) * se
    rows = [
        (*about, *key, spec.name, share[u, t], share[u, t] - reach[u, t], share[u, t] + reach[u, t], se[u, t])
        for u, key in enumerate(runs.keys)
        for t, spec in enumerate(specs)
    ]
    table = pd.DataFrame(rows, columns=list(SHARE_COLUMNS))
    whole = np.mean([pair.whole for pair in sample.found], axis=0)
    table.attrs.update(
        pairs=count, passes=sum(pair.passes for pair in sample.found), largest_se=largest,
        reached=bool(largest < sample.error), whole=dict(zip([spec.name for spec in specs], whole.tolist())),
    )  # fmt: skip
    return table
