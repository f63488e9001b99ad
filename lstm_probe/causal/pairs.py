"""Which two units stand in for each other, or need each other? Clamp both and compare with each by itself."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.causal.halves import resamples
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.needs import Unit, keys_of
from lstm_probe.causal.refit import batch_refit_statistics, refit_score
from lstm_probe.core.columns import PAIR_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch


@torch.no_grad()
def unit_pairs(
    model: nn.Module,
    batch: Batch,
    *,
    units: Sequence[Unit] | None = None,
    layer: str | None = None,
    variable: str = "c",
    mode: str = "mean",
    groups: Any = None,
    bootstrap: int = 200,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Clamp every two units at once and measure by how much that costs more, or less, than each by itself.

    Costs are of the score after an affine refit. Above 0: each stands in for the other, as copies do. Below 0: each is
    worth something with the other alone, so that losing one is as bad as losing both. Three copies of which any one is
    enough are not seen: no two of them cost anything.

    Args:
        model: as for `ablate_units`.
        batch: sequences that the model was not trained on, with their targets.
        units: between which pairs are made, named as for `ablate_units`; all of them where this is None:
            n · (n + 1) / 2 runs of the model for n units.
        layer: the name of the LSTM in the model, where there are several.
        variable: what is clamped: "c" (the memory, whatever the cell calls it), or any other of its variables.
        mode: "mean", "zero", or "resample" (the values of another sequence).
        groups: as for `ablate_units`.
        bootstrap: resamples of whole sequences for the 95 % interval; 0 for none.
        seed: of the resampling.
        run, task: put into the columns of the same name.

    Returns:
        One row for each pair and target, columns `PAIR_COLUMNS`, the largest interactions first, of either sign.

    Raises:
        InputError: an unknown unit, variable or mode, fewer than two units, a batch without targets, or a model that
            cannot be clamped.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> pairs = lp.unit_pairs(net.model, batch, units=[0, 1], bootstrap=10)
    >>> pairs.query("target == 'count'")[["drop", "other_drop", "both_drop"]].round(2).values.tolist()
    [[1.0, 0.0, 1.0]]
    """
    if not batch.target_specs:
        raise InputError("batch: it has no targets, so there is no score to lose.")
    together = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    runs = Intervening(model, batch, layer=layer, variable=variable, mode=mode, groups=groups, seed=seed)
    chosen = runs.keys if units is None else sorted(keys_of(units, runs, "units"))
    if len(chosen) < 2:
        raise InputError(f"units: {len(chosen)} of them make no pair; give two or more.")
    blocks = np.arange(len(batch)) if together is None else together
    weights = resamples(blocks, bootstrap, derive_seed(seed, "pair bootstrap"))

    def scores(outputs: Tensor) -> Float[np.ndarray, "target sample"]:
        sums = batch_refit_statistics(batch, outputs)
        made = [refit_score(spec, weights @ sums[spec.name]) for spec in batch.target_specs]
        return torch.stack(made).numpy()

    intact = scores(runs.intact.outputs)
    drops = {key: intact - scores(runs.outputs([key]).outputs) for key in chosen}
    rows = []
    for one, other in combinations(chosen, 2):
        both = intact - scores(runs.outputs([one, other]).outputs)
        excess = both - drops[one] - drops[other]
        drawn = excess[:, 1:] if len(weights) > 1 else np.full((len(excess), 1), np.nan)
        ends = np.quantile(drawn, [0.025, 0.975], axis=1)
        for t, spec in enumerate(batch.target_specs):
            costs = (drops[one][t, 0], drops[other][t, 0], both[t, 0], excess[t, 0])
            rows.append((run, task, runs.lstm.hidden_size, seed, *one, *other, spec.name, *costs, *ends[:, t]))
    table = pd.DataFrame(rows, columns=list(PAIR_COLUMNS))
    order = table["interaction"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)
