"""How signals are coded in units, and what units code: localist, copied or distributed; selective or mixed.

All definitions in one place. R² is held out by sequence. For a class signal it is the mean R² of its classes'
indicators, so that all that is compared here is on one scale.

**Of a signal, in the units of one variable of a layer** (`signal_codes`):

effect
    R² of all units together, by ridge regression, floored at 0.
participation
    How many units contribute: (Σ a_j)² / Σ a_j². The contribution of unit j is Pratt's (1987),
    a_j = b_j · cov(x_j, ŷ), which adds up to the variance of the prediction ŷ = Σ b_j x_j; floored at 0,
    reckoned in each training part, averaged over folds, added up over the classes of a class signal. 1 where
    one unit does it all, k where k units do the same share. Ridge shares alike between units that are alike.
dimensionality
    How much of a dimension the signal has to itself: D_i = |W_i|² / Σ_j (Ŵ_i · W_j)² (Elhage and others 2022),
    where W_i is the signal's direction in the space of units, Ŵ_i that direction at length 1. The W are
    the coefficients of the least-squares regression, over all steps, of the standardised units on all
    standardised signals at once. 1 where no other signal shares the direction, 1/2 for two signals in opposite
    directions. A categorical signal of K classes spans at most K − 1 dimensions: its number is the sum over
    classes, divided by K − 1. A circular one spans two: the mean over sine and cosine.
best_unit, best_effect; second_unit, second_effect
    The unit with the highest R² by itself, and that R², floored at 0; and the one after it.
rest
    R² of all units but the best, by ridge regression, floored at 0.
varying
    How many units vary. The others are left out of all of this.
rotated, rotated_high, p_rotation
    The best single direction in random orthogonal bases: median and 95th percentile over bases, and
    (1 + bases at least as good as the units) / (1 + bases). See `probing.rotation`.
code
    With all = the higher of effect and best_effect (of few sequences, ridge may find less than one unit has):
    "copies": best_effect and second_effect are both at least `code_share` of all, each unit by itself.
    "localist", one unit: best_effect ≥ code_share · all and second_effect < code_low · all; and the unit is a
    special axis, or the others know little: rest ≤ code_rest · all. A special axis: p_rotation ≤ alpha, and
    best_effect is above rotated_high by `code_margin`, or by `code_closed` of what is left to 1 where that is
    less. (In a recording that is itself rotated p_rotation ≤ alpha happens by chance; such a lead hardly does.)
    "distributed": best_effect < code_low · all.
    "not told apart": anything between.
    "none": all < min_effect.
    "undefined": the signal is constant, or fewer than two units vary, so that there is nothing to compare.
    Of two or three units a random basis often has an axis near the signal's direction; no test can tell that from
    a unit that holds it (see `findings.codes`).

Where the effect is below 0.05 there is nothing to share out: participation and dimensionality are NaN.

**Of a unit's variable** (`unit_codes`), from the effects e_1 .. e_S of S signals, each at its best lag:

n_signals, best_signal, best_effect
    How many signals it tracks; the tracked one with the highest effect, and that effect.
selectivity
    (best − mean of the others) / (best + mean of the others).
mixing
    ((Σ e)² / Σ e² − 1) / (S − 1), the polysemanticity index: the effective number of signals, less one, over
    the most there could be. 0 for a unit with one signal alone, 1 for an even mixture of all.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped

from lstm_probe.core.columns import RUN_COLUMNS, SIGNAL_CODE_COLUMNS, UNIT_CODE_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.vocabulary import ROLES
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study, as_many_threads_as_torch, assemble, by_labels, in_memory, make_study
from lstm_probe.probing.fits.ridge import Gram
from lstm_probe.probing.inference.rotation import random_rotations, rotation_test
from lstm_probe.probing.inference.sharing import effective_number, rest_effect, shared
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: What is said of random bases.
ROTATED = ("rotated", "rotated_high", "p_rotation")


def signal_codes(
    rec: Recording,
    signals: Signals,
    *,
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = None,
    folds: int = 5,
    rotations: int = 200,
    alpha: float = 0.05,
    min_effect: float = 0.25,
    code_share: float = 0.9,
    code_low: float = 0.75,
    code_rest: float = 0.5,
    code_margin: float = 0.1,
    code_closed: float = 0.9,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Say of each signal whether one unit holds it, several each, many together, or none; the module defines columns.

    Args:
        rec: from `lstm_probe.record`, in memory.
        signals: as for `probe_units`.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        groups: as for `probe_units`.
        lags: how many steps back the signal's value is taken, each 0 or more.
        variables: which of h c i f g o; all that were recorded where this is None.
        folds: 2 or more; used where there is no `split`.
        rotations: random bases, 1 or more.
        alpha: of the rotation test, 0 to 1.
        min_effect: R² of all units below which no code is looked for, 0 to 1.
        code_share: of that R², what a unit that holds the signal reaches by itself; 0 to 1.
        code_low: of that R², what a unit that does not hold it stays below; 0 to `code_share`.
        code_rest: of that R², what units reach at most that know little of the signal; 0 to 1.
        code_margin: of a special axis above random bases, in R², 0 to 1.
        code_closed: of what is left to 1 above random bases, what a special axis closes where `code_margin` is more.
        seed: of split and rotations; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each layer, direction, variable, signal and lag, with the columns `SIGNAL_CODE_COLUMNS`.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.
    """
    bars: dict[str, Any] = {
        "alpha": alpha, "min_effect": min_effect, "code_share": code_share, "code_low": code_low,
        "code_rest": code_rest, "code_margin": code_margin, "code_closed": code_closed,
    }  # fmt: skip
    rec = in_memory(rec, "signal_codes")
    crossed = [f"code_low={code_low}: must not be above code_share={code_share}"] if code_low > code_share else []
    study = make_study(rec, signals, split, lags, variables, folds, seed, crossed, groups=groups, rotations=rotations,
                       **bars)  # fmt: skip
    if 1 / (1 + rotations) > alpha:
        logger.warning("rotations=%d: too few for any signal to reach alpha=%g", rotations, alpha)
    with as_many_threads_as_torch():
        measured = by_labels(study, lambda part: code_blocks(part, rotations, seed), together=True)
    first = {"run": run, "task": task, "units": rec.config.units, "seed": seed}
    table = assemble(study, measured, [1] * len(study.blocks), first)
    whole = ["best_unit", "second_unit", "varying"]
    table[whole] = table[whole].astype("Int64")
    table["code"] = codes(table, **bars)
    return table[list(SIGNAL_CODE_COLUMNS)]


