"""Do units fall into groups by the conditions in which they vary? Task variance, clustered (Yang and others 2019).

**Task variance** of a unit in a condition: its variance over the sequences that are in that condition at a step, pooled
over steps. What depends on the step alone is no variance; a unit that holds what only one condition asks for varies in
that one. It is divided by the unit's largest, so that units of all scales count alike.

**Clusters**: k-means of the units' normalised variances, with that number of clusters, 2 to `most`, whose mean
silhouette (Rousseeuw 1987) is highest.

**Two checks could refute them**: the same of random rotations of the units, brought to standard deviation 1 first. The
space is the same one; if its random directions cluster as well, the clusters are not the units' own. And conditions
exchanged between sequences: if variances then differ as much between them, it is not the conditions that units vary by.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from lstm_probe.core.columns import unit_table
from lstm_probe.core.errors import InputError, NothingThereError
from lstm_probe.core.given import Signals
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.numbers import number
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import ROLES
from lstm_probe.probing.data.checks import setting_problems
from lstm_probe.probing.data.events import find_conditions, named_signals
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.study import as_many_threads_as_torch, blocks_of, in_memory
from lstm_probe.probing.data.view import standardise
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.rotation import PERCENTILE, SAME, random_rotations
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: Starts of k-means.
STARTS = 4

#: Fewer steps at which there are two sequences in a condition tell too little of its variance.
LEAST_STEPS = 16

#: A unit of no more variance than this, in its own, does not vary.
LEAST = 1e-12

#: In conditions in which a unit varies by this share of its largest variance or more, it varies alike.
ALIKE = 0.9

#: More classes than this are no conditions.
MOST_CONDITIONS = 64

COLUMNS = unit_table(
    by="What says in which condition a sequence is.",
    condition="The condition.",
    n="How many steps are in it, of which there are two sequences or more at the same step.",
    variance="Variance of the unit over the sequences in the condition, steps pooled, over its variance at all steps.",
    share="The same as a share of the unit's largest over conditions.",
    cluster="Number of the unit's cluster, the largest being 0; missing for a unit that never varies.",
    silhouette="Silhouette of the unit: 1 well within its cluster, 0 between two, below 0 in the wrong one.",
    n_clusters="How many clusters there are: as many as have the highest mean silhouette.",
    mean_silhouette="Mean silhouette over units.",
    rotated="Median of the highest mean silhouette over random rotations of the units.",
    rotated_high="95th percentile of the same.",
    p_rotation="Share of rotations whose directions cluster at least as well, itself counted in.",
    p_shuffled="Share of exchanges of conditions between sequences in which units' variances differ as much between "
    "conditions (mean standard deviation of share), itself counted in; 1 where they go with the step alone.",
    found="Whether there are clusters of units, and not of any directions, by conditions, and not by any sequences: "
    "p_rotation and p_shuffled are at most `alpha`.",
)  # fmt: skip


def unit_clusters(
    rec: Recording,
    signals: Signals,
    *,
    by: Any = None,
    variables: Sequence[str] | None = ("c",),
    most: int = 8,
    rotations: int = 99,
    alpha: float = 0.05,
    groups: Any = None,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Say of each unit how much it varies in each condition, and whether units fall into clusters by that.

    Args:
        rec: from `lstm_probe.record`, in memory.
        signals: as for `probe_units`.
        by: the name of a binary or categorical signal, or labels of (sequence,) or (sequence, time), that say in which
            condition a sequence is; None for the first such signal, targets before others.
        variables: which of h c i f g o; None for all that were recorded.
        most: largest number of clusters, 2 or more.
        rotations: random rotations of the units, and as many exchanges of conditions, 1 or more.
        alpha: of both tests, 0 to 1.
        groups: one entry for each sequence, equal ones for those that are not independent of each other; whole groups
            are exchanged.
        seed: of k-means, rotations and exchanges; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each layer, direction, variable, unit and condition, with the columns `COLUMNS`. With fewer than
        three units that vary there is nothing to cluster.

    Raises:
        InputError: what is wrong with the arguments; no such signal, or fewer than two conditions.
    """
    rec = in_memory(rec, "unit_clusters")
    problems = setting_problems({"most": most, "rotations": rotations, "alpha": alpha})
    if not problems and most < 2:
        problems = [f"most={most}: must be a whole number from 2"]
    chosen = tuple(next(iter(rec)).variables if variables is None else variables)
    if unknown := [v for v in chosen if v not in next(iter(rec)).variables]:
        problems.append(f"variables={' '.join(unknown)}: must be among those recorded: "
                        f"{' '.join(next(iter(rec)).variables)}")  # fmt: skip
    if problems:
        raise InputError(*problems)
    name, levels, code = conditions_of(rec, signals, by)
    moved = Exchanged.of(rec, code, groups, rotations, seed)
    frames = []
    with as_many_threads_as_torch():
        for block in blocks_of(rec, chosen):
            values = block.values.detach().cpu().double().numpy()
            measured = _block(values, code, len(levels), most, rotations, seed, moved)
            units = block.values.shape[-1]
            about = {"run": run, "task": task, "units": rec.config.units, "seed": seed, "layer": block.layer,
                     "direction": block.direction, "variable": block.variable, "by": name}  # fmt: skip
            own = {"unit": np.arange(units)[:, None], "condition": np.array(levels), **measured}
            wide = {key: np.broadcast_to(values, (units, len(levels))).ravel() for key, values in own.items()}
            frame = pd.DataFrame({**about, **wide}, index=range(units * len(levels)))
            frames.append(frame.assign(found=frame[["p_rotation", "p_shuffled"]].max(axis=1) <= alpha))
    table = pd.concat(frames, ignore_index=True)
    return table.astype({"cluster": "Int64", "n_clusters": "Int64"})[list(COLUMNS)]


