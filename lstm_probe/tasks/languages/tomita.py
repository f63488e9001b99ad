"""The seven Tomita grammars: small regular languages over 0 and 1."""

from dataclasses import dataclass
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
from lstm_probe.tasks.steps import by_name, one_hot, rows_of, step_signal, steps_since

#: For each grammar: from each state, the next after a 0 and after a 1 (−1: not legal), and where one may end.
GRAMMARS: dict[int, tuple[list[tuple[int, int]], set[int]]] = {
    1: ([(-1, 0)], {0}),
    2: ([(-1, 1), (0, -1)], {0}),
    3: ([(0, 1), (2, 0), (3, -1), (2, 1)], {0, 1, 3}),
    4: ([(1, 0), (2, 0), (-1, 0)], {0, 1, 2}),
    5: ([(1, 2), (0, 3), (3, 0), (2, 1)], {0}),
    6: ([(1, 2), (2, 0), (0, 1)], {0}),
    7: ([(0, 1), (2, 1), (2, 3), (-1, 3)], {0, 1, 2, 3}),
}


@dataclass(frozen=True)
class Tomita(Task):
    """Read a string of a Tomita grammar and say after each bit which may come next, the end among them.

    Tomita (1982): 1 is 1*; 2 is (10)*; 3 has no odd run of 0s after an odd run of 1s; 4 has no 000; 5 has an
    even number of 0s and of 1s; 6 has as many 0s as 1s modulo 3; 7 is 0*1*0*1*. A length is drawn uniformly
    from those that the language has, then one of its strings of that length, each with the same probability.
    Grammar 1 needs no memory and 2 next to none: the same may always follow the same bit.

    >>> batch = Tomita(grammar=4).batch(torch.tensor([[1, 0, 0, 1]]), torch.tensor([4]))
    >>> batch.targets["legal"][0].int().tolist()  # 0, 1, end: no third 0
    [[1, 1, 1], [1, 1, 1], [0, 1, 1], [1, 1, 1]]
    """

    name = "tomita"
    summary = "the state of a small automaton that reads bits"
    source = "Tomita 1982"
    smallest = Smallest(2, 2.3, 2, 2)

    grammar: int = parameter(3, "which of the seven", 1, 7)
    min_length: int = parameter(1, "shortest string, in bits", 1, 100_000)
    max_length: int = parameter(20, "longest string, in bits", 1, 100_000)

    def __post_init__(self) -> None:
        check_parameters(self)
        if not len(self._lengths):
            raise InputError(
                f"task.min_length={self.min_length}: grammar {self.grammar} has no string of a length "
                f"from here to task.max_length={self.max_length}."
            )

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("zero", "one")

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("legal", "multilabel", size=3),)

    @cached_property
    def automaton(self) -> Automaton:
        """The grammar as an automaton under which all strings of a length are equally likely."""
        following, accepting = GRAMMARS[self.grammar]
        ends = torch.tensor([state in accepting for state in range(len(following))])
        return Automaton(torch.tensor(following), ends, torch.ones(len(following), 2))

    @cached_property
    def _legal(self) -> Float[Tensor, "state 3"]:
        return torch.cat([self.automaton.legal, self.automaton.accepting.unsqueeze(1)], dim=1).float()

    @cached_property
    def _bounds(self) -> Float[Tensor, "remaining state symbol"]:
        return self.automaton.bounds(self.max_length)

    @cached_property
    def _lengths(self) -> Int[Tensor, " length"]:
        there = self.automaton.completions(self.max_length)[:, 0].isfinite().nonzero().squeeze(1)
        return there[there >= self.min_length]

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = self._lengths[torch.randint(len(self._lengths), (n,), generator=rng)]
        bits = self.automaton.draw(lengths, self._bounds, rng)
        return self.batch(bits, lengths)

    def batch(self, bits: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these strings of the language; −1 after their ends."""
        states = self.automaton.states(bits)
        legal = rows_of(self._legal, states)
        changed = torch.ones_like(bits, dtype=torch.bool)
        changed[:, 1:] = bits[:, 1:] != bits[:, :-1]
        meanings = ("a 0 may come next", "a 1 may come next", "the string may end")
        signals = by_name(
            [
                Signal("state", states, "categorical", "latent", "the state of the smallest automaton"),
                *(
                    Signal(name, legal[..., k], "binary", "target", f"1 where {meanings[k]}")
                    for k, name in enumerate(("zero_next", "one_next", "may_end"))
                    # what is the same in every state tells nothing
                    if 0 < self._legal[:, k].sum() < len(self._legal)
                ),
                Signal("zeros", (bits == 0).cumsum(1).float(), "continuous", "distractor", "0s so far"),
                Signal("ones", (bits == 1).cumsum(1).float(), "continuous", "distractor", "1s so far"),
                Signal(
                    "run",
                    (steps_since(changed) + 1).float(),
                    "continuous",
                    "distractor",
                    "length of this run",
                ),
                step_signal(bits.shape[0], bits.shape[1], of="string"),
            ]
        )
        return Batch(one_hot(bits, 2), {"legal": legal}, self.targets, lengths, signals)
