"""Do units recur from one trained network to the next? Units of several networks matched on the same sequences.

Networks of several seeds or sizes read the same sequences. Units of two of them are matched one to one, so that the sum
of their similarities is largest (Kuhn 1955): by |correlation| of their responses, and by the signals that they tell.
What is matched is chosen on one half of the sequences, and how alike it is measured on the other. Beside it stands how
alike the networks are as a whole, whatever their units: debiased linear CKA and orthogonal Procrustes.

Each of three comparisons could refute another claim:

shuffled
    Sequences of one network are exchanged, all units together, as `probe_units` does; what depends on the step alone
    stays. Refutes that the networks respond alike to what is in the sequences. By signals, it refutes that both tell
    some signal: under the null at most one network tells any one signal, and either network, together with the signals
    that it tells, has nothing to do with the other and its own. Which network tells which need not be known, nor which
    stands first (`match_signals` says how); where neither tells anything, p-values are larger than they had to be.
rotated
    The units of one network are turned into random directions. Refutes that it is the units that correspond; spaces may
    be alike and units not.
untrained
    Networks of the same shapes with random weights read the same inputs. Refutes that training made them alike; those
    that read the same inputs are alike without it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from lstm_probe.core.columns import columns
from lstm_probe.core.errors import InputError
from lstm_probe.core.quantiles import student
from lstm_probe.probing.analyses.halves import ALL, Both, Halves, Network, make_halves
from lstm_probe.probing.analyses.seeds import FEWEST_SEEDS
from lstm_probe.probing.data.study import as_many_threads_as_torch
from lstm_probe.probing.inference.baselines import untrained_once
from lstm_probe.probing.inference.likeness import by_units, likeness, match_responses, match_signals
from lstm_probe.probing.inference.rotation import PERCENTILE, SAME, random_rotations
from lstm_probe.probing.inference.untrained import Networks

_PAIR = {
    "network": "Name of a network.",
    "other": "Name of the other network.",
}
MATCH_COLUMNS = columns(
    "task", "variable", **_PAIR,
    by="What units are matched by: responses, or signals.",
    layer="Layer of the unit of `network`, counted from 0.",
    direction="Its direction.",
    unit="Its number.",
    other_layer="Layer of the unit of `other`.",
    other_direction="Its direction.",
    other_unit="Its number.",
    r="Correlation of the two units on the half of the sequences that did not choose them.",
    similarity="How alike they are there: r, with its sign on the half that chose; by signals, the lesser of their "
    "effects on the signal that both told best on the half that chose.",
    signal="Signal that the unit of `network` tells best on the half that did not choose.",
    effect="R² of a straight line for that; of classes, the mean over their indicators.",
    other_signal="Signal that the unit of `other` tells best there.",
    other_effect="R² of a straight line for that.",
    shuffled_high="95th percentile, over exchanges of sequences, of the highest similarity of any two matched units; "
    "by signals, units stay matched, and what they share with either network's exchanged counts, whichever is greater.",
    p_value="Share of exchanges in which any two matched units are at least as alike, itself counted in: family-wise "
    "over the pair's units.",
)  # fmt: skip
SIMILARITY_COLUMNS = columns(
    "task", "variable",
    network="Name of a network; all: the mean over all pairs.",
    units="How many units of it vary, over all layers; missing for all.",
    other=_PAIR["other"],
    other_units="How many of the other's units vary.",
    measure="units or signals (mean over units matched by responses, or by signals), cka (debiased linear CKA), or "
    "procrustes (tr(RᵀXᵀY) / |X| |Y| under the rotation R fitted on the other half).",
    similarity="How alike the networks are by that, on the half of the sequences that chose nothing: 1 for the same.",
    ci_low="Lower end of the 95 % interval of the mean over pairs, networks being the sample (jackknife); missing for "
    f"one pair, and of fewer than {FEWEST_SEEDS} networks.",
    ci_high="Upper end of it.",
    shuffled="Mean of the same over exchanges of sequences; of signals, units stay matched, and what they share with "
    "either network's exchanged counts, whichever is greater.",
    shuffled_high="95th percentile of the same.",
    p_value="Share of exchanges in which the networks are at least as alike, itself counted in.",
    rotated="Mean of the same with units of `other` turned into random directions; missing for whole spaces.",
    p_rotation="Share of rotations in which they are at least as alike, itself counted in.",
    untrained="Mean of the same over pairs of untrained networks of the same shapes; missing where one is constant.",
    p_untrained="Share of pairs of untrained networks that are at least as alike, itself counted in.",
)  # fmt: skip


def match_units(
    networks: Any,
    batch: Any,
    *,
    variable: str = "c",
    permutations: int = 199,
    groups: Any = None,
    seed: int = 0,
    task: str = "",
) -> pd.DataFrame:
    """Match the units of every two networks, and say how alike each two are on sequences that did not choose them.

    Args:
        networks: two or more modules, or recordings in memory of the same sequences, in order or by name. They may
            differ in units and layers; all layers' units are matched together.
        batch: the `Batch` that modules read; or, of recordings, their signals, as for `probe_units`.
        variable: which of h c i f g o.
        permutations: exchanges of sequences, 1 or more.
        groups: as for `probe_units`; None for the batch's own.
        seed: of halves and exchanges.
        task: what the column of that name says.

    Returns:
        One row for each pair of networks, way of matching and matched units, with the columns `MATCH_COLUMNS`. Of a
        pair as many units are matched as vary in the network where fewer do. A small `p_value` shows that two units
        respond alike; by signals, that both tell the signal that matched them, not one of them alone.

    Raises:
        InputError: what is wrong with the arguments; a single network, or networks on other sequences.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> same = lp.match_units({"one": net.model, "other": net.model}, batch, permutations=19)
    >>> bool((same.unit == same.other_unit).all())
    True
    """
    halves = make_halves(networks, batch, variable, groups, seed, permutations=permutations)
    ways = ("responses", "signals") if halves.signals else ("responses",)
    rows: list[tuple[Any, ...]] = []
    with as_many_threads_as_torch():
        for a, b in combinations(range(len(halves.networks)), 2):
            one, other = halves.networks[a], halves.networks[b]
            own = halves.sums(one, other)
            highest = np.array([[_matched(by, own, halves, sums)[2].max() for by in ways]
                                for sums in halves.shuffled(a, b, permutations)])  # fmt: skip
            for by, best in zip(ways, highest.T):
                left, right, similarity = _matched(by, own, halves)
                p = (1 + (best >= similarity[:, None] - SAME).sum(1)) / (1 + permutations)
                numbers = [
                    own[1].between[left, right], similarity, *_told(own[1].own[left], halves),
                    *_told(own[1].other[right], halves), np.full(len(p), np.percentile(best, PERCENTILE)), p,
                ]  # fmt: skip
                for k, (u, v) in enumerate(zip(left, right)):
                    units = (*one.units[u], *other.units[v])
                    rows.append((task, variable, one.name, other.name, by, *units, *(values[k] for values in numbers)))
    return pd.DataFrame(rows, columns=list(MATCH_COLUMNS))


def _matched(
    by: str, own: Both, halves: Halves, exchanged: Both | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if by == "responses":
        return match_responses(*(exchanged or own))
    return match_signals(*own, halves.owner, exchanged and exchanged[1])


def _told(r: Float[np.ndarray, "unit column"], halves: Halves) -> tuple[np.ndarray, np.ndarray]:
    """Return the signal that each unit tells best, and the effect; "" and NaN where there are no signals."""
    if not halves.signals:
        return np.full(len(r), ""), np.full(len(r), np.nan)
    effects = (r**2) @ halves.owner
    names = np.array([signal.name for signal in halves.signals], dtype=object)
    return names[effects.argmax(1)], effects.max(1)


@untrained_once()
def network_similarity(
    networks: Any,
    batch: Any,
    *,
    variable: str = "c",
    permutations: int = 199,
    rotations: int = 200,
    untrained: int = 19,
    groups: Any = None,
    seed: int = 0,
    task: str = "",
) -> pd.DataFrame:
    """Say how alike every two networks are, unit by unit and as a whole, beside three chances; the module says which.

    Args:
        networks: as for `match_units`.
        batch: as for `match_units`.
        variable: which of h c i f g o.
        permutations: exchanges of sequences, 1 or more.
        rotations: random bases of the second network's units, 1 or more.
        untrained: pairs of untrained networks, 1 or more.
        groups: as for `match_units`.
        seed: of all that is random.
        task: what the column of that name says.

    Returns:
        One row for each pair of networks and measure, then one for each measure over all pairs, with the columns
        `SIMILARITY_COLUMNS`. Without signals none are matched.

    Raises:
        InputError: what is wrong with the arguments; a single network, or networks on other sequences.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> nets = {"one": net.model, "other": net.model}
    >>> alike = lp.network_similarity(nets, batch, permutations=19, rotations=19, untrained=2)
    >>> alike.query("measure == 'cka' and network == 'one'").similarity.round(3).tolist()
    [1.0]
    """
    halves = make_halves(
        networks, batch, variable, groups, seed, permutations=permutations, rotations=rotations, untrained=untrained
    )
    counts = {"shuffled": permutations, "rotated": rotations, "untrained": untrained}
    kept: dict[Any, list[Mapping[str, float]]] = {}
    pairs: list[tuple[int, int]] = list(combinations(range(len(halves.networks)), 2))
    with as_many_threads_as_torch():
        found = [_compare(halves, a, b, variable, counts, kept) for a, b in pairs]
    rows = []
    for (a, b), own in zip(pairs, found):
        one, other = halves.networks[a], halves.networks[b]
        about = (one.name, len(one.units), other.name, len(other.units))
        rows += [_row(about, measure, own[measure], (np.nan, np.nan)) for measure in own]
    for measure in found[0]:
        every = {key: np.mean([own[measure][key] for own in found], axis=0) for key in found[0][measure]}
        ends = np.clip(over_networks(pairs, np.array([own[measure]["found"][0] for own in found])), -1, 1)
        rows.append(_row((ALL, None, ALL, None), measure, every, ends))
    table = pd.DataFrame([(task, variable, *row) for row in rows], columns=list(SIMILARITY_COLUMNS))
    return table.astype({"units": "Int64", "other_units": "Int64"})


def _compare(
    halves: Halves, a: int, b: int, variable: str, counts: Mapping[str, int], kept: dict[Any, list[Mapping[str, float]]]
) -> dict[str, dict[str, np.ndarray]]:
    """Return, by measure, how alike two networks are ("found"), and are by each of the three chances.

    Args:
        halves: all networks.
        a, b: the numbers of the two.
        variable: which of h c i f g o.
        counts: how many of each chance.
        kept: what untrained networks of two shapes gave; what this pair's give is put there.
    """
    one, other = halves.networks[a], halves.networks[b]
    within = halves.within(one)[1], halves.within(other)
    first, second = halves.sums(one, other)
    drawn: dict[str, list[Mapping[str, float]]] = {
        "found": [likeness(first, second, halves.owner, within[0], within[1][1])]
    }
    drawn["shuffled"] = [likeness(first, second, halves.owner, within[0], within[1][1], sums)
                         for sums in halves.shuffled(a, b, counts["shuffled"])]  # fmt: skip
    turns = random_rotations(len(other.units), counts["rotated"], halves.seed) if len(other.units) > 1 else ()
    drawn["rotated"] = [
        by_units(first.turned(turn, within[1][0]), second.turned(turn, within[1][1]), halves.owner) for turn in turns
    ] or [{}]
    shapes = tuple((own.rec.config, halves.read_alike(own)) for own in (one, other))
    if shapes not in kept:
        kept[shapes] = list(_untrained(halves, one, other, variable, counts["untrained"]))
    drawn["untrained"] = kept[shapes]
    return {
        measure: {key: np.array([own.get(measure, np.nan) for own in some]) for key, some in drawn.items()}
        for measure in drawn["found"][0]
    }


def _untrained(
    halves: Halves, one: Network, other: Network, variable: str, count: int
) -> Iterator[Mapping[str, float]]:
    """Go through how alike untrained networks of two networks' shapes are; no network is in two pairs."""
    made = [Networks.of(own.rec, count, halves.seed) for own in (one, other)]
    for k in range(count):
        apart = -(-count // len(made[1].families)) * len(made[1].families)
        recs = [networks.one(own.rec, [variable], number)
                for own, networks, number in zip((one, other), made, (k, k + apart))]  # fmt: skip
        try:
            pair = [Network.of("untrained", rec, variable, halves.halves) for rec in recs]
        except InputError:  # of inputs that never change, say
            yield {}
            continue
        own, others = (halves.within(network)[1] for network in pair)
        yield likeness(*halves.sums(pair[0], pair[1]), halves.owner, own, others)


def _row(
    about: tuple[Any, ...],
    measure: str,
    drawn: Mapping[str, np.ndarray],
    ends: Sequence[float] | Float[np.ndarray, " end"],
) -> tuple[Any, ...]:
    found = float(drawn["found"][0])
    p = {key: (1 + float((own >= found - SAME).sum())) / (1 + len(own)) if np.isfinite(own).all() else np.nan
         for key, own in drawn.items()}  # fmt: skip
    high = np.percentile(drawn["shuffled"], PERCENTILE)
    return (*about, measure, found, *ends, drawn["shuffled"].mean(), high, p["shuffled"], drawn["rotated"].mean(),
            p["rotated"], drawn["untrained"].mean(), p["untrained"])  # fmt: skip


def over_networks(pairs: Sequence[tuple[int, int]], values: Float[np.ndarray, " pair"]) -> tuple[float, float]:
    """Return the 95 % interval of a mean over all pairs of networks, by the jackknife over networks.

    A network is in many pairs, so pairs are no sample; leaving out one network after the other shows how far the mean
    depends on which networks there are (Arvesen 1969). By Student's t; NaN for fewer than `FEWEST_SEEDS` networks.
    """
    count = max(max(pair) for pair in pairs) + 1
    if count < FEWEST_SEEDS:
        return np.nan, np.nan
    without = [np.mean([value for pair, value in zip(pairs, values) if k not in pair]) for k in range(count)]
    half = student(0.975, count - 1) * np.sqrt((count - 1) ** 2 / count * np.var(without, ddof=1))
    return float(values.mean() - half), float(values.mean() + half)