def conditions_of(rec: Recording, signals: Signals, by: Any) -> tuple[str, list[str], Int[np.ndarray, "sequence time"]]:
    """Return what says the conditions, their names, and each step's: -1 where it has none."""
    mask, known = rec.mask.cpu().numpy(), named_signals(signals, rec)
    made = find_conditions(first_classes(known, mask) if by is None else by, known, mask)
    if not 2 <= len(made.names) <= MOST_CONDITIONS:
        raise InputError(f"by{f'={by}' if isinstance(by, str) else ''}: {len(made.names)} conditions; there must be 2 "
                         f"to {MOST_CONDITIONS}")  # fmt: skip
    steps = np.array([own[own > 1].sum() for own in ((made.codes == k).sum(0) for k in range(len(made.names)))])
    enough = steps >= LEAST_STEPS
    if not enough.all():
        few = ", ".join(name for name, e in zip(made.names, enough) if not e)
        told = f"{made.by}: too few sequences are at the same step in condition {few}"
        if enough.sum() < 2:
            raise InputError(f"{told}; it takes two conditions with {LEAST_STEPS} steps each, better many more")
        logger.warning("%s, which is left out", told)
    number_of = np.append(np.where(enough, np.cumsum(enough) - 1, -1), -1)
    return made.by, [name for name, e in zip(made.names, enough) if e], number_of[made.codes]


def first_classes(known: Mapping[str, Any], mask: Bool[np.ndarray, "sequence time"]) -> str:
    """Return the first signal that has classes, targets before others."""
    checked = check_signals(known, mask) if known else []
    ranked = [one for role in ROLES for one in checked
              if one.role == role and not one.is_number and 2 <= one.classes <= MOST_CONDITIONS]  # fmt: skip
    if not ranked:
        raise NothingThereError(f"by: none of the signals is binary or categorical with 2 to {MOST_CONDITIONS} values, "
                                "to say the conditions; in Python, labels will do, too")  # fmt: skip
    return ranked[0].name


