"""What follows without training: hand-built stacks, untrained networks, and numbers of parameters."""

from collections.abc import Mapping

import torch
from torch import nn

from lstm_probe import planted
from lstm_probe.core.anatomy import Anatomy, parameters
from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.model import SequenceModel
from lstm_probe.probing import probe_populations
from lstm_probe.recorder import record
from lstm_probe.tasks import get_task

STACKS = ((2, 3), (8, 5))
UNTRAINED_UNITS = (1, 16, 64)
#: Inputs, units, projection; the first two are those with a published number.
SIZES = ((3, 10, 0), (50, 64, 16), (1, 1, 0), (7, 32, 0), (128, 256, 64))


@torch.no_grad()
def bounded_dyck(seed: int) -> Mapping[str, float]:
    """Stacks by construction."""
    values: dict[str, float] = {}
    wrong = off = 0.0
    for kinds, depth in STACKS:
        net = planted.dyck(kinds, depth, seed=seed)
        batch = net.sample(200, length=200, seed=derive_seed(seed, "reproduce"))
        told = net.model(batch.inputs) > 0
        wrong += int((told != (batch.targets["dyck"] > 0.5)).any(-1).sum())
        c = record(net.model.lstm, batch.inputs, variables=["c"]).c
        off = max(off, float((c - c.round().clamp(-1, 1)).abs().max()))
        values[f"units_{kinds}_{depth}"] = net.model.lstm.hidden_size
    return {"wrong": wrong, "off": off, **values}


def untrained(seed: int) -> Mapping[str, float]:
    """How well all c of a network that was never trained predict the depth of brackets together."""
    task = get_task("dyck1")
    batch = task.sample(400, derive_seed(seed, "reproduce"))
    values = {}
    for units in UNTRAINED_UNITS:
        model = SequenceModel(task.n_inputs, task.n_outputs, units, seed=derive_seed(seed, "weights"))
        rec = record(model.lstm, batch.inputs, lengths=batch.lengths, variables=["c"])
        depth = {"depth": batch.signals["depth"]}
        table = probe_populations(rec, depth, bootstrap=10, untrained=1, seed=seed)
        values[f"r2_{units}"] = float(table["score"].iloc[0])
    return {**values, "growth": values["r2_64"] - values["r2_1"]}


def parameter_counts(seed: int) -> Mapping[str, float]:
    """The numbers of parameters of real `nn.LSTM`s against `describe`'s; nothing here is left to chance."""
    wrong, values = 0, {}
    for inputs, units, projection in SIZES:
        lstm = nn.LSTM(inputs, units, proj_size=projection)
        real = sum(weights.numel() for weights in lstm.parameters())
        table = parameters(Anatomy(units, inputs, projection=projection))
        counts = table.groupby(["framework", "peepholes"])["in_layer"].sum()
        read = projection or units
        kept = units * projection
        formulas = {("pytorch", False): 4 * units * (inputs + read + 2) + kept,
                    ("tensorflow1", False): 4 * units * (inputs + read + 1) + kept,
                    ("tensorflow1", True): 4 * units * (inputs + read + 1) + kept + 3 * units}  # fmt: skip
        if not projection:
            formulas["keras", False] = 4 * units * (inputs + units + 1)
        wrong += int(real != counts["pytorch", False])
        wrong += sum(int(counts[framework] != number) for framework, number in formulas.items())
        values[f"pytorch_{inputs}_{units}"] = real
    shown = {name: values[name] for name in ("pytorch_3_10", "pytorch_50_64")}
    return {"wrong": wrong, **shown}
