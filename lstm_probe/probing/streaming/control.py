"""The control task of a stream: random labels that follow from each step's input alone, so that no table is kept.

As in `baselines.control_signals`, every input type gets a value of its own, drawn from the signal's own values. Here
the draw is made by hashing the type, and the values are those of a sample of steps.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.vectors import hashed_rows, mixed
from lstm_probe.probing.inference.baselines import LEAST_REPEATS, LEAST_TYPES
from lstm_probe.probing.streaming.shards import Shard
from lstm_probe.probing.streaming.survey import Sample

#: Input types are counted exactly up to this many; beyond that by a sample of them.
MOST_TYPES = 65_536


class ControlTask:
    """A control task for each signal, after one pass over the stream.

    Args:
        seed: of the labels.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.sample = seed, Sample(seed)
        self.kept, self.halved, self.steps = np.empty(0, dtype=np.uint64), 0, 0

    def add(self, shard: Shard, checked: Sequence[CheckedSignal]) -> None:
        """Count a shard's input vectors, and sample its signals."""
        types = hashed_rows(shard.rec.inputs.detach().cpu().double().numpy())[shard.mask]
        self.steps += len(types)
        self.kept = np.union1d(self.kept, types[types >> np.uint64(64 - self.halved) == 0] if self.halved else types)
        while len(self.kept) > MOST_TYPES:
            self.halved += 1
            self.kept = self.kept[self.kept >> np.uint64(64 - self.halved) == 0]
        self.sample.add([signal.values[shard.mask][:, None] for signal in checked])

    def close(self) -> None:
        """Decide what an input type is, as `baselines.input_types` does."""
        distinct = len(self.kept) * 2**self.halved
        self.by_vector = distinct >= LEAST_TYPES and self.steps >= LEAST_REPEATS * distinct
        self.drawn_from: list[Float[np.ndarray, " step"]] = [rows[:, 0] for rows in self.sample.result()]

    def signals(self, shard: Shard, checked: Sequence[CheckedSignal]) -> list[CheckedSignal]:
        """Return the control task of a shard's signals."""
        types = hashed_rows(shard.rec.inputs.detach().cpu().double().numpy())
        if not self.by_vector:
            for t in range(1, types.shape[1]):
                types[:, t] = mixed(types[:, t - 1] ^ mixed(types[:, t]))
        made = []
        for signal, values in zip(checked, self.drawn_from):
            salt = np.uint64(derive_seed(self.seed, "control", signal.name))
            drawn = values[mixed(types ^ salt) % np.uint64(len(values))]
            made.append(signal.with_values(np.where(shard.mask, drawn, 0.0)))
        return made
