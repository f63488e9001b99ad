"""The Reber grammar: simple, embedded in itself, and as an endless stream."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.languages.automaton import Automaton
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, one_hot, padded, rows_of, step_signal, steps_since

SYMBOLS = ("B", "T", "P", "S", "X", "V", "E")
VARIANTS = ("simple", "embedded", "continual")

#: The Reber grammar: from each place, the symbols that may come and where they lead. It is done at place 7.
REBER = (
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
)
DONE, START, CHOICE, CLOSING, END = range(7, 12)  # the places outside the inner string
OUTER = ("T", "P")

#: Which outer symbol is to be repeated (0 none, 1 T, 2 P), and the place.
Node = tuple[int, int]


def grammar(variant: str) -> dict[Node, dict[str, Node]]:
    """Return, for each node of the graph, which symbols may come and where they lead; the first is the start.

    The embedded string is B, T or P, a Reber string, the same T or P again, E; a continual one goes back to
    the start.
    """
    if variant == "simple":
        graph = {(0, place): {s: (0, to) for s, to in arcs.items()} for place, arcs in enumerate(REBER)}
        return {**graph, (0, DONE): {}}
    graph = {(0, START): {"B": (0, CHOICE)}, (0, CHOICE): {s: (k + 1, 0) for k, s in enumerate(OUTER)}}
    for k, outer in enumerate(OUTER, start=1):
        graph |= {(k, place): {s: (k, to) for s, to in arcs.items()} for place, arcs in enumerate(REBER)}
        graph[k, DONE] = {outer: (0, CLOSING)}
    if variant == "continual":
        return {**graph, (0, CLOSING): {"E": (0, START)}}
    return {**graph, (0, CLOSING): {"E": (0, END)}, (0, END): {}}


@dataclass(frozen=True)
class Reber(Task):
    """Read a Reber string and say after each symbol which may come next.

    Strings are spelled by the published random walk, each way out of a place equally likely, given that they
    have from `min_length` to `max_length` symbols, the last E, which is only predicted, not counted. embedded
    (Hochreiter & Schmidhuber 1997): the T or P before an inner Reber string must come again after it. simple:
    the inner string alone. continual (Gers, Schmidhuber & Cummins 2000): embedded strings follow each other
    without a break, and the sequence is cut after a length drawn uniformly.

    >>> symbols = torch.tensor([[SYMBOLS.index(s) for s in "BPBTXSEP"]])
    >>> batch = Reber().batch(symbols, torch.tensor([8]))
    >>> [" ".join(s for s, on in zip(SYMBOLS, row) if on) for row in batch.targets["legal"][0]]
    ['T P', 'B', 'T P', 'S X', 'S X', 'E', 'P', 'E']
    >>> batch.signals["outer"].values.tolist()  # 2 is P
    [[0, 2, 2, 2, 2, 2, 2, 0]]
    """

    name = "reber"
    summary = "a grammar whose strings lie inside a pair of equal symbols"
    source = "Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000"
    smallest = Smallest(6, 3.6, 6, 6)

    variant: str = parameter("embedded", "which strings", choices=VARIANTS)
    min_length: int = parameter(4, "shortest sequence, in symbols, the last E not counted", 2, 10_000)
    max_length: int = parameter(30, "longest sequence, in symbols, the last E not counted", 2, 10_000)

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.variant != "continual" and not self._chances.sum() > 0:
            raise InputError(
                f"task.max_length={self.max_length}: no {self.variant} Reber string has from "
                f"{self.min_length} to {self.max_length} symbols."
            )

    @property
    def input_names(self) -> tuple[str, ...]:
        return SYMBOLS

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("legal", "multilabel", size=len(SYMBOLS)),)

    @cached_property
    def _nodes(self) -> list[Node]:
        return list(grammar(self.variant))

    @cached_property
    def automaton(self) -> Automaton:
        """The grammar as an automaton in which each legal symbol of a state is equally likely."""
        graph = grammar(self.variant)
        following = [[self._nodes.index(arcs[s]) if s in arcs else -1 for s in SYMBOLS] for arcs in graph.values()]
        weights = [[1 / max(len(arcs), 1)] * len(SYMBOLS) for arcs in graph.values()]
        ends = torch.tensor([self.variant == "continual" or not arcs for arcs in graph.values()])
        return Automaton(torch.tensor(following), ends, torch.tensor(weights))

    @cached_property
    def _bounds(self) -> Float[Tensor, "remaining state symbol"]:
        return self.automaton.bounds(self.max_length + 1)

    @cached_property
    def _chances(self) -> Float[Tensor, " length"]:
        """The chance of a string of each length, the last E not counted; 0 below the shortest."""
        chances = self.automaton.completions(self.max_length + 1)[1:, 0].exp()
        chances[: self.min_length] = 0
        return chances

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        return self.batch(*self._strings(n, rng))

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return the same strings as `draw` without signals."""
        symbols, lengths = self._strings(n, rng)
        return self._batch(symbols, lengths, self.automaton.states(symbols))

    def _strings(self, n: int, rng: torch.Generator) -> tuple[Int[Tensor, "sequence time"], Int[Tensor, " sequence"]]:
        """Return strings as `batch` takes them, and their lengths."""
        if self.variant == "continual":
            lengths = draw_lengths(self.min_length, self.max_length, n, rng)
            symbols = self.automaton.draw(lengths, self._bounds, rng)
        else:
            lengths = torch.multinomial(self._chances, n, replacement=True, generator=rng)
            symbols = self.automaton.draw(lengths + 1, self._bounds, rng)
            # The last E is never read, it has to be predicted.
            symbols = padded(symbols, lengths)[:, :-1]
        return symbols, lengths

    def batch(self, symbols: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these strings, symbols numbered as in SYMBOLS; −1 after their ends."""
        states = self.automaton.states(symbols)
        return replace(self._batch(symbols, lengths, states), signals=self.signals(states))

    def _batch(
        self,
        symbols: Int[Tensor, "sequence time"],
        lengths: Int[Tensor, " sequence"],
        states: Int[Tensor, "sequence time"],
    ) -> Batch:
        legal = rows_of(self.automaton.legal.float(), states)
        return Batch(one_hot(symbols, len(SYMBOLS)), {"legal": legal}, self.targets, lengths, {})

    def signals(self, states: Int[Tensor, "sequence time"]) -> dict[str, Signal]:
        """Return the ground truth of strings that lead to these states."""
        outer, place = rows_of(torch.tensor(self._nodes), states).unbind(-1)
        signals = [
            Signal(
                "place",
                place,
                "categorical",
                "latent",
                "place in the inner grammar, 0 to 6; 7 after it, 8 to 11 outside",
            )
        ]
        if self.variant != "simple":
            signals += [
                Signal("outer", outer, "categorical", "latent", "the symbol to repeat: 0 none, 1 T, 2 P"),
                Signal("inside", (place < DONE).float(), "binary", "latent", "1 within the inner string"),
                Signal(
                    "held_for",
                    steps_since(place == 0).float(),
                    "continuous",
                    "distractor",
                    "steps since the last symbol that has to be repeated, or since before the first step",
                ),
            ]
        if self.variant == "continual":
            ended = (states == 0).cumsum(1).float()
            signals.append(Signal("strings", ended, "continuous", "distractor", "strings ended so far"))
        signals.append(step_signal(*states.shape))
        return by_name(signals)
