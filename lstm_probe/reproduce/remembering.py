"""Remembering: bits, symbols and numbers held over time."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.fixed_points import fixed_points
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import evaluate
from lstm_probe.reproduce.networks import other_lengths, settings, train, trained

TEST = 500  # sequences
FLIPFLOP_UNITS = (2, 3, 6, 16)
SHORT = 20  # steps that a network is expected to span however it begins


def parity(seed: int) -> Mapping[str, float]:
    """Trained on 20 bits, right on 500."""
    net = trained("parity", seed)
    return {
        "long": evaluate(net.model, other_lengths(net.task, 200, seed, length=500))["parity"],
        "short": evaluate(net.model, net.task.sample(TEST, derive_seed(seed, "reproduce short")))["parity"],
    }


def attractors(model: SequenceModel, batch: Batch) -> int:
    """Return how many stable fixed points (h, c) a network has without input."""
    return int(fixed_points(model, batch)["stable"].sum())


@torch.no_grad()
def flipflop(seed: int) -> Mapping[str, float]:
    """Three bits in networks of several sizes."""
    values: dict[str, float] = {}
    for units in FLIPFLOP_UNITS:
        net = trained("flipflop", seed, units=units)
        batch = net.task.sample(TEST, derive_seed(seed, "reproduce"))
        outputs = net.model(batch.inputs)
        held = torch.cat(list(batch.targets.values()), dim=-1)
        right = ((outputs > 0) == (held > 0)).all(-1)
        values[f"right_{units}"] = float(right.double().mean())
        values[f"mse_{units}"] = float((outputs - held).square().mean())
        values[f"attractors_{units}"] = attractors(net.model, batch)
    return values


@torch.no_grad()
def share_right(model: SequenceModel, batch: Batch, target: str) -> float:
    """Return how often the likeliest class is the right one, at the steps that count."""
    right = model(batch.inputs).argmax(-1) == batch.targets[target]
    return float(right[batch.scored_steps(target)].double().mean())


def temporal_order(seed: int) -> Mapping[str, float]:
    """The order of two symbols, by an LSTM and by a plain recurrent network of as many units."""
    net, plain = trained("temporal_order", seed), trained("temporal_order", seed, cell="rnn")
    batch = other_lengths(net.task, 2 * TEST, seed, min_length=0)  # all as long as the longest
    return {
        "lstm": share_right(net.model, batch, "order"),
        "plain": share_right(plain.model, batch, "order"),
    }


def reber(seed: int) -> Mapping[str, float]:
    """The embedded Reber grammar."""
    config = replace(settings("reber"), seed=seed)
    net = train(config)
    batch = net.task.sample(2 * TEST, derive_seed(seed, "reproduce"))
    return {"strings": evaluate(net.model, batch)["legal"], "sequences": net.steps * config.batch}


@torch.no_grad()
def adding(seed: int) -> Mapping[str, float]:
    """The sum of two marked numbers."""
    net = trained("adding", seed)
    batch = net.task.sample(4000, derive_seed(seed, "reproduce"))
    at_end = batch.scored_steps("sum")
    true, told = batch.targets["sum"][at_end], net.model(batch.inputs)[at_end]
    return {
        "mse": float((told - true).square().mean()),
        "guess_mse": float((true - 1).square().mean()),
        "right": float(((told - true).abs() < 0.04).double().mean()),
    }


@torch.no_grad()
def copy_memory(seed: int) -> Mapping[str, float]:
    """The cross-entropy that can be had without memory, and a network that has come so far."""
    config = replace(settings("copy_memory"), seed=seed)
    net = train(config)
    batch = net.task.sample(TEST, derive_seed(seed, "reproduce"))
    symbols, items, delay = (config.task[name] for name in ("symbols", "items", "delay"))
    # Sure of the blank until the answer is due; then all symbols alike.
    blind = torch.full((*batch.targets["recall"].shape, symbols + 1), -math.inf)
    blind[:, :-items, symbols], blind[:, -items:, :symbols] = 0.0, -math.log(symbols)
    blind_loss = F.cross_entropy(blind.flatten(0, 1), batch.targets["recall"].flatten())
    return {
        "network": float(batch.loss(net.model(batch.inputs))),
        "memoryless": float(blind_loss),
        "formula": items * math.log(symbols) / (delay + 2 * items),
    }


def chrono(seed: int) -> Mapping[str, float]:
    """The sum of two numbers far apart, by networks whose gates begin open and by others."""
    starts: dict[str, dict[str, Any]] = {
        "chrono": {}, "torch": {"init": "torch"}, "bias_1": {"init": "torch", "forget_bias": 1.0},
        "short": {"init": "torch", "task": {**settings("chrono").task, "length": SHORT}},
    }  # fmt: skip
    nets = {name: trained("chrono", seed, **changes) for name, changes in starts.items()}
    r2 = {name: evaluate(net.model, other_lengths(net.task, 4 * TEST, seed))["sum"] for name, net in nets.items()}
    scores = {f"r2_{name}": score for name, score in r2.items()}
    return {"gain": r2["chrono"] - r2["torch"], **scores, "updates": nets["chrono"].steps}
