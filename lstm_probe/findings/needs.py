"""What a run's tables say of need: what a clamp costs, which sets of units are needed together, which set is enough."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.status import ALONE, TOGETHER, hardly_learned
from lstm_probe.core.numbers import known
from lstm_probe.core.order import UNIT, UnitKey, unit_label

#: The columns of the numbers of a `Cost`, in its order.
_MEASURED = ("refit_drop", "refit_ci_low", "refit_ci_high", "intact", "score_drop", "readout_drop")
#: The share of its score that a set has to keep to be called enough.
KEEP = 0.99


@dataclass(frozen=True)
class Cost:
    """What a clamp costs one target, in its score; NaN for what was not measured.

    Attributes:
        loss: what remains lost after a refit, with its 95 % interval.
        intact: the score without a clamp.
        stands: the loss as it stands.
        gone: what remains lost after the whole readout is fitted again.
        needed: what the table says of this very unit and target.
    """

    target: str
    loss: float
    low: float
    high: float
    intact: float
    stands: float
    gone: float
    needed: str = ""

    @property
    def share(self) -> float:
        """The loss as a share of the intact score; NaN where there is none to lose."""
        return self.of_score(self.loss)

    def of_score(self, value: float) -> float:
        """Return a loss, or an end of its interval, as a share of the intact score."""
        return value / self.intact if self.intact > 0 else np.nan


@dataclass(frozen=True)
class Joint:
    """What it costs to clamp a set of units at once.

    Attributes:
        labels: of its units.
        costs: of every target, the greatest loss first.
        worst: that of the target which loses the largest share of its score, of those that were learned; None where
            no share is known.
        targets: that it is needed for.
    """

    labels: tuple[str, ...]
    costs: tuple[Cost, ...]
    worst: Cost | None = None
    targets: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[Cost, ...]:
        """The costs of the targets that it is needed for; the greatest where these are not known."""
        return tuple(cost for cost in self.costs if cost.target in self.targets) or self.costs[:1]


@dataclass(frozen=True)
class Enough:
    """A set of units that carries the task.

    Attributes:
        kept: how many units that are.
        checked: share of the score that it keeps on sequences that did not choose it, with its interval.
        spread: fewest and most units in other orders and samples, None where that was not measured.
        keep: the share at which it was chosen.
        of_target: how many units carry each target by itself.
    """

    kept: int
    checked: float
    low: float
    high: float
    spread: tuple[int, int] | None = None
    keep: float = KEEP
    of_target: Mapping[str, int] = field(default_factory=dict)

    @property
    def keeps_less(self) -> bool:
        """Whether it surely keeps less on other sequences than it was chosen to."""
        return bool(round(100 * self.high, 1) < 100 * self.keep) if np.isfinite(self.high) else False


@dataclass(frozen=True)
class Used:
    """The fewest units that carry the task after the others are merged into them.

    Attributes:
        kept: how many each layer and direction keeps.
        of: how many each has.
        checked: share of the score that they keep on sequences that did not choose them, with its interval.
        keep: the share at which they were chosen.
        parts: how many layers and directions there are.
    """

    kept: int
    of: int
    checked: float
    low: float
    high: float
    keep: float = KEEP
    parts: int = 1


@dataclass(frozen=True)
class Needs:
    """What is known of units together.

    Attributes:
        together: the smallest sets that are needed together, costliest first.
        no_cost: all units that cost nothing alone, clamped at once; None where that was not measured.
        rest: those of them that belong to no such set, clamped at once; None where that was not measured, or there
            are none.
        enough: the set that carries the task; None where that was not looked for, or no target was learned.
        used: the fewest units that carry it after a merge; None where that was not looked for or is not known.
        hardly: targets of which so little was learned that there is nothing to need, with their scores.
    """

    together: tuple[Joint, ...] = ()
    no_cost: Joint | None = None
    rest: Joint | None = None
    enough: Enough | None = None
    used: Used | None = None
    hardly: Mapping[str, float] = field(default_factory=dict)


def costs_of(rows: pd.DataFrame) -> tuple[Cost, ...]:
    """Return what a clamp costs each target, the greatest loss first.

    Args:
        rows: of one unit or set; columns `ABLATION_COLUMNS` or `SET_COLUMNS`.
    """
    return tuple(cost for _, cost in _ranked(rows))


def _ranked(rows: pd.DataFrame) -> Iterator[tuple[Any, Cost]]:
    """Go through what clamps cost, the greatest loss first; with each cost the index of its row."""
    ranked = rows.sort_values("refit_drop", ascending=False, kind="stable")
    numbers = (ranked[name].astype(float).tolist() for name in _MEASURED)
    needed = ranked["needed"] if "needed" in ranked else [""] * len(ranked)
    for row, target, loss, low, high, intact, stands, gone, word in zip(
        ranked.index, ranked["target"], *numbers, needed
    ):
        yield row, Cost(target, loss, low, high, intact, stands, gone, word)


def unit_costs(ablations: pd.DataFrame) -> dict[UnitKey, tuple[tuple[Cost, ...], bool]]:
    """Return, by unit, what it costs to clamp it alone, and whether that clamp is far off the data."""
    if "refit_drop" not in ablations:
        return {}
    rows = ablations.reset_index(drop=True)
    keys: list[UnitKey] = list(zip(*(rows[name].tolist() for name in UNIT)))
    off = {key for key, is_off in zip(keys, rows["off_data"].eq(True)) if is_off}
    costs: dict[UnitKey, list[Cost]] = {key: [] for key in keys}
    for row, cost in _ranked(rows):
        costs[keys[row]].append(cost)
    return {key: (tuple(own), key in off) for key, own in costs.items()}


def needs_of(
    ablations: pd.DataFrame, sets: pd.DataFrame | None, sufficient: pd.DataFrame | None, *, layers: bool,
    learned: Collection[str], used: pd.DataFrame | None = None,
) -> Needs:  # fmt: skip
    """Return what is known of units together.

    Args:
        ablations: columns `ABLATION_COLUMNS`.
        sets: columns `SET_COLUMNS`, if there are any.
        sufficient: columns `SUFFICIENT_COLUMNS`, with what was checked in its `attrs`, if there is any.
        layers: whether units are named with their layer.
        learned: targets that were learned: of the others, shares of next to nothing say nothing.
        used: the table of the fewest units that carry the task after a merge, with its `attrs`, if there is any.
    """
    hardly = _hardly(ablations)
    found = {why: _joints(sets, why, learned, hardly) for why in ("needed together", "no cost alone", "not needed")}
    for_targets = _needed_for(ablations, layers)
    together = [replace(one, targets=_common(one, for_targets)) for one in found["needed together"]]
    together.sort(key=lambda one: -max((cost.loss for cost in one.told), default=0.0))
    no_cost, rest = (next(iter(found[why]), None) for why in ("no cost alone", "not needed"))
    rest = no_cost if rest is None and not together else rest  # all of them, where none is needed together
    return Needs(tuple(together), no_cost, rest, _enough(sufficient), _used(used), hardly)


def _hardly(ablations: pd.DataFrame) -> dict[str, float]:
    """Return the scores of targets that were hardly learned."""
    if "needed" not in ablations:
        return {}
    rows = ablations[hardly_learned(ablations)].drop_duplicates("target")
    return dict(zip(rows["target"].tolist(), rows["intact"].tolist()))


def _joints(sets: pd.DataFrame | None, why: str, learned: Collection[str], hardly: Collection[str]) -> list[Joint]:
    """Return the sets that were clamped at once for this reason."""
    if sets is None or sets.empty:
        return []
    rows = sets[sets["why"] == why]
    joints = []
    for name, own in rows.groupby("set", sort=False):
        costs = costs_of(own)
        some = [cost for cost in costs if known(cost.share) and cost.target not in hardly]
        matter = [cost for cost in some if cost.target in learned] or some
        worst = max(matter, key=lambda cost: cost.share, default=None)
        joints.append(Joint(tuple(filter(None, re.split(r"[,;\s]+", str(name)))), costs, worst))
    return joints


def _needed_for(ablations: pd.DataFrame, layers: bool) -> dict[str, set[str]]:
    """Return, by label, the targets that a unit is needed together with others for."""
    if "needed" not in ablations:
        return {}
    rows = ablations[ablations["needed"] == TOGETHER]
    return {unit_label(key, layers): set(own["target"]) for key, own in rows.groupby(UNIT)}  # type: ignore[arg-type]


def _common(joint: Joint, for_targets: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Return the targets that every unit of a set is needed for."""
    return tuple(cost.target for cost in joint.costs
                 if all(cost.target in for_targets.get(label, ()) for label in joint.labels))  # fmt: skip