@dataclass(frozen=True, eq=False)
class Exchanged:
    """Conditions of other sequences in these sequences' place.

    Attributes:
        code: each step's condition, -1 where it has none, or where not all that are exchanged have the step.
        order: the sequences, and then as they are exchanged.
    """

    code: Int[np.ndarray, "sequence time"]
    order: Int[np.ndarray, "permutation sequence"]

    @classmethod
    def of(
        cls, rec: Recording, code: Int[np.ndarray, "sequence time"], groups: Any, count: int, seed: int
    ) -> "Exchanged":
        """Return so many exchanges of a recording's conditions."""
        lengths = rec.lengths.cpu().numpy()
        exchange = make_exchange("shuffle", lengths, drawn_as_one(group_codes(groups, len(lengths))))
        there = np.arange(code.shape[1]) < exchange.lengths[:, None]
        return cls(np.where(there, code, -1), exchange.permutations(count, seed))

    def p_value(self, x: Float[np.ndarray, "sequence time unit"], conditions: int) -> float:
        """Return in what share of exchanges variances differ as much between conditions; NaN where nothing varies."""
        differ = np.array([_unevenness(x, self.code[own], conditions) for own in self.order])
        return float((differ >= differ[0] - SAME).mean()) if np.isfinite(differ).all() else np.nan


def _unevenness(x: Float[np.ndarray, "sequence time unit"], code: Int[np.ndarray, "sequence time"], n: int) -> float:
    """Return by how much units' variances, as shares of their largest, differ between conditions."""
    variance = np.stack([(own**2).sum(0) / freedom for own, freedom, _ in deviations(x, code, n)])
    varies = variance.max(0) > LEAST
    return float((variance[:, varies] / variance[:, varies].max(0)).std(0).mean()) if varies.any() else np.nan


def deviations(
    x: Float[np.ndarray, "sequence time unit"], code: Int[np.ndarray, "sequence time"], conditions: int
) -> Iterator[tuple[Float[np.ndarray, "step unit"], int, int]]:
    """Go through conditions: what is left without each step's mean over its sequences; degrees of freedom; steps.

    A step with one sequence says nothing.
    """
    for k in range(conditions):
        inside = code == k
        n = inside.sum(0)
        own = np.where(inside[..., None], x, 0.0)
        own -= np.where(inside[..., None], own.sum(0) / np.maximum(n, 1)[:, None], 0.0)
        own[:, n < 2] = 0
        n = n[n > 1]
        yield own.reshape(-1, x.shape[-1]), max(1, int((n - 1).sum())), int(n.sum())


def covariances(
    x: Float[np.ndarray, "sequence time unit"], code: Int[np.ndarray, "sequence time"], conditions: int
) -> tuple[Float[np.ndarray, "condition unit unit"], Int[np.ndarray, " condition"]]:
    """Return the units' covariance over the sequences of each condition, pooled over steps, and how many steps that is.

    Each step's mean over the sequences in the condition is taken off.
    """
    every = [(own.T @ own / freedom, steps) for own, freedom, steps in deviations(x, code, conditions)]
    return np.stack([spread for spread, _ in every]), np.array([steps for _, steps in every])


