"""What several tasks are made of: lengths, one-hot symbols, what was last seen and how long ago."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from lstm_probe.core.kinds import Signal


def draw_lengths(shortest: int, longest: int, n: int, rng: torch.Generator) -> Int[Tensor, " sequence"]:
    """Return lengths drawn uniformly from `shortest` to `longest`; with `shortest` 0 all are longest."""
    return torch.randint(shortest or longest, longest + 1, (n,), generator=rng)


def draw_below(limits: Int[Tensor, " sequence"], rng: torch.Generator) -> Int[Tensor, " sequence"]:
    """Return, for each limit, a whole number drawn uniformly from 0 to the limit − 1."""
    shares = torch.rand(len(limits), generator=rng, dtype=torch.float64)
    return torch.minimum((shares * limits).long(), limits - 1)


def positions(n: int, time: int) -> Int[Tensor, "sequence time"]:
    """Return the number of every step."""
    return torch.arange(time).expand(n, time)


def latest_step(fired: Bool[Tensor, "sequence time"]) -> Int[Tensor, "sequence time"]:
    """Return the latest step, up to each step, at which something fired; −1 before the first."""
    return torch.where(fired, positions(*fired.shape), -1).cummax(1).values


def steps_since(fired: Bool[Tensor, "sequence time"]) -> Int[Tensor, "sequence time"]:
    """Return the steps since something last fired; at first those since the step before the sequence.

    >>> steps_since(torch.tensor([[False, False, True, False, True]]))
    tensor([[1, 2, 0, 1, 0]])
    """
    return positions(*fired.shape) - latest_step(fired)


def last_seen(
    values: Shaped[Tensor, "sequence time"], fired: Bool[Tensor, "sequence time"], before: float = 0
) -> Shaped[Tensor, "sequence time"]:
    """Return the value at the latest step at which something fired; `before` where nothing has yet.

    >>> last_seen(torch.tensor([[7, 8, 9, 6]]), torch.tensor([[False, True, False, True]]))
    tensor([[0, 8, 8, 6]])
    """
    step = latest_step(fired)
    return torch.where(step >= 0, values.gather(1, step.clamp(min=0)), before)


def one_hot(symbols: Int[Tensor, "sequence time"], size: int) -> Float[Tensor, "sequence time size"]:
    """Return one line for each of `size` symbols; a negative number is no symbol.

    >>> one_hot(torch.tensor([[1, -1]]), 2)
    tensor([[[0., 1.],
             [0., 0.]]])
    """
    # Rows of a table: several times as fast as functional.one_hot, whose result is int64.
    return rows_of(torch.eye(size + 1)[:, 1:], symbols + 1)


def rows_of(table: Shaped[Tensor, "row column"], rows: Int[Tensor, "*shape"]) -> Shaped[Tensor, "*shape column"]:
    """Return these rows of a table, as `table[rows]` does, three times as fast."""
    chosen: Tensor = table.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    return chosen


def bracket_lines(symbols: Int[Tensor, "sequence time"], kinds: int) -> Float[Tensor, "sequence time line"]:
    """Return a line for each kind's opening bracket (1, 2, ...), then one for each closing (−1, −2, ...)."""
    return one_hot(torch.where(symbols < 0, kinds - symbols, symbols) - 1, 2 * kinds)


def padded(
    values: Shaped[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"], behind: int = -1
) -> Shaped[Tensor, "sequence time"]:
    """Return the values with `behind` at all steps after their sequence's end."""
    return torch.where(positions(*values.shape) < lengths.unsqueeze(1), values, behind)


def step_signal(n: int, time: int, of: str = "sequence") -> Signal:
    """Return the nuisance that every task has: the position in the sequence."""
    return Signal("step", positions(n, time).float(), "continuous", "nuisance", f"position in the {of}")


def by_name(signals: Iterable[Signal]) -> dict[str, Signal]:
    """Return the signals by their names."""
    return {signal.name: signal for signal in signals}