def _enough(sufficient: pd.DataFrame | None) -> Enough | None:
    """Return the set that carries the task, with what was checked of it."""
    if sufficient is None or sufficient.empty:
        return None
    kept = sufficient[sufficient["kept"].astype(bool)].groupby("target").size()
    if not kept.get("all", 0):
        return None
    about = sufficient.attrs.get("sufficient", {}).get("all", {})
    checked, low, high = (float(about.get(name, np.nan)) for name in ("checked", "checked_low", "checked_high"))
    spread = about.get("spread")
    return Enough(
        int(kept["all"]), checked, low, high, None if spread is None else (int(spread[0]), int(spread[1])),
        float(about.get("keep", KEEP)), {str(target): int(n) for target, n in kept.items() if target != "all"},
    )  # fmt: skip


def _used(used: pd.DataFrame | None) -> Used | None:
    """Return the fewest units that carry the task after a merge."""
    about = {} if used is None else used.attrs.get("used", {}).get("all", {})
    if not about:
        return None
    checked, low, high = (float(about[name]) for name in ("checked", "checked_low", "checked_high"))
    return Used(int(about["used"]), int(about["of"]), checked, low, high, float(about["keep"]), len(about["which"]))


def needed_alone_for(costs: Sequence[Cost]) -> tuple[Cost, ...]:
    """Return the costs that make a unit needed alone."""
    return tuple(cost for cost in costs if cost.needed == ALONE)
