"""Several networks' units on the same sequences, in two halves: one to choose with, and one to score on."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.probing.data.checks import setting_problems
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.study import Study, in_memory, make_study
from lstm_probe.probing.data.view import scaled, standardise
from lstm_probe.probing.inference.exchange import LengthGroups, make_exchange
from lstm_probe.probing.inference.exchange_warnings import check_exchange
from lstm_probe.probing.inference.likeness import Sums
from lstm_probe.recorder import record
from lstm_probe.recorder.calling import arguments
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: What stands for all pairs of networks together.
ALL = "all"

#: Fewer sequences cannot be exchanged in enough ways in each half.
LEAST_SEQUENCES = 8

#: Signals of these roles are what units may have in common; the step index is not.
ROLES = ("target", "latent", "distractor")

#: Of a unit: layer, direction, number.
Unit = tuple[int, str, int]

#: Of the half that chooses, and of the one that is scored.
Both = tuple[Sums, Sums]


@dataclass(frozen=True, eq=False)
class Half:
    """One half of the sequences, and how they may be exchanged.

    Attributes:
        sequences: their numbers.
        exchange: of their own numbers, from 0.
        mask: the real steps that take part in an exchange; sequences of nearby lengths are cut to the shortest of them.
    """

    sequences: Int[np.ndarray, " sequence"]
    exchange: LengthGroups
    mask: Bool[np.ndarray, "sequence time"]

    @classmethod
    def of(cls, study: Study, members: Int[np.ndarray, " sequence"]) -> "Half":
        """Return the half of these sequences."""
        codes = None if study.groups is None else np.unique(study.groups[members], return_inverse=True)[1]
        exchange = make_exchange("shuffle", study.lengths[members], codes)
        assert isinstance(exchange, LengthGroups)  # under shuffle
        time = study.rec.inputs.shape[1]
        return cls(members, exchange, np.arange(time) < exchange.lengths[:, None])


@dataclass(frozen=True, eq=False)
class Network:
    """One network on the sequences of both halves.

    Attributes:
        name: what it is called.
        rec: its recording.
        units: those that vary in both halves.
        values: of these units, by half: with mean 0 and standard deviation 1 over the half's steps, 0 at others.
    """

    name: str
    rec: Recording
    units: list[Unit]
    values: list[Float[np.ndarray, "sequence time unit"]]

    @classmethod
    def of(cls, name: str, rec: Recording, variable: str, halves: Sequence[Half]) -> "Network":
        """Return a network; an InputError for values that are no numbers, or that are constant in all units."""
        parts = [part[variable].detach().cpu().double().numpy() for part in rec]
        every = np.concatenate(parts, axis=-1)
        if not np.isfinite(every[rec.mask.cpu().numpy()]).all():
            raise InputError(f"networks: {name}: {variable} is not a number at some step")
        units = [(part.layer, part.direction, k) for part, own in zip(rec, parts) for k in range(own.shape[-1])]
        values = [standardise(every[half.sequences], half.mask) for half in halves]
        varies = np.all([np.einsum("stu,stu->u", x, x) > 0 for x in values], axis=0)
        if not varies.any():
            raise InputError(f"networks: {name}: no unit's {variable} varies, so that nothing can be compared with it")
        return cls(name, rec, [unit for unit, v in zip(units, varies) if v], [x[..., varies] for x in values])


@dataclass(frozen=True, eq=False)
class Halves:
    """Everything that is compared.

    Attributes:
        networks: two or more.
        halves: the one that chooses, and the one that is scored.
        signals: those that units may have in common; every step of them is labelled.
        owner: makes effects on signals of squared correlations with their columns.
        columns: of all signals, by half, as `Network.values`.
        seed: of all that is random.
    """

    networks: list[Network]
    halves: list[Half]
    signals: list[CheckedSignal]
    owner: Float[np.ndarray, "column signal"]
    columns: list[Float[np.ndarray, "sequence time column"]]
    seed: int

    def sums(self, one: Network, other: Network, orders: Sequence[Int[np.ndarray, " sequence"]] = ()) -> Both:
        """Return both halves' sums; with `orders`, of each half the other network's sequences stand in this order.

        Each network's units are correlated with the signals of the sequences that stand beside its own: those that the
        other responds to.
        """
        found = []
        for k, half in enumerate(self.halves):
            order = orders[k] if orders else slice(None)
            parts = (one.values[k], other.values[k][order], self.columns[k][order], self.columns[k])
            flat = [x.reshape(half.mask.size, x.shape[-1]) if half.mask.all() else x[half.mask] for x in parts]
            found.append(Sums.of(*flat))
        return found[0], found[1]

    def within(self, network: Network) -> list[Float[np.ndarray, "unit unit"]]:
        """Return the correlations of a network's units with each other, by half."""
        return [sums.between for sums in self.sums(network, network)]

    def read_alike(self, network: Network) -> int:
        """Return the number of the first network that read the same inputs."""
        same = (torch.equal(network.rec.inputs, other.rec.inputs) for other in self.networks)
        return next(k for k, alike in enumerate(same) if alike)

    def orders(self, network: int, count: int) -> list[Int[np.ndarray, "permutation sequence"]]:
        """Return a network's own random orders of each half's sequences."""
        seeds = [derive_seed(self.seed, "matching", network, k) for k in range(2)]
        return [half.exchange.permutations(count, seed)[1:] for half, seed in zip(self.halves, seeds)]

    def shuffled(self, a: int, b: int, count: int) -> Iterator[Both]:
        """Go through sums of two networks that respond to other sequences.

        Every network's sequences stand in random orders of their own, so that what is made of all pairs with the same
        number belongs together, too.
        """
        orders = [(np.argsort(p, axis=1), q) for p, q in zip(self.orders(a, count), self.orders(b, count))]
        for k in range(count):
            yield self.sums(self.networks[a], self.networks[b], [q[k][back[k]] for back, q in orders])