def codes(
    table: pd.DataFrame,
    *,
    alpha: float,
    min_effect: float,
    code_share: float,
    code_low: float,
    code_rest: float,
    code_margin: float,
    code_closed: float,
) -> np.ndarray:
    """Return each row's word."""
    best, second, bases = table["best_effect"], table["second_effect"], table["rotated_high"]
    every = np.maximum(table["effect"], best)
    axis = (table["p_rotation"] <= alpha) & (best - bases >= np.minimum(code_margin, code_closed * (1 - bases)))
    holds = best >= code_share * every
    words = {
        "undefined": table["p_rotation"].isna(),
        "none": (every < min_effect) | (every == 0),
        "copies": holds & (second >= code_share * every),
        "localist": holds & (second < code_low * every) & (axis | (table["rest"] <= code_rest * every)),
        "distributed": best < code_low * every,
    }
    return np.select(list(words.values()), list(words), "not told apart")


def code_blocks(study: Study, rotations: int, seed: int) -> dict[str, Float[np.ndarray, "lag block signal"]]:
    """Return every measured column, for all blocks at every lag."""
    rows, turns = [], {}
    for view in study.views:
        for block in study.blocks:
            x = view.features(block.values, block.name)
            # Constant units are no dimension to rotate in; where all are constant, one stands for them.
            varies = np.flatnonzero(np.einsum("stu,stu->u", x, x))
            varying, varies = len(varies), varies if len(varies) else np.arange(1)
            if len(varies) not in turns:
                turns[len(varies)] = random_rotations(len(varies), rotations, seed)
            gram = Gram.per_fold(x[..., varies], view.columns, view)
            test = rotation_test(gram, view, turns[len(varies)])
            number = np.append(varies.astype(np.float64), np.nan)  # of no unit: the last, which is -1
            rows.append(
                shared(gram, view)
                | {"rest": rest_effect(gram, view, test.best_unit), "best_unit": number[test.best_unit]}
                | {"second_unit": number[test.second_unit]}
                | {"varying": np.full(len(study.signals), varying)}
                | {key: getattr(test, key) for key in ("best_effect", "second_effect", *ROTATED)}
            )
    shape = (len(study.views), len(study.blocks), len(study.signals))
    return {key: np.array([row[key] for row in rows]).reshape(shape) for key in rows[0]}


