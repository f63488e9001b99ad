"""Whether training was needed for a unit like this one: units beside the best ones of untrained networks.

For each of M untrained networks and each signal, the highest effect over all its units, variables and lags. On the
scale atanh √effect, a unit's z is its distance from the mean of these over their standard deviation. It is compared
with the networks' own highest z over all signals, each network's against the others: so the share of networks that do
as well,

    p = (1 + networks with a highest z of at least this) / (M + 1),

holds for all units, variables, lags and signals together, and needs no further correction. Where it is unknown how a
network began, all usual initialisations stand in, and the largest p counts.

Trained and untrained networks are compared on the same sequences, of which a part will do.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import Layers
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import UNKNOWN
from lstm_probe.probing.data.signals import share_labels
from lstm_probe.probing.data.split import Split, default_split
from lstm_probe.probing.data.study import Study, blocks_of, by_labels
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.baselines import PERCENTILE, untrained_recording
from lstm_probe.probing.inference.by_unit import TOGETHER, unit_effects
from lstm_probe.probing.inference.exchange import LEAST_GROUP
from lstm_probe.recorder.config import LSTMConfig, make_layers
from lstm_probe.recorder.data import Recording
from lstm_probe.recorder.exact import record_lstm
from lstm_probe.recorder.finding import find_lstm
from lstm_probe.recorder.initial import check_init, initialise

#: The part of the sequences: about this many steps, and no fewer sequences than this.
STEPS, LEAST_SEQUENCES = 4800, 64

#: Of the sequences that have a class, so many are in the part, or all if there are fewer.
LEAST_OF_EACH = 8

#: Added to standard deviations: where all untrained networks tell nothing of a signal but for one that tells 0.01 of
#: it, that one must not stand so far out that no unit ever beats it.
SMALL = 0.05

#: How many untrained networks, networks themselves, or what makes the k-th.
Untrained = int | Sequence[nn.Module] | Callable[..., nn.Module]

#: Fewer have no spread to compare with.
LEAST = 3

#: So many make a level that decides nothing.
LEVEL_NETWORKS = 5

#: How many of them a function is asked for.
COUNT = 19

#: Scores of (unit, signal), from a block's standardised units and a view.
Score = Callable[[np.ndarray, View], np.ndarray]

#: Untrained networks of one kind: the k-th one's recording of some variables, on the inputs of another recording.
Family = Callable[[Recording, Sequence[str], int], Recording]


@dataclass(frozen=True)
class Networks:
    """The untrained networks to compare with: one family, or several where it is unknown how a network began."""

    families: tuple[Family, ...]
    count: int
    names: tuple[str, ...]

    def some(self, rec: Recording, variables: Sequence[str], most: int) -> Iterator[Recording]:
        """Go through recordings of some of the networks; where there are several families, these take turns."""
        for k in range(min(most, self.count)):
            yield self.one(rec, variables, k)

    def one(self, rec: Recording, variables: Sequence[str], k: int) -> Recording:
        """Return the recording of the k-th of `some` networks."""
        return self.families[k % len(self.families)](rec, variables, k // len(self.families))

    def enough_for(self, alpha: float) -> bool:
        """Return whether so many networks can give a p of at most `alpha`."""
        return self.count >= LEAST and 1 / (self.count + 1) <= alpha + 1e-12

    @classmethod
    def of(
        cls, rec: Recording, untrained: Untrained, seed: int, init: str | None = None, forget_bias: float | None = None
    ) -> "Networks":
        """Return the networks that stand beside a recording.

        Args:
            rec: of the network, which may know how it began.
            untrained: how many, or which ones.
            seed: of their weights.
            init: how the network began, if it does not know or that is not so.
            forget_bias: likewise; None for the initialisation's own.

        Raises:
            InputError: what is wrong with these.
        """
        if isinstance(untrained, int | np.integer) and not isinstance(untrained, bool):
            config = rec.config
            if init is not None or forget_bias is not None:
                own = check_init(config.init if init is None else init)
                if own == UNKNOWN and forget_bias is not None:
                    raise InputError(f"forget_bias={forget_bias}: say by init how the network began, too")
                config = replace(config, init=own, forget_bias=forget_bias)
                for usual in config.usual:
                    shell = make_layers(usual.cell, 1, 1, bias=usual.bias)
                    initialise(shell, usual.init, usual.forget_bias)  # says what is wrong
            names = tuple(usual.origin for usual in config.usual)
            return cls(tuple(_built(usual, seed) for usual in config.usual), int(untrained), names)
        if init is not None or forget_bias is not None:
            raise InputError("init, forget_bias: for untrained networks made here; some were given")
        networks = list(_made(untrained))
        if not networks:
            raise InputError("untrained: there are no networks")
        lstms = [_fitting(network, k, rec.config) for k, network in enumerate(networks)]
        return cls((_given(lstms),), len(lstms), ("given",))


def _made(untrained: Any) -> Iterator[nn.Module]:
    if callable(untrained) and not isinstance(untrained, nn.Module):
        takes = len(inspect.signature(untrained).parameters)
        for k in range(COUNT):
            yield untrained(k) if takes else untrained()
    elif isinstance(untrained, Sequence) and not isinstance(untrained, str):
        yield from untrained
    else:
        raise InputError(
            f"untrained: a {type(untrained).__name__}; must be a whole number from 1, a list of modules, or a function "
            "that makes the k-th"
        )


def _fitting(module: Any, k: int, config: LSTMConfig) -> Layers:
    """Return a network's recurrent layers; an InputError where its shape is another one."""
    if not isinstance(module, nn.Module):
        raise InputError(f"untrained: network {k} is a {type(module).__name__}; must be a module")
    try:
        _, found = find_lstm(copy.deepcopy(module), None)  # it is brought to the recording's numbers and device
    except InputError as error:
        raise InputError(f"untrained: network {k}: {error}") from error
    if isinstance(found, nn.RNNCellBase):
        lstm = make_layers(cell_of(found), found.input_size, found.hidden_size, bias=found.bias)
        lstm.load_state_dict({f"{name}_l0": values for name, values in found.state_dict().items()})
    else:
        lstm = found
    own = LSTMConfig.of(lstm)
    for name in ("inputs", "units", "layers", "projection", "bidirectional", "backward", "cell"):
        has, wanted = (getattr(value, "name", value) for value in (getattr(own, name), getattr(config, name)))
        if has != wanted:
            raise InputError(f"untrained: network {k} has {name}={has}, the recorded one {wanted}")
    return lstm