def _block(
    values: Float[np.ndarray, "sequence time unit"],
    code: Int[np.ndarray, "sequence time"],
    conditions: int,
    most: int,
    rotations: int,
    seed: int,
    moved: Exchanged,
) -> dict[str, Any]:
    """Return the columns of one block, each by unit and condition, or broadcast to that."""
    x = standardise(values, code >= 0)
    spread, n = covariances(x, code, conditions)
    variance = np.diagonal(spread, axis1=1, axis2=2).T
    largest = variance.max(1)
    varies = largest > LEAST
    share = np.where(varies[:, None], variance / np.where(varies, largest, 1)[:, None], np.nan)
    one = ("n_clusters", "mean_silhouette", "rotated", "rotated_high", "p_rotation", "p_shuffled")
    found: dict[str, Any] = {"n": n, "variance": variance, "share": share, **dict.fromkeys(one, np.nan)}
    found |= {key: np.full((len(variance), 1), np.nan) for key in ("cluster", "silhouette")}
    if varies.sum() < 3:
        return found
    labels, silhouette = clustered(share[varies], most, seed)
    if silhouette is None:
        return found
    own = spread[:, varies][:, :, varies]
    turns = random_rotations(int(varies.sum()), rotations, seed)
    drawn = np.array([_highest(own, turn, most, seed) for turn in turns])
    found["cluster"][varies, 0], found["silhouette"][varies, 0] = labels, silhouette
    mean = float(silhouette.mean())
    return found | {
        "n_clusters": labels.max() + 1, "mean_silhouette": mean, "rotated": np.median(drawn),
        "rotated_high": np.percentile(drawn, PERCENTILE),
        "p_rotation": (1 + (drawn >= mean - SAME).sum()) / (1 + rotations), "p_shuffled": moved.p_value(x, conditions),
    }  # fmt: skip


def _highest(
    spread: Float[np.ndarray, "condition unit unit"], turn: Float[np.ndarray, "unit direction"], most: int, seed: int
) -> float:
    """Return the highest mean silhouette of a rotation's directions; 0 where they are all alike."""
    variance = np.einsum("ud,cuv,vd->dc", turn, spread, turn, optimize=True)
    _, silhouette = clustered(variance / variance.max(1, keepdims=True), most, seed)
    return 0.0 if silhouette is None else float(silhouette.mean())


def clustered(
    points: Float[np.ndarray, "unit condition"], most: int, seed: int
) -> tuple[Int[np.ndarray, " unit"], Float[np.ndarray, " unit"] | None]:
    """Return each unit's cluster, the largest being 0, and its silhouette; of the number where their mean is highest.

    At most one cluster less than there are different units; no silhouettes where there are fewer than three of these.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import silhouette_samples

    different = len(np.unique(points.round(9), axis=0))
    best: tuple[Any, Any] = (np.zeros(len(points), dtype=np.int64), None)
    for k in range(2, min(most, different, len(points) - 1) + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = KMeans(k, n_init=STARTS, random_state=derive_seed(seed, "clusters") % 2**32).fit_predict(points)
        if len(np.unique(labels)) < 2:
            continue
        silhouette = silhouette_samples(points, labels)
        if best[1] is None or silhouette.mean() > best[1].mean() + SAME:
            best = (labels, silhouette)
    numbers, sizes = np.unique(best[0], return_counts=True)
    order = numbers[np.argsort(-sizes, kind="stable")]
    return np.argsort(order)[np.searchsorted(numbers, best[0])].astype(np.int64), best[1]


def cluster_sentences(own: pd.DataFrame, _: object) -> Iterator[str]:
    """Say in which cluster a unit is, and in which conditions it varies most; nothing where there are no clusters.

    Args:
        own: the unit's rows.
    """
    for _, rows in own.groupby("variable", sort=False):
        first: Any = next(rows.itertuples())
        if not first.found or pd.isna(first.cluster):
            continue
        most = rows.loc[rows["share"] >= ALIKE, "condition"].tolist()
        where = f"most where that is {' or '.join(most)}" if len(most) < len(rows) else "about as much in each"
        yield (f"By the variance of its {first.variable} in each value of {first.by} it is in cluster {first.cluster} "
               f"of {first.n_clusters} (silhouette {number(first.silhouette)}); it varies {where}."
               )  # fmt: skip


def cluster_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each layer, direction and variable: how many clusters, and what of them is shown."""
    kept = ["layer", "direction", "variable", "by", "n_clusters", "mean_silhouette", "rotated", "rotated_high",
            "p_rotation", "p_shuffled", "found"]  # fmt: skip
    kept = [name for name in kept if name in table]  # an earlier version did not exchange sequences
    return table.drop_duplicates(["layer", "direction", "variable"])[kept].reset_index(drop=True)
