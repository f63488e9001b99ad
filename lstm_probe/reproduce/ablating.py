"""Ablating: which verbs, classes and labels single units are needed for."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.causal.ablation import ablate_units
from lstm_probe.causal.against import rank_correlations, tracked_against_needed
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.modes import compare_modes
from lstm_probe.core.kinds import Signal
from lstm_probe.core.order import UnitKey
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.core.vocabulary import MODES
from lstm_probe.probing import probe_units
from lstm_probe.recorder import record
from lstm_probe.reproduce.networks import Trained, other_lengths, trained
from lstm_probe.tasks.languages.agreement import Agreement
from lstm_probe.tasks.languages.agreement_grammar import PLURAL, SINGULAR, VERBS

TEST = 2000  # sequences
#: A unit is specific to a number if it costs so many of its verbs, and at most half as many of the other's. Resampled,
#: half of the sentences get values of their own number, so that half of this is as much.
SPECIFIC = {"mean": 0.1, "zero": 0.1, "resample": 0.05}
#: A unit is still used if it costs so many verbs.
USED = 0.05
#: So many of the units are a label's own; it is compared with so many random choices.
LABEL_UNITS, RANDOM = 4, 50

#: From outputs (step, output), the class that each step is taken for.
Guess = Callable[[Tensor], Tensor]


@torch.no_grad()
def lost_by_class(
    subject: Intervening,
    sets: Sequence[Sequence[UnitKey]],
    steps: Bool[Tensor, "sequence time"],
    classes: Int[Tensor, " step"],
    guess: Guess,
) -> tuple[Float[np.ndarray, " class"], Float[np.ndarray, "set class"]]:
    """Return each class's accuracy, and what it loses of it when each of these sets of units is clamped.

    Args:
        subject: the network on its sequences, with what its units are clamped to.
        sets: of units, each clamped at once.
        steps: at which there is something to say.
        classes: what is right at each of these, from 0 on; each class is there.
        guess: what is said, from the outputs at these steps.
    """

    def accuracy(outputs: Float[Tensor, "sequence time output"]) -> Float[np.ndarray, " class"]:
        right = (guess(outputs[steps]) == classes).double()
        return np.array([float(right[classes == k].mean()) for k in range(int(classes.max()) + 1)])

    intact = accuracy(subject.intact.outputs)
    return intact, np.stack([intact - accuracy(subject.outputs(units).outputs) for units in sets])


def each_alone(subject: Intervening) -> list[list[UnitKey]]:
    """Return all units as sets of one."""
    return [[key] for key in subject.keys]


# Zero, mean, resample


def verbs(task: Agreement, batch: Batch) -> tuple[Bool[Tensor, "sequence time"], Int[Tensor, " step"], Guess]:
    """Return the steps before verbs, the verbs' numbers (0 singular, 1 plural), and a language model's guess of them.

    It is the number of which all verbs together are likelier.
    """
    numbers = [number if kind in VERBS else 0 for _, kind, number in task.grammar.vocabulary]
    number = torch.tensor([*numbers, 0])  # the end, which comes after all words, is no verb
    coming = number[batch.targets["next"]]
    steps = batch.scored_steps("next") & (coming > 0)

    def guess(outputs: Tensor) -> Tensor:
        singular, plural = (outputs[:, number == one].logsumexp(1) for one in (SINGULAR, PLURAL))
        return (plural > singular).long()

    return steps, coming[steps] - SINGULAR, guess


def specific_to(lost: Float[np.ndarray, "unit class"], mode: str) -> Int[np.ndarray, " unit"]:
    """Return the number that each unit is specific to by what it costs in a mode (0 singular, 1 plural); −1 for none.

    >>> specific_to(np.array([[0.5, 0.1], [0.0, 0.2], [0.5, 0.4], [0.09, 0.0]]), "zero")
    array([ 0,  1, -1, -1])
    """
    least, most = lost.min(1), lost.max(1)
    return np.where((most >= SPECIFIC[mode]) & (least <= most / 2), lost.argmax(1), -1)


def modes_told(lost: Mapping[str, Float[np.ndarray, "unit class"]]) -> dict[str, float]:
    """Return how many units each mode makes look specific, and what the others say of those that zero does.

    Of them, `gone_MODE` is the share that are not specific to that number by another mode, `turned` the share that are
    specific to the other number by their mean, and `used` the share that cost verbs when resampled; 0 where there are
    none.
    """
    said = {mode: specific_to(own, mode) for mode, own in lost.items()}
    chosen = said["zero"] >= 0

    def share(which: Bool[np.ndarray, " unit"]) -> float:
        return float(which[chosen].mean()) if chosen.any() else 0.0

    return {
        **{f"specific_{mode}": float((own >= 0).sum()) for mode, own in said.items()},
        **{f"gone_{mode}": share(said[mode] != said["zero"]) for mode in ("mean", "resample")},
        "turned": share(said["mean"] == 1 - said["zero"]),
        "used": share(lost["resample"].mean(1) >= USED),
    }


def zero_ablation(seed: int) -> Mapping[str, float]:
    """Units of a language model that look specific to a verb's number, by what they are clamped to."""
    net = trained("zero_ablation", seed)
    batch = other_lengths(net.task, TEST, seed)
    told = verbs(net.task, batch)  # type: ignore[arg-type]  # the experiment's own task
    lost = {}
    for mode in MODES:
        subject = Intervening(net.model, batch, mode=mode, seed=seed)
        right, lost[mode] = lost_by_class(subject, each_alone(subject), *told)
    apart = compare_modes(net.model, batch, bootstrap=200, seed=seed)
    return {"right": float(right.min()), **modes_told(lost), "disagree": float(apart["disagree"].sum())}


