"""Finite automata: strings drawn exactly from a distribution, and what may follow after each symbol."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Automaton:
    """A deterministic finite automaton that starts in state 0, with a weight for each transition.

    A string's weight is the product of its transitions'. Weights of 1 make all strings of one length equally
    likely; weights that sum to 1 over the symbols of a state make a string as likely as the random walk that
    spells it.

    Args:
        following: the next state; −1 where the symbol is not legal.
        accepting: in which states a string may end.
        weights: of the transitions; anything where there is none.
    """

    following: Int[Tensor, "state symbol"]
    accepting: Bool[Tensor, " state"]
    weights: Float[Tensor, "state symbol"]

    @property
    def legal(self) -> Bool[Tensor, "state symbol"]:
        """Return which symbols may come next in each state. Every state must lead to an accepting one."""
        return self.following >= 0

    def completions(self, longest: int) -> Float[Tensor, "remaining state"]:
        """Return the log of the weight of all strings of each length from a state to acceptance."""
        steps = torch.where(self.legal, self.weights.double().log(), -torch.inf)
        table = torch.empty(longest + 1, len(self.accepting), dtype=torch.float64)
        table[0] = torch.where(self.accepting, 0.0, -torch.inf)
        for r in range(1, longest + 1):
            table[r] = torch.logsumexp(steps + table[r - 1][self.following.clamp(min=0)], dim=1)
        return table

    def states(self, symbols: Int[Tensor, "sequence time"]) -> Int[Tensor, "sequence time"]:
        """Return the state after each symbol of legal strings; after their ends (−1) it stays as it is."""
        following, size = self.following, self.following.shape[1]
        state = torch.zeros(len(symbols), dtype=torch.long)
        states = torch.empty(symbols.shape[1], len(symbols), dtype=torch.long)
        for t, symbol in enumerate(symbols.T.contiguous()):
            # `take` and `index_select` are several times as fast as indexing.
            state = torch.where(symbol >= 0, following.take(state * size + symbol.clamp(min=0)), state)
            states[t] = state
        return states.T.contiguous()

    def bounds(self, longest: int) -> Float[Tensor, "remaining state symbol"]:
        """Return the next symbol's cumulative chances for each number of symbols to come and each state.

        A symbol's chance is the weight of all completions that begin with it, over that of all completions.
        Where there are none, the row means nothing.
        """
        table = self.completions(longest)
        steps = torch.where(self.legal, self.weights.double().log(), -torch.inf)
        logs = steps + table[:-1][:, self.following.clamp(min=0)]
        sums = (logs - table[1:].unsqueeze(-1)).exp().cumsum(-1)
        # Scaled to end at exactly 1, so that rounding never chooses a symbol without a chance.
        return torch.cat([torch.ones(1, *sums.shape[1:], dtype=sums.dtype), sums / sums[..., -1:]])

    def draw(
        self,
        lengths: Int[Tensor, " sequence"],
        bounds: Float[Tensor, "remaining state symbol"],
        rng: torch.Generator,
    ) -> Int[Tensor, "sequence time"]:
        """Return accepted strings of these lengths, as symbol numbers, each as likely as its weight is large.

        Args:
            lengths: of strings that exist; after a string's end the symbols are −1.
            bounds: what `bounds` returns for the longest of them or more.
            rng: the only source of randomness.
        """
        n, time = len(lengths), int(lengths.max())
        states, size = self.following.shape
        # Symbols first and time first: what is worked on in one step lies together.
        rows, following = bounds.flatten(0, 1).T[:-1].contiguous(), self.following
        luck = torch.rand(time, n, generator=rng, dtype=torch.float64)
        symbols = torch.empty(time, n, dtype=torch.long)
        state = torch.zeros(n, dtype=torch.long)
        for t in range(time):
            remaining = (lengths - t).clamp(min=0)
            symbol = (luck[t] >= rows.index_select(1, remaining * states + state)).sum(0)
            symbols[t] = torch.where(remaining > 0, symbol, -1)
            # Behind the end anything will do for a state, as long as it is one.
            state = following.take(state * size + symbol).clamp(min=0)
        return symbols.T.contiguous()
