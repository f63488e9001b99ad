"""Delay timing: how long ago was the cue, and is it time?"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, step_signal, steps_since


@dataclass(frozen=True)
class DelayTiming(Task):
    """Measure the time since the last cue and say when `interval` steps have passed since it.

    A cue comes in step 0 and later with probability `rate` a step; each starts the time anew. A second line
    carries decoys at the same rate. Two outputs: the time since the last cue, which stops at `cap`, and
    whether just `interval` steps have passed. Timing such delays is what Gers, Schraudolph & Schmidhuber
    (2002) trained LSTMs on.

    >>> lines = torch.tensor([[[1, 0], [0, 0], [0, 1], [0, 0], [1, 0], [0, 0]]]).bool()
    >>> batch = DelayTiming(interval=2, cap=3).batch(lines, torch.tensor([6]))
    >>> batch.signals["since"].values.int().tolist(), batch.targets["due"].tolist()
    ([[0, 1, 2, 3, 0, 1]], [[0, 0, 1, 0, 0, 0]])
    """

    name = "delay_timing"
    summary = "the time since a cue, and whether an interval has passed"
    source = "after Gers, Schraudolph & Schmidhuber 2002"
    smallest = Smallest(2, 1.9, 2, 2)

    length: int = parameter(50, "longest sequence, in steps", 2, 100_000)
    min_length: int = parameter(0, "shortest sequence; 0: all are as long as the longest", 0, 100_000)
    rate: float = parameter(0.08, "probability of a cue in a step, and of a decoy", 0.0, 0.9)
    interval: int = parameter(8, "the interval: steps after the cue", 1, 100_000)
    cap: int = parameter(20, "the time counts up to this, in steps; at least the interval", 1, 100_000)

    def __post_init__(self) -> None:
        check_parameters(self)
        problems = [
            f"task.interval={self.interval}: must be {what}, else that moment never comes."
            for what, wrong in (
                (f"at most task.cap={self.cap}", self.interval > self.cap),
                (f"below task.length={self.length}", self.interval >= self.length),
            )
            if wrong
        ]
        if problems:
            raise InputError(*problems)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("cue", "decoy")

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("since"), Target("due", "class", size=2))

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        lines = torch.rand(n, int(lengths.max()), 2, generator=rng) < self.rate
        lines[:, 0, 0] = True
        return self.batch(lines, lengths)

    def batch(self, lines: Bool[Tensor, "sequence time 2"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these cues and decoys."""
        cues, decoys = lines.unbind(-1)
        elapsed = steps_since(cues)
        since = elapsed.clamp(max=self.cap).float()
        due = elapsed == self.interval
        signals = by_name(
            [
                Signal("since", since, "continuous", "target", f"steps since the last cue, at most {self.cap}"),
                Signal("due", due.float(), "binary", "target", f"1 just {self.interval} steps after the last cue"),
                Signal(
                    "passed",
                    (elapsed >= self.interval).float(),
                    "binary",
                    "latent",
                    f"1 from {self.interval} steps after the last cue on",
                ),
                Signal(
                    "since_decoy",
                    steps_since(decoys).clamp(max=self.cap).float(),
                    "continuous",
                    "distractor",
                    f"steps since the last decoy or the start, at most {self.cap}",
                ),
                Signal("cues", cues.cumsum(1).float(), "continuous", "distractor", "cues so far"),
                step_signal(*cues.shape),
            ]
        )
        # Brought to a spread of about one, so that both targets weigh alike in the loss.
        scale = min(self.cap, self.length / 2, 1 / max(self.rate, 1e-9)) / 1.5
        targets = {"since": (since / scale).unsqueeze(-1), "due": due.long()}
        return Batch(lines.float(), targets, self.targets, lengths, signals)