def _built(config: LSTMConfig, seed: int) -> Family:
    return lambda rec, variables, k: untrained_recording(rec, variables, k, seed, config)


def _given(lstms: Sequence[Layers]) -> Family:
    def recorded(rec: Recording, variables: Sequence[str], k: int) -> Recording:
        with torch.no_grad():
            return record_lstm(lstms[k].to(rec.inputs), rec.inputs, rec.lengths, None, variables)

    return recorded


@dataclass(frozen=True, eq=False)
class Comparison:
    """Units beside those of untrained networks.

    Attributes:
        effect: of the units, on the part that is looked at.
        p: see the module.
        level: 95th percentile of the effects of all units of all networks (of unknown origin, of the family where it is
            highest).
        best: the highest of these effects.
    """

    effect: Float[np.ndarray, "lag unit signal"]
    p: Float[np.ndarray, "lag unit signal"]
    level: Float[np.ndarray, "lag unit signal"]
    best: Float[np.ndarray, "lag unit signal"]


def random_sequences(lengths: Int[np.ndarray, " sequence"], seed: int) -> Int[np.ndarray, " some"]:
    """Return the numbers of the sequences of such a part, in rising order; of all where they are few."""
    order = random_order(len(lengths), seed)
    return np.sort(order[: enough_steps(lengths[order])])


def random_order(count: int, seed: int) -> Int[np.ndarray, " sequence"]:
    """Return so many sequences in the order in which they are taken."""
    result: np.ndarray = np.random.default_rng(derive_seed(seed, "curves")).permutation(count)
    return result


def enough_steps(lengths: Int[np.ndarray, " sequence"]) -> int:
    """Return how many sequences, from the first on, are enough."""
    return max(int(np.searchsorted(np.cumsum(lengths), STEPS)) + 1, LEAST_SEQUENCES)


def enough_of_each(study: Study, order: Int[np.ndarray, " sequence"]) -> int:
    """Return how many sequences, from the first on in this order, have enough of all that may be rare."""
    count = np.cumsum([has[order] for has in having(study)] or [np.ones(len(order), dtype=bool)], axis=1)
    reached: np.ndarray = count >= np.minimum(count[:, -1:], LEAST_OF_EACH)
    return int(reached.argmax(1).max(initial=0)) + 1


def having(study: Study) -> Iterator[Bool[np.ndarray, " sequence"]]:
    """Go through which sequences have each class at some step, and a number that is not the most frequent one."""
    time = np.arange(study.signals[0].values.shape[1])
    for signal in study.signals:
        for lag in study.lags:
            known = signal.among(time < study.lengths[:, None] - lag)
            levels, counts = np.unique(signal.values[known], return_counts=True)
            if signal.is_number and len(levels):
                yield (known & (signal.values != levels[counts.argmax()])).any(axis=1)
            elif not signal.is_number:
                yield from ((known & (signal.values == level)).any(axis=1) for level in levels)


