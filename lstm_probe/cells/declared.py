"""What a recurrent cell is: its variables, its weights, and one step from which everything else follows.

A cell is declared, not programmed: whoever names its variables and writes down one step can have it trained, recorded,
probed, clamped, followed to its fixed points and drawn. The step says of each variable what it is by handing it to
`see`, and goes on with what `see` returns: what only looks keeps it, what intervenes puts another value in its place.

    def step(w, x, state, see):
        f = see("f", torch.sigmoid(...))
        ...
        return {"h": see("h", (1 - f) * state["h"] + f * g)}
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lstm_probe.core.errors import InputError

#: One layer's weights in one direction, by their names without the suffix; biases may be missing.
Named = Mapping[str, Tensor]
#: The state variables, by name, (..., unit) each.
State = Mapping[str, Tensor]
#: The names that all cells' weights have.
PLAIN = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

Kind = Literal["output", "memory", "gate", "input", "state"]

#: What is told of every variable as soon as a step has computed it, and returns the value to go on with.
See = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True)
class Variable:
    """One recorded variable of a unit.

    Args:
        name: a letter or a short word, as tables and `rec.<name>` call it.
        meaning: "short name: what it is", as pages say it.
        kind: "output" for what the others and the readout see, "memory" for what is carried, "gate" for what lets
            through, "input" for what would be written, "state" for anything else that is carried. A variable that is
            output and memory in one is an output, and the cell's `memory`.
        low, high: its range where it has one.
    """

    name: str
    meaning: str
    kind: Kind
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InputError(f"Variable({self.name!r}): must be a name, as it becomes rec.<name>")


def linear_read(w: Named, x: Tensor) -> Tensor:
    """Return what a layer makes of its inputs, for all steps at once: W x + b of every block, side by side."""
    read: Tensor = functional.linear(x, w["weight_ih"], w.get("bias_ih"))
    return read


def linear_heard(w: Named, h: Tensor) -> Tensor:
    """Return what a layer makes of the h before: W h + b of every block, side by side."""
    heard: Tensor = functional.linear(h, w["weight_hh"], w.get("bias_hh"))
    return heard


@dataclass(frozen=True)
class Cell:
    """A recurrent cell.

    Two cells of the same name are the same.

    Args:
        name: as configuration and files call it, such as "gru" or "package.module:MGU".
        title: as people call it, such as "GRU".
        variables: of each unit; h among them, and all of `state`.
        blocks: what the blocks of rows in weight_ih and weight_hh make, in their order, such as ("r", "z", "n").
        step: (weights, what `reads` made of the inputs, state, see) to the next state. Works on any leading
            dimensions, and hands every variable to `see` once.
        state: the variables that are carried from step to step, h first.
        memory: which variable is the memory.
        keeps: the gate by which the old memory is multiplied, where there is one.
        extra: further weights by name, and their shape for a number of units, such as {"peephole": (3, None)}; None
            stands for the units.
        reads: what of a step depends on the inputs alone, for all steps at once.
        starts: what state variables begin with, where that is not 0.
        linear: whether what a step hears of other units is weight_hh h + bias_hh, block by block, and nothing else, so
            that a constant that is heard can be put into bias_hh.
    """

    name: str
    title: str = field(compare=False)
    variables: tuple[Variable, ...] = field(compare=False)
    blocks: tuple[str, ...] = field(compare=False)
    step: Callable[[Named, Tensor, State, See], dict[str, Tensor]] = field(compare=False)
    state: tuple[str, ...] = field(default=("h",), compare=False)
    memory: str = field(default="h", compare=False)
    keeps: str | None = field(default=None, compare=False)
    extra: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict, compare=False)
    reads: Callable[[Named, Tensor], Tensor] = field(default=linear_read, compare=False)
    starts: Mapping[str, float] = field(default_factory=dict, compare=False)
    linear: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        names = [variable.name for variable in self.variables]
        problems = []
        if len(set(names)) < len(names):
            problems.append(f"variables {' '.join(names)}: each must have a name of its own")
        if self.state[:1] != ("h",):
            problems.append(f"state {' '.join(self.state)}: must begin with h, what a layer shows")
        problems += [f"{what} {name}: must be one of its variables {' '.join(names)}"
                     for what, given in (("state", self.state), ("memory", (self.memory,)),
                                         ("keeps", () if self.keeps is None else (self.keeps,)))
                     for name in given if name not in names]  # fmt: skip
        if self.memory not in self.state:
            problems.append(f"memory {self.memory}: must be carried from step to step, as {' '.join(self.state)} are")
        if problems:
            raise InputError(*(f"cell {self.name}: {problem}" for problem in problems))

    @property
    def a_title(self) -> str:
        """Return its title after the right article: "an LSTM", "a GRU"."""
        return f"{'an' if self.title[:1] in 'AEIOFHLMNRSXaeios' else 'a'} {self.title}"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of its variables."""
        return tuple(variable.name for variable in self.variables)

    @property
    def meanings(self) -> dict[str, str]:
        """Return what each variable is."""
        return {variable.name: variable.meaning for variable in self.variables}

    @property
    def follows_from_h(self) -> bool:
        """Return whether all variables of all steps follow at once from the inputs and h of every step."""
        return self.state == ("h",)

    def variable(self, name: str) -> Variable:
        """Return one of its variables; an InputError where there is none of this name."""
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise InputError(f"variable={name}: {self.title} has {' '.join(self.names)}")

    def all_meant(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the variables that are meant, each once: of a cell without a c of its own, c means its memory."""
        return tuple(dict.fromkeys(self.memory if name == "c" and "c" not in self.names else name for name in names))

    def word(self, name: str) -> str:
        """Return in a word or two what one of its variables is: "memory", "update gate"."""
        return "memory" if name == self.memory else self.variable(name).meaning.partition(":")[0]

    def meant(self, name: str) -> str:
        """Return the name of a variable, that of the memory for "c" where no variable is called so.

        Raises:
            InputError: it has no variable of this name.
        """
        return self.memory if name == "c" and "c" not in self.names else self.variable(name).name

    def of_kind(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of its variables of one kind."""
        return tuple(variable.name for variable in self.variables if variable.kind == kind)

    def weights(self, bias: bool = True) -> tuple[str, ...]:
        """Return the names of one layer's weights, without the suffix, in the order in which a kernel takes them."""
        return (*(name for name in PLAIN if bias or not name.startswith("bias")), *self.extra)

    def shape(self, name: str, inputs: int, units: int) -> tuple[int, ...]:
        """Return the shape of one of its weights."""
        rows = len(self.blocks) * units
        plain = {"weight_ih": (rows, inputs), "weight_hh": (rows, units), "bias_ih": (rows,), "bias_hh": (rows,)}
        return plain[name] if name in plain else tuple(units if n is None else n for n in self.extra[name])

    def start(self, like: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Return the state that a sequence begins with, in the order of `state`."""
        return tuple(like.new_full(shape, self.starts.get(name, 0.0)) for name in self.state)


def unseen(name: str, value: Tensor) -> Tensor:
    """Look at nothing and change nothing."""
    return value


@dataclass
class Seen:
    """A `see` that keeps some variables of one step, and changes nothing."""

    wanted: frozenset[str]
    values: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, name: str, value: Tensor, /) -> Tensor:
        """Keep the variable if it is wanted."""
        if name in self.wanted:
            self.values[name] = value
        return value


@torch.no_grad()
def all_at_once(cell: Cell, w: Named, read: Tensor, state: State, wanted: frozenset[str]) -> dict[str, Tensor]:
    """Return variables of many steps in one step's call, from the state before each of them."""
    seen = Seen(wanted)
    cell.step(w, read, state, seen)
    return seen.values
