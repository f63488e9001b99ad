"""k-bit flip-flop: remember the last pulse of each line."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, step_signal, steps_since


@dataclass(frozen=True)
class FlipFlop(Task):
    """Output the last pulse, +1 or -1, of each of `bits` lines (Sussillo & Barak 2013).

    In each step each line has a pulse with probability `rate`; one is forced in step 0, so that every bit is defined.

    >>> pulses = torch.tensor([[[1., -1.], [0., 0.], [-1., 0.], [0., 1.]]])
    >>> FlipFlop(bits=2).held(pulses)[0].T.int().tolist()
    [[1, 1, -1, -1], [-1, -1, -1, 1]]
    """

    name = "flipflop"
    summary = "remember the last pulse, +1 or -1, of each of k lines"
    source = "Sussillo & Barak 2013"
    smallest = Smallest(3, 1.2, 3, 3)

    bits: int = parameter(3, "number of lines, each one bit to remember", 1, 16)
    length: int = parameter(64, "longest sequence, in steps", 2, 100_000)
    min_length: int = parameter(0, "shortest sequence, in steps; 0: all are as long as the longest", 0, 100_000)
    rate: float = parameter(0.5, "probability of a pulse on a line in a step", 0.001, 1.0)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(f"pulse{k}" for k in range(self.bits))

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(Target(f"bit{k}") for k in range(self.bits))

    def held(self, pulses: Float[Tensor, "sequence time bit"]) -> Float[Tensor, "sequence time bit"]:
        """Return each line's last pulse; 0 before the first."""
        held = pulses.transpose(0, 1).contiguous()
        for t in range(1, len(held)):
            torch.where(held[t] != 0, held[t], held[t - 1], out=held[t])
        return held.transpose(0, 1)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        batch = self.draw_training(n, rng)
        return replace(batch, signals=self.signals(batch.inputs))

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return the same sequences as `draw` without signals, which take as long as all the rest."""
        shape = (n, self.length, self.bits)
        sign = torch.randint(0, 2, shape, generator=rng, dtype=torch.float32) * 2 - 1
        fired = torch.rand(shape, generator=rng) < self.rate
        fired[:, 0] = True
        pulses = sign.mul_(fired)
        shortest = min(self.min_length or self.length, self.length)
        lengths = torch.randint(shortest, self.length + 1, (n,), generator=rng)
        return Batch(pulses, self.relabel(pulses, lengths), self.targets, lengths, {})

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        held = self.held(inputs)
        return {f"bit{k}": held[..., k : k + 1] for k in range(self.bits)}

    def signals(self, pulses: Float[Tensor, "sequence time bit"]) -> dict[str, Signal]:
        """Return the ground truth of these inputs."""
        up = (self.held(pulses) > 0).float()
        signals = [
            Signal(f"bit{k}", up[..., k], "binary", "target", f"line {k} last went up") for k in range(self.bits)
        ]
        if 1 < self.bits <= 4:
            state = up @ 2.0 ** torch.arange(self.bits)
            signals.append(Signal("state", state, "categorical", "latent", "all bits as one of 2^k states"))
        since = steps_since(pulses[..., 0] != 0).float()
        signals += [
            Signal("since0", since, "continuous", "distractor", "steps since line 0's pulse"),
            step_signal(*since.shape),
        ]
        return by_name(signals)
