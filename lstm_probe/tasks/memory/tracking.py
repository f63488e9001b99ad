"""The default task: five things to remember at once, one for each kind of memory."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Kind, Role, Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter

EVENTS = ("up", "down", "set", "reset", "flip", "tick")


@dataclass(frozen=True)
class Tracking(Task):
    """Keep a count, a latch, a parity, a leaky average and a stopwatch, all at every step.

    Six event lines fire independently of each other; a seventh line is noise. A set and a reset in the same step
    leave the latch reset. Before the first tick, `since` counts from the start of the sequence.

    >>> task = Tracking(length=6)
    >>> lines = {"up": [1, 1, 0, 0, 1, 0], "down": [0, 0, 0, 1, 0, 0], "set": [0, 1, 0, 0, 0, 0],
    ...          "reset": [0, 0, 0, 0, 1, 0], "flip": [1, 0, 0, 1, 0, 1], "tick": [0, 0, 1, 0, 0, 0]}
    >>> events = torch.tensor([lines[name] for name in EVENTS]).T.unsqueeze(0).float()
    >>> signals = task.signals(events, torch.ones(1, 6))
    >>> for name in ("count", "latch", "parity", "since"):
    ...     print(f"{name:6}", *signals[name].values[0].int().tolist())
    count  1 2 2 1 2 2
    latch  0 1 1 1 0 0
    parity 1 1 1 0 0 1
    since  1 2 0 1 2 3
    >>> print(*[f"{v:.3f}" for v in signals["leak"].values[0, :3].tolist()])
    0.300 0.570 0.813
    """

    name = "tracking"
    summary = "five things at once: a count, a latch, a parity, a leaky average and the time since a tick"
    source = "this project"
    smallest = Smallest(6, 3.9, 5, 10)

    length: int = parameter(50, "longest sequence, in steps", 2, 100_000)
    min_length: int = parameter(0, "shortest sequence, in steps; 0: all are as long as the longest", 0, 100_000)
    rate: float = parameter(0.1, "probability that an event line fires in a step", 0.001, 0.9)
    decay: float = parameter(0.9, "share of the leaky average that is kept in a step", 0.0, 0.999)
    cap: int = parameter(20, "the stopwatch stops here, in steps", 1, 100_000)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return (*EVENTS, "noise")

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(Target(name) for name in ("count", "latch", "parity", "leak", "since"))

    def signals(
        self, events: Float[Tensor, "sequence time 6"], noise: Float[Tensor, "sequence time"]
    ) -> dict[str, Signal]:
        """Return the ground truth of these inputs."""
        n, time = noise.shape
        line = {name: events[..., k] for k, name in enumerate(EVENTS)}
        step = torch.arange(time).expand(n, time)

        def last(fired: Tensor) -> Tensor:
            """The latest step, up to each step, in which an event fired; -1 before the first."""
            return torch.where(fired > 0, step, -1).cummax(1).values

        leak = 0.3 * noise.T.contiguous()
        for t in range(1, time):
            leak[t] += self.decay * leak[t - 1]
        made: list[tuple[str, Tensor, Kind, Role, str]] = [
            ("count", (line["up"] - line["down"]).cumsum(1), "continuous", "target", "ups minus downs so far"),
            ("latch", (last(line["set"]) > last(line["reset"])).float(), "binary", "target",
             "1 if the latest of set and reset was a set"),
            ("parity", line["flip"].cumsum(1) % 2, "binary", "target", "1 after an odd number of flips"),
            ("leak", leak.T, "continuous", "target", f"{self.decay:g} · previous + 0.3 · noise"),
            ("since", (step - last(line["tick"])).clamp(max=self.cap).float(), "continuous", "target",
             f"steps since the last tick, at most {self.cap}"),
            ("ticks", line["tick"].cumsum(1), "continuous", "distractor", "ticks so far"),
            ("step", step.float(), "continuous", "nuisance", "position in the sequence"),
        ]  # fmt: skip
        return {name: Signal(name, values, kind, role, words) for name, values, kind, role, words in made}

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        # All in place: a copy of this much takes longer than drawing it.
        inputs = torch.empty(n, self.length, len(EVENTS) + 1)
        events = inputs[..., :-1].uniform_(generator=rng).lt_(self.rate)
        noise = inputs[..., -1].copy_(torch.randn(n, self.length, generator=rng))
        shortest = self.min_length or self.length
        lengths = torch.randint(min(shortest, self.length), self.length + 1, (n,), generator=rng)
        signals = self.signals(events, noise)
        return Batch(inputs, self._scaled(signals), self.targets, lengths, signals)

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        return self._scaled(self.signals(inputs[..., :-1], inputs[..., -1]))

    def _scaled(self, signals: Mapping[str, Signal]) -> dict[str, Tensor]:
        """Return the targets that these signals are."""
        # Brought to a spread of about one, so that every target weighs alike in the loss.
        spread = {
            "count": (self.rate * self.length) ** 0.5,
            "latch": 0.5,
            "parity": 0.5,
            "leak": 0.3 / (1 - self.decay**2) ** 0.5,
            "since": min(self.cap, 1 / self.rate) / 1.5,
        }
        return {name: (signals[name].values / scale).unsqueeze(-1) for name, scale in spread.items()}
