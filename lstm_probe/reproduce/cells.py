"""What other cells can and cannot do: counting without bound, forgetting, and remembering without gates."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import evaluate
from lstm_probe.recorder import record
from lstm_probe.reproduce.counting import first_failure
from lstm_probe.reproduce.networks import Trained, other_lengths, trained

#: Symbols after which a memory is read, and how many times more follow.
COUNTED, TIMES = 64, 4
TEST = 50  # streams
EARLY, LATE, LENGTH = 50, 900, 1000  # symbols


@torch.no_grad()
def memory(model: SequenceModel, batch: Batch) -> Tensor:
    """Return what a network's units remember, (sequence, step, unit)."""
    rec = record(model.lstm, batch.inputs, lengths=batch.lengths, variables=["c"])
    return rec[0][rec.config.cell.memory]


def growth(net: Trained, seed: int) -> float:
    """Return how many times as large the counter is after four times as many symbols: 4 if it counts on.

    The counter is the unit whose memory is closest to a straight line of the count on strings as in training.
    """
    batch = net.task.sample(200, derive_seed(seed, "reproduce counter"))
    real, count = batch.mask, batch.signals["a_minus_b"].values.double()
    held = memory(net.model, batch)[real].double()
    counter = int(torch.corrcoef(torch.cat([held, count[real].unsqueeze(1)], 1).T)[-1, :-1].nan_to_num().abs().argmax())
    string = net.task.batch(torch.tensor([COUNTED * TIMES]))  # type: ignore[attr-defined]  # the experiment's own
    course = memory(net.model, string)[0, :, counter].double()
    start = course[0]  # the step of the start symbol
    once, often = (float(course[k] - start) for k in (COUNTED, COUNTED * TIMES))
    return abs(often / once) if once else 0.0


def counters(seed: int) -> Mapping[str, float]:
    """As many b's as a's, by an LSTM, a GRU and a plain network, all with a memory of 10 units."""
    nets = {cell: trained("counters", seed, cell=cell) for cell in ("lstm", "gru", "rnn")}
    failures = {f"failure_{cell}": float(first_failure(net)) for cell, net in nets.items()}
    return {
        "further": failures["failure_lstm"] / failures["failure_gru"],
        **failures,
        **{f"growth_{cell}": growth(nets[cell], seed) for cell in ("lstm", "gru")},
    }


@torch.no_grad()
def stream(net: Trained, seed: int) -> dict[str, float]:
    """Return how much larger memories are late in a stream than early, and how many symbols are right late."""
    batch = other_lengths(net.task, TEST, seed, min_length=LENGTH, max_length=LENGTH)
    held = memory(net.model, batch).abs().mean((0, 2))
    right = ((net.model(batch.inputs) > 0) == (batch.targets["legal"] > 0.5)).all(-1).double()
    return {"grown": float(held[LATE] / held[EARLY]), "size": float(held[LATE]),
            "right": float(right[:, LATE:].mean())}  # fmt: skip


def continual(seed: int) -> Mapping[str, float]:
    """Reber strings without a break, by an LSTM with and one without a forget gate."""
    cells: dict[str, dict[str, Any]] = {"full": {}, "no_forget": {"cell": "lstm_no_forget"}}
    found = {name: stream(trained("continual", seed, **own), seed) for name, own in cells.items()}
    return {f"{measure}_{name}": value for name, own in found.items() for measure, value in own.items()}


#: LSTMs that lack one thing each.
WITHOUT = {
    "forget": "lstm_no_forget", "input": "lstm+no_input_gate", "output": "lstm+no_output_gate",
    "squash": "lstm+output:linear", "coupled": "lstm_coupled", "linear": "lstm+input:linear",
}  # fmt: skip


def forget_gate(seed: int) -> Mapping[str, float]:
    """Three bits held by LSTMs that lack one thing each: what of the bits is not told."""

    def left(**own: str) -> float:
        net = trained("forget_gate", seed, **own)
        scores = evaluate(net.model, net.task.sample(TEST * 4, derive_seed(seed, "reproduce")))
        return 1 - sum(scores.values()) / len(scores)

    full, lacking = left(), {name: left(cell=cell) for name, cell in WITHOUT.items()}
    others = max(own for name, own in lacking.items() if name != "forget")
    return {"times": lacking["forget"] / max(others, 1e-6), "left_full": full,
            **{f"left_{name}": own for name, own in lacking.items()}}  # fmt: skip
