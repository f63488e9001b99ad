"""Bounded Dyck: several kinds of brackets that must not cross, nested to a limited depth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.languages.automaton import Automaton
from lstm_probe.tasks.parameters import check_parameters, even_lengths, parameter
from lstm_probe.tasks.steps import bracket_lines, by_name, rows_of, step_signal

SHOWN_SLOTS = 8


@dataclass(frozen=True)
class Dyck(Task):
    """Read a string of Dyck-(k, m), k kinds of nested brackets at most m deep, and say what may come next.

    An even length is drawn uniformly, then one of the strings of that length, each with the same probability.
    Every kind may open unless m are open; only the bracket on top of the stack may close; the string may end
    where nothing is open (Hewitt, Hahn, Ganguli, Liang & Manning 2020).

    >>> task = Dyck(kinds=2, max_depth=2)
    >>> batch = task.batch(torch.tensor([[1, 2, -2, -1]]), torch.tensor([4]))  # ( [ ] )
    >>> batch.signals["depth"].values.int().tolist(), batch.signals["top"].values.tolist()
    ([[1, 2, 1, 0]], [[1, 2, 1, 0]])
    >>> batch.targets["legal"][0].int().tolist()  # open0 open1 close0 close1 end
    [[1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 1]]
    """

    name = "dyck"
    summary = "several kinds of nested brackets: which one is on top of the stack?"
    source = "Hewitt, Hahn, Ganguli, Liang & Manning 2020"
    smallest = Smallest(4, 2.9, 4, 6)

    kinds: int = parameter(2, "kinds of brackets", 1, 64)
    max_depth: int = parameter(3, "how many brackets may be open at once", 1, 100)
    min_length: int = parameter(2, "shortest string, in symbols", 2, 10_000)
    max_length: int = parameter(30, "longest string, in symbols", 2, 10_000)

    def __post_init__(self) -> None:
        check_parameters(self)
        even_lengths(self)

    @property
    def _lengths(self) -> list[int]:
        return even_lengths(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return (*(f"open{k}" for k in range(self.kinds)), *(f"close{k}" for k in range(self.kinds)))

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("legal", "multilabel", size=2 * self.kinds + 1),)

    @cached_property
    def _shapes(self) -> Automaton:
        """Strings without their kinds: the state is the depth, symbol 0 opens and symbol 1 closes."""
        depth = torch.arange(self.max_depth + 1)
        following = torch.stack([torch.where(depth < self.max_depth, depth + 1, -1), depth - 1], dim=1)
        return Automaton(following, depth == 0, torch.ones(len(depth), 2))

    @cached_property
    def _bounds(self) -> Float[Tensor, "remaining state symbol"]:
        return self._shapes.bounds(max(self._lengths))

    @cached_property
    def _legal(self) -> Float[Tensor, "row symbol"]:
        """What may come next, for each kind on top (0: none) with and without (odd and even rows) a full stack."""
        table = torch.zeros(self.kinds + 1, 2, 2 * self.kinds + 1)
        table[:, 0, : self.kinds] = 1
        table[1:, :, self.kinds : -1] = torch.eye(self.kinds).unsqueeze(1)
        table[0, :, -1] = 1
        return table.flatten(0, 1)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        symbols, lengths, top = self._strings(n, rng)
        return replace(self._batch(symbols, lengths, top), signals=self.signals(symbols))

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return the same strings as `draw` without signals, which take as long as all the rest."""
        return self._batch(*self._strings(n, rng))

    def _strings(
        self, n: int, rng: torch.Generator
    ) -> tuple[Int[Tensor, "sequence time"], Int[Tensor, " sequence"], Int[Tensor, "sequence time"]]:
        """Return strings as `batch` takes them, their lengths, and the kind on top of the stack at each step."""
        even = torch.tensor(self._lengths)
        lengths = even[torch.randint(len(even), (n,), generator=rng)]
        shapes = self._shapes.draw(lengths, self._bounds, rng).T.contiguous()
        opens = shapes == 0
        sign = opens.long() - (shapes == 1).long()
        after = sign.cumsum(0)
        level = torch.maximum(after, after - sign).unsqueeze(1)  # how deep the bracket lies, from 1
        kinds = torch.randint(1, self.kinds + 1, shapes.shape, generator=rng)
        stack = torch.zeros(self.max_depth + 1, n, dtype=torch.long)
        top, after = torch.empty_like(kinds), after.unsqueeze(1)
        for t in range(len(kinds)):
            kinds[t] = torch.where(opens[t], kinds[t], stack.gather(0, level[t]))
            stack.scatter_(0, level[t], kinds[t : t + 1])
            top[t] = stack.gather(0, after[t])
        return (sign * kinds).T.contiguous(), lengths, top.T.contiguous()

    def slots(self, symbols: Int[Tensor, "sequence time"]) -> Int[Tensor, "depth time sequence"]:
        """Return the kind (from 1) in each slot of the stack at each step, outermost first; 0 where empty."""
        n, time = symbols.shape
        rows = symbols.T.contiguous()
        sign = rows.sign()
        after = sign.cumsum(0)
        changed = torch.minimum(after, after - sign).clamp(0, self.max_depth - 1)
        # A step without a symbol writes to a slot that nobody reads.
        changed = changed.masked_fill(sign == 0, self.max_depth).unsqueeze(1)
        content = rows.clamp(min=0).unsqueeze(1)
        slots = torch.empty(self.max_depth + 1, time, n, dtype=torch.long)
        now = torch.zeros(self.max_depth + 1, n, dtype=torch.long)
        for t in range(time):
            slots[:, t] = now.scatter_(0, changed[t], content[t])
        return slots[: self.max_depth]

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        kind = torch.where(inputs.sum(-1) > 0, inputs.argmax(-1), -1)
        symbols = torch.where(kind >= self.kinds, self.kinds - kind - 1, kind + 1)
        depth, slots = symbols.sign().cumsum(1), self.slots(symbols)
        top = slots.gather(0, (depth.T - 1).clamp(0, self.max_depth - 1).unsqueeze(0)).squeeze(0).T
        top = torch.where(depth > 0, top, 0)
        before = torch.cat([torch.zeros_like(top[:, :1]), top[:, :-1]], dim=1)
        wrong = (depth < 0) | (depth > self.max_depth) | ((symbols < 0) & (symbols != -before))
        legal = rows_of(self._legal, (2 * top + (depth == self.max_depth)).contiguous())
        return {"legal": legal.masked_fill((wrong.cumsum(1) > 0).unsqueeze(-1), float("nan"))}

    def batch(self, symbols: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these strings: k for kind k's opening bracket, −k for its closing, 0 after the end."""
        signals = self.signals(symbols)
        return replace(self._batch(symbols, lengths, signals["top"].values), signals=signals)

    def _batch(
        self,
        symbols: Int[Tensor, "sequence time"],
        lengths: Int[Tensor, " sequence"],
        top: Int[Tensor, "sequence time"],
    ) -> Batch:
        full = symbols.sign().cumsum(1) == self.max_depth
        legal = rows_of(self._legal, 2 * top + full)
        return Batch(bracket_lines(symbols, self.kinds), {"legal": legal}, self.targets, lengths, {})

    def signals(self, symbols: Int[Tensor, "sequence time"]) -> dict[str, Signal]:
        """Return the ground truth of these strings."""
        n, time = symbols.shape
        depth, slots = symbols.sign().cumsum(1), self.slots(symbols)
        top = slots.gather(0, (depth.T - 1).clamp(min=0).unsqueeze(0)).squeeze(0).T.contiguous()
        full, empty = depth == self.max_depth, depth == 0
        opened = (symbols > 0).cumsum(1).float()
        return by_name(
            [
                Signal("depth", depth.float(), "continuous", "latent", "how many brackets are open"),
                Signal(
                    "top",
                    top,
                    "categorical",
                    "target",
                    "kind on top of the stack, from 1; 0 where nothing is open",
                ),
                *(
                    Signal(
                        f"slot{k}",
                        slots[k].T,
                        "categorical",
                        "latent",
                        f"kind of the bracket open at depth {k + 1}, from 1; 0 for none",
                    )
                    for k in range(min(self.max_depth, SHOWN_SLOTS))
                ),
                Signal(
                    "full",
                    full.float(),
                    "binary",
                    "target",
                    f"1 where {self.max_depth} are open and none may open",
                ),
                Signal(
                    "empty",
                    empty.float(),
                    "binary",
                    "target",
                    "1 where nothing is open and the string may end",
                ),
                Signal("opened", opened, "continuous", "distractor", "opening brackets so far"),
                step_signal(n, time, of="string"),
            ]
        )