def unit_codes(probes: pd.DataFrame, *, roles: Sequence[str] = ("target", "latent")) -> pd.DataFrame:
    """Say of each unit's variables whether they go with one signal or with many; the module says how.

    Args:
        probes: from `probe_units`; columns `PROBE_COLUMNS`.
        roles: of the signals that count.

    Returns:
        One row for each unit and variable, with the columns `UNIT_CODE_COLUMNS`. Of a unit that tracks
        nothing, `best_signal` is missing, `best_effect` that of any signal, and selectivity and mixing are NaN; so
        are these two where there is one signal.

    Raises:
        InputError: an unknown role, or a column that is missing.
    """
    key = [*RUN_COLUMNS, "layer", "direction", "variable", "unit"]
    missing = [c for c in (*key, "signal", "role", "effect", "tracks") if c not in probes]
    problems = [f"probes: no column {' '.join(missing)}; give a table of probe_units"] if missing else []
    unknown = [role for role in roles if role not in ROLES]
    problems += [f"roles={role}: must be among {' '.join(ROLES)}" for role in unknown]
    if problems:
        raise InputError(*problems)
    own = probes[probes["role"].isin(roles)]
    if own.empty:
        told = " ".join(dict.fromkeys(probes["role"]))
        raise InputError(f"roles={' '.join(roles)}: no signal of this table has one of these; there are: {told}")
    best = own.groupby([*key, "signal"], sort=False).agg(effect=("effect", "max"), tracks=("tracks", "any"))
    every = pd.MultiIndex.from_frame(probes[key].drop_duplicates())
    wide = best.unstack("signal", sort=False).reindex(every)
    effects = wide["effect"].to_numpy(dtype=float)
    tracks = wide["tracks"].to_numpy(dtype=float) == 1
    table = pd.DataFrame(unit_numbers(effects, tracks), index=every)
    names = np.array([*wide["effect"].columns, None], dtype=object)
    table["best_signal"] = names[np.where(tracks.any(1), np.where(tracks, effects, -1).argmax(1), -1)]
    return table.reset_index()[list(UNIT_CODE_COLUMNS)]


def unit_numbers(
    effects: Float[np.ndarray, "unit signal"], tracks: Bool[np.ndarray, "unit signal"]
) -> dict[str, Shaped[np.ndarray, " unit"]]:
    """Return how many signals each unit tracks, its best effect, selectivity and mixing."""
    tracking, known = tracks.any(1), ~np.isnan(effects)
    count, values = known.sum(1), np.where(known, effects, 0.0)
    best = np.where(tracks, values, 0).max(1)
    # Where a unit tracks nothing, the effect that is nearest to it.
    best = np.where(tracking, best, np.where(count, values.max(1), np.nan))
    several = tracking & (count > 1)
    others = (values.sum(1) - best) / np.where(several, count - 1, np.nan)
    mixing = (effective_number(values) - 1) / np.where(several, count - 1, np.nan)
    return {
        "n_signals": tracks.sum(1),
        "best_effect": best,
        "selectivity": (best - others) / (best + others),
        "mixing": mixing,
    }
