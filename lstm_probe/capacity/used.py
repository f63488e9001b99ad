"""How many units does a network use? Few are kept, the others merged into them, and the score stays."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import nn

from lstm_probe.capacity.curves import Merging, Parts, Scores
from lstm_probe.capacity.fold import Part
from lstm_probe.capacity.goal import learned_targets
from lstm_probe.causal.elimination import ALL
from lstm_probe.causal.halves import resamples
from lstm_probe.core.columns import RUN_COLUMNS, columns
from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch

log = logging.getLogger(__name__)

BEST, RANDOM = "best", "random"
#: The share of what may be lost that is left alone while a number is chosen, as other sequences may cost more.
RESERVE = 0.1
BOOTSTRAP = 1000
#: As many sizes are looked at in a random order, at most.
POINTS = 16

COLUMNS = columns(
    *RUN_COLUMNS,
    order="best: units go whose loss hurts outputs least; random: in an order drawn at random.",
    draw="Number of the random order, from 1; 0 for the best.",
    target="Name of the target, or all (the least share of any).",
    kept="How many units each layer and direction keeps; the others are merged into them in least squares.",
    score="Share of the intact score that is left, as it stands, on sequences that neither fitted the merge nor chose.",
    chosen_on="The same share on the sequences that choose how many units are enough.",
    used="Whether these are the fewest found that carry the target, in the best order.",
)  # fmt: skip


@torch.no_grad()
def used_units(
    model: nn.Module, batch: Batch, *, keep: float = 0.99, orders: int = 5, layer: str | None = None,
    groups: Any = None, check: Batch | None = None, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Find how few units carry each target, and the task, after the others are merged into them, without training.

    Of a unit that is cut, what read it reads its best linear prediction from those that are kept; then the linear
    layers that read h are fitted to what they gave before. What can be cut exactly goes first (units that nothing
    reads, copies). Then one unit goes after the other, each time that whose loss, of eight candidates, hurts the worst
    output least; for a target by itself, the worst of its own. So these are the fewest found: another order may do with
    fewer.

    The merge is fitted on 40 % of the sequences. Another 35 % choose the number, with a small reserve (0.1 of what may
    be lost), and 25 % say what is kept then; where `check` does that, half fit, and half choose. Scores are as they
    stand, as shares of that of the network as it is.

    Args:
        model: any module that holds an `nn.LSTM`; it is not changed.
        batch: sequences that the model was not trained on, with their targets; 16 or more.
        keep: the share of the score that has to stay, above 0 and below 1.
        orders: how many random orders there are beside, for the robustness curve.
        layer: which LSTM, where there are several.
        groups: of sequences that belong together; parts are of whole groups.
        check: other sequences to check on.
        seed: of parts, random orders and resampling.
        run, task: put into the columns of the same name.

    Returns:
        One row for each order, number of units kept and target ("all" first), columns `COLUMNS`. All layers and
        directions keep as many. Targets that were not learned (score below 0.5) have no rows. `attrs["used"]` has, by
        target, a dict: `used` (the fewest), `of`, `exact` (how many are left after the exact cuts), `keep`, `checked`,
        `checked_low` and `checked_high` (the share kept on the third part, with its 95 % interval), `which` (by "layer
        direction": numbers of the units that are kept).

    Raises:
        InputError: a number out of its range, too few sequences, no targets or none that was learned, or a module
            that cannot be made smaller.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> used = lp.used_units(net.model, batch)
    >>> used.query("target == 'all' and used").kept.tolist()
    [2]
    """
    _check(batch, keep, orders)
    parts = Parts.of(batch, groups, check, seed)
    names = learned_targets(model, parts.choose)
    if ALL in names and len(names) > 1:
        raise InputError(f"targets: {ALL} stands for all of them here; give that target another name")
    merging = Merging(model, parts, layer)
    choose = Scores(parts.choose, model, names)
    counts = resamples(parts.blocks, BOOTSTRAP, derive_seed(seed, "bootstrap of merged units"))
    checks = Scores(parts.check, model, names, counts)
    measured = _Measured(merging, choose, checks)
    best, about = _best(measured, keep)
    rows = [(BEST, 0, *row) for row in best] + _random(measured, orders, seed)
    units = merging.narrowing.units
    table = pd.DataFrame([(run, task, units, seed, *row) for row in rows], columns=list(COLUMNS))
    table.attrs["used"] = about
    return table


def used_if_learned(
    model: nn.Module, batch: Batch, *, groups: Any = None, check: Batch | None = None, **settings: Any
) -> pd.DataFrame:  # fmt: skip
    """Return `used_units`' table; an empty one where nothing was learned or nothing can be merged, which is said."""
    try:
        return used_units(model, batch, groups=groups, check=check, **settings)
    except InputError as error:
        log.warning("used: %s", error)
        return pd.DataFrame(columns=list(COLUMNS))


