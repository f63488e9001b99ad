"""Runs in which a linear trace is taken out of the state at every step, with what a read-out still tells of it."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.causal.beside import Beside, Traced
from lstm_probe.causal.decodable import FOLDS, HeldOut
from lstm_probe.causal.editing import Editing
from lstm_probe.causal.leace import Eraser, fit_eraser
from lstm_probe.causal.moment import Moment
from lstm_probe.cells.declared import Cell
from lstm_probe.core.seeding import derive_seed, generator

#: With fewer sequences at a step, what is left there is not looked at.
FEWEST = 50

#: Given a moment, the name of a variable, and its values in some of the moment's rows: what is to be taken out there.
#: The last says which rows of the moment these are.
Trace = Callable[[Moment, str, Tensor, Tensor], Tensor]


def erased_of(cell: Cell) -> dict[str, tuple[str, ...]]:
    """Return what is erased of a cell, by name: the memory before h, which goes with it."""
    if cell.memory == "h":
        return {"h": ("h",)}
    return {"h": ("h",), cell.memory: (cell.memory,), "both": (cell.memory, "h")}


def of_signal(signal: Traced) -> Trace:
    """Return a signal's own values as what is to be taken out."""

    def trace(at: Moment, _: str, values: Tensor, rows: Tensor) -> Tensor:
        return signal.columns[at.sequences[rows], at.step]

    return trace


def at_random(rank: int, seed: int, number: int) -> Trace:
    """Return random linear read-outs of the standardized units, the same at all steps, as what is to be taken out."""
    drawn: dict[tuple[int, str, str], Tensor] = {}

    def trace(at: Moment, variable: str, values: Tensor, rows: Tensor) -> Tensor:
        key, x = (at.layer, at.direction, variable), values.double()
        if key not in drawn:
            rng = generator(seed, "erasure controls", rank, number, *key)
            drawn[key] = torch.randn(x.shape[1], rank, generator=rng, dtype=x.dtype).to(x.device)
        centred = x - x.mean(0)
        spread = centred.square().mean(0).sqrt().unsqueeze(1)
        return centred @ torch.where(spread > 0, drawn[key] / spread, 0)

    return trace


@dataclass
class Erased:
    """What came of one run.

    Attributes:
        outputs: of the sequences that are looked at.
        rank: how many directions were taken out, at most.
        left: of each signal that was looked for, the R² of a read-out at each step, in each layer and direction, NaN
            where it is not known.
        seen: the share of steps, over sequences, layers and directions, at which each was looked for.
    """

    outputs: Float[Tensor, "sequence time output"]
    rank: int
    left: dict[str, list[float]]
    seen: dict[str, float]


@dataclass
class _Run:
    """One run: what is done at every moment of it."""

    pair: Beside
    variables: Sequence[str]
    fold: Int[Tensor, " sequence"]
    trace: Trace | None
    known: Traced | None
    looked_for: Sequence[Traced]
    given: Iterator[Eraser | None] | None = None
    keeps: bool = False
    made: list[Eraser | None] = field(default_factory=list)
    left: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def edit(self, at: Moment) -> tuple[Tensor, ...]:
        """Return the state without the trace, after looking for what is left of it."""
        state, memory = dict(at.state), at.cell.memory
        if self.trace is not None and memory in self.variables:
            state = dict(zip(at.cell.state, at.with_memory(self._without(at, memory, at.memory))))
        if self.trace is not None and "h" in self.variables and memory != "h":
            state["h"] = self._without(at, "h", state["h"])
        looked = torch.nonzero(at.sequences >= self.pair.fitted)[:, 0]
        held_out: tuple[Tensor, HeldOut] | None = None
        for signal in self.looked_for:
            rows = looked[signal.at(at.step, at.sequences[looked])]
            self.rows[signal.name].append(len(rows))
            if len(rows) < FEWEST:
                self.left[signal.name].append(math.nan)
                continue
            sequences = at.sequences[rows]
            if held_out is None or not torch.equal(held_out[0], rows):
                values = torch.cat([state[name][rows] for name in self.variables], dim=1)
                held_out = rows, HeldOut(values, self.fold[sequences - self.pair.fitted])
            self.left[signal.name].append(held_out[1].r2(signal.columns[sequences, at.step]))
        return at.same if self.keeps else at.but(state)

    def _without(self, at: Moment, variable: str, values: Tensor) -> Tensor:
        eraser = next(self.given) if self.given is not None else self._fitted(at, variable, values)
        self.made.append(eraser)
        return values if eraser is None else eraser(values)

    def _fitted(self, at: Moment, variable: str, values: Tensor) -> Eraser | None:
        assert self.trace is not None
        rows = torch.nonzero(at.sequences < self.pair.fitted)[:, 0]
        if self.known is not None:
            rows = rows[self.known.at(at.step, at.sequences[rows])]
        else:  # a module may run on behind a sequence's end
            rows = rows[self.pair.batch.mask[at.sequences[rows], at.step]]
        if len(rows) < 2:
            return None
        own = values[rows]
        return fit_eraser(own, self.trace(at, variable, own, rows))


@dataclass(frozen=True)
class Erasing:
    """A model on sequences to fit on and others beside them, run with traces taken out of its state.

    Attributes:
        pair: the sequences.
        editing: the model on them.
        variable: what is erased: a key of `erased_of`.
        once: whether what is taken out is fitted on the intact network, instead of on the erased one, step by step.
        seed: of the parts that are held out when what is left is looked for.
    """

    pair: Beside
    editing: Editing
    variable: str
    once: bool
    seed: int

    def without(self, trace: Trace, known: Traced | None = None) -> Erased:
        """Return what the network does without a trace; of a signal, what is left of it too."""
        looked_for = () if known is None else (known,)
        if not self.once:
            return self._made(trace, known, looked_for)[0]
        erasers = self._made(trace, known, (), keeps=True)[1]
        return self._made(trace, known, looked_for, given=iter(erasers))[0]

    def intact(self) -> Erased:
        """Return what the network does as it is, and what read-outs tell of every signal."""
        return self._made(None, None, self.pair.signals)[0]

    def _made(
        self, trace: Trace | None, known: Traced | None, looked_for: Sequence[Traced],
        given: Iterator[Eraser | None] | None = None, keeps: bool = False,
    ) -> tuple[Erased, list[Eraser | None]]:  # fmt: skip
        pair = self.pair
        blocks = np.arange(len(pair.looked)) if pair.groups is None else pair.groups
        rng = np.random.default_rng(derive_seed(self.seed, "erasure folds"))
        fold = rng.permutation(int(blocks.max()) + 1)[blocks] % FOLDS
        own = torch.from_numpy(fold).to(pair.batch.lengths.device)
        run = _Run(pair, erased_of(self.editing.cell)[self.variable], own, trace, known, looked_for, given, keeps)
        outputs = self.editing.outputs(run.edit).outputs[pair.fitted :]
        rank = max((one.rank for one in run.made if one is not None), default=0)
        seen = {name: sum(n for n in own if n >= FEWEST) / max(1, sum(own)) for name, own in run.rows.items()}
        return Erased(outputs, rank, dict(run.left), seen), run.made