# Selectivity


def at_scored_steps(batch: Batch, target: str) -> tuple[Bool[Tensor, "sequence time"], Int[Tensor, " step"], Guess]:
    """Return the steps at which a target of classes counts, what is right there, and a network's guess."""
    steps = batch.scored_steps(target)
    return steps, batch.targets[target][steps], lambda outputs: outputs.argmax(-1)


def labels(batch: Batch, target: str) -> dict[str, Signal]:
    """Return a target as a signal that is known where it counts, and each of its classes as a yes or no."""
    values = batch.targets[target].double().masked_fill(~batch.scored_steps(target), torch.nan)
    (spec,) = (spec for spec in batch.target_specs if spec.name == target)
    each = {str(k): (values == k).double().masked_fill(values.isnan(), torch.nan) for k in range(spec.size)}
    own = Signal(target, values, "categorical", "target")
    return {target: own, **{name: Signal(name, one, "binary") for name, one in each.items()}}


def by_class(told: Float[np.ndarray, "unit class"], lost: Float[np.ndarray, "unit class"]) -> dict[str, float]:
    """Return how well the order of units by what they tell of classes is that by what clamping them costs these.

    `classes` is the rank correlation over units, averaged over classes; `own` that of the class that each unit tells
    most of; `same` the share of units of which it is the class that loses most; `own_lost` and `other_lost` what it
    loses and what the others do.
    """
    units, own = np.arange(len(told)), told.argmax(1)
    pairs = {str(k): pair for k, pair in enumerate(zip(told.T, lost.T))}
    pairs["own"] = told[units, own], lost[units, own]
    table = pd.concat(pd.DataFrame({"target": name, "strength": x, "refit_drop": y}) for name, (x, y) in pairs.items())
    rho = rank_correlations(table).set_index("target")["rho"]
    others = (lost.sum(1) - lost[units, own]) / (lost.shape[1] - 1)
    return {
        "classes": float(rho[[str(k) for k in range(lost.shape[1])]].mean()),
        "own": float(rho["own"]),
        "same": float((lost.argmax(1) == own).mean()),
        "own_lost": float(lost[units, own].mean()),
        "other_lost": float(others.mean()),
    }