#: Each target's score in every sample of the sequences that choose, and of those that check.
Point = tuple[Mapping[str, Float[np.ndarray, " _"]], Mapping[str, Float[np.ndarray, " _"]]]


class _Measured:
    """What each set of kept units leaves, on the sequences that choose and on those that check."""

    def __init__(self, merging: Merging, choose: Scores, checks: Scores) -> None:
        self.merging, self.choose, self.checks = merging, choose, checks
        self.names = (ALL, *(name for name in choose.targets if name != ALL))

    def along(self, order: Mapping[Part, Sequence[int]], sizes: Sequence[int], *, cut: bool) -> dict[int, Point]:
        """Return it with so many units left of an order, by their number; `cut` as in `Merging.merged`."""
        found: dict[int, Point] = {}
        for size in sizes:
            small = self.merging.merged({part: own[-size:] for part, own in order.items()}, cut=cut)
            found[size] = self.choose.samples(small), self.checks.samples(small)
        return found

    def row(self, name: str, size: int, point: Point) -> tuple[str, int, float, float]:
        """Return target, number of units, and the shares on the sequences that check and that choose."""
        return name, size, self.checks.share(name, point[1]), self.choose.share(name, point[0])


def _best(measured: _Measured, keep: float) -> tuple[list[tuple[Any, ...]], dict[str, dict[str, Any]]]:
    """Return the rows of the best order, and what is to be known of each target."""
    merging, checks = measured.merging, measured.checks
    start, units, least = merging.least, merging.narrowing.units, keep + RESERVE * (1 - keep)
    blocks = len(np.unique(merging.parts.blocks))
    rows: list[tuple[Any, ...]] = []
    about: dict[str, dict[str, Any]] = {}
    whole = {part: list(range(units)) for part in merging.exact}
    full = measured.along(whole, [units], cut=False)
    paths: list[tuple[Mapping[Part, list[int]], dict[int, Point]]] = []
    for name in measured.names:
        if name == ALL or len(measured.names) > 2:  # of one target alone the order is that of all
            order = merging.order(None if name == ALL else name)
            most = start if name == ALL else min(start, about[ALL]["used"])  # so many carry each target
            sizes = range(most, merging.narrowing.fewest - 1, -1)
            paths = [*paths[:1], (order, full | measured.along(order, sizes, cut=True))]
        fewest = [_fewest(measured, name, points, least) for _, points in paths]
        used = min(fewest)
        found, points = paths[::-1][fewest[::-1].index(used)]  # the target's own where both do
        which = {part: whole[part] if used > start else merging.original(part, found[part][-used:]) for part in whole}
        about[name] = {
            "used": used, "of": units, "exact": start, "keep": float(keep),
            **checks.interval(name, points[used][1], blocks if used < units else 0),
            "which": {f"{layer} {direction}": own for (layer, direction), own in which.items()},
        }  # fmt: skip
        rows += [(*measured.row(name, size, point), size == used) for size, point in points.items()]
    return rows, about


def _fewest(measured: _Measured, name: str, points: Mapping[int, Point], least: float) -> int:
    """Return the fewest units that leave such a share of a target; all of them do."""
    return min([size for size, point in points.items() if measured.choose.share(name, point[0]) >= least])


def _random(measured: _Measured, orders: int, seed: int) -> list[tuple[Any, ...]]:
    """Return the rows of random orders."""
    fewest, units = measured.merging.narrowing.fewest, measured.merging.narrowing.units
    sizes = sorted({round(float(size)) for size in np.linspace(fewest, units, min(units, POINTS))}, reverse=True)
    rng = np.random.default_rng(derive_seed(seed, "random orders of merged units"))
    rows: list[tuple[Any, ...]] = []
    for draw in range(1, orders + 1):
        order = {part: rng.permutation(units).tolist() for part in measured.merging.exact}
        found = measured.along(order, sizes, cut=False)
        rows += [(RANDOM, draw, *measured.row(name, size, point), False)
                 for name in measured.names for size, point in found.items()]  # fmt: skip
    return rows


def _check(batch: Batch, keep: float, orders: int) -> None:
    problems = []
    if not 0 < keep < 1:
        problems.append(f"keep={keep}: must be a number above 0 and below 1")
    if orders < 0:
        problems.append(f"orders={orders}: must be a whole number from 0")
    if not batch.target_specs:
        problems.append("targets: the batch has none, so there is nothing that units could carry")
    if problems:
        raise InputError(*problems)