def recorded(networks: Any, batch: Any, variable: str) -> tuple[dict[str, Recording], Any, Any]:
    """Return recordings by name, signals, and groups; an InputError says what cannot be compared."""
    named = dict(networks) if isinstance(networks, Mapping) else {str(k): one for k, one in enumerate(networks)}
    if len(named) < 2:
        raise InputError(
            f"networks: there {'is one only' if named else 'are none'}; what networks have in common cannot be "
            "concluded from fewer than two, such as two seeds"
        )
    if ALL in named:
        raise InputError(f"networks: {ALL} stands for all pairs of them here; give that network another name")
    given = isinstance(batch, Batch)
    found = {}
    for name, one in named.items():
        if isinstance(one, nn.Module):
            if not given:
                raise InputError(f"networks: {name} is a module; with modules, give the Batch that they read")
            one = record(one, arguments(one, batch), lengths=batch.lengths, variables=[variable])
        rec = in_memory(one, "match_units")
        if variable not in next(iter(rec)).variables:
            there = " ".join(next(iter(rec)).variables)
            raise InputError(f"variable={variable}: not recorded of {name}; there are {there}")
        found[str(name)] = rec
    first, *others = found.items()
    for name, rec in others:
        if not torch.equal(rec.lengths.cpu(), first[1].lengths.cpu()):
            raise InputError(
                f"networks: {first[0]} and {name} were recorded on other sequences (their numbers or lengths differ); "
                "units are matched on the same ones"
            )
        if rec.inputs.shape == first[1].inputs.shape and not torch.equal(rec.inputs, first[1].inputs):
            logger.warning(
                "networks: other inputs went into %s and %s; their steps are compared as if of the same sequences",
                first[0], name,
            )  # fmt: skip
    return found, batch.signals if given else batch, batch.groups if given else None


def make_halves(networks: Any, batch: Any, variable: str, groups: Any, seed: int, **settings: float) -> Halves:
    """Return two or more networks' units in two halves; an InputError says what is wrong with the arguments.

    Args:
        networks: modules or recordings, by name or in order.
        batch: what modules read, or the signals of recordings.
        variable: one of h c i f g o.
        groups: of sequences that are not independent; None for the batch's own.
        seed: of halves and orders.
        settings: the other numbers of a call.
    """
    if problems := setting_problems(settings):
        raise InputError(*problems)
    found, signals, own_groups = recorded(networks, batch, variable)
    rec = next(iter(found.values()))
    if len(rec) < LEAST_SEQUENCES:
        raise InputError(f"networks: recorded on {len(rec)} sequences; it takes at least {LEAST_SEQUENCES}")
    shape = tuple(rec.inputs.shape[:2])
    nothing = signals is None or (isinstance(signals, Mapping) and not signals)
    given = {"step": Signal("step", torch.arange(shape[1]).expand(shape), role="nuisance")} if nothing else signals
    groups = own_groups if groups is None else groups
    study = make_study(rec, given, None, (0,), [variable], 2, seed, groups=groups)
    halves = [Half.of(study, members) for members in study.split.members]
    check_exchange(halves[1].exchange, 1, 0.05)
    asked = [signal for signal in study.signals if signal.role in ROLES]
    if left := [signal.name for signal in asked if signal.labelled is not None]:
        logger.warning("%s: not labelled at every step, so units are not matched by it", ", ".join(left))
    real = rec.mask.cpu().numpy()
    shared = [signal for signal in asked if signal.labelled is None and np.ptp(signal.values[real]) > 0]
    owner, columns = _columns(shared, real)
    by_half = [standardise(columns[half.sequences], half.mask) for half in halves]
    made = [Network.of(name, one, variable, halves) for name, one in found.items()]
    return Halves(made, halves, shared, owner, by_half, seed)


def _columns(
    signals: Sequence[CheckedSignal], mask: Bool[np.ndarray, "sequence time"]
) -> tuple[Float[np.ndarray, "column signal"], Float[np.ndarray, "sequence time column"]]:
    """Return signals' columns side by side, and what makes effects on signals of effects on columns.

    The effect on classes is the mean over indicators; on an angle that on sine and cosine, by their spread.
    """
    blocks = [scaled(signal, mask) for signal in signals]
    weights = [np.var(block[mask], axis=0) if signal.kind == "circular" else np.ones(block.shape[-1])
               for signal, block in zip(signals, blocks)]  # fmt: skip
    owner = np.zeros((sum(map(len, weights)), len(signals)))
    start = 0
    for g, own in enumerate(weights):
        owner[start : start + len(own), g] = own / own.sum()
        start += len(own)
    empty = np.zeros((*mask.shape, 0))
    return owner, np.concatenate([empty, *blocks], axis=-1)