def random_part(study: Study, seed: int, in_order: bool = False) -> Study:
    """Return the study of some of the sequences, in the folds that they are in; of all where they are few.

    Groups are taken as a whole, and no fewer than the null needs; of windows of one series `in_order`, the middle ones.
    """
    own, number = study.groups, np.arange(len(study.lengths))
    if in_order:
        order = np.argsort(np.abs(number - len(number) // 2), kind="stable")
    elif own is not None:
        order = np.argsort(np.random.default_rng(derive_seed(seed, "curves")).permutation(own.max() + 1)[own])
    else:
        order = random_order(len(number), seed)
    enough = max(enough_steps(study.lengths[order]), enough_of_each(study, order))
    if own is not None and not in_order:
        ends = np.append(np.flatnonzero(np.diff(own[order])), len(order) - 1) + 1
        groups = max(int(np.searchsorted(ends, enough)), LEAST_GROUP - 1)
        enough = int(ends[min(groups, len(ends) - 1)])
    chosen = np.sort(order[:enough])
    if len(chosen) == len(study.lengths):
        return study
    folds, fold = np.unique(study.split.fold[chosen], return_inverse=True)
    codes = None if own is None else np.unique(own[chosen], return_inverse=True)[1]
    several = len(folds) > 1
    return replace(
        study,
        rec=study.rec.rows(torch.from_numpy(chosen)),
        signals=share_labels([one.rows(chosen) for one in study.signals]),
        split=Split(fold) if several else default_split(len(chosen), 2, seed, drawn_as_one(codes), in_order),
        lengths=study.lengths[chosen],
        groups=codes,
    )


def compare(
    part: Study,
    networks: Networks,
    score: Score,
    alpha: float,
    candidates: Bool[np.ndarray, "lag unit signal"],
) -> Comparison:
    """Return how units stand beside untrained ones.

    Args:
        part: what is looked at: see `random_part`.
        networks: the untrained ones.
        score: of units.
        alpha: level of the test.
        candidates: families after the first are only looked at while any of these has a p of at most `alpha`.
    """
    mine = by_labels(part, lambda own: {"effect": np.stack([
        np.concatenate(unit_effects(own.blocks, view, score)) for view in own.views
    ])})["effect"]  # fmt: skip
    scored = part.scored
    levels, p = [], np.zeros(mine.shape)
    for family in networks.families:
        highest, level = by_family(part, family, networks.count, score)
        levels.append(level)
        p = np.maximum(p, p_of(mine, highest, scored))
        if not (candidates & (p <= alpha)).any():
            break
    sizes = [block.values.shape[-1] for block in part.blocks]
    level, best = np.repeat(np.max(levels, axis=0), sizes, axis=2)
    return Comparison(mine, np.where(np.isnan(mine), np.nan, p), level, best)


def by_family(
    part: Study, family: Family, count: int, score: Score
) -> tuple[Float[np.ndarray, "network signal"], Float[np.ndarray, "level lag block signal"]]:
    """Return each network's highest effects, and for each block their 95th percentile and the highest over networks."""

    def found(own: Study) -> dict[str, np.ndarray]:
        every: list[list[list[np.ndarray]]] = [[[] for _ in own.blocks] for _ in own.views]
        highest = np.zeros((count, len(own.signals)))
        step = max(1, TOGETHER // sum(block.values.shape[-1] for block in own.blocks))
        for start in range(0, count, step):
            some = range(start, min(start + step, count))
            blocks = [block for k in some for block in blocks_of(family(part.rec, part.variables, k), part.variables)]
            for lag, view in enumerate(own.views):
                for n, got in enumerate(unit_effects(blocks, view, score)):
                    k, b = start + n // len(own.blocks), n % len(own.blocks)
                    every[lag][b].append(got)
                    highest[k] = np.fmax(highest[k], got.max(0))
        levels = [[np.percentile(np.concatenate(own), (PERCENTILE, 100), axis=0) for own in lags] for lags in every]
        return {"highest": highest, "levels": np.moveaxis(np.array(levels), 2, 0)}

    measured = by_labels(part, found)
    return measured["highest"], measured["levels"]


def p_of(
    effect: Float[np.ndarray, "*rest signal"],
    highest: Float[np.ndarray, "network signal"],
    scored: Bool[np.ndarray, " signal"],
) -> Float[np.ndarray, "*rest signal"]:
    """Return the p of effects beside the networks' highest; 1 for signals that are not scored, or with one network."""
    count = len(highest)
    if count < LEAST or not scored.any():
        return np.ones(effect.shape)
    g = stretched(highest[:, scored])
    own = np.empty(count)
    for m in range(count):
        others = np.delete(g, m, axis=0)
        own[m] = ((g[m] - others.mean(0)) / (others.std(0, ddof=1) + SMALL)).max()
    z = np.full(effect.shape, -np.inf)
    z[..., scored] = (stretched(effect[..., scored]) - g.mean(0)) / (g.std(0, ddof=1) + SMALL)
    beaten = np.searchsorted(np.sort(own), z.ravel(), side="left").reshape(z.shape)
    result: np.ndarray = (1 + count - beaten) / (count + 1)
    return result


def stretched(effect: Float[np.ndarray, "*rest"]) -> Float[np.ndarray, "*rest"]:
    """Return effects on the scale on which their spread is about the same everywhere."""
    result: np.ndarray = np.arctanh(np.sqrt(np.minimum(np.nan_to_num(effect), 1 - 1e-6)))
    return result