def selectivity(seed: int) -> Mapping[str, float]:
    """What units tell of the classes beside what clamping them costs, all classes together and each."""
    net = trained("selectivity", seed)
    shown, batch = (net.task.sample(TEST, derive_seed(seed, f"reproduce {part}")) for part in ("probe", "ablate"))
    (target,) = (spec.name for spec in batch.target_specs)
    rec = record(net.model.lstm, shown.inputs, lengths=shown.lengths, variables=["c"])
    probes = probe_units(rec, labels(shown, target), permutations=99, bootstrap=10, untrained=1, seed=seed)
    costs = ablate_units(net.model, batch, together=False, bootstrap=10, seed=seed)
    whole = rank_correlations(tracked_against_needed(probes, costs)).set_index("target")["rho"]
    subject = Intervening(net.model, batch, seed=seed)
    right, lost = lost_by_class(subject, each_alone(subject), *at_scored_steps(batch, target))
    effects = probes.pivot_table(index="unit", columns="signal", values="effect")
    told = effects[[str(k) for k in range(lost.shape[1])]].to_numpy()
    weighted = by_class(affinities(net, shown, target), lost)["own"]
    return {"overall": float(whole[target]), **by_class(told, lost), "weighted": weighted, "right": float(right.mean())}


# Label units


@torch.no_grad()
def affinities(net: Trained, batch: Batch, target: str) -> Float[np.ndarray, "unit class"]:
    """Return by how much each unit raises each label's logit, more where it is right than elsewhere.

    It is the unit's weight in the readout times the difference of its mean h at steps of the label and at the others.
    """
    steps, classes, _ = at_scored_steps(batch, target)
    h = record(net.model.lstm, batch.inputs, lengths=batch.lengths, variables=["h"]).h[steps]
    weights = net.model.readout.weight
    each = [weights[k] * (h[classes == k].mean(0) - h[classes != k].mean(0)) for k in range(len(weights))]
    return torch.stack(each, dim=1).double().numpy()


def labels_told(
    own: Float[np.ndarray, "label class"],
    random: Float[np.ndarray, "set class"],
    alone: Float[np.ndarray, "unit class"],
) -> dict[str, float]:
    """Return what labels lose without their own units, beside what random ones and single ones cost.

    Args:
        own: what each class loses without each label's units.
        random: the same without each of several random sets of as many units.
        alone: the same without each unit.
    """
    k = np.arange(len(own))
    others = (own.sum(1) - own[k, k]) / (len(own) - 1)
    return {
        "beyond": float(own[k, k].mean() - random.mean()),
        "own": float(own[k, k].mean()),
        "random": float(random.mean()),
        "beats": float((own[k, k] > random).mean()),
        "others": float(others.mean()),
        "apart": float((own[k, k] - others).min()),
        "alone": float(alone.mean()),
    }


def label_units(seed: int) -> Mapping[str, float]:
    """A label's own units, chosen on some sequences and clamped on others, beside random units and single ones."""
    net = trained("label_units", seed)
    chosen_on, batch = (net.task.sample(TEST // 2, derive_seed(seed, f"reproduce {part}")) for part in ("one", "other"))
    (target,) = (spec.name for spec in batch.target_specs)
    subject = Intervening(net.model, batch, seed=seed)
    keys, rng = subject.keys, np.random.default_rng(derive_seed(seed, "reproduce random"))
    ranked = np.argsort(-affinities(net, chosen_on, target), axis=0, kind="stable")
    own = [[keys[unit] for unit in units[:LABEL_UNITS]] for units in ranked.T]
    random = [[keys[unit] for unit in rng.choice(len(keys), LABEL_UNITS, replace=False)] for _ in range(RANDOM)]
    alone = each_alone(subject)
    right, lost = lost_by_class(subject, [*own, *random, *alone], *at_scored_steps(batch, target))
    parts = np.split(lost, [len(own), len(own) + len(random)])
    return {**labels_told(*parts), "right": float(right.mean())}
