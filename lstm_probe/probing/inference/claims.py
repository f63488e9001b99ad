"""From scores and p-values to claims: which unit tracks which signal, and what could have refuted it."""

import numpy as np
from jaxtyping import Bool, Float

from lstm_probe.probing.data.study import Study
from lstm_probe.probing.inference.decision import Rule
from lstm_probe.probing.inference.swap import can_swap, depths, swap_effects
from lstm_probe.probing.inference.untrained import Networks, Score, compare

Columns = dict[str, Float[np.ndarray, "lag unit signal"]]


def claims(
    study: Study, part: Study, measured: Columns, p_family: Float[np.ndarray, "lag unit signal"],
    testable: Bool[np.ndarray, " signal"], rule: Rule, networks: Networks, seed: int, score: Score,
) -> Columns:  # fmt: skip
    """Return what each unit is compared with, and whether it tracks.

    Args:
        study: what is looked at; without its weights, or without sequences, there is no past-swap.
        part: of it, in memory; on this part units are compared with untrained ones.
        measured: effect, input_only and time_only.
        p_family: as `NullResult.p_family`.
        testable: the signals of which something can be found.
        rule: the thresholds.
        networks: untrained ones.
        seed: of donors.
        score: of units.

    Returns:
        untrained, untrained_best, p_untrained, past_swap (NaN where the effect is too small already), depth (NaN but
        where all else than p_untrained is met) and tracks.
    """
    effect = measured["effect"]
    strong = effect >= rule.bar(study.signals)
    baseline = np.maximum(measured["input_only"], measured["time_only"])
    held = strong & rule.beyond(effect, baseline)
    swap = np.full(effect.shape, np.nan)
    if can_swap(study.rec) and held.any():
        swap = swap_effects(study, held, 1, seed, score)
    held &= rule.remembered(effect, swap) & (p_family <= rule.alpha) & testable
    beside = compare(part, networks, score, rule.alpha, held)
    tracks = held & (beside.p <= rule.alpha)
    depth = np.full(effect.shape, np.nan)
    if can_swap(part.rec) and held.any():
        depth = depths(part, beside.effect, measured["time_only"], held, seed, score)
    return {
        "untrained": beside.level, "untrained_best": beside.best, "p_untrained": beside.p, "past_swap": swap,
        "depth": depth, "tracks": tracks,
    }  # fmt: skip
