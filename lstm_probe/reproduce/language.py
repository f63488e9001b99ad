"""Language: a verb's number across attractor nouns, and a model of Python source."""

import math
from collections.abc import Mapping

import torch

from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing import probe_units
from lstm_probe.recorder import record
from lstm_probe.reproduce.networks import other_lengths, trained

TEST = 1000  # sentences
WINDOWS = 256  # of source


@torch.no_grad()
def agreement(seed: int) -> Mapping[str, float]:
    """Trained on sentences of up to two attractors, tested on those and on four."""
    net = trained("agreement", seed)
    values = {}
    for name, attractors in (("right", {}), ("right_4", {"attractors": 4, "min_attractors": 4})):
        batch = other_lengths(net.task, TEST, seed, **attractors)
        scored = batch.scored_steps("number")
        right = net.model(batch.inputs).argmax(-1) == batch.targets["number"]
        conflict = scored & (batch.signals["conflict"].values > 0)
        values[name] = float(right[scored].double().mean())
        values[name.replace("right", "conflict")] = float(right[conflict].double().mean())
    return values


@torch.no_grad()
def python_source(seed: int) -> Mapping[str, float]:
    """The units of a character model that predict strings, comments and columns best, on files never trained on."""
    net = trained("python_source", seed)
    batch = net.task.sample(WINDOWS, derive_seed(seed, "reproduce"))
    bits = float(batch.loss(net.model(batch.inputs))) / math.log(2)
    rec = record(net.model.lstm, batch.inputs, lengths=batch.lengths, variables=["c"])
    names = ("in_string", "in_comment", "in_brackets", "column", "indentation")
    table = probe_units(
        rec, {name: batch.signals[name] for name in names}, permutations=99, bootstrap=10, untrained=1, seed=seed
    )
    best = table.sort_values("score").groupby("signal").tail(1).set_index("signal")
    beyond = {
        f"{name}_beyond": float(best["effect"][name] - best.loc[name, ["untrained", "input_only", "time_only"]].max())
        for name in ("in_string", "column")
    }
    return {"bits": bits, **{name: float(best["score"][name]) for name in names}, **beyond}
