"""Temporal order: which of two rare symbols came first?"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import (
    by_name,
    draw_lengths,
    last_seen,
    one_hot,
    padded,
    positions,
    step_signal,
    steps_since,
)

SYMBOLS = ("start", "end", "a", "b", "c", "d", "X", "Y")
START, END, A, X = (SYMBOLS.index(symbol) for symbol in ("start", "end", "a", "X"))
DISTRACTORS = 4


@dataclass(frozen=True)
class TemporalOrder(Task):
    """Say, at the end of a sequence, in which order X and Y came (Hochreiter & Schmidhuber 1997, task 6).

    Two markers (6a; three in 6b), each X or Y, stand among distractors a, b, c, d between a start and an end
    symbol. Marker k of m comes at a random step within a tenth of the sequence's length from its k/m-th part
    on (the first: from its tenth part on), which at length 100 is from 10 to 20 and from 50 to 60. The class
    is the row of markers read as a binary number, X 0 and Y 1; it counts at the end symbol only.

    >>> symbols = torch.tensor([[SYMBOLS.index(s) for s in ("start", "a", "Y", "c", "b", "X", "end")]])
    >>> batch = TemporalOrder().batch(symbols, torch.tensor([7]))
    >>> batch.signals["order"].values.tolist()  # nothing, Y, YX
    [[0, 0, 2, 2, 2, 5, 5]]
    >>> batch.targets["order"][batch.scored["order"]].tolist()
    [2]
    """

    name = "temporal_order"
    summary = "the order of two rare symbols, far apart among distractors"
    source = "Hochreiter & Schmidhuber 1997"
    smallest = Smallest(2, 1.2, 1, 3)

    length: int = parameter(30, "longest sequence, in symbols", 10, 100_000)
    min_length: int = parameter(0, "shortest sequence; 0: all are as long as the longest", 0, 100_000)
    markers: int = parameter(2, "how many X or Y a sequence has", 2, 3)

    def __post_init__(self) -> None:
        check_parameters(self, shortest=10)

    @property
    def input_names(self) -> tuple[str, ...]:
        return SYMBOLS

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("order", "class", size=2**self.markers),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        step = positions(n, int(lengths.max()))
        symbols = torch.randint(A, A + DISTRACTORS, step.shape, generator=rng)
        symbols[:, 0] = START
        symbols = torch.where(step == (lengths - 1).unsqueeze(1), END, symbols)
        for k in range(self.markers):
            earliest = torch.maximum(lengths * k // self.markers, lengths // 10)
            at = earliest + (torch.rand(n, generator=rng) * (lengths // 10 + 1)).long()
            which = torch.randint(X, X + 2, (n, 1), generator=rng)
            symbols = torch.where(step == at.unsqueeze(1), which, symbols)
        return self.batch(symbols, lengths)

    def batch(self, symbols: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these symbols, numbered as in SYMBOLS."""
        n, time = symbols.shape
        symbols = padded(symbols, lengths)
        marked = symbols >= X
        seen = marked.cumsum(1)
        code = torch.zeros(n, dtype=torch.long)
        codes = torch.empty(n, time, dtype=torch.long)
        for t in range(time):
            code = torch.where(marked[:, t], 2 * code + symbols[:, t] - X, code)
            codes[:, t] = code
        distractor = (symbols >= A) & (symbols < X)
        signals = by_name(
            [
                Signal(
                    "order",
                    2**seen - 1 + codes,
                    "categorical",
                    "target",
                    "the markers so far: 0 none; 1 X, 2 Y; 3 XX, 4 XY, 5 YX, 6 YY; and so on",
                ),
                *(
                    Signal(
                        f"marker{k}",
                        last_seen(symbols - X + 1, marked & (seen == k + 1)),
                        "categorical",
                        "latent",
                        f"marker {k + 1}: 1 X, 2 Y; 0 before it",
                    )
                    for k in range(self.markers)
                ),
                Signal("markers", seen, "categorical", "latent", "markers so far"),
                Signal(
                    "since",
                    steps_since(marked).float(),
                    "continuous",
                    "distractor",
                    "steps since the last marker",
                ),
                Signal(
                    "distractor",
                    last_seen(symbols - A + 1, distractor),
                    "categorical",
                    "distractor",
                    "the last of a (1), b, c, d (4); 0 before any",
                ),
                step_signal(n, time),
            ]
        )
        return Batch(
            one_hot(symbols, len(SYMBOLS)),
            {"order": codes},
            self.targets,
            lengths,
            signals,
            {"order": symbols == END},
        )
