"""Bounded Dyck: a stack of m slots for k kinds of brackets, in 3m·⌈log2 k⌉ − m units."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.kinds import Signal
from lstm_probe.core.target import Target
from lstm_probe.planted.wiring import SATURATED, SHOWN, STEEP, Component, Wiring
from lstm_probe.tasks.languages import dyck as dyck_task

#: How sure the outputs are: the logit of a legal symbol is LOGIT, that of any other −LOGIT or less.
LOGIT = 10.0


@dataclass(frozen=True)
class Dyck(Component):
    """A stack for Dyck-(k, m): after every symbol, exactly the legal next symbols (Hewitt and others 2020).

    The memory is m slots. Where a slot holds a bracket, its units hold the ⌈log2 k⌉ bits of the bracket's
    kind, the complements of these bits, and ⌈log2 k⌉ − 1 times −1; an empty slot holds zeros. So every kind
    sums to 1, which is how the gates see whether a slot is full, and the readout of kind a's closing bracket
    (a's bits and complements, and 1 for each −1) gives 1 for kind a and 0 or less for all others.

    Only the top slot shows itself: T_j, the sum of slot j's h[t-1] over tanh(1), is 1 for the top and 0
    elsewhere. With `open` and `close` 1 where such a symbol is read, each gate of slot j (from 0) is open
    where the sum is above 0:

        i: open + T_(j-1) − 3/2; in slot 0: open − ΣT − 1/2      a bracket opens right above the top
        f: 3/2 − close − T_j                                     the top is emptied when a bracket closes
        o: 3/2 − open + close − T_j − 2 T_(j+1) − 3 Σ_(>j+1) T   the new top is shown
        g: the code of the bracket that opens, in every slot

    At a step without a symbol the stack stays as it is. In illegal strings nothing is promised beyond the
    first symbol that is not legal. Every unit is needed, but gates and readout decide at a half: a −1 clamped
    at its mean may still be near enough, so `ablate_units(..., mode="zero")` is what shows that all are used.

    The inputs are one line for each opening bracket, then one for each closing one; the outputs logits, above
    0 where legal, of the opening brackets, the closing ones, and the end: as in the task `dyck`. Strings are
    drawn as there: all strings of the sequences' length are equally likely (of odd lengths, all but the last
    symbol of a string).

    Signals, beside the depth and the top: for each unit what it holds, `slot0.bit0` (1 where the bracket in
    the outermost slot has that bit), `slot0.not0` (1 where it has not), `slot0.full0` (1 where there is a
    bracket; c is minus that).

    >>> Dyck(kinds=8, max_depth=5).units, Dyck(kinds=2, max_depth=3).units
    (40, 6)
    >>> Dyck(kinds=4, max_depth=1).codes.int().tolist()
    [[0, 0, 1, 1, -1], [1, 0, 0, 1, -1], [0, 1, 1, 0, -1], [1, 1, 0, 0, -1]]
    """

    name: str = parameter("dyck", "what the names of its lines and signals begin with")
    kinds: int = parameter(2, "k, the kinds of brackets", 2, 64)
    max_depth: int = parameter(3, "m, how many brackets may be open at once", 1, 100)

    fragile = 0.07

    @property
    def bits(self) -> int:
        """Return how many bits distinguish the kinds, ⌈log2 k⌉."""
        return (self.kinds - 1).bit_length()

    @property
    def units(self) -> int:
        """Return 3m·⌈log2 k⌉ − m."""
        return self.max_depth * (3 * self.bits - 1)

    @property
    def codes(self) -> Float[Tensor, "kind unit"]:
        """Return what a slot's units hold for each kind of bracket."""
        bits = (torch.arange(self.kinds).unsqueeze(1) >> torch.arange(self.bits)) % 2
        return torch.cat([bits, 1 - bits, -torch.ones(self.kinds, self.bits - 1)], dim=1)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(f"{self.name}.{name}" for name in dyck_task.Dyck(kinds=self.kinds).input_names)

    @property
    def memories(self) -> Mapping[str, float]:
        each = [(f"{what}{b}", 1.0) for what in ("bit", "not") for b in range(self.bits)]
        each += [(f"full{b}", -1.0) for b in range(self.bits - 1)]
        return {f"{self.name}.slot{j}.{what}": sign for j in range(self.max_depth) for what, sign in each}

    @property
    def target(self) -> Target:
        return Target(self.name, "multilabel", size=2 * self.kinds + 1)

    def wiring(self) -> Wiring:
        k, m, codes = self.kinds, self.max_depth, self.codes
        size = codes.shape[1]
        wiring = Wiring(self.units, 2 * k, 2 * k + 1)
        # One row for each slot: `tops` makes T of all units' h. Only `each` makes units' rows of slots' rows.
        tops = torch.eye(m).repeat_interleave(size, dim=1) / SHOWN
        opens, closes = torch.tensor([[1.0] * k + [0.0] * k, [0.0] * k + [1.0] * k])
        below, above = torch.eye(m).roll(1, dims=0), torch.ones(m, m).triu()
        below[0] = -1
        above += torch.ones(m, m).triu(1) + torch.ones(m, m).triu(2)
        needed = torch.full((m,), 1.5)
        needed[0] = 0.5

        def each(rows: Tensor) -> Tensor:
            return STEEP * rows.repeat_interleave(size, dim=0)

        wiring.gate("i", each(-needed), x=STEEP * opens, h=each(below @ tops))
        wiring.gate("f", 1.5 * STEEP, x=-STEEP * closes, h=each(-tops))
        wiring.gate("o", 1.5 * STEEP, x=STEEP * (closes - opens), h=each(-above @ tops))
        nothing = torch.zeros(self.units, k)
        wiring.gate("g", 0.0, x=torch.cat([SATURATED * codes.T.repeat(m, 1), nothing], dim=1))
        full = tops.sum(0)
        rows = torch.cat([-tops[-1:].expand(k, -1), codes.abs().repeat(1, m) / SHOWN, -full.unsqueeze(0)])
        wiring.readout.copy_(2 * LOGIT * rows)
        wiring.readout_bias.copy_(LOGIT * torch.tensor([1.0] * k + [-1.0] * k + [1.0]))
        return wiring

    def draw(self, n: int, length: int, rng: torch.Generator) -> Float[Tensor, "sequence time line"]:
        even = length + length % 2
        task = dyck_task.Dyck(kinds=self.kinds, max_depth=self.max_depth, min_length=even, max_length=even)
        return task.draw(n, rng).inputs[:, :length]

    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time output"], dict[str, Signal]]:
        task = dyck_task.Dyck(kinds=self.kinds, max_depth=self.max_depth)
        kind = torch.arange(1, self.kinds + 1, dtype=inputs.dtype)
        symbols = (inputs @ torch.cat([kind, -kind])).long()
        n, time = symbols.shape
        depth = symbols.sign().cumsum(1)
        wrong = (depth < 0) | (depth > self.max_depth) | (inputs.sum(-1) > 1)
        # Up to the first of these there is a stack, which says what else is wrong.
        symbols = torch.where(wrong.cumsum(1) > 0, 0, symbols)
        batch = task.batch(symbols, torch.full((n,), time))
        legal_closes = batch.targets["legal"][:, :-1, self.kinds : 2 * self.kinds]
        wrong[:, 1:] |= (inputs[:, 1:, self.kinds :] > legal_closes).any(-1)
        if wrong.any():
            sequence, step = wrong.nonzero()[0].tolist()
            raise InputError(f"inputs: {self.name}'s symbol at sequence {sequence}, step {step} is not legal there")
        slots = task.slots(symbols).permute(2, 1, 0)
        own = {what: f"{self.name}.{what}" for what in ("depth", "top")}
        signals = {name: replace(batch.signals[what], name=name) for what, name in own.items()}
        contents = torch.cat([torch.zeros(1, self.codes.shape[1]), self.codes])[slots].flatten(2)
        for content, (name, sign) in zip(contents.unbind(-1), self.memories.items()):
            signals[name] = Signal(name, sign * content, "binary", "latent", "what one unit of the stack holds")
        return batch.targets["legal"], signals
